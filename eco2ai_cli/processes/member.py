"""One living process of a tree: what it shows, and what is remembered of it from look to look."""

from __future__ import annotations

import os
from collections.abc import Mapping
from time import clock_gettime

from eco2ai_cli.processes import memory
from eco2ai_cli.processes.procfs import (
    PAGE_BYTES,
    PIECE_BYTES,
    Stat,
    children_of,
    cpu_clock,
    parse_fields,
    parse_stat,
    read_file,
    stat_fields,
)

_LOSS_TOLERANCE_S = 0.02  # two truncated 10 ms ticks
_MANY_PAGES = 16 * 2**20 // PAGE_BYTES  # of shared pages: worth asking what they are
_THOROUGH_LOOK = 16
_KEPT_FILES_AT_MOST = 16384


class Files:
    """Reads the files of `/proc/<pid>`, keeping as many open as we may: that halves the cost.

    An open file stays with its process: it cannot show another one under the same pid. Without
    `keep` none stays open: in a process that is not ours alone.
    """

    def __init__(self, proc: str, *, keep: bool = True) -> None:
        self.proc = proc
        self._left = -1 if keep else 0

    def read(self, pid: int, name: str) -> bytes:
        """Return the content of `/proc/<pid>/<name>`; raises OSError when the process is gone."""
        return read_file(f"{self.proc}/{pid}/{name}")

    def read_kept(self, kept: dict[str, int], pid: int, name: str) -> bytes:
        """Do the same by the descriptor in `kept`, which is opened at the first time."""
        fd = kept.get(name)
        if fd is None and (fd := self._keep(kept, name, f"{pid}/{name}")) is None:
            return self.read(pid, name)
        data = os.pread(fd, 1024, 0)
        if not data:
            raise ProcessLookupError(pid)
        return data

    def children_of(self, kept: dict[str, int], pid: int, threads: int) -> list[int]:
        """Return the children of a process; [] when it is gone.

        Of a process with one thread the list is kept open too: asking anew takes a tenth.
        """
        if threads == 1:
            try:
                fd = kept.get("children")
                if fd is None:
                    fd = self._keep(kept, "children", f"{pid}/task/{pid}/children")
                data = None if fd is None else os.pread(fd, 4096, 0)
            except OSError:
                return []
            if not data and fd is not None:
                return []
            if data and len(data) < PIECE_BYTES:
                return list(map(int, data.split()))
        return children_of(pid, threads, self.proc)

    def _keep(self, kept: dict[str, int], name: str, path: str) -> int | None:
        """Open a file of `/proc` and keep it in `kept` as `name`; None if no more may be kept."""
        if self._left < 0:
            self._left = _file_allowance()
        if self._left == 0:
            return None
        fd = kept[name] = os.open(f"{self.proc}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        self._left -= 1
        return fd

    def close(self, kept: dict[str, int]) -> None:
        """Close the descriptors of one process."""
        self._left += len(kept)
        while kept:
            os.close(kept.popitem()[1])


class Member:
    """A living process of the tree.

    `total_s`: its CPU seconds and those of the children it waited for. `ran`: whether it has run
    since the look before the last. `lost_s`: what its vanished children had used and was given to
    nobody. `ignores_sigchld`: whether the kernel forgets its children's time. `own_pages` and
    `shared_pages`: its share of the tree's memory; None once it has ended.
    """

    def __init__(self, pid: int, parent: int) -> None:
        self.pid = pid
        self.parent = parent
        self._clock = cpu_clock(pid)
        self.looks = 0
        self.ran = True
        self.ignores_sigchld = False
        self.threads = 1
        self.total_s = self.lost_s = 0.0
        self.own_pages: int | None = None
        self.shared_pages = 0
        self.kept: dict[str, int] = {}
        self._own_s = self._waited_s = self._first_waited_s = self._debit_s = 0.0
        self._fields: tuple[bytes, ...] = ()
        self._start_ticks = 0
        self._image: memory.Image = (b"", b"")
        self._resident = -1
        self._pages = memory.Pages(0, 0)
        self._anonymous = 0
        self._inherited: int | None = None
        self._shared_memory = self._shared_when_asked = 0

    def look(self, files: Files, family: Mapping[int, Member]) -> bool:
        """Read the process anew; False when it is gone."""
        try:
            own_s = clock_gettime(self._clock)
            # Who has not run has not forked, waited, or touched memory: the clock says it all, in
            # a twentieth of the time. What others did to it meanwhile waits for a thorough look.
            thorough = self.looks % _THOROUGH_LOOK == 0
            self.ran = thorough or own_s != self._own_s
            if self.ran:
                fields = stat_fields(files.read_kept(self.kept, self.pid, "stat"))
                if thorough or fields != self._fields:
                    stat = parse_fields(fields)
                    if self.looks and stat.start_ticks != self._start_ticks:
                        return False  # the pid was recycled
                    self._fields = fields
                    self._note(stat)
                    self._weigh(stat, self._pages_of(stat, files), files, family)
                self._own_s = own_s
                self.total_s = own_s + self._waited_s
        except OSError:
            return False
        self.looks += 1
        return True

    def miss(self, child: Member) -> None:
        """Note that a child has vanished and that we did not reap it."""
        self._debit_s += child.total_s

    def judge(self, files: Files) -> None:
        """Compare what vanished below with what this process was given for it; both are levels.

        What a parent waits for is added to its own account; what is missing there got lost.
        """
        if not self._debit_s:
            return
        try:
            waited_s = parse_stat(files.read(self.pid, "stat")).waited_s
        except OSError:
            return
        missing_s = self._debit_s - (waited_s - self._first_waited_s)
        self.lost_s = missing_s if missing_s > _LOSS_TOLERANCE_S else 0.0

    def _pages_of(self, stat: Stat, files: Files) -> memory.Pages:
        # What is resident has not changed in number: then hardly in kind.
        if stat.resident_pages != self._resident or self.looks % _THOROUGH_LOOK == 0:
            self._resident = stat.resident_pages
            self._pages = memory.parse_statm(files.read_kept(self.kept, self.pid, "statm"))
        return self._pages

    def _note(self, stat: Stat) -> None:
        if not self.looks:
            self._start_ticks = stat.start_ticks
            self._first_waited_s = stat.waited_s
        self.parent = stat.ppid
        self.threads = stat.threads
        self._waited_s = stat.waited_s
        self.ignores_sigchld = stat.ignores_sigchld

    def _weigh(
        self, stat: Stat, pages: memory.Pages, files: Files, family: Mapping[int, Member]
    ) -> None:
        self._image = stat.image
        self._anonymous, self.shared_pages = pages
        parent = family.get(self.parent)
        if stat.state in b"ZX":
            self.own_pages = None
        elif parent is None or not memory.is_fork_copy(stat.image, parent._image):
            self.own_pages = pages.anonymous
        else:
            if self._inherited is None:
                self._inherited = min(pages.anonymous, parent._anonymous)
            if abs(pages.shared - self._shared_when_asked) > _MANY_PAGES:
                self._shared_when_asked = pages.shared
                status = files.read(self.pid, "status")
                self._shared_memory = memory.shared_memory_pages(status)
            self.own_pages = memory.own_pages(
                pages.anonymous, self._inherited, stat.minor_faults, self._shared_memory
            )


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
        except (OSError, ValueError):
            wanted = soft
    return max(0, wanted - len(os.listdir("/proc/self/fd")) - 64)
