"""Meters: each shows joules since it was opened, per device, and never runs backwards."""

from __future__ import annotations

from typing import Protocol

from eco2ai_cli.model import Component, Reading, Usage


class Meter(Protocol):
    """One source of energy readings for one component.

    A meter is opened after the command has started, is read by the recorder alone, and must
    not block the caller: what can hang lives in a process of its own. One that must be read often
    says so in `longest_step_s`.
    """

    component: Component

    def sample(self, usage: Usage, now_s: float) -> tuple[Reading, ...]:
        """Return one cumulative reading a device at `now_s` (seconds, monotonic clock)."""
        ...

    def finish(self) -> None:
        """Bring the source up to date for the last sample; waits 0.2 s at most."""
        ...

    def close(self) -> None:
        """Let go of the source; idempotent, never raises, never waits more than 0.5 s."""
        ...
