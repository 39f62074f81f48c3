"""Each joule at the rate of its time: simulated runs against what they must cost."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco2ai_cli import profile, rates, schedule, tariff, timezones
from eco2ai_cli.config_keys import Config
from eco2ai_cli.errors import ResourceError
from eco2ai_cli.footprint import footprint
from eco2ai_cli.model import Component, Energy, Reading, Sample, Usage
from eco2ai_cli.rates import Rates
from eco2ai_cli.weighing import NOTHING, Weighed, Weigher, mean_rates

ROOT = Path(__file__).parent.parent
PAPER = {"8:30-19:00": 0.3, "19:00-6:00": 0.15, "6:00-8:30": 0.2}
SUN = [400.0] * 8 + [150.0] * 10 + [500.0] * 6
BERLIN = "Europe/Berlin"


def paper_rates() -> Rates:
    return Rates(tariff.as_week(PAPER), tariff.as_week(day_of(SUN)), timezones.named(BERLIN))


def day_of(values: list[float]) -> dict[str, float]:
    found = profile.read(values)
    assert isinstance(found, dict)
    return found


def unix(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN)).timestamp()


def sample(t_s: float, **levels_j: float | None) -> Sample:
    components: dict[str, Component] = {"cpu": "cpu", "gpu": "gpu", "ram": "ram"}
    readings = tuple(
        Reading(components[name], "0", level_j, "tdp") for name, level_j in levels_j.items()
    )
    return Sample(t_s, Usage(0.0, None, None), readings)


def simulate(start: str, hours: float, step_s: float, power_w: float = 100.0) -> Weighed:
    """Run at constant power, and look every `step_s`."""
    weigher, began_s = Weigher(paper_rates()), unix(start)
    for number in range(math.ceil(hours * 3600 / step_s) + 1):
        t_s = min(number * step_s, hours * 3600)
        weigher(sample(t_s, cpu=power_w * t_s), began_s + t_s)
    return weigher.snapshot()


# a day costs what it must


@pytest.mark.parametrize("step_s", [60, 777.7, 86_400])
def test_a_day_of_constant_power_costs_the_mean_of_the_tariff_by_time(step_s: float) -> None:
    price, kg_per_mwh = mean_rates(NOTHING, simulate("2025-06-02 13:37", 24, step_s))
    found = footprint(
        Energy(100 * 86_400.0, 0.0, 0.0), pue=1.0, kg_per_mwh=kg_per_mwh or 0, price_per_kwh=price
    )
    # 2.4 kWh at (10.5 x 0.3 + 11 x 0.15 + 2.5 x 0.2) / 24
    assert found.cost == pytest.approx(0.1 * (10.5 * 0.3 + 11 * 0.15 + 2.5 * 0.2), rel=1e-9)
    assert found.emissions_kg == pytest.approx(1e-4 * (8 * 400 + 10 * 150 + 6 * 500), rel=1e-9)


def test_the_night_of_25_hours_costs_an_hour_of_night_more() -> None:
    price, _ = mean_rates(NOTHING, simulate("2025-10-26 00:00", 25, 60))
    assert price == pytest.approx((10.5 * 0.3 + 12 * 0.15 + 2.5 * 0.2) / 25, rel=1e-9)


def test_the_night_of_23_hours_costs_an_hour_of_night_less() -> None:
    price, _ = mean_rates(NOTHING, simulate("2025-03-30 00:00", 23, 60))
    assert price == pytest.approx((10.5 * 0.3 + 10 * 0.15 + 2.5 * 0.2) / 23, rel=1e-9)


def test_joules_weigh_and_not_hours() -> None:
    weigher, began_s = Weigher(paper_rates()), unix("2025-06-02 18:00")
    for t_s, level_j in ((3600, 900.0), (7200, 1000.0)):  # 900 J until 19:00, then 100 J
        weigher(sample(t_s, cpu=level_j), began_s + t_s)
    price, _ = mean_rates(NOTHING, weigher.snapshot())
    assert price == pytest.approx(0.9 * 0.3 + 0.1 * 0.15)


# what a clock can do to it


def test_hours_of_suspend_are_billed_nothing() -> None:
    weigher, began_s = Weigher(paper_rates()), unix("2025-06-02 18:00")
    weigher(sample(10, cpu=1000.0), began_s + 10)
    weigher(sample(11, cpu=1100.0), began_s + 15 * 3600)  # awake for one second; it is 9:00
    price, kg_per_mwh = mean_rates(NOTHING, weigher.snapshot())
    assert price == 0.3  # and nothing of the night in between
    assert kg_per_mwh == pytest.approx((1000 * 500 + 100 * 150) / 1100)


@pytest.mark.parametrize("set_by_s", [-30 * 3600, 30 * 3600])
def test_a_clock_that_is_set_bills_no_hours_that_were_not(set_by_s: float) -> None:
    weigher, began_s = Weigher(paper_rates()), unix("2025-06-02 13:00")
    weigher(sample(10, cpu=1000.0), began_s + 10)
    weigher(sample(20, cpu=3000.0), began_s + 20 + set_by_s)
    price, _ = mean_rates(NOTHING, weigher.snapshot())
    # 30 hours before or after 13:00 it is 7:00 or 19:00
    assert price == pytest.approx((1000 * 0.3 + 2000 * (0.2 if set_by_s < 0 else 0.15)) / 3000)


# what a meter can do to it


def test_what_was_unknown_for_a_while_is_weighed_over_all_of_it() -> None:
    weigher, began_s = Weigher(paper_rates()), unix("2025-06-02 18:00")
    weigher(sample(0, cpu=0.0, gpu=0.0), began_s)
    weigher(sample(3600, cpu=0.0, gpu=None), began_s + 3600)
    weigher(sample(7200, cpu=0.0, gpu=500.0), began_s + 7200)
    assert mean_rates(NOTHING, weigher.snapshot())[0] == pytest.approx((0.3 + 0.15) / 2)
    weigher(sample(7201, cpu=100.0, gpu=None), began_s + 7201)
    weigher(sample(7202, cpu=100.0, gpu=500.0), began_s + 7202)
    assert sum(weigher.snapshot().by_price_j.values()) == pytest.approx(600.0)


def test_a_dial_that_comes_late_is_weighed_since_the_start() -> None:
    weigher, began_s = Weigher(paper_rates()), unix("2025-06-02 18:00")
    weigher(sample(3600, cpu=100.0), began_s + 3600)
    weigher(sample(7200, cpu=100.0, gpu=200.0), began_s + 7200)
    assert weigher.snapshot().by_price_j == {0.3: 200.0, 0.15: 100.0}


def test_a_dial_that_falls_takes_nothing_back() -> None:
    weigher, began_s = Weigher(paper_rates()), unix("2025-06-02 18:59:50")
    for t_s, level_j in ((10, 100.0), (20, 90.0)):
        weigher(sample(t_s, cpu=level_j), began_s + t_s)
    assert weigher.snapshot().by_price_j == {0.3: 100.0}
    weigher(sample(30, cpu=110.0), began_s + 30)
    assert sum(weigher.snapshot().by_price_j.values()) == pytest.approx(110.0)


@pytest.mark.parametrize("level_j", [0.0, None])
def test_a_part_without_energy_has_the_rates_of_its_moment(level_j: float | None) -> None:
    weigher = Weigher(paper_rates())
    assert mean_rates(NOTHING, weigher.snapshot()) == (None, None)
    weigher(sample(5, cpu=level_j), unix("2025-06-02 23:00"))
    assert mean_rates(NOTHING, weigher.snapshot()) == (0.15, 500.0)
    assert mean_rates(weigher.snapshot(), weigher.snapshot()) == (0.15, 500.0)


def test_two_samples_of_one_moment_have_its_rate() -> None:
    weigher, at_s = Weigher(paper_rates()), unix("2025-06-02 19:00")
    weigher(sample(0, cpu=7.0), at_s)
    assert mean_rates(NOTHING, weigher.snapshot()) == (0.15, 500.0)


def test_without_a_schedule_there_is_nothing_to_say_of_it() -> None:
    weigher = Weigher(paper_rates()._replace(price=None))
    weigher(sample(5, cpu=5.0), unix("2025-06-02 23:00"))
    assert mean_rates(NOTHING, weigher.snapshot()) == (None, 500.0)
    assert weigher.snapshot().by_price_j == {}


def test_an_epoch_within_one_period_has_exactly_its_rates() -> None:
    weigher, began_s, level_j = Weigher(paper_rates()), unix("2025-06-02 17:59"), 0.0
    before = NOTHING
    for number in range(1, 180):
        level_j += 1e6 / 7
        before = weigher.snapshot() if number == 130 else before
        weigher(sample(number, cpu=level_j), began_s + number)
    assert mean_rates(before, weigher.snapshot()) == (0.3, 500.0)


# laws


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.floats(0, 20_000),
            st.none() | st.floats(0, 1e6),
            st.none() | st.floats(0, 1e6),
            st.sampled_from([0.0, 0.0, 0.0, 7200.0, -7200.0]),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_epochs_cost_and_emit_as_much_as_the_run(
    steps: list[tuple[float, float | None, float | None, float, bool]],
) -> None:
    weigher, wall_s, t_s = Weigher(paper_rates()), unix("2025-10-25 22:00"), 0.0
    levels = {"cpu": 0.0, "gpu": 0.0}
    cuts = [NOTHING]
    for step_s, cpu_j, gpu_j, set_by_s, is_cut in steps:
        t_s, wall_s = t_s + step_s, wall_s + step_s + set_by_s
        levels = {"cpu": levels["cpu"] + (cpu_j or 0.0), "gpu": levels["gpu"] + (gpu_j or 0.0)}
        weigher(
            sample(
                t_s,
                cpu=None if cpu_j is None else levels["cpu"],
                gpu=None if gpu_j is None else levels["gpu"],
            ),
            wall_s,
        )
        if is_cut:
            cuts.append(weigher.snapshot())
    cuts.append(weigher.snapshot())
    for which in (0, 1):  # price, intensity

        def joules(snapshot: Weighed, which: int = which) -> float:
            return math.fsum(snapshot[which].values())  # type: ignore[union-attr]

        parts = [
            (mean_rates(a, b)[which] or 0.0) * (joules(b) - joules(a)) for a, b in pairwise(cuts)
        ]
        whole = (mean_rates(NOTHING, cuts[-1])[which] or 0.0) * joules(cuts[-1])
        assert math.fsum(parts) == pytest.approx(whole, rel=1e-9, abs=1e-9)
        low, high = min(PAPER.values()), max(SUN)
        assert all(low <= (rate or low) <= high for rate in mean_rates(cuts[0], cuts[-1]))
    if None not in steps[-1][1:3]:
        assert joules(cuts[-1]) == pytest.approx(levels["cpu"] + levels["gpu"])


# from the configuration


def test_a_configuration_without_schedules_has_no_rates_and_pays_nothing() -> None:
    code = (
        "import sys\n"
        "from eco2ai_cli import rates\n"
        "from eco2ai_cli.config_keys import Config\n"
        "print(rates.settle(Config()))\n"
        "heavy = {'datetime', 'zoneinfo', 'csv', 'json', 'eco2ai_cli.tariff',"
        " 'eco2ai_cli.profile', 'eco2ai_cli.timezones'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert ran.stdout == "None\n[]\n"


def test_rates_are_those_of_the_configuration() -> None:
    config = Config(tariff=PAPER, profile=day_of(SUN), timezone=BERLIN)
    found = rates.settle(config)
    assert found is not None
    assert found.price is not None
    assert found.intensity is not None
    assert not found.caveats
    noon_s = unix("2025-06-02 12:00")
    assert schedule.value_at(found.price, noon_s, found.offset_at) == 0.3
    assert schedule.value_at(found.intensity, noon_s, found.offset_at) == 150.0
    only = rates.settle(Config(tariff=PAPER, timezone=BERLIN))
    assert only is not None
    assert only.intensity is None


def test_times_read_in_utc_for_want_of_a_zone_are_a_caveat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timezones, "system_has_zone", lambda: False)
    assert rates.settle(Config(tariff=PAPER)).caveats == {"times-in-utc"}  # type: ignore[union-attr]
    assert not rates.settle(Config(tariff=PAPER, timezone="UTC")).caveats  # type: ignore[union-attr]


# a profile in a file


def test_a_csv_of_a_day_or_of_a_week_is_read_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    rows = [f"{hour},{SUN[hour]}" for hour in range(23, -1, -1)]
    path.write_text("hour,kg_per_mwh\n" + "\n".join(rows))
    assert profile.load(str(path)) == tariff.as_week(day_of(SUN))
    path.write_text(
        "\ufeffweekday,hour,kg_per_mwh,note\r\n"
        + "".join(f"sat-sun,{hour:02},7,\r\n" for hour in range(24))
        + "".join(f"Weekdays,{hour},{SUN[hour]},\r\n" for hour in range(24))
    )
    week = profile.load(str(path))
    at = timezones.named(BERLIN)
    assert schedule.value_at(week, unix("2025-06-01 12:00"), at) == 7
    assert schedule.value_at(week, unix("2025-06-02 12:00"), at) == 150


GOOD = "".join(f"{hour},100\n" for hour in range(24))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("hour,kg\n" + GOOD, "line 1: no column `kg_per_mwh`"),
        ("hour,kg_per_mwh\n" + GOOD + "23,100\n", "line 26 has two values from 23:00 to 0:00"),
        ("hour,kg_per_mwh\n" + GOOD[6:], " has no value from 0:00 to 1:00"),
        ("hour,kg_per_mwh\n", " has no value at any time"),
        ("hour,kg_per_mwh\n24,100\n", "line 2 has `24`, which is no hour"),
        ("hour,kg_per_mwh\n0000099,100\n", "line 2 has `0000099`, which is no hour"),
        ("hour,kg_per_mwh\n1,nan\n", "line 2 has the intensity `nan`, which must be a number"),
        ("hour,kg_per_mwh\n1,-5\n", "line 2 has the intensity `-5`, which must be a number"),
        ("hour,kg_per_mwh\n1\n", "line 2 has the intensity nothing, which must be a number"),
        ("weekday,hour,kg_per_mwh\n0,1,5\n", "line 2 has `0`, which is no day of the week"),
    ],
)
def test_a_csv_that_is_no_profile_is_refused_with_its_line(
    tmp_path: Path, content: str, complaint: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(ResourceError) as caught:
        rates.settle(Config(profile=str(path)))
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["missing.csv", "", "a\0b"])
def test_a_profile_that_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ResourceError, match="cannot read the profile"):
        profile.load(str(tmp_path / name))
