"""Add figures up exactly, in any order and in little memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from operator import add

from eco2ai_cli.ledger.blocks import Figures

_ROWS_KEPT = 256


class Sums:
    """The sums of the figures of some rows; each is None where no figure is known."""

    __slots__ = ("_counts", "_known", "_pending", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self._pending: list[Figures] = []
        self._known: list[list[float]] = []
        self._counts: list[int] = []

    def add(self, figures: Iterable[Figures]) -> None:
        """Add rows."""
        self._pending.extend(figures)
        if len(self._pending) > _ROWS_KEPT:
            self.settle()

    def merge(self, other: Sums) -> None:
        """Add what another has added."""
        other.settle()
        self.settle()
        self.rows += other.rows
        self._begin(len(other._known))
        self._counts = list(map(add, self._counts, other._counts))
        for mine, others in zip(self._known, other._known, strict=True):
            mine += others

    def settle(self) -> None:
        """Keep sums in place of rows."""
        if not self._pending:
            return
        self.rows += len(self._pending)
        self._begin(len(self._pending[0]))
        columns = zip(*self._pending, strict=True)
        for number, (known, column) in enumerate(zip(self._known, columns, strict=True)):
            values = [value for value in column if value is not None]
            self._counts[number] += len(values)
            if values:
                known[:] = exact([*known, *values])
        self._pending.clear()

    def unknown(self, number: int) -> int:
        """Return of how many rows a figure is not known."""
        self.settle()
        return self.rows - self._counts[number]

    def totals(self) -> Figures:
        """Return the sums; nothing if no row was added."""
        self.settle()
        return tuple(map(total, self._known))

    def _begin(self, width: int) -> None:
        if not self._known:
            self._known = [[] for _ in range(width)]
            self._counts = [0] * width


def exact(values: Sequence[float]) -> list[float]:
    """Return as few numbers as have exactly the same sum; [0.0] for a sum of zeros.

    The first is the sum as a double has it; each that follows is what is missing yet.
    """
    rest = list(values)
    parts = [math.fsum(rest)]
    while parts[-1]:
        rest.append(-parts[-1])
        parts.append(math.fsum(rest))
    return parts[:-1] or parts


def total(values: Sequence[float]) -> float | None:
    """Return a sum, exact but for its last digit; None if there is nothing to add."""
    return math.fsum(values) if values else None
