"""Dials: how a level (watts, bytes) becomes a total (joules, byte-seconds)."""

from __future__ import annotations


class Integrator:
    """Integrate a level over time by the trapezoid rule.

    The first level only starts the dial. A level of None holds the last one known. A step longer
    than `max_step_s` counts with the earlier level, never with a slope across it.
    """

    def __init__(self, max_step_s: float = float("inf")) -> None:
        self._max_step_s = max_step_s
        self._total = 0.0
        self._level: float | None = None
        self._at_s = 0.0

    def advance(self, level: float | None, now_s: float) -> float | None:
        """Take `level` as seen at `now_s` and return the integral so far; None before any level."""
        if self._level is not None:
            step_s = max(0.0, now_s - self._at_s)
            after = self._level if level is None or step_s > self._max_step_s else level
            self._total += step_s * (self._level + after) / 2
        if level is not None:
            self._level = level
        self._at_s = max(self._at_s, now_s)
        return None if self._level is None else self._total
