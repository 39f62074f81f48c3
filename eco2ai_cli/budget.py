"""Hold what a run has used against its budget: a warning at 80 %, the end at 100 %.

Pure: footprints go in, sentences and the word to stop come out; who stops the command is another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from eco2ai_cli import units
from eco2ai_cli.model import Footprint

if TYPE_CHECKING:
    from eco2ai_cli.forecast import Forecast

Quantity = Literal["energy", "emissions", "cost"]
QUANTITIES: tuple[Quantity, ...] = ("energy", "emissions", "cost")
WARN_AT = 0.8
"""The share of a limit at which there is a warning."""


class Limit(NamedTuple):
    """The most that a run may use: joules at the facility's socket, kg of CO2, or money."""

    quantity: Quantity
    most: float


class News(NamedTuple):
    """What a look at the figures has brought: the limit that is used up, and what to tell."""

    reached: Limit | None = None
    sentences: tuple[str, ...] = ()


_NO_NEWS = News()


def amount(used: Footprint, quantity: Quantity) -> float | None:
    """Return one figure of a footprint; None where it is not known."""
    return {"energy": used.energy_j, "emissions": used.emissions_kg, "cost": used.cost}[quantity]


def words(quantity: Quantity, value: float, currency: str | None) -> str:
    """Write an amount of a quantity with its unit."""
    if quantity == "energy":
        return units.format_energy(value)
    if quantity == "emissions":
        return f"{units.format_mass(value)} CO2"
    return units.format_money(value, currency)


class Budget:
    """The limits of one run, and how much of them is used.

    `unknown`: the quantities that have a limit and were not known at the last look.
    """

    def __init__(self, limits: Sequence[Limit], currency: str | None = None) -> None:
        self.limits = tuple(limits)
        self._currency = currency
        self._used: dict[Quantity, float] = {}
        self._per_s: dict[Quantity, float] = {}
        self._seen_s = 0.0
        self._said: set[tuple[str, Quantity]] = set()
        self.unknown: frozenset[Quantity] = frozenset()

    def take(self, used: Footprint, now_s: float) -> News:
        """Look at what is used by `now_s`, in seconds on any clock that does not step."""
        unknown: set[Quantity] = set()
        reached: Limit | None = None
        sentences: list[str] = []
        for limit in self.limits:
            quantity, most = limit
            value = amount(used, quantity)
            if value is None:
                unknown.add(quantity)
                continue
            if now_s > self._seen_s:
                before = self._used.get(quantity, 0.0)
                self._per_s[quantity] = (value - before) / (now_s - self._seen_s)
            self._used[quantity] = value
            if value >= most:
                reached = reached or limit
            elif value >= WARN_AT * most and self._is_first("warning", quantity):
                sentences.append(self._warning(limit))
        self._seen_s = max(self._seen_s, now_s)
        self.unknown = frozenset(unknown)
        return News(reached, tuple(sentences)) if reached or sentences else _NO_NEWS

    def give_up_on_unknown(self) -> tuple[str, ...]:
        """Return what to say, once, of the limits whose quantities are not known."""
        return tuple(
            f"the {quantity} of this run is not known, so its budget cannot be kept"
            for quantity in QUANTITIES
            if quantity in self.unknown and self._is_first("unknown", quantity)
        )

    def reached_in_s(self) -> float:
        """Return the seconds until a warning or a limit is due at the present power."""
        spans = []
        for limit in self.limits:
            warn_at = WARN_AT * limit.most
            is_near = self._used.get(limit.quantity, 0.0) >= warn_at
            spans.append(self._left_s(limit._replace(most=limit.most if is_near else warn_at)))
        return max(0.0, min(spans, default=math.inf))

    def fullest(self) -> tuple[float, str] | None:
        """Return the share of the limit that is used most, and the same in words."""
        known = [limit for limit in self.limits if limit.quantity in self._used]
        if not known:
            return None
        limit = max(known, key=self._share)
        return self._share(limit), f"{100 * self._share(limit):.0f} % of {self._most(limit)}"

    def stop_sentence(self, limit: Limit) -> str:
        """Say that a limit is used up."""
        used = words(limit.quantity, self._used[limit.quantity], self._currency)
        return f"the {limit.quantity} budget of {self._most(limit)} is used up ({used})"

    def compare(self, forecasts: Mapping[str, Forecast]) -> tuple[str, ...]:
        """Return what to say, once a limit, where a forecast is over it."""
        sentences = []
        for limit in self.limits:
            quantity, most = limit
            seen = forecasts.get(quantity)
            if seen is None or seen.total <= most or not self._is_first("forecast", quantity):
                continue
            low, high = (words(quantity, bound, self._currency) for bound in seen[1:])
            total = words(quantity, seen.total, self._currency)
            sentences.append(
                f"the forecast is over the {quantity} budget: {total} ({low} to {high}), "
                f"and the budget is {self._most(limit)}{self._lasts(limit)}"
            )
        return tuple(sentences)

    def _warning(self, limit: Limit) -> str:
        used = words(limit.quantity, self._used[limit.quantity], self._currency)
        return (
            f"{100 * self._share(limit):.0f} % of the {limit.quantity} budget is used: {used} of "
            f"{self._most(limit)}{self._lasts(limit)}"
        )

    def _lasts(self, limit: Limit) -> str:
        left_s = self._left_s(limit)
        if not math.isfinite(left_s):
            return ""
        return f"; at the present power it lasts {units.format_duration(max(0.0, left_s))} more"

    def _left_s(self, limit: Limit) -> float:
        per_s = self._per_s.get(limit.quantity, 0.0)
        if per_s <= 0:
            return math.inf
        return (limit.most - self._used[limit.quantity]) / per_s

    def _share(self, limit: Limit) -> float:
        return self._used[limit.quantity] / limit.most

    def _most(self, limit: Limit) -> str:
        return words(limit.quantity, limit.most, self._currency)

    def _is_first(self, kind: str, quantity: Quantity) -> bool:
        """Tell whether this has not been said yet; from now on it has."""
        key = (kind, quantity)
        is_first = key not in self._said
        self._said.add(key)
        return is_first
