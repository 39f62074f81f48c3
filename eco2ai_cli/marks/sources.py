"""Marks of one run from wherever they come: what is sent, and what is read from a log."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from eco2ai_cli.marks.channel import Channel

if TYPE_CHECKING:
    from eco2ai_cli.marks.line import Mark
    from eco2ai_cli.marks.logs import Follower


class Sources:
    """The marks that come by `channel` and those that `log` tells of; either may be missing.

    A log tells nobody that it has grown: it is looked at every `look_s`.
    """

    def __init__(
        self,
        channel: Channel | None,
        log: Follower | None,
        look_s: float,
        now_s: Callable[[], float],
    ) -> None:
        self._channel = channel
        self._log = log
        self._look_s = look_s
        self._now_s = now_s
        self._look_due_s = math.inf if log is None else now_s()

    @property
    def due_s(self) -> float:
        """When there is something to look at without having been told (monotonic seconds)."""
        unfinished_s = math.inf if self._channel is None else self._channel.due_s
        return min(unfinished_s, self._look_due_s)

    @property
    def complaints(self) -> tuple[str, ...]:
        """What did not become a mark, in sentences."""
        said = () if self._channel is None else self._channel.complaints
        if self._log is not None:
            said += self._log.complaints
        return said

    def read(self, *, last: bool = False) -> list[Mark]:
        """Return the marks that have come, without waiting; with `last` the unfinished one too."""
        marks = [] if self._channel is None else self._channel.read(last=last)
        if self._log is not None and (last or self._now_s() >= self._look_due_s):
            marks += self._log.read(last=last)
            self._look_due_s = self._now_s() + self._look_s
        return marks
