"""The panel's lines: what matters first, never wider than the terminal, no figure made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from eco2ai_cli.dashboard import Budget, Gpu, Line, State, cut, panel, printable, sparkline, width

RUN = State(
    elapsed_s=725.9,
    power_w=42.31,
    powers_w=tuple(float(n % 8) for n in range(48)),
    energy_j=4431.0,
    emissions_kg=0.00045,
    cost=0.312,
    currency="EUR",
    cpu_percent=187.2,
    memory_bytes=1.234e9,
    processes=3,
    gpus=(),
    project="mnist",
    place="Paris, France",
    kg_per_mwh=56.0,
    caveats=("gpu-shared", "region-assumed"),
)
H100 = Gpu("NVIDIA H100 80GB HBM3", 312.4, 98.0, 41.2e9, 64.0)
FULL = RUN._replace(
    gpus=(H100,) * 8, budget=Budget(0.42, "0.42 of 1 kWh"), forecast="2.1 kWh by 18:40"
)


def text(line: Line) -> str:
    return "".join(span.text for span in line)


def texts(state: State, columns: int, rows: int) -> list[str]:
    return [text(line).rstrip() for line in panel(state, columns, rows)]


def test_at_80_columns() -> None:
    assert texts(RUN, 79, 6) == [
        "── eco2ai ── mnist ────────────────── Paris, France 56 kg/MWh ── 12 min 05 s ──",
        " 42.3 W   ▂▃▄▅▆▇█▁▂▃▄▅▆▇█   1.23 Wh    450 mg CO2   0.31 EUR",
        " CPU 187 %    memory 1.23 GB   3 processes",
        " note gpu-shared, region-assumed",
    ]


def test_at_40_columns_the_place_goes() -> None:
    assert texts(RUN._replace(gpus=(H100,)), 39, 6) == [
        "── eco2ai ── mnist ───── 12 min 05 s ──",
        " 42.3 W   ▁▂▃▄▅▆▇█  1.23 Wh",
        " 450 mg CO2  0.31 EUR",
        " CPU 187 %   memory 1.23 GB",
        " GPU 312 W   98 % 41.2 GB 64 °C",
        " note gpu-shared, region-assumed",
    ]


def test_of_more_gpus_than_there_is_room_for_the_sum_is_shown() -> None:
    assert texts(FULL, 199, 6)[4].count("312 W   98 %") == 8
    hot = FULL._replace(gpus=(H100,) * 7 + (H100._replace(temperature_c=71.0, power_w=300.0),))
    assert " 8 GPUs 2.49 kW  98 % 330 GB  71 °C" in texts(hot, 79, 6)
    silent = FULL._replace(gpus=(H100,) * 7 + (Gpu("an old one", None),))
    assert " 8 GPUs ? W  " in texts(silent, 79, 6)[4] + "  "


def test_epochs_are_counted_where_no_forecast_counts_them() -> None:
    assert " epochs 3" in texts(RUN._replace(epochs="3"), 79, 6)
    assert "epochs" not in "".join(texts(RUN._replace(epochs="3/9", forecast="3/9 · 1 s"), 79, 6))
    assert "epochs" not in "".join(texts(RUN, 79, 6))


def test_a_wide_terminal_says_all_of_each_gpu() -> None:
    lines = texts(RUN._replace(gpus=(H100,) * 2), 199, 6)
    for name in ("GPU0 H100 80GB HBM3 312 W", "GPU1 H100 80GB HBM3 312 W"):
        assert any(name in line and "98 %" in line and "64 °C" in line for line in lines)


def test_the_budget_goes_before_the_notes() -> None:
    lines = texts(FULL, 79, 5)
    assert any("budget ████░░░░░░ 0.42 of 1 kWh" in line for line in lines)
    assert any("forecast 2.1 kWh by 18:40" in line for line in lines)
    assert not any("note" in line for line in lines)


def test_one_row_holds_what_matters_most() -> None:
    assert texts(RUN, 79, 1) == [
        " 42.3 W   ▂▃▄▅▆▇█▁▂▃▄▅▆▇█   1.23 Wh    450 mg CO2   12 min 05 s   0.31 EUR"
    ]
    assert texts(RUN, 39, 1) == [" 42.3 W     1.23 Wh   450 mg CO2"]


def test_what_is_not_known_is_not_zero() -> None:
    unknown = RUN._replace(
        power_w=None, energy_j=None, emissions_kg=None, cpu_percent=None, memory_bytes=None
    )
    lines = "\n".join(texts(unknown, 79, 6))
    for figure in ("? W", "? Wh", "? g CO2", "CPU ? %", "memory ? GB"):
        assert figure in lines
    assert " 0 " not in lines


def test_without_a_price_there_is_no_cost() -> None:
    assert "EUR" not in "".join(texts(RUN._replace(cost=None), 199, 6))


def test_nothing_of_others_is_obeyed_by_the_terminal() -> None:
    evil = RUN._replace(project="a\x1b[2Jb\nc", place="d\x07e\u202ef")
    shown = "".join(texts(evil, 199, 6))
    assert shown.isprintable()
    assert printable("a\x1b\u202eb") == "a  b"


WORDS = st.text(max_size=40) | st.sampled_from(["数字", "🎉🎉", "❤️", "👨‍👩‍👧", "é", ""])
NUMBERS = st.none() | st.floats(0, 1e18)
STATES = st.builds(
    State,
    elapsed_s=st.floats(0, 1e9),
    power_w=NUMBERS,
    powers_w=st.lists(NUMBERS, max_size=60).map(tuple),
    energy_j=NUMBERS,
    emissions_kg=NUMBERS,
    cost=NUMBERS,
    currency=st.none() | st.just("EUR"),
    cpu_percent=NUMBERS,
    memory_bytes=NUMBERS,
    processes=st.integers(0, 10**6),
    gpus=st.lists(st.builds(Gpu, WORDS, NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=9).map(tuple),
    project=WORDS,
    place=WORDS,
    kg_per_mwh=st.floats(0, 1e4),
    caveats=st.lists(st.sampled_from(["gpu-shared", "region-assumed"]), max_size=9).map(tuple),
    budget=st.none() | st.builds(Budget, st.floats(0, 9), WORDS),
    forecast=st.none() | WORDS,
    epochs=st.none() | st.just("3/10"),
)


@given(STATES, st.integers(0, 210), st.integers(0, 8))
def test_no_line_is_wider_than_there_is_room(state: State, columns: int, rows: int) -> None:
    lines = panel(state, columns, rows)
    assert len(lines) <= rows
    for line in lines:
        assert width(text(line)) <= columns
        assert cell_len(text(line)) <= columns
        assert text(line).isprintable()


@given(STATES, st.integers(40, 210), st.integers(1, 8))
def test_power_is_always_there(state: State, columns: int, rows: int) -> None:
    power = "? W" if state.power_w is None else "W"
    assert any(power in text(line) for line in panel(state, columns, rows))


@pytest.mark.parametrize("sample", ["a", "é", "e\u0301", "数", "ｶ", "🎉", "\u200b", "한", "\u2581"])
def test_characters_take_the_columns_that_rich_gives_them(sample: str) -> None:
    assert width(sample * 3) == cell_len(sample * 3)


@given(WORDS, st.integers(0, 30))
def test_a_cut_text_fits_and_says_that_it_was_cut(words: str, columns: int) -> None:
    shown = cut(words, columns)
    assert width(shown) <= columns
    assert shown == words or shown.endswith("…") or columns == 0


def test_the_sparkline_is_full_at_its_highest_and_empty_where_nothing_is_known() -> None:
    assert sparkline([0.0, 5.0, 10.0, None], 4) == "▁▅█ "
    assert sparkline([1.0] * 10, 3) == "███"
    assert sparkline([0.0, 0.0], 2) == "▁▁"
    assert sparkline([1.0], 0) == ""
