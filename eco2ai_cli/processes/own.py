"""What this process and its children have used, seen from within a process that is the user's.

    CPU time = R + C + L + X, each as it is now less what it was at the first look
    R  this process's own CPU clock: all its threads, also those that have ended
    C  what getrusage(2) tells of the children it waited for, with all that those waited for
    L  what living descendants show: their own CPU clock, and what they waited for themselves
    X  what was last seen of descendants that have ended and whose time was given to nobody

Nothing is changed in the process: nobody is reaped, no signal is handled, no orphan is taken in.
So a process that loses its parent and ends is counted as far as it was seen; one that was born,
lost its parent and ended between two looks is not seen at all.

C is read before the living, and parents before their children: who is waited for during a look is
missed by it, never counted twice. Such a look is repeated.
"""

from __future__ import annotations

import os
import resource
import time

from eco2ai_cli.dials import Integrator
from eco2ai_cli.model import Usage
from eco2ai_cli.processes import memory
from eco2ai_cli.processes.finder import Finder
from eco2ai_cli.processes.member import Files, Member
from eco2ai_cli.processes.procfs import children_of, shows_us

_LOOKS = 3
"""How often a look is taken at the most in which somebody was waited for."""


class OwnUsage:
    """The process in which this is made, and its descendants; made before the first look.

    `proc`: where procfs is mounted. Where it shows another pid namespace than ours, the children
    count when they are waited for, and memory is not known.
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._pid = os.getpid()
        self._files = Files(proc, keep=False)
        self._finder = Finder(self._pid, proc, self._children_of)
        self._members: dict[int, Member] = {}
        if shows_us(proc):
            self._members[self._pid] = Member(self._pid, os.getppid())
        self._memory = Integrator()
        self._lost_s = 0.0
        self._first_s: float | None = None
        self._highest_s = 0.0
        self._caveats: frozenset[str] = frozenset()

    def usage(self, now_s: float) -> Usage:
        """Look at everybody; `now_s`: seconds on the clock that stops in suspend.

        Raises OSError where `/proc` cannot be read, as without a descriptor left to open it.
        """
        for _ in range(_LOOKS):
            waited_s = _waited_s()
            steady = self._look()
            if steady and waited_s == _waited_s():
                break
        members = self._members.values()
        level_s = time.process_time() + waited_s + self._lost_s
        level_s += sum(m.lost_s + (m.total_s if m.pid != self._pid else 0.0) for m in members)
        if self._first_s is None:
            self._first_s = level_s
        self._highest_s = max(self._highest_s, level_s - self._first_s)
        if any(m.ignores_sigchld or m.lost_s for m in members):
            self._caveats |= {"tree-escaped"}
        memory_bytes = self._memory_bytes()
        return Usage(
            cpu_s=self._highest_s,
            memory_bytes=memory_bytes,
            memory_byte_s=self._memory.advance(memory_bytes, now_s),
            pids=tuple(self._members) or (self._pid,),
            caveats=self._caveats,
        )

    def _look(self) -> bool:
        """Read everybody anew; False if somebody has ended since the last time."""
        gone = {
            pid: member
            for pid, member in self._members.items()
            if not member.look(self._files, self._members)
        }
        if self._pid in gone:
            raise OSError(f"`{self._files.proc}/{self._pid}` cannot be read")
        for pid in gone:
            del self._members[pid]
        for member in gone.values():
            self._bury(member, gone)
        for member in self._members.values():
            member.judge(self._files)
        self._find_newborns()
        return not gone

    def _bury(self, member: Member, gone: dict[int, Member]) -> None:
        """Expect the time of a member that has ended at the next of its ancestors that lives.

        An orphan has none: what was seen of it stays counted.
        """
        parent = member.parent
        while parent in gone:
            parent = gone[parent].parent
        if parent in self._members:
            self._members[parent].miss(member)
        else:
            self._lost_s += member.total_s
            self._caveats |= {"orphan-unseen"}
        self._lost_s += member.lost_s

    def _find_newborns(self) -> None:
        if not self._members:
            return
        # Any thread may fork, so the process itself is asked for its children by thread.
        ran = {pid: m.threads for pid, m in self._members.items() if m.ran}
        for pid, parent in self._finder.newborns(self._members, ran):
            member = Member(pid, parent)
            if member.look(self._files, self._members):
                self._members[pid] = member

    def _children_of(self, pid: int, threads: int) -> list[int]:
        return children_of(pid, threads, self._files.proc)

    def _memory_bytes(self) -> int | None:
        holders = [m for m in self._members.values() if m.own_pages is not None]
        if not holders:
            return None
        return memory.tree_bytes(
            (m.own_pages or 0 for m in holders), (m.shared_pages for m in holders)
        )


def _waited_s() -> float:
    """Return the CPU seconds of the children that were waited for, with all they waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime
