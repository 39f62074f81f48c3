"""The process tree on Linux, by the kernel's own accounting of everyone who ever lived in it.

    CPU time = R + L + X
    R  what wait4(2) told of the processes that we reaped; each holds what it waited for itself
    L  what the living show: their own CPU clock, and the time of the children they waited for
    X  what got lost because a parent lets the kernel reap its children (SIGCHLD ignored)

We are the sub-reaper of the tree, so orphans and daemons come to us in the end. Reaping and
reading happen in one thread, else a process could stand in both R and L. Living parents are read
before their children, so a process that ends during a look is missed by that look, never counted
twice; the next look is right again. Hence the total never needs to fall.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from eco2ai_cli.dials import Integrator
from eco2ai_cli.model import ORIGIN, Usage
from eco2ai_cli.processes import memory
from eco2ai_cli.processes.finder import Finder
from eco2ai_cli.processes.member import Files, Member
from eco2ai_cli.processes.perf import SecondOpinion
from eco2ai_cli.processes.procfs import children_of, lineage, parse_stat, shows_us

_FALL_S = 0.05
"""A total that falls by more, in CPU seconds, is no matter of ticks: somebody was forgotten."""


_NOWHERE = os.devnull
"""In place of a `/proc` that numbers processes otherwise; what wait4(2) tells must do then."""


class LinuxTree:
    """The tree of processes that descend from the one child given to `attach`.

    `use_children` and `use_perf`: False goes without that source, as on machines that refuse it.
    `root_status`: the wait(2) status of the root, once it has been reaped.
    """

    def __init__(
        self, proc: str = "/proc", *, use_children: bool = True, use_perf: bool = True
    ) -> None:
        self.root_status: int | None = None
        self._root = -1
        self._files = Files(proc)
        self._use_children = use_children
        self._use_perf = use_perf
        self._finder: Finder | None = None
        self._members: dict[int, Member] = {}
        self._ignored: set[int] = set()
        self._kept: dict[str, int] = {}
        self._perf = SecondOpinion(proc)
        self._memory = Integrator()
        self._reaped_s = 0.0
        self._lost_s = 0.0
        self._before_exec_s = 0.0
        self._highest_s = 0.0
        self._autoreaped = False
        self._stirred = True  # somebody has run, come or gone since all was added up
        self._sum = ORIGIN.usage
        self._burials = 0

    def attach(self, pid: int) -> None:
        """Take `pid`, which waits to exec, as the root of the tree.

        Children that we had before are not of the tree: a shell may have left us some at its exec.
        """
        if not shows_us(self._files.proc):
            self._files.proc = _NOWHERE
        self._ignored.update(set(children_of(os.getpid(), 1, self._files.proc)) - {pid})
        self._root = pid
        self._members[pid] = Member(pid, os.getpid())
        if self._use_perf:
            self._perf.attach(pid)

    def ignore(self, pid: int) -> None:
        """Leave out `pid`, a child of ours that is not of the tree."""
        self._ignored.add(pid)

    def started(self, before_exec_s: float) -> None:
        """Note that the root has exec'd, and the CPU seconds it used as ours until then."""
        self._before_exec_s = before_exec_s
        self._stirred = True

    def owns(self, pid: int) -> bool:
        """Tell whether `pid` is of the tree, also if it was born since the last look."""
        if pid in self._members:
            return True
        return any(ancestor in self._members for ancestor in lineage(pid, self._files.proc))

    def alive(self) -> list[int]:
        """Return the pids of everyone in the tree at this moment, parents before children.

        Who has ended and was not waited for is among them.
        """
        if self._files.proc == _NOWHERE:
            return list(self._members)
        walk = partial(children_of, proc=self._files.proc) if self._use_children else None
        finder = Finder(os.getpid(), self._files.proc, walk)
        finder.ignored = self._ignored
        return [pid for pid, _ in finder.newborns((), {})]

    def is_stopped(self, pid: int) -> bool:
        """Tell whether `pid` is stopped, as by Ctrl-Z."""
        try:
            return parse_stat(self._files.read(pid, "stat")).state == b"T"
        except OSError:
            return False

    def has_children(self) -> bool:
        """Tell whether anyone of the tree is left: all who live hang below a child of ours."""
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        children = children_of(os.getpid(), 2, self._files.proc)
        return not children or not self._ignored.issuperset(children)

    def reap(self) -> Iterator[tuple[int, int]]:
        """Yield (pid, wait status) of each child that ended or stopped; never blocks.

        The children of ended members that were left to us are among them.
        """
        anything = os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        while True:
            try:
                # A look before the burial: a zombie still shows which signals it ignored.
                seen = os.waitid(os.P_ALL, 0, anything)
                if seen is None:
                    return
                self._look_at_zombie(seen.si_pid)
                pid, status, usage = os.wait4(seen.si_pid, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                continue
            if pid == self._root and not os.WIFSTOPPED(status):
                self.root_status = status
            yield pid, status
            if os.WIFSTOPPED(status):
                continue
            if pid in self._ignored:
                self._ignored.remove(pid)  # its number may be another's next
                continue
            self._stirred = True
            self._reaped_s += usage.ru_utime + usage.ru_stime
            self._forget(self._members.pop(pid, None))

    def usage(self, now_s: float) -> Usage:
        """Look at the tree once; `now_s`: seconds on the clock that stops in suspend."""
        self._look_at_known()
        # Who is born is born of one who has run, and comes to us only when one has ended.
        if self._stirred:
            self._look_at_newborns()
            self._stirred = False
            self._sum = self._add_up()
        cpu_s, memory_bytes, _, pids, caveats = self._sum
        memory_byte_s = self._memory.advance(memory_bytes, now_s)
        return Usage(cpu_s, memory_bytes, memory_byte_s, pids, caveats)

    def _add_up(self) -> Usage:
        """Sum up what everyone has used by now; without the memory's integral."""
        members = self._members.values()
        self._autoreaped = self._autoreaped or any(m.ignores_sigchld for m in members)
        lost_s = self._lost_s + sum(m.lost_s for m in members)
        counted_s = self._reaped_s + sum(m.total_s for m in members) + lost_s
        counted_s = max(0.0, counted_s - self._before_exec_s)
        caveats = frozenset[str]()
        escapes = lost_s > 0 or self._something_escapes(counted_s)
        perf_s = self._perf.of(counted_s, suspicious=escapes)
        if perf_s is not None:
            counted_s = perf_s
            caveats = frozenset({"cpu-by-perf"})
        elif lost_s > 0 or (escapes and not self._perf.is_there):
            caveats = frozenset({"tree-escaped"})
        self._highest_s = max(self._highest_s, counted_s)
        return Usage(
            cpu_s=self._highest_s,
            memory_bytes=self._memory_bytes(),
            memory_byte_s=None,
            pids=tuple(self._members),
            caveats=caveats,
        )

    def close(self) -> None:
        """Close what is open; the tree can be looked at no longer."""
        for member in self._members.values():
            self._files.close(member.kept)
        self._members.clear()
        self._perf.close()
        self._files.close(self._kept)

    def _look_at_known(self) -> None:
        files, members = self._files, self._members
        gone = []
        for member in members.values():
            if not member.look(files, members):
                gone.append(member)
            elif member.ran:
                self._stirred = True
        for member in gone:
            del self._members[member.pid]
        for member in gone:
            # Its parent reaped it, or nobody did. What it had used must show up at the parent.
            if parent := self._members.get(member.parent):
                parent.miss(member)
            self._forget(member)
        if gone:
            self._stirred = True
            for member in self._members.values():
                member.judge(self._files)

    def _look_at_newborns(self) -> None:
        if self._finder is None:
            children_of = self._children_of if self._use_children else None
            self._finder = Finder(os.getpid(), self._files.proc, children_of)
            self._finder.ignored = self._ignored
        ran = {pid: m.threads for pid, m in self._members.items() if m.ran}
        for pid, parent in self._finder.newborns(self._members, ran):
            member = Member(pid, parent)
            if member.look(self._files, self._members):
                self._members[pid] = member
            else:
                self._forget(member)

    def _children_of(self, pid: int, threads: int) -> list[int]:
        member = self._members.get(pid)
        kept = self._kept if member is None else member.kept
        return self._files.children_of(kept, pid, threads)

    def _look_at_zombie(self, pid: int) -> None:
        # Of a storm of orphans a part must do: a look is half of what the burial costs.
        self._burials += 1
        if self._autoreaped or pid in self._ignored:
            return
        if self._burials < 64 or self._burials % 16 == 0:
            try:
                self._autoreaped = parse_stat(self._files.read(pid, "stat")).ignores_sigchld
            except OSError:
                return

    def _something_escapes(self, counted_s: float) -> bool:
        """Tell whether a parent has its children forgotten, or less is counted than was seen."""
        return self._autoreaped or self._highest_s - counted_s > _FALL_S

    def _memory_bytes(self) -> int | None:
        holders = [m for m in self._members.values() if m.own_pages is not None]
        if not holders:
            return None
        return memory.tree_bytes(
            (m.own_pages or 0 for m in holders), (m.shared_pages for m in holders)
        )

    def _forget(self, member: Member | None) -> None:
        if member is not None:
            self._lost_s += member.lost_s
            self._files.close(member.kept)
