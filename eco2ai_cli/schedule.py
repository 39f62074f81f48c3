"""A weekly schedule in local time: its value at a moment, and its share of an interval.

Pure. Moments are Unix times; the zone comes in as a function, see `timezones`. Every second of the
week has one value, so a night with 23 or 25 hours has the values of the hours that it really had.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from eco2ai_cli.config_kinds import Unfit

DAY_S = 86_400
WEEK_S = 7 * DAY_S
_MONDAY_S = 3 * DAY_S
"""1970-01-01, where Unix time begins, was a Thursday."""
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

OffsetAt = Callable[[float], int]
"""A time zone: local time less UTC at a Unix time, in seconds."""


class Period(NamedTuple):
    """A value from a time of day to another, in seconds since local midnight.

    `days`: those on which it begins, Monday being 0. It ends on the next day where `to_s` is not
    after `from_s`; where they are equal it lasts 24 hours.
    """

    days: tuple[int, ...]
    from_s: int
    to_s: int
    value: float


class Week(NamedTuple):
    """The values of a week; each holds from its start, in seconds since local Monday 0:00, until
    the next. The first start is 0."""

    starts_s: tuple[int, ...]
    values: tuple[float, ...]


class _Span(NamedTuple):
    """A period on one day of the week; `number` is that of the period."""

    start_s: int
    end_s: int
    value: float
    number: int


def week(periods: Sequence[Period]) -> Week:
    """Return the week that the periods make up, in any order.

    Raises Unfit where they do not cover it, or cover a part of it twice; then `within` is the
    number of the period that came second.
    """
    spans = sorted(_spans(periods))
    daily = all(len(period.days) == len(DAYS) for period in periods)
    gaps: list[tuple[int, int]] = []
    covered_s = 0
    for span in spans:
        if span.start_s > covered_s:
            gaps.append((covered_s, span.start_s))
        if span.start_s < covered_s:
            shared_s = min(span.end_s, covered_s)
            where = _where(span.start_s, shared_s, daily)
            second = max(s.number for s in spans if s.start_s <= span.start_s < s.end_s)
            raise Unfit(f"has two values {where}", hint=_COVER, within=(second,))
        covered_s = span.end_s
    if covered_s < WEEK_S:
        gaps.append((covered_s, WEEK_S))
    if gaps:
        (first_s, until_s), (last_s, end_s) = gaps[0], gaps[-1]
        if len(gaps) > 1 and first_s == 0 and end_s == WEEK_S:  # one gap, over the week's end
            first_s = last_s
        raise Unfit(f"has no value {_where(first_s, until_s, daily)}", hint=_COVER)
    return Week(tuple(span.start_s for span in spans), tuple(span.value for span in spans))


_COVER = (
    "the periods cover each day once; one that crosses midnight belongs to the day it begins on"
)


def _spans(periods: Sequence[Period]) -> Iterator[_Span]:
    """Yield each period of each day on the line of the week, cut where the week ends."""
    for number, (days, from_s, to_s, value) in enumerate(periods):
        length_s = (to_s - from_s) % DAY_S or DAY_S
        for day in days:
            start_s = day * DAY_S + from_s
            end_s = start_s + length_s
            yield _Span(start_s, min(end_s, WEEK_S), value, number)
            if end_s > WEEK_S:
                yield _Span(0, end_s - WEEK_S, value, number)


def _where(start_s: int, end_s: int, daily: bool) -> str:
    """Say a part of the week in words; without its days where all are alike."""
    if (end_s - start_s) % (DAY_S if daily else WEEK_S) == 0:
        return "at any time"
    words = []
    for at_s in (start_s % WEEK_S, end_s % WEEK_S):
        day = "" if daily else f"{DAYS[at_s // DAY_S]} "
        words.append(f"{day}{clock_time(at_s % DAY_S)}")
    return f"from {words[0]} to {words[1]}"


def clock_time(at_s: int) -> str:
    """Write seconds since midnight as `8:30`."""
    return f"{at_s // 3600}:{at_s // 60 % 60:02}"


def value_at(week: Week, unix_s: float, offset_at: OffsetAt) -> float:
    """Return the value that holds at a moment."""
    at_s = (unix_s + offset_at(unix_s) + _MONDAY_S) % WEEK_S
    return week.values[bisect_right(week.starts_s, at_s) - 1]


def mean(week: Week, start_s: float, end_s: float, offset_at: OffsetAt) -> float:
    """Return the mean of the values over an interval, each weighted by its time."""
    parts = shares(week, start_s, end_s, offset_at)
    return math.fsum(value * share for value, share in parts.items())


def shares(week: Week, start_s: float, end_s: float, offset_at: OffsetAt) -> dict[float, float]:
    """Return which part of an interval has which value; the parts add up to 1.

    An interval of no length has the value of its end.
    """
    if not start_s < end_s:
        return {value_at(week, end_s, offset_at): 1.0}
    lengths_s: dict[float, float] = {}
    for length_s, value in _stretches(week, start_s, end_s, offset_at):
        lengths_s[value] = lengths_s.get(value, 0.0) + length_s
    total_s = sum(lengths_s.values())
    return {value: length_s / total_s for value, length_s in lengths_s.items()}


def _stretches(
    week: Week, start_s: float, end_s: float, offset_at: OffsetAt
) -> Iterator[tuple[float, float]]:
    """Yield the seconds and the value of each stretch of an interval, in order.

    The zone is asked once a day: none has ever changed twice within three (IANA data, 2025b).
    """
    while start_s < end_s:
        until_s = min(end_s, start_s + DAY_S)
        offset_s = offset_at(start_s)
        if offset_at(until_s) != offset_s:
            until_s = _change(start_s, until_s, offset_at)
        yield from _local_stretches(week, start_s + offset_s + _MONDAY_S, until_s - start_s)
        start_s = until_s


def _change(start_s: float, end_s: float, offset_at: OffsetAt) -> int:
    """Return when the offset is another for the first time; zones change on full seconds."""
    before_s, after_s = math.floor(start_s), math.floor(end_s)
    offset_s = offset_at(before_s)
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if offset_at(middle_s) == offset_s:
            before_s = middle_s
        else:
            after_s = middle_s
    return after_s


def _local_stretches(week: Week, local_s: float, length_s: float) -> Iterator[tuple[float, float]]:
    """Yield the stretches of `length_s` seconds from `local_s` on, the clock not being set."""
    at_s = local_s % WEEK_S
    number = bisect_right(week.starts_s, at_s) - 1
    while length_s > 0:
        last = number + 1 == len(week.starts_s)
        next_s = WEEK_S if last else week.starts_s[number + 1]
        step_s = min(next_s - at_s, length_s)
        yield step_s, week.values[number]
        length_s -= step_s
        at_s = 0.0 if last else next_s
        number = 0 if last else number + 1
