"""Weigh each joule by the price and the carbon intensity of the time at which it was used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from eco2ai_cli import schedule
from eco2ai_cli.model import Sample
from eco2ai_cli.rates import Rates
from eco2ai_cli.schedule import Week


class Weighed(NamedTuple):
    """The joules used so far by the price, and by the intensity, at which they were used.

    Joules are before PUE. `price_per_kwh` and `kg_per_mwh` are those of the last moment; None
    where there is no schedule of them.
    """

    by_price_j: Mapping[float, float] = MappingProxyType({})
    by_intensity_j: Mapping[float, float] = MappingProxyType({})
    price_per_kwh: float | None = None
    kg_per_mwh: float | None = None


NOTHING = Weighed()
"""Before anything has run."""


class Weigher:
    """Takes each sample with the time of day, and keeps the joules by price and by intensity.

    The joules since the sample before were used in the time awake since then, up to now by the
    clock of the wall: hours of suspend, or those that a clock was set by, are billed nothing.
    """

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._dials: dict[tuple[str, str], tuple[float, float]] = {}
        """What each dial showed, in joules, and when that was."""
        self._by_price_j: dict[float, float] = {}
        self._by_intensity_j: dict[float, float] = {}
        self._wall_s: float | None = None

    def __call__(self, sample: Sample, wall_s: float) -> None:
        """Weigh what was used since the last sample; `wall_s`: the Unix time of this one.

        A dial that shows nothing changes nothing; when it does again, that is the use of all the
        time in between.
        """
        self._wall_s = wall_s
        used_j: dict[float, float] = {}  # by the second since which it was used
        for component, device, level_j, *_ in sample.readings:
            before_j, since_s = self._dials.get((component, device), (0.0, 0.0))
            if level_j is not None and level_j >= before_j:
                self._dials[component, device] = level_j, sample.t_s
                used_j[since_s] = used_j.get(since_s, 0.0) + level_j - before_j
        for since_s, joules in used_j.items():
            if joules:
                self._weigh(joules, wall_s - (sample.t_s - since_s), wall_s)

    def _weigh(self, joules: float, began_s: float, ended_s: float) -> None:
        for week, by_rate_j in (
            (self._rates.price, self._by_price_j),
            (self._rates.intensity, self._by_intensity_j),
        ):
            if week is not None:
                parts = schedule.shares(week, began_s, ended_s, self._rates.offset_at)
                for rate, share in parts.items():
                    by_rate_j[rate] = by_rate_j.get(rate, 0.0) + share * joules

    def snapshot(self) -> Weighed:
        """Return what has been weighed so far; an epoch lies between two of them."""
        if self._wall_s is None:
            return NOTHING
        return Weighed(
            dict(self._by_price_j),
            dict(self._by_intensity_j),
            self._at_last(self._rates.price),
            self._at_last(self._rates.intensity),
        )

    def mean_rates(self) -> tuple[float | None, float | None]:
        """Return the mean price per kWh and kg/MWh up to now; None where there is no schedule."""
        return mean_rates(NOTHING, self.snapshot())

    def _at_last(self, week: Week | None) -> float | None:
        if week is None or self._wall_s is None:
            return None
        return schedule.value_at(week, self._wall_s, self._rates.offset_at)


def mean_rates(first: Weighed, last: Weighed) -> tuple[float | None, float | None]:
    """Return the mean price per kWh and kg/MWh of the joules between two snapshots.

    That of the last moment where there were none; None where there is no schedule.
    """
    return (
        _mean(first.by_price_j, last.by_price_j, last.price_per_kwh),
        _mean(first.by_intensity_j, last.by_intensity_j, last.kg_per_mwh),
    )


def _mean(
    first_j: Mapping[float, float], last_j: Mapping[float, float], at_last: float | None
) -> float | None:
    parts = {rate: level_j - first_j.get(rate, 0.0) for rate, level_j in last_j.items()}
    used = {rate: used_j for rate, used_j in parts.items() if used_j > 0}
    if not used:
        return at_last
    if len(used) == 1:  # exactly that, whatever the joules
        return next(iter(used))
    total_j = math.fsum(used.values())
    mean = math.fsum(rate * used_j for rate, used_j in used.items()) / total_j
    return min(max(mean, min(used)), max(used))  # whatever so few joules round to
