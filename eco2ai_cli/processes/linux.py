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

from eco2ai_cli.dials import Integrator
from eco2ai_cli.model import Usage
from eco2ai_cli.processes import memory, perf
from eco2ai_cli.processes.finder import Finder
from eco2ai_cli.processes.procfs import (
    PAGE_BYTES,
    cpu_clock_s,
    ignores_sigchld,
    parse_stat,
    read_file,
    stolen_s,
)

_LOSS_TOLERANCE_S = 0.02  # two truncated 10 ms ticks
_PERF_MARGIN = 0.03  # perf speaks up only if it saw this share more than the accounting did …
_PERF_MARGIN_S = 0.1  # … and at least this much
_KEPT_FILES_AT_MOST = 16384
_MANY_PAGES = 16 * 2**20 // PAGE_BYTES  # of shared pages: worth asking what they are


class _Member:
    """What is remembered of one living process of the tree."""

    __slots__ = (
        "anonymous",
        "debit_s",
        "first_waited_s",
        "image",
        "inherited",
        "looks",
        "lost_s",
        "own",
        "own_s",
        "parent",
        "pid",
        "ran",
        "shared",
        "shared_memory",
        "shared_when_asked",
        "start_ticks",
        "stat_fd",
        "statm_fd",
        "threads",
        "total_s",
        "waited_s",
    )

    def __init__(self, pid: int, parent: int) -> None:
        self.pid = pid
        self.parent = parent
        self.looks = 0
        self.stat_fd = self.statm_fd = -1
        self.start_ticks = self.threads = 0
        self.ran = True
        self.own_s = self.total_s = self.waited_s = self.first_waited_s = 0.0
        self.debit_s = self.lost_s = 0.0
        self.image: memory.Image = (b"", b"")
        self.inherited: int | None = None
        self.anonymous = self.shared = self.own = 0
        self.shared_memory = self.shared_when_asked = 0

    def close(self) -> None:
        for fd in (self.stat_fd, self.statm_fd):
            if fd >= 0:
                os.close(fd)
        self.stat_fd = self.statm_fd = -1


