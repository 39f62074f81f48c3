"""Tell a process tree's share of a machine's energy: by its part of all busy CPU time.

Busy time is what was not idle, not the sum of user and system time: those are sampled at ticks,
and miss work that comes in short bursts (measuring.md §7).
"""

from __future__ import annotations

import os
from typing import NamedTuple

from eco2ai_cli.processes.procfs import TICKS_PER_S

NEVER_IDLE = 0.05
"""Busy CPU time, as a part of all, above which the power that was seen is not an idle one."""
IDLE_OF_FULL = 0.25
"""Idle power as a part of the power at full load, as far as no idle moment was seen: about what
servers of 2024 publish as a whole (Tröpgen et al., 16 Years of SPEC Power, 2024)."""

_LEAST_BUSY_S = 2 / TICKS_PER_S
"""What is less busy time than that cannot be told from none: idle time, and time that waits for a
disk, are counted in whole ticks. Else each of two runs at rest would have all of the machine."""


class Load(NamedTuple):
    """CPU seconds so far: of the tree, and of all CPUs doing nothing; `cpus` are online.

    `at_s` is by the clock that stops in suspend, as idle time does.
    """

    at_s: float
    tree_s: float
    spare_s: float
    cpus: int


class Share(NamedTuple):
    """What a tree had of a span: `of_busy` of the busy CPU time, which was `busy` of all."""

    span_s: float
    of_busy: float
    busy: float


def look(tree_s: float, now_s: float, proc: str = "/proc") -> Load:
    """Read what all CPUs did so far; raises OSError where that cannot be told."""
    fd = os.open(f"{proc}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = b""
        while b"\nintr " not in data and (more := os.read(fd, 1 << 16)):
            data += more
    finally:
        os.close(fd)
    first, *others = data.split(b"\n")
    try:
        idle, io_wait = map(int, first.split()[4:6])
    except ValueError:
        raise OSError(f"`{proc}/stat` is not understood") from None
    cpus = sum(line.startswith(b"cpu") for line in others)
    return Load(now_s, tree_s, (idle + io_wait) / TICKS_PER_S, max(1, cpus))


def between(before: Load, after: Load) -> Share:
    """Return the share of the tree in the span between two looks; 0 where nobody was busy."""
    span_s = after.at_s - before.at_s
    all_s = max(before.cpus, after.cpus) * span_s
    tree_s = max(0.0, after.tree_s - before.tree_s)
    spare_s = max(0.0, after.spare_s - before.spare_s)
    busy_s = max(tree_s, all_s - spare_s)
    return Share(
        span_s=span_s,
        of_busy=tree_s / max(busy_s, _LEAST_BUSY_S),
        busy=min(1.0, busy_s / all_s) if all_s > 0 else 0.0,
    )


class IdlePower:
    """The idle power of one counter, by the quietest span that was seen of it.

    As far as that was not idle, power is taken for linear between idle and full load, the first
    being `IDLE_OF_FULL` of the second. `watts` is None before the first span.
    """

    def __init__(self) -> None:
        self.watts: float | None = None
        self.busy = 2.0

    def see(self, power_w: float, busy: float) -> None:
        """Take the mean power of a span in which `busy` of all CPU time was."""
        if busy <= self.busy:
            self.busy = busy
            self.watts = power_w * IDLE_OF_FULL / (IDLE_OF_FULL + (1 - IDLE_OF_FULL) * busy)

    @property
    def assumed(self) -> bool:
        """Tell whether no moment was seen yet that was as good as idle."""
        return self.busy > NEVER_IDLE


def idle_share(policy: str, of_busy: float, allowed: float) -> float:
    """Return the tree's share of the idle power, never more than that of the busy CPU time.

    `share`: that share. `allocated`: that share, but no more than `allowed`, the part of the
    machine's CPUs that the tree may use. `none`: nothing. As no share is above that of the busy
    time, the trees of one machine never add up to more than its energy.
    """
    if policy == "none":
        return 0.0
    return min(of_busy, allowed) if policy == "allocated" else of_busy
