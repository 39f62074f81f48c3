"""Forecast what a run will have taken when its last epoch ends, from the epochs seen so far.

Pure: the same for seconds, joules, kilograms and money, which all add up. How the rules were
chosen, and how good they are: `docs/forecast.md` and `benchmarks/forecast.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_LONG = 1.2
"""An epoch that takes so many times the usual has done something more, such as an evaluation."""
_FIRST = 1.15
"""The upper bound as a part of the forecast while only the first epoch is known; the lower one is
what is taken, for all of it may be set-up."""
_DOUBT = 0.08
"""How far the epochs to come may lie off those that were seen, on average, for no known reason."""
_DOUBT_OF_FEW = 0.2
"""The same for a single epoch, which hardly tells what the others do."""
_Z = 1.2816
"""Of a normal distribution eight in ten lie within so many standard deviations."""
_WINDOW = 60
"""Of how many epochs a slope is taken, the last ones: the pairs grow with the square."""
_LINE_FROM = 7
"""A slope is believed from so many epochs on, the first one left out."""
_SIGNIFICANT = 8.0
"""How far a line has to lead, in the mean distance of the epochs from it."""


class Forecast(NamedTuple):
    """What the whole run will have taken, and the bounds within which eight in ten will lie."""

    total: float
    low: float
    high: float

    def left(self, taken: float) -> float:
        """Return what is left to take; nothing where the run has taken more than was forecast."""
        return max(0.0, self.total - taken)

    def error_percent(self, truth: float) -> float | None:
        """Return how far the forecast was off, in percent of the truth; None of nothing."""
        return 100 * (self.total / truth - 1) if truth > 0 else None


class FirstForecast(NamedTuple):
    """The first forecast of a run of `epochs`, by quantity: `energy` (J), `duration` (s) …

    `after`: how many were over by then; more than one where the total was not told before.
    """

    epochs: int
    after: int
    by: Mapping[str, Forecast]


def forecast(seen: Sequence[float], epochs: int) -> Forecast:
    """Return the forecast for `epochs` of which `seen` are over; the set-up is in the first one.

    Raises ValueError when nothing has been seen.
    """
    if not seen:
        raise ValueError("there is no forecast before the first epoch")
    taken, left = math.fsum(seen), epochs - len(seen)
    if left <= 0:
        return Forecast(taken, taken, taken)
    if len(seen) == 1:
        total = taken * epochs
        return Forecast(total, taken, _FIRST * total)
    usual = seen[1:]
    expected = _line(usual[-_WINDOW:], left) or _cycle(usual, left) or [_mean(usual)] * left
    rest = math.fsum(expected)
    doubt = math.hypot(_DOUBT, _DOUBT_OF_FEW / len(usual), _scatter(usual) / math.sqrt(len(usual)))
    return Forecast(
        total=taken + rest,
        low=taken + rest * max(0.0, 1 - _Z * doubt),
        high=taken + rest * (1 + _Z * doubt),
    )


def _cycle(usual: Sequence[float], left: int) -> list[float] | None:
    """Return the epochs to come where every k-th of those seen was long, at least two of them."""
    ordinary = sorted(usual)[(len(usual) - 1) // 3]  # of every second epoch two in three are long
    is_long = [epoch > _LONG * ordinary for epoch in usual]
    places = [place for place, holds in enumerate(is_long) if holds]
    if len(places) < 2:
        return None
    step = places[1] - places[0]
    if is_long != [place % step == places[0] % step for place in range(len(usual))]:
        return None
    long = _mean([usual[place] for place in places])
    short = _mean([epoch for epoch, holds in zip(usual, is_long, strict=True) if not holds])
    to_come = range(len(usual), len(usual) + left)
    return [long if place % step == places[0] % step else short for place in to_come]


def _line(usual: Sequence[float], left: int) -> list[float] | None:
    """Return the epochs to come where those seen lie on a line that leads somewhere.

    The slope is that of Theil (1950) and Sen (1968): the median over all pairs, which outliers do
    not move. What falls along it goes on by the same ratio instead, and so never below nothing.
    """
    count = len(usual)
    if count < _LINE_FROM:
        return None
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    slope = _median([(usual[j] - usual[i]) / (j - i) for i, j in pairs])
    start = _median([epoch - slope * place for place, epoch in enumerate(usual)])
    distance = _mean([abs(epoch - start - slope * place) for place, epoch in enumerate(usual)])
    if abs(slope) * (count - 1) < max(_SIGNIFICANT * distance, 1e-3 * abs(start)):
        return None
    last = start + slope * (count - 1)
    if slope > 0:
        return [last + slope * ahead for ahead in range(1, left + 1)]
    ratio = max(0.0, 1 + slope / last) if last > 0 else 0.0
    return [last * ratio**ahead for ahead in range(1, left + 1)]


def _scatter(usual: Sequence[float]) -> float:
    """Return the standard deviation of the epochs as a part of their mean."""
    mean = _mean(usual)
    if len(usual) < 2 or mean <= 0:
        return 0.0
    variance = math.fsum((epoch - mean) ** 2 for epoch in usual) / (len(usual) - 1)
    return math.sqrt(variance) / mean


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _median(values: Sequence[float]) -> float:
    """Return the median; of an even number, the lower one of the two in the middle."""
    return sorted(values)[(len(values) - 1) // 2]
