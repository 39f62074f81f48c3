"""The schedule of a week against the calendar: each minute by zoneinfo, in nights that count."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco2ai_cli import schedule, tariff, timezones
from eco2ai_cli.config_kinds import Unfit
from eco2ai_cli.schedule import Period

PAPER = {"8:30-19:00": 0.3, "19:00-6:00": 0.15, "6:00-8:30": 0.2}
"""Budennyy et al., eco2AI, 2022, on `electricity_pricing`."""
# Weekends are cheap; Monday to Friday the evening is dear, and the night runs into the morning.
WORKING = {
    "mon-fri 6:00-17:00": 0.3,
    "mon-fri 17:00-20:30": 0.45,
    "mon-thu,sun 20:30-6:00": 0.12,
    "fri 20:30-24:00": 0.12,
    "sat 0:00-24:00": 0.1,
    "sun 0:00-20:30": 0.11,
}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def minutes(clock: str) -> int:
    hours, _, rest = clock.partition(":")
    return int(hours) * 60 + int(rest)


def listed(days: str) -> set[int]:
    found: set[int] = set()
    for part in days.split(","):
        first, _, last = part.partition("-")
        found |= set(range(DAYS.index(first), DAYS.index(last or first) + 1))
    return found


def by_the_calendar(prices: dict[str, float], local: datetime) -> float:
    """Look a local time up in a dictionary, as one does by hand."""
    at, found = local.hour * 60 + local.minute, []
    for name, price in prices.items():
        days, _, times = name.rpartition(" ")
        begins = listed(days) if days else set(range(7))
        first, last = (minutes(clock) for clock in times.split("-"))
        today, yesterday = local.weekday(), (local.weekday() - 1) % 7
        if first < last:
            holds = today in begins and first <= at < last
        else:
            holds = (today in begins and at >= first) or (yesterday in begins and at < last)
        if holds:
            found.append(price)
    (price,) = found
    return price


def mean_by_minutes(prices: dict[str, float], start_s: int, end_s: int, zone: str) -> float:
    moments = range(start_s, end_s, 60)
    info = ZoneInfo(zone)
    total = sum(by_the_calendar(prices, datetime.fromtimestamp(s, info)) for s in moments)
    return total / len(moments)


def unix(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def mean(prices: dict[str, float], start_s: float, end_s: float, zone: str) -> float:
    return schedule.mean(tariff.as_week(prices), start_s, end_s, timezones.named(zone))


NIGHTS = [
    ("Europe/Berlin", "2025-03-29 18:00"),  # 2:00 becomes 3:00
    ("Europe/Berlin", "2025-10-25 18:00"),  # 3:00 becomes 2:00
    ("America/New_York", "2025-03-08 18:00"),
    ("America/New_York", "2025-11-01 18:00"),
    ("Australia/Lord_Howe", "2025-04-05 18:00"),  # by 30 minutes
    ("Australia/Lord_Howe", "2025-10-04 18:00"),
    ("Asia/Kolkata", "2025-03-29 18:00"),  # never; UTC+5:30
    ("Asia/Kathmandu", "2024-12-31 18:00"),  # UTC+5:45, into another year
    ("Pacific/Apia", "2011-12-29 18:00"),  # the whole next day was left out
    ("UTC", "2023-12-31 12:00"),
]


@pytest.mark.parametrize("prices", [PAPER, WORKING], ids=["paper", "working"])
@pytest.mark.parametrize(("zone", "evening"), NIGHTS)
def test_a_night_has_the_mean_of_its_minutes(
    prices: dict[str, float], zone: str, evening: str
) -> None:
    start_s = unix(evening, zone)
    for hours in (1, 7, 9, 15, 30):
        end_s = start_s + hours * 3600
        truth = mean_by_minutes(prices, start_s, end_s, zone)
        assert mean(prices, start_s, end_s, zone) == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize(
    ("zone", "day", "hours_at_night"),
    [
        ("Europe/Berlin", "2025-03-30", 10),
        ("Europe/Berlin", "2025-10-26", 12),
        ("Australia/Lord_Howe", "2025-10-05", 10.5),
        ("Australia/Lord_Howe", "2025-04-06", 11.5),
        ("Asia/Tokyo", "2025-10-26", 11),
    ],
)
def test_a_day_has_as_much_night_as_the_clock_lets_it_have(
    zone: str, day: str, hours_at_night: float
) -> None:
    start = datetime.fromisoformat(day)
    start_s = unix(day, zone)
    end_s = unix((start + timedelta(days=1)).isoformat(), zone)
    shares = schedule.shares(tariff.as_week(PAPER), start_s, end_s, timezones.named(zone))
    assert shares[0.15] * (end_s - start_s) / 3600 == pytest.approx(hours_at_night)
    assert shares[0.3] * (end_s - start_s) / 3600 == pytest.approx(10.5)


def test_weeks_of_a_suspended_machine_have_the_mean_of_their_minutes() -> None:
    zone = "Europe/Berlin"
    start_s, end_s = unix("2025-03-14 11:11", zone), unix("2025-04-05 23:17", zone)
    truth = mean_by_minutes(WORKING, start_s, end_s, zone)
    assert mean(WORKING, start_s, end_s, zone) == pytest.approx(truth, rel=1e-12)


@st.composite
def tariffs(draw: st.DrawFn) -> dict[str, float]:
    """Draw a dictionary: the same every day, cut anywhere, or each day in its own way."""
    cuts = st.lists(st.integers(0, 1439), min_size=1, max_size=4, unique=True).map(sorted)
    prices = st.floats(0, 10)
    clock = "{0[0]}:{0[1]:02}".format
    if draw(st.booleans()):
        every = draw(cuts)
        pairs = zip(every, every[1:] + every[:1], strict=True)
        return {f"{clock(divmod(a, 60))}-{clock(divmod(b, 60))}": draw(prices) for a, b in pairs}
    found = {}
    for day in DAYS:
        ends = sorted({0, 1440, *draw(cuts)})
        for a, b in pairwise(ends):
            found[f"{day} {clock(divmod(a, 60))}-{clock(divmod(b, 60))}"] = draw(prices)
    return found


@settings(max_examples=30, deadline=None)
@given(
    prices=tariffs(),
    night=st.sampled_from(NIGHTS),
    before=st.integers(-1440, 1440),
    length=st.integers(1, 4 * 1440),
)
def test_any_tariff_has_the_mean_of_its_minutes(
    prices: dict[str, float], night: tuple[str, str], before: int, length: int
) -> None:
    zone, evening = night
    start_s = unix(evening, zone) - 60 * before
    end_s = start_s + 60 * length
    truth = mean_by_minutes(prices, start_s, end_s, zone)
    assert mean(prices, start_s, end_s, zone) == pytest.approx(truth, rel=1e-9, abs=1e-12)


@settings(deadline=None)
@given(
    prices=tariffs(),
    night=st.sampled_from(NIGHTS),
    steps_s=st.lists(st.floats(0, 40_000), min_size=1, max_size=8),
)
def test_parts_of_an_interval_weigh_as_much_as_the_whole(
    prices: dict[str, float], night: tuple[str, str], steps_s: list[float]
) -> None:
    zone, evening = night
    start_s = float(unix(evening, zone))
    ends_s = [start_s]
    for step_s in steps_s:
        ends_s.append(ends_s[-1] + step_s)
    parts = sum(mean(prices, a, b, zone) * (b - a) for a, b in pairwise(ends_s))
    whole = mean(prices, start_s, ends_s[-1], zone) * (ends_s[-1] - start_s)
    # Unix times have 2.4e-7 s between two floats
    assert parts == pytest.approx(whole, rel=1e-9, abs=1e-4)


def test_a_change_happens_at_its_second_and_not_before() -> None:
    zone = timezones.named("Europe/Berlin")
    week = tariff.as_week(PAPER)
    at_s = unix("2025-06-02 19:00", "Europe/Berlin")
    assert schedule.value_at(week, at_s - 0.001, zone) == 0.3
    assert schedule.value_at(week, at_s, zone) == 0.15
    assert schedule.mean(week, at_s, at_s, zone) == 0.15
    assert schedule.mean(week, at_s - 1, at_s + 3, zone) == pytest.approx(0.1875)


def test_an_interval_within_one_period_has_exactly_its_value() -> None:
    at_s = unix("2025-06-02 09:00", "Europe/Berlin") + 0.123
    for step in range(1, 200):
        assert mean(PAPER, at_s, at_s + step / 7, "Europe/Berlin") == 0.3


@pytest.fixture
def lord_howe(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the machine keep the time of an island that sets its clock by half an hour."""
    monkeypatch.setenv("TZ", "Australia/Lord_Howe")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("lord_howe")
