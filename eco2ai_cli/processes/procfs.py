"""Read what Linux tells about one process: `/proc/<pid>/stat`, `statm`, `status`, its CPU clock.

Everything raises OSError when the process is gone. proc(5) has the numbers of the fields.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import NamedTuple

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PIECE_BYTES = 3000  # a list is told in pieces of up to 4 KB; what is shorter than this is all
_FIELDS_OF_STAT: Callable[[list[bytes]], tuple[bytes, ...]] = itemgetter(
    *(0, 1, 7, 13, 14, 17, 19, 21, 23, 25, 30)  # counted from the state on
)
_SIGCHLD_BIT = 1 << 16  # SIGCHLD is 17 on every architecture Python runs on but MIPS and SPARC


class Stat(NamedTuple):
    """The fields of `/proc/<pid>/stat` that accounting needs.

    `waited_s` is the CPU time of the children that this process has waited for (10 ms ticks,
    truncated); `start_ticks` with the pid names a process for ever; `image` (start of code, start
    of stack) is equal in a process and in its fork copies until they exec, (0, 0) if hidden. Who
    `ignores_sigchld` has its children reaped by the kernel, and their time is added to nobody
    (wait(2), notes); SA_NOCLDWAIT does the same and shows nowhere.
    """

    state: bytes
    ppid: int
    minor_faults: int
    waited_s: float
    threads: int
    start_ticks: int
    resident_pages: int
    image: tuple[bytes, bytes]
    ignores_sigchld: bool


def stat_fields(data: bytes) -> tuple[bytes, ...]:
    """Return the fields of a `stat` file that make a `Stat`, as they stand there.

    They are equal as long as nothing changes but the process's own CPU time. The name in the file
    may hold blanks and parentheses.
    """
    return _FIELDS_OF_STAT(data[data.rindex(b")") + 2 :].split(b" ", 31))


def parse_fields(fields: tuple[bytes, ...]) -> Stat:
    """Parse what `stat_fields` returned."""
    state, ppid, faults, waited_user, waited_system, threads, start, resident, *more = fields
    code, stack, ignored = more
    return Stat(
        state=state,
        ppid=int(ppid),
        minor_faults=int(faults),
        waited_s=(int(waited_user) + int(waited_system)) / TICKS_PER_S,
        threads=int(threads),
        start_ticks=int(start),
        resident_pages=int(resident),
        image=(code, stack),
        ignores_sigchld=bool(int(ignored) & _SIGCHLD_BIT),
    )


def parse_stat(data: bytes) -> Stat:
    """Parse the content of a `stat` file."""
    return parse_fields(stat_fields(data))


def read_file(path: str) -> bytes:
    """Return the content of a file of `/proc`.

    Raises ProcessLookupError where it is empty: the process ended since the file was opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(fd, 65536)
        if len(data) > PIECE_BYTES:
            while more := os.read(fd, 65536):
                data += more
    finally:
        os.close(fd)
    if not data:
        raise ProcessLookupError(path)
    return data


def children_of(pid: int, threads: int, proc: str = "/proc") -> list[int]:
    """Return the children of `pid` by its `children` files, one a thread; [] when it is gone.

    A kernel built without CONFIG_PROC_CHILDREN has no such files: [] as well.
    """
    tasks = f"{proc}/{pid}/task"
    found: list[int] = []
    try:
        names = [str(pid)] if threads == 1 else os.listdir(tasks)
    except OSError:
        return found
    for name in names:
        try:
            found += map(int, read_file(f"{tasks}/{name}/children").split())
        except OSError:
            continue  # it has none, or the thread has ended
    return found


def shows_us(proc: str = "/proc") -> bool:
    """Tell whether `proc` is of our pid namespace: in another our numbers name other processes."""
    try:
        return os.readlink(f"{proc}/self") == str(os.getpid())
    except OSError:
        return False


def lineage(pid: int, proc: str = "/proc") -> Iterator[int]:
    """Yield the ancestors of `pid`, its parent first, as far as they can be read."""
    while pid > 1:
        try:
            pid = parse_stat(read_file(f"{proc}/{pid}/stat")).ppid
        except OSError:
            return
        yield pid


def cpu_clock(pid: int) -> int:
    """Return the clock of clock_gettime(2) that shows the CPU time of `pid` and all its threads.

    It is what clock_getcpuclockid(3) computes. The clock goes by nanoseconds, needs no privilege
    and still answers for a zombie; it raises OSError when the process is gone.
    """
    return (~pid << 3) | 2


def stolen_s(proc: str = "/proc") -> float:
    """Return the seconds that the hypervisor took from all CPUs since boot; 0 if not told."""
    try:
        fields = read_file(f"{proc}/stat").split(b"\n", 1)[0].split()
        return int(fields[8]) / TICKS_PER_S
    except (OSError, IndexError, ValueError):
        return 0.0
