"""The clocks of a run, as one thing that can be handed in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


def _since_boot_s() -> float:
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


class Moment(NamedTuple):
    """One moment by three clocks, in seconds; see `Clock`."""

    wall_s: float
    elapsed_s: float
    awake_s: float


class Clock(NamedTuple):
    """Seconds by the clocks that a run goes by.

    `awake_s` never steps and stands still while the machine is suspended: energy is integrated by
    it. `elapsed_s` never steps and counts suspend: durations are taken from it. `wall_s` is the
    time of day (Unix), for stamps alone. `used_s` is what this thread has used of a CPU.
    """

    awake_s: Callable[[], float] = time.monotonic
    elapsed_s: Callable[[], float] = _since_boot_s
    wall_s: Callable[[], float] = time.time
    used_s: Callable[[], float] = time.thread_time

    def now(self) -> Moment:
        """Read those that tell the time."""
        return Moment(self.wall_s(), self.elapsed_s(), self.awake_s())


def clock_was_set(began: Moment, ended: Moment) -> bool:
    """Tell whether the time of day was set in between, by more than a clock may drift.

    2 s, and a part in a thousand: one that is being slewed runs up to 5e-4 fast or slow
    (adjtimex(2)).
    """
    elapsed_s = ended.elapsed_s - began.elapsed_s
    return abs(ended.wall_s - began.wall_s - elapsed_s) > 2 + 1e-3 * elapsed_s
