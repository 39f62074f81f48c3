"""Keep what goes wrong in us while the command runs: it may cost accuracy, never the command."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from eco2ai_cli import talk

T = TypeVar("T")


class Faults:
    """Collects the exceptions of guarded actions; the first is the one worth showing."""

    def __init__(self, first: Exception | None = None) -> None:
        self.first = first

    def guard(self, action: Callable[[], T], otherwise: T) -> T:
        """Return what `action` returns, or `otherwise` when it raises."""
        try:
            return action()
        except Exception as error:
            self.keep(error)
            return otherwise

    def keep(self, error: Exception) -> None:
        """Keep an exception that was caught."""
        self.first = self.first or error

    def show(self) -> None:
        """Print the traceback of the first fault on standard error, if there is one."""
        if self.first is not None:
            import traceback

            talk.say("".join(traceback.format_exception(self.first)).rstrip())
