"""End a whole process tree: a signal that can be handled, a time of grace, and then SIGKILL."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Protocol

_AGAIN_S = 0.05
_AGAIN_AT_MOST_S = 1.0
_CHASE_S = 0.5
_CAUGHT_S = 10.0
"""Who is alive so long after SIGKILL hangs in the kernel, or is another user's."""


class Members(Protocol):
    """What an ending needs of a process tree."""

    def alive(self) -> Sequence[int]:
        """Return the pids of everyone in the tree at this moment, ended or not yet reaped."""
        ...

    def is_stopped(self, pid: int) -> bool:
        """Tell whether `pid` is stopped, as by Ctrl-Z."""
        ...


class Termination:
    """Ends a tree once `begin` is called; `beat` does what is due, from then on.

    `number`: the signal to begin with; `grace_s`: how long it is given. Clocks and kill(2) can be
    replaced. Nobody is reaped here, so no pid of ours can be another's.
    """

    def __init__(
        self,
        members: Members,
        number: int,
        grace_s: float,
        *,
        now_s: Callable[[], float] = time.monotonic,
        send: Callable[[int, int], None] = os.kill,
    ) -> None:
        self._members = members
        self._number = number
        self._grace_s = grace_s
        self._now_s = now_s
        self._send = send
        self._due_s = math.inf
        self._again_s = _AGAIN_S
        self._killed_s = math.inf
        self.has_begun = False

    def begin(self) -> None:
        """Send the signal to everyone who is alive, and wake up who is stopped."""
        if self.has_begun:
            return
        self.has_begun = True
        self._due_s = self._now_s() + self._grace_s
        everyone = self._members.alive()
        for pid in reversed(everyone):  # children first: a parent may take new ones for the lost
            self._signal(pid, self._number)
        for pid in everyone:
            if self._members.is_stopped(pid):
                self._signal(pid, signal.SIGCONT)

    def beat(self) -> float:
        """Do what is due; return when to come again, on the clock of `now_s`."""
        now_s = self._now_s()
        if now_s >= self._due_s:
            self._killed_s = min(self._killed_s, now_s)
            self._kill()
            self._due_s = self._now_s() + self._again_s
            self._again_s = min(2 * self._again_s, _AGAIN_AT_MOST_S)
        return self._due_s

    @property
    def has_killed(self) -> bool:
        """Whether the time of grace was not enough."""
        return self._killed_s < math.inf

    def is_in_vain(self) -> bool:
        """Tell whether everyone was killed so long ago that who is left will stay."""
        return self._now_s() - self._killed_s > _CAUGHT_S

    def finish(self, is_over: Callable[[], bool], wait: Callable[[float], object]) -> None:
        """Spend no more grace: kill until nobody is left, or that is in vain.

        `is_over` reaps who has ended and tells whether that was everyone; `wait` waits for so many
        seconds, or until somebody ends.
        """
        while not is_over() and not self.is_in_vain():
            if not self.has_killed:
                self._due_s = self._now_s()
            wait(max(0.0, self.beat() - self._now_s()))

    def _kill(self) -> None:
        """Stop everyone until a look finds nobody new, and kill them only then.

        Who is stopped forks no more; who is killed one by one may be born faster than we kill.
        """
        stopped: set[int] = set()
        until_s = self._now_s() + _CHASE_S
        while new := set(self._members.alive()) - stopped:
            for pid in new:
                self._signal(pid, signal.SIGSTOP)
            stopped |= new
            if self._now_s() >= until_s:
                break
        for pid in stopped:
            self._signal(pid, signal.SIGKILL)

    def _signal(self, pid: int, number: int) -> None:
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's (set-uid)
            self._send(pid, number)