class LinuxTree:
    """The tree of processes that descend from the one child given to `attach`.

    `use_children` and `use_perf`: False goes without that source, as on machines that refuse it.
    """

    def __init__(
        self, proc: str = "/proc", *, use_children: bool = True, use_perf: bool = True
    ) -> None:
        self._proc = proc
        self._use_children = use_children
        self._use_perf = use_perf
        self._finder: Finder | None = None
        self._members: dict[int, _Member] = {}
        self._ignored: set[int] = set()
        self._perf_fd: int | None = None
        self._perf_s = 0.0
        self._stolen_at_start_s: float | None = None
        self._reaped_s = 0.0
        self._lost_s = 0.0
        self._before_exec_s = 0.0
        self._highest_s = 0.0
        self._autoreaped = False
        self._files_left = -1
        self._memory = Integrator()

    def attach(self, pid: int) -> None:
        """Take `pid`, which waits to exec, as the root of the tree."""
        self._members[pid] = _Member(pid, os.getpid())
        if self._use_perf:
            self._perf_fd = perf.open_task_clock(pid)

    def ignore(self, pid: int) -> None:
        """Leave out `pid`, a child of ours that is not of the tree."""
        self._ignored.add(pid)

    def started(self, before_exec_s: float) -> None:
        """Note that the root has exec'd, and the CPU seconds it used as ours until then."""
        self._before_exec_s = before_exec_s

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
                self._check_autoreap(seen.si_pid)
                pid, status, usage = os.wait4(seen.si_pid, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                continue
            if not os.WIFSTOPPED(status) and pid not in self._ignored:
                self._reaped_s += usage.ru_utime + usage.ru_stime
                member = self._members.pop(pid, None)
                if member is not None:
                    self._forget(member)
            yield pid, status

    def usage(self, now_s: float) -> Usage:
        """Look at the tree once; `now_s`: seconds on the clock that stops in suspend."""
        if self._files_left < 0:
            self._prepare_first_look()
        self._look_at_known()
        self._look_at_newborns()
        members = self._members.values()
        lost_s = self._lost_s + sum(m.lost_s for m in members)
        counted_s = self._reaped_s + sum(m.total_s for m in members) + lost_s
        counted_s = max(0.0, counted_s - self._before_exec_s)
        caveats = frozenset[str]()
        perf_s = self._read_perf()
        if perf_s is not None and self._perf_knows_more(perf_s, counted_s):
            counted_s = perf_s
            caveats = frozenset({"cpu-by-perf"})
        elif lost_s > 0 or (self._autoreaped and perf_s is None):
            caveats = frozenset({"tree-escaped"})
        self._highest_s = max(self._highest_s, counted_s)
        memory_bytes = self._memory_bytes()
        return Usage(
            cpu_s=self._highest_s,
            memory_bytes=memory_bytes,
            memory_byte_s=self._memory.advance(memory_bytes, now_s),
            pids=tuple(self._members),
            caveats=caveats,
        )

    def owns(self, pid: int) -> bool:
        """Tell whether `pid` is a living member of the tree, as far as it was seen."""
        return pid in self._members

    def has_children(self) -> bool:
        """Tell whether anyone of the tree is left: all who live hang below a child of ours."""
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def close(self) -> None:
        """Close what is open; the numbers stay readable no longer."""
        for member in self._members.values():
            member.close()
        self._members.clear()
        if self._perf_fd is not None:
            os.close(self._perf_fd)
            self._perf_fd = None

    # -- the look ------------------------------------------------------------------------------

    def _prepare_first_look(self) -> None:
        self._files_left = _file_allowance()
        self._finder = Finder(os.getpid(), self._proc, self._use_children)
        self._finder.ignored = self._ignored
        if self._perf_fd is not None:
            self._stolen_at_start_s = stolen_s(self._proc)

    def _look_at_known(self) -> None:
        gone = [m for m in self._members.values() if not self._look_at(m)]
        for member in gone:
            del self._members[member.pid]
        for member in gone:
            # Its parent reaped it, or nobody did. What it had used must show up at the parent.
            parent = self._members.get(member.parent)
            if parent is not None:
                parent.debit_s += member.total_s
            self._forget(member)
        if gone:
            for member in self._members.values():
                if member.debit_s:
                    self._judge_losses(member)

    def _look_at_newborns(self) -> None:
        assert self._finder is not None
        ran = {pid: m.threads for pid, m in self._members.items() if m.ran}
        for pid, parent in self._finder.newborns(self._members.copy(), ran):
            member = _Member(pid, parent)
            if self._look_at(member):
                self._members[pid] = member
            else:
                self._forget(member)

    def _look_at(self, member: _Member) -> bool:
        """Read one process; False when it is gone."""
        try:
            own_s = cpu_clock_s(member.pid)
            # Who has not run has not forked, waited, or touched memory: the clock says it all, in
            # a twentieth of the time. What others did to it meanwhile waits for the eighth look.
            member.ran = own_s != member.own_s or member.looks % 8 == 0
            if not member.ran:
                member.looks += 1
                return True
            stat = parse_stat(self._read(member, "stat"))
            if member.looks and stat.start_ticks != member.start_ticks:
                return False  # the pid was recycled
            pages = memory.parse_statm(self._read(member, "statm"))
        except OSError:
            return False
        if not member.looks:
            member.start_ticks = stat.start_ticks
            member.first_waited_s = stat.waited_s
        member.looks += 1
        member.parent = stat.ppid
        member.threads = stat.threads
        member.waited_s = stat.waited_s
        member.own_s = own_s
        member.total_s = own_s + stat.waited_s
        self._weigh(member, pages, stat.image, stat.minor_faults)
        if member.looks > 1 and member.looks & (member.looks - 1) == 0:
            self._check_autoreap(member.pid)
        return True

    def _read(self, member: _Member, name: str) -> bytes:
        """Read a file of a member, keeping it open while we may: that halves the cost.

        An open file stays with its process: it cannot show another one under the same pid.
        """
        slot = f"{name}_fd"
        fd: int = getattr(member, slot)
        if fd < 0:
            if self._files_left <= 0:
                return read_file(f"{self._proc}/{member.pid}/{name}")
            fd = os.open(f"{self._proc}/{member.pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            setattr(member, slot, fd)
            self._files_left -= 1
        data = os.pread(fd, 1024, 0)
        if not data:
            raise ProcessLookupError(member.pid)
        return data

    def _weigh(
        self, member: _Member, pages: memory.Pages, image: memory.Image, minor_faults: int
    ) -> None:
        parent = self._members.get(member.parent)
        member.image = image
        member.anonymous, member.shared = pages
        if parent is None or not memory.is_fork_copy(image, parent.image):
            member.own = pages.anonymous
            return
        if member.inherited is None:
            member.inherited = min(pages.anonymous, parent.anonymous)
        if abs(pages.shared - member.shared_when_asked) > _MANY_PAGES:
            member.shared_when_asked = pages.shared
            member.shared_memory = memory.shared_memory_pages(self._status(member.pid))
        member.own = memory.own_pages(
            pages.anonymous, member.inherited, minor_faults, member.shared_memory
        )

    def _memory_bytes(self) -> int | None:
        members = self._members.values()
        if not members:
            return None
        return memory.tree_bytes((m.own for m in members), (m.shared for m in members))

    # -- what escapes the accounting -------------------------------------------------------------

    def _judge_losses(self, parent: _Member) -> None:
        """Compare what vanished below `parent` with what it was given for it; both are levels."""
        try:
            waited_s = parse_stat(read_file(f"{self._proc}/{parent.pid}/stat")).waited_s
        except OSError:
            return
        missing_s = parent.debit_s - (waited_s - parent.first_waited_s)
        parent.lost_s = missing_s if missing_s > _LOSS_TOLERANCE_S else 0.0

    def _check_autoreap(self, pid: int) -> None:
        if self._autoreaped or pid in self._ignored:
            return
        self._autoreaped = ignores_sigchld(self._status(pid))

    def _status(self, pid: int) -> bytes:
        try:
            return read_file(f"{self._proc}/{pid}/status")
        except OSError:
            return b""  # it is gone; the next look will say so

    def _read_perf(self) -> float | None:
        if self._perf_fd is None:
            return None
        seconds = perf.read_s(self._perf_fd)
        if seconds is not None:
            self._perf_s = max(self._perf_s, seconds)
        return self._perf_s

    def _perf_knows_more(self, perf_s: float, counted_s: float) -> bool:
        excess_s = perf_s - counted_s - max(_PERF_MARGIN * counted_s, _PERF_MARGIN_S)
        if excess_s <= 0 or self._stolen_at_start_s is None:
            return False
        return excess_s > stolen_s(self._proc) - self._stolen_at_start_s

    def _forget(self, member: _Member) -> None:
        self._lost_s += member.lost_s
        self._files_left += (member.stat_fd >= 0) + (member.statm_fd >= 0)
        member.close()


def _file_allowance() -> int:
    """Return how many files we may keep open, after lifting our soft limit towards the hard one.

    Called after the spawn, so the command keeps the limit it was given.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _KEPT_FILES_AT_MOST
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            wanted = soft
    return max(0, wanted - len(os.listdir("/proc/self/fd")) - 64)
