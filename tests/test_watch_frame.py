"""What `eco2ai watch` shows, as lines: true to the figures, and never larger than the terminal."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journals import CELLS, FIGURES
from rich.cells import cell_len

from eco2ai_cli.clock import Moment
from eco2ai_cli.dashboard import Budget, Gpu, Line, sparkline
from eco2ai_cli.watch.frame import Watched, encodable, frame
from eco2ai_cli.watch.members import Look, Member, Seen, busiest
from eco2ai_cli.watch.plot import axis_labels, bars, ceiling, plot, resampled, window, zoomed
from eco2ai_cli.watch.power import History, Pace, Stretch, follow, mean_w, recent_w
from eco2ai_cli.watch.runs import LiveRun

FIRST = FIGURES._replace(
    awake_s=10.0, cpu_s=4.0, cpu_j=100.0, gpu_j=0.0, ram_j=10.0, memory_byte_s=5e9
)
SECOND = FIRST._replace(
    number=8, awake_s=12.0, cpu_s=7.0, cpu_j=200.0, gpu_j=40.0, ram_j=14.0, memory_byte_s=9e9
)
ROW = {
    "id": "0a1b2c3d-0000",
    **CELLS,
    "project_name": "mnist",
    "region/country": "FR",
    "intensity_year": 2024,
    "power_consumption(kWh)": 2.0,
    "CO2_emissions(kg)": 0.8,
    "cost": 0.5,
    "cpu_energy(kWh)": 1.0,
    "gpu_energy(kWh)": 0.25,
    "ram_energy(kWh)": None,
    "cpu_method": "tdp",
    "gpu_method": "nvml-energy",
    "ram_method": "none",
    "GPU_name": "NVIDIA H100",
    "caveats": "end-unseen;gpu-shared",
}
RUN = LiveRun("/j", 17, Moment(1e9, 0.0, 0.0), "/l.csv", ROW, (FIRST, SECOND))
STRETCHES = tuple(Stretch(float(n), n + 1.0, 10.0 * (n % 7)) for n in range(50))
MEMBERS = tuple(Member(100 + n, 99.5 - n, 10**9, f"python 数字 🎉 worker {n}") for n in range(30))
SHOWN = Watched(
    RUN,
    History(SECOND, Pace(216.0, 50.0, 20.0, 2.0, 150.0, 2e9), STRETCHES),
    754.0,
    0.5,
    MEMBERS,
    40,
    (Gpu("NVIDIA H100", 350.0, 97.0, 41.2e9, 64.0), Gpu("NVIDIA H100", 92.0)),
)


def text(line: Line) -> str:
    return "".join(span.text for span in line).rstrip()


def texts(columns: int, rows: int, watched: list[Watched] | None = None) -> list[str]:
    return list(map(text, frame(watched or [SHOWN], 0, columns, rows, foot="q quit")))


def test_power_is_the_difference_of_two_samples_and_pue_multiplies_the_total_alone() -> None:
    history = follow(None, RUN)
    pace = Pace(
        power_w=1.5 * (100 + 40 + 4) / 2,
        cpu_w=50.0,
        gpu_w=20.0,
        ram_w=2.0,
        cpu_percent=150.0,
        memory_bytes=2e9,
    )
    assert history.pace == pace
    assert history.stretches == (Stretch(10.0, 12.0, 108.0),)


def test_of_the_time_before_the_mean_is_known() -> None:
    assert follow(None, RUN).before == Stretch(0.0, 10.0, 1.5 * 110 / 10)
    at_once = RUN._replace(samples=(FIRST._replace(awake_s=0.0), SECOND))
    assert follow(None, at_once).before is None
    history = follow(None, RUN, lambda: (Stretch(0.0, 9.0, 5.0), Stretch(9.0, 11.0, 7.0)))
    assert (history.before, history.stretches[0]) == (None, Stretch(0.0, 9.0, 5.0))
    assert history.stretches[1:] == (Stretch(10.0, 12.0, 108.0),)


def test_what_is_not_known_has_no_power_and_is_not_zero() -> None:
    unknown = [f._replace(cpu_j=None, gpu_j=None, ram_j=None) for f in (FIRST, SECOND)]
    pace = follow(None, RUN._replace(samples=tuple(unknown))).pace
    assert pace is not None
    assert (pace.power_w, pace.cpu_w, pace.gpu_w, pace.ram_w) == (None,) * 4


def test_a_moment_is_too_short_to_tell_power_and_counts_for_the_next_look() -> None:
    soon = FIRST._replace(awake_s=10.1, cpu_j=150.0)
    history = follow(None, RUN._replace(samples=(FIRST, soon)))
    assert history.pace is None
    later = follow(history, RUN._replace(samples=(soon, SECOND)))
    assert later.stretches == (Stretch(10.0, 12.0, 108.0),)


def test_the_same_sample_twice_changes_nothing() -> None:
    history = follow(None, RUN)
    assert follow(history, RUN) is history


def test_a_long_history_takes_no_more_room_and_keeps_its_energy() -> None:
    history, run = None, RUN
    for n in range(10_000):
        now = FIRST._replace(awake_s=10.0 + n, cpu_j=100.0 + 3.0 * n)
        run = RUN._replace(samples=(now,), cells={**ROW, "pue": 1.0})
        history = follow(history, run)
    assert history is not None
    assert len(history.stretches) <= 4096
    joules = sum((s.to_s - s.from_s) * (s.power_w or 0.0) for s in history.stretches)
    assert joules == pytest.approx(3.0 * 9_999)


def test_the_recent_pace_is_that_of_the_last_minute() -> None:
    stretches = [Stretch(0.0, 100.0, 1000.0), Stretch(100.0, 140.0, 20.0), Stretch(140.0, 160.0, 5)]
    assert recent_w(stretches) == pytest.approx((40 * 20 + 20 * 5) / 60)
    assert recent_w([]) is None
    assert mean_w([Stretch(0.0, 9.0, None)], 0.0, 9.0) is None


@given(
    st.lists(st.tuples(st.floats(0.1, 50), st.floats(0, 1e4)), min_size=1, max_size=40),
    st.integers(1, 60),
)
def test_a_plot_has_the_energy_of_what_it_shows(
    parts: list[tuple[float, float]], count: int
) -> None:
    stretches, at_s = [], 5.0
    for length_s, watts in parts:
        stretches.append(Stretch(at_s, at_s + length_s, watts))
        at_s += length_s
    values = resampled(stretches, 5.0, at_s, count)
    joules = sum(length_s * watts for length_s, watts in parts)
    step_s = (at_s - 5.0) / count
    assert sum(value or 0.0 for value in values) * step_s == pytest.approx(joules, abs=1e-6)


def test_bars_are_as_high_as_their_values() -> None:
    assert bars([0.0, 2.5, 5.0, 10.0, None, 0.001], 10.0, 4) == [
        "   █  ",
        "   █  ",
        "  ██  ",
        " ███ ▁",
    ]


@given(st.floats(1e-6, 1e7))
def test_the_axis_holds_the_highest_and_is_not_much_longer(highest: float) -> None:
    assert highest <= ceiling(highest) <= 2 * highest * (1 + 1e-9)


@pytest.mark.parametrize(
    ("top_w", "height", "labels"),
    [
        (400.0, 8, {0: "400 W", 4: "200 W", 8: "0 W"}),
        (1000.0, 15, {0: "1 kW", 3: "0.8 kW", 6: "0.6 kW", 9: "0.4 kW", 12: "0.2 kW", 15: "0 kW"}),
        (0.5, 12, {0: "500 mW", 3: "375 mW", 6: "250 mW", 9: "125 mW", 12: "0 mW"}),
        (50.0, 2, {0: "50 W", 2: "0 W"}),
    ],
)
def test_labels_stand_where_their_power_is(
    top_w: float, height: int, labels: dict[int, str]
) -> None:
    assert {n: label for n, label in enumerate(axis_labels(top_w, height)) if label} == labels


@pytest.mark.parametrize(
    ("known_s", "window_s"), [(0, 60), (60, 60), (61, 120), (86400, 86400), (86401, 172800)]
)
def test_a_plot_goes_back_as_far_as_is_known(known_s: float, window_s: float) -> None:
    assert window([Stretch(7.0, 7.0 + known_s, 1.0)]) == window_s


def test_a_plot_at_a_small_size() -> None:
    stretches = (Stretch(40.0, 70.0, 100.0), Stretch(70.0, 100.0, 400.0))
    assert [text(line) for line in plot(History(SECOND, None, stretches), 29, 6)] == [
        "   400 W┤          ██████████",
        "        │          ██████████",
        "        │          ██████████",
        "        │████████████████████",
        "     0 W└────────────────────",
        "         60 s ago         now",
    ]


def test_before_it_was_watched_the_plot_shows_the_mean() -> None:
    history = History(SECOND, None, (Stretch(40.0, 70.0, 400.0),), Stretch(0.0, 40.0, 200.0))
    assert [text(line) for line in plot(history, 49, 6)] == [
        "   400 W┤                    ████████████████████",
        "        │                    ████████████████████",
        "        │░░░░░░░░░░░░░░░░░░░░████████████████████",
        "        │░░░░░░░░░░░░░░░░░░░░████████████████████",
        "     0 W└────────────────────────────────────────",
        "         60 s ago   ░ mean before             now",
    ]


def test_a_plot_goes_back_as_far_as_it_is_told_to() -> None:
    stretches = tuple(Stretch(60.0 * n, 60.0 * n + 60, 1.0) for n in range(30))
    steps = []
    window_s = None
    for step in (1, -1, -1, -1, -1, -1, -1, 1, 1, 9):
        window_s = zoomed(window_s, stretches, step)
        steps.append(window_s)
    assert steps == [None, 1200, 600, 300, 120, 60, 60, 120, 300, None]
    lines = plot(History(SECOND, None, stretches), 60, 10, 300.0)
    assert text(lines[-1]).split() == ["5", "min", "ago", "2.5", "min", "now"]


def test_a_frame_is_never_larger_than_the_terminal() -> None:
    for columns, rows in itertools.product(
        (1, 8, 16, 25, 40, 59, 60, 67, 68, 80, 119, 120, 200), (1, 2, 3, 5, 8, 10, 13, 15, 24, 50)
    ):
        for count in (1, 3, 40):
            lines = texts(columns, rows, [SHOWN] * count)
            assert len(lines) <= rows
            assert max(map(cell_len, lines)) <= columns


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_a_frame_fills_the_terminal(size: tuple[int, int]) -> None:
    columns, rows = size
    lines = texts(columns, rows)
    assert len(lines) == rows
    assert lines[-1] == " q quit"
    assert max(map(cell_len, lines)) == columns


def test_a_frame_says_what_there_is_to_know() -> None:
    shown = "\n".join(texts(90, 28))
    for part in (
        "── mnist ──",
        "FR 400 kg/MWh (2024) ── PUE 1.5 ── 12 min 34 s",
        "python train.py",
        "216 W",
        "2.00 kWh",  # so far
        "800 g",  # 2 kWh at 400 kg/MWh
        "0.50 EUR",  # 2 kWh at 0.25
        "1.00 kWh   80 % ████████░░  tdp",
        "250 Wh   20 % ██░░░░░░░░  nvml-energy",
        "GPU 0       350 W       97 % ██████████  41.2 GB   64 °C   H100",
        "GPU 1      92.0 W",
        "CPU 150 %  memory 2.00 GB  peak 3.00 GB  CPU time 7.00 s  mean 600 kW",
        "     101    98 %   1.00 GB  python",
        "and 3",
        "note gpu-shared",
    ):
        assert part in shown, part
    assert "end-unseen" not in shown
    assert "RAM" not in shown


def test_a_gpu_that_nobody_looks_at_has_its_name_all_the_same() -> None:
    assert "NVIDIA H100" in "\n".join(texts(90, 24, [SHOWN._replace(gpus=None)]))


def test_in_ascii_nothing_is_lost() -> None:
    history = SHOWN.history._replace(before=Stretch(-50.0, 0.0, 20.0))
    shown = SHOWN._replace(members=(), history=history)
    for line in (line for n in (1, 3) for line in texts(100, 40, [shown] * n)):
        told = encodable(line, "ascii")
        assert (len(told), told.isascii(), "?" in told) == (len(line), True, False)
        assert encodable(line, "utf-8") == line


def test_many_gpus_leave_room_for_the_rest() -> None:
    lines = texts(80, 24, [SHOWN._replace(gpus=SHOWN.gpus and SHOWN.gpus * 8)])
    assert len([line for line in lines if line.startswith(" GPU ")]) == 1 + 4
    assert " and 12 GPUs more" in lines


def test_a_budget_and_a_forecast_have_their_lines_where_there_are_any() -> None:
    plain = "\n".join(texts(80, 24))
    assert "budget" not in plain
    assert "forecast" not in plain
    shown = SHOWN._replace(budget=Budget(0.4, "40 % of 5 kWh"), forecast="5 kWh by 18:04")
    lines = texts(80, 24, [shown])
    assert " budget ████░░░░░░  40 % of 5 kWh" in lines
    assert " forecast 5 kWh by 18:04" in lines
    assert "epochs" not in "\n".join(texts(80, 24, [shown._replace(epochs="3/9")]))
    assert " epochs 3" in texts(80, 24, [SHOWN._replace(epochs="3")])


def test_where_there_is_no_room_for_a_plot_there_is_a_line() -> None:
    lines = texts(48, 10, [SHOWN._replace(gpus=None)])
    (total,) = [line for line in lines if line.startswith(" total")]
    bars_shown = total.split()[-1]
    assert len(bars_shown) > 4
    assert bars_shown == sparkline([s.power_w for s in STRETCHES], len(bars_shown))


def test_an_hour_and_a_day_are_told_by_the_recent_power() -> None:
    history = SHOWN.history._replace(stretches=(Stretch(0.0, 60.0, 1000.0),))
    lines = texts(80, 24, [SHOWN._replace(history=history)])
    (total,) = [line for line in lines if line.startswith(" total")]
    assert total.split()[-4:] == ["1.00", "kWh", "24.0", "kWh"]
    (cost,) = [line for line in lines if line.startswith(" cost")]
    assert cost.split()[-4:] == ["0.25", "EUR", "6.00", "EUR"]


def test_a_run_without_samples_for_long_is_said_to_stand_still() -> None:
    assert "no sample for" not in "\n".join(texts(80, 24))
    still = SHOWN._replace(idle_s=42.0)
    assert "note no sample for 42.0 s, gpu-shared" in "\n".join(texts(80, 24, [still]))


def test_of_many_runs_the_chosen_one_is_in_the_list() -> None:
    many = [SHOWN._replace(run=RUN._replace(cells={**ROW, "id": f"{n:08}-"})) for n in range(40)]
    for chosen in range(40):
        lines = [text(line) for line in frame(many, chosen, 80, 24)]
        assert [line[1:9] for line in lines if line.startswith("▸")] == [f"{chosen:08}"]
        assert len([line for line in lines if line[1:9].isdecimal()]) == 6


def test_what_others_wrote_cannot_command_the_terminal() -> None:
    evil = "\x1b]0;x\x07\n\x9b2J"
    run = RUN._replace(cells={**ROW, "command": evil, "project_name": evil, "GPU_name": evil})
    shown = SHOWN._replace(run=run, members=(Member(1, 1.0, 1, evil),))
    for lines in (texts(80, 24, [shown]), texts(80, 24, [shown, shown])):
        assert all(line.isprintable() for line in lines)


def test_processes_are_shown_by_the_cpu_that_they_had_between_two_looks() -> None:
    before = Look(0.0, {1: Seen(5, 1.0, 10), 2: Seen(5, 9.0, 20), 4: Seen(5, 50.0, 1)})
    now = Look(
        2.0, {1: Seen(5, 3.0, 10), 2: Seen(5, 9.0, 20), 3: Seen(9, 1.0, 3), 4: Seen(8, 0.2, 1)}
    )
    shares = [(m.pid, m.cpu_percent) for m in busiest(before, now, 9, "/nonexistent")]
    # Process 4 has the pid of one that has ended.
    assert shares == [(1, 100.0), (3, 50.0), (4, pytest.approx(10.0)), (2, 0.0)]
    assert [m.cpu_percent for m in busiest(None, now, 1, "/nonexistent")] == [None]