def test_the_zone_of_the_machine_is_as_good_as_a_named_one() -> None:
    start_s = unix("2025-04-05 18:00", "Australia/Lord_Howe")
    named = timezones.named("Australia/Lord_Howe")
    for unix_s in range(start_s, start_s + 86_400, 600):
        assert timezones.system_offset_s(unix_s) == named(unix_s)
    assert timezones.system_has_zone()
    assert {named(start_s), named(start_s + 86_400)} == {39_600, 37_800}


@pytest.mark.parametrize(
    ("zone", "has_one"),
    [("UTC", False), ("Nowhere/Town", False), ("Atlantic/Reykjavik", True), ("UTC-1", True)],
)
def test_a_machine_in_utc_has_no_zone_of_its_own(
    monkeypatch: pytest.MonkeyPatch, zone: str, has_one: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        found = timezones.system_has_zone()
    time.tzset()
    assert found == has_one


@pytest.mark.parametrize("name", ["Europe/Berln", "Europe", "../Berlin", "/etc/passwd", "a\0b"])
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Unfit, match="which is no time zone") as caught:
        timezones.named(name)
    assert "Europe/Berlin" in str(caught.value.hint)


def test_a_machine_without_zones_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import zoneinfo

    def nothing(key: str) -> ZoneInfo:
        raise zoneinfo.ZoneInfoNotFoundError(key)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", nothing)
    with pytest.raises(Unfit, match="has no data of time zones") as caught:
        timezones.named("Europe/Berlin")
    assert "tzdata" in str(caught.value.hint)


