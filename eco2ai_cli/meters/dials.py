"""Dials: how a power becomes an energy."""

from __future__ import annotations


class Integrator:
    """Integrate a level (watts, bytes) over time by the trapezoid rule.

    The first level only starts the dial. A level of None holds the last one known. A gap longer
    than `max_gap_s` counts with the earlier level, never with a slope across it.
    """

    def __init__(self, max_gap_s: float = float("inf")) -> None:
        self.total = 0.0
        self._max_gap_s = max_gap_s
        self._level: float | None = None
        self._at_s = 0.0

    def advance(self, level: float | None, now_s: float) -> float:
        """Take `level` as seen at `now_s` and return the integral so far (level x seconds)."""
        if self._level is not None:
            step_s = max(0.0, now_s - self._at_s)
            after = self._level if level is None or step_s > self._max_gap_s else level
            self.total += step_s * (self._level + after) / 2
        if level is not None:
            self._level = level
        self._at_s = max(self._at_s, now_s)
        return self.total
