"""Read what Linux tells about one process: `/proc/<pid>/stat`, `statm`, `status`, its CPU clock.

Everything raises OSError when the process is gone. proc(5) has the numbers of the fields.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PIECE_BYTES = 3000  # a list is told in pieces of up to 4 KB; what is shorter than this is all
_SIGCHLD_BIT = 1 << 16  # SIGCHLD is 17 on every architecture Python runs on but MIPS and SPARC


class Stat(NamedTuple):
    """The fields of `/proc/<pid>/stat` that accounting needs.

    `waited_s` is the CPU time of the children that this process has waited for (10 ms ticks,
    truncated); `start_ticks` with the pid names a process for ever; `image` (start of code, start
    of stack) is equal in a process and in its fork copies until they exec, (0, 0) if hidden.
    """

    state: bytes
    ppid: int
    minor_faults: int
    waited_s: float
    threads: int
    start_ticks: int
    resident_pages: int
    image: tuple[bytes, bytes]


def parse_stat(data: bytes) -> Stat:
    """Parse the content of a `stat` file; the name in it may hold blanks and parentheses."""
    fields = data[data.rindex(b")") + 2 :].split(b" ", 27)
    return Stat(
        state=fields[0],
        ppid=int(fields[1]),
        minor_faults=int(fields[7]),
        waited_s=(int(fields[13]) + int(fields[14])) / TICKS_PER_S,
        threads=int(fields[17]),
        start_ticks=int(fields[19]),
        resident_pages=int(fields[21]),
        image=(fields[23], fields[25]),
    )


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


def lineage(pid: int, proc: str = "/proc") -> Iterator[int]:
    """Yield the ancestors of `pid`, its parent first, as far as they can be read."""
    while pid > 1:
        try:
            pid = parse_stat(read_file(f"{proc}/{pid}/stat")).ppid
        except OSError:
            return
        yield pid


def cpu_clock_s(pid: int) -> float:
    """Return the CPU seconds of `pid` and all its threads, in nanosecond resolution.

    The clock id is what clock_getcpuclockid(3) computes; it needs no privilege and still answers
    for a zombie.
    """
    return time.clock_gettime((~pid << 3) | 2)


def ignores_sigchld(status: bytes) -> bool:
    """Tell from a `status` file whether the kernel drops the CPU time of this process's children.

    A process that ignores SIGCHLD has its children reaped by the kernel, and their time is added
    to nobody (wait(2), notes). SA_NOCLDWAIT does the same and shows nowhere.
    """
    start = status.find(b"\nSigIgn:\t")
    return start >= 0 and bool(int(status[start + 9 : start + 25], 16) & _SIGCHLD_BIT)


def stolen_s(proc: str = "/proc") -> float:
    """Return the seconds that the hypervisor took from all CPUs since boot; 0 if not told."""
    try:
        fields = read_file(f"{proc}/stat").split(b"\n", 1)[0].split()
        return int(fields[8]) / TICKS_PER_S
    except (OSError, IndexError, ValueError):
        return 0.0