EVERY = tuple(range(7))
HOUR = 3600


@pytest.mark.parametrize(
    ("periods", "complaint", "second"),
    [
        ([(EVERY, 0, 20)], "has no value from 20:00 to 0:00", None),
        ([(EVERY, 6, 22)], "has no value from 22:00 to 6:00", None),
        ([(EVERY, 0, 10), (EVERY, 11, 24)], "has no value from 10:00 to 11:00", None),
        ([(EVERY, 0, 12), (EVERY, 11, 24)], "has two values from 11:00 to 12:00", 1),
        ([(EVERY, 11, 24), (EVERY, 0, 12)], "has two values from 11:00 to 12:00", 1),
        ([(EVERY, 0, 24), (EVERY, 23, 1)], "has two values from 0:00 to 1:00", 1),
        ([((0, 1, 2, 3, 4), 0, 24)], "has no value from Saturday 0:00 to Monday 0:00", None),
        (
            [((0, 1, 2, 3, 4), 8, 8), ((5, 6), 0, 24)],
            "has two values from Saturday 0:00 to Saturday 8:00",
            1,
        ),
        ([(EVERY, 8, 8), ((2,), 9, 10)], "has two values from Wednesday 9:00 to Wednesday", 1),
        ([(EVERY, 0, 24), (EVERY, 0, 24)], "has two values at any time", 1),
    ],
)
def test_what_is_not_a_week_is_refused(
    periods: list[tuple[tuple[int, ...], int, int]], complaint: str, second: int | None
) -> None:
    with pytest.raises(Unfit) as caught:
        schedule.week([Period(d, a * HOUR, b * HOUR, 1.0) for d, a, b in periods])
    assert str(caught.value).startswith(complaint)
    assert caught.value.within == (() if second is None else (second,))


def test_utc_is_what_a_zone_is_counted_from() -> None:
    assert timezones.named("UTC")(datetime.now(timezone.utc).timestamp()) == 0
