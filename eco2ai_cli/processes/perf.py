"""Count the CPU time of a tree by a perf event that its processes inherit: a second opinion.

The counter misses some 0.1 ms at the end of each process and all of a set-uid program, and counts
time that a hypervisor stole. But it still counts where the parent ignores SIGCHLD and the kernel's
own accounting forgets the children. Half of all machines, and nearly all containers, refuse it.
"""

from __future__ import annotations

import ctypes
import os
import struct

from eco2ai_cli.processes.procfs import stolen_s

_SYSCALL_NUMBERS = {
    "x86_64": 298,
    "i686": 336,
    "aarch64": 241,
    "riscv64": 241,
    "ppc64le": 319,
    "s390x": 331,
}
_TYPE_SOFTWARE = 1
_TASK_CLOCK = 1
_READ_TIMES = 3
_DISABLED, _INHERIT, _EXCLUDE_KERNEL, _EXCLUDE_HV, _ENABLE_ON_EXEC = (
    1 << bit for bit in (0, 1, 5, 6, 12)
)
_FLAG_FD_CLOEXEC = 8
_SUSPICIOUS = (0.03, 0.1)
_UNSUSPICIOUS = (1.0, 0.5)


def open_task_clock(pid: int) -> int | None:
    """Open a task-clock counter on `pid` that starts at its next exec; None where refused.

    It is inherited by all descendants. Excluding the kernel is what makes it legal at
    perf_event_paranoid 2; a task clock counts kernel time all the same (perf_event_open(2)).
    """
    number = _SYSCALL_NUMBERS.get(os.uname().machine)
    if number is None:
        return None
    attributes = struct.pack(
        "=IIQQQQQIIQ",
        _TYPE_SOFTWARE,
        64,
        _TASK_CLOCK,
        0,
        0,
        _READ_TIMES,
        _DISABLED | _INHERIT | _EXCLUDE_KERNEL | _EXCLUDE_HV | _ENABLE_ON_EXEC,
        0,
        0,
        0,
    )
    syscall = ctypes.CDLL(None).syscall
    syscall.restype = ctypes.c_long
    for flags in (_FLAG_FD_CLOEXEC, 0):  # kernels before 3.14 do not know the flag
        fd = syscall(
            ctypes.c_long(number),
            ctypes.c_char_p(attributes),
            ctypes.c_int(pid),
            ctypes.c_int(-1),
            ctypes.c_int(-1),
            ctypes.c_ulong(flags),
        )
        if fd >= 0:
            os.set_inheritable(fd, False)
            return int(fd)
    return None


class SecondOpinion:
    """The counter beside the kernel's accounting: it speaks only when it saw clearly more.

    `proc`: where procfs is mounted.
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._fd: int | None = None
        self._seen_s = 0.0
        self._stolen_before_s: float | None = None

    def attach(self, pid: int) -> None:
        """Count from the next exec of `pid` on, where that is allowed."""
        self._fd = open_task_clock(pid)

    @property
    def is_there(self) -> bool:
        """Tell whether the kernel allowed the counter."""
        return self._fd is not None

    def of(self, counted_s: float, *, suspicious: bool) -> float | None:
        """Return the CPU seconds of the tree if `counted_s` falls clearly short of them.

        Clearly: by 3 % and 0.1 s where it is `suspicious`, by half where it is not; and by what a
        hypervisor says to have stolen meanwhile, for that stands in the counter and not in the
        accounting. Not all of them say so: 15 % too much were seen on a busy host.
        """
        if self._fd is None:
            return None
        if self._stolen_before_s is None:
            self._stolen_before_s = stolen_s(self._proc)
        self._seen_s = max(self._seen_s, _read_s(self._fd))
        share, least_s = _SUSPICIOUS if suspicious else _UNSUSPICIOUS
        excess_s = self._seen_s - counted_s - max(share * counted_s, least_s)
        if excess_s > 0 and excess_s > stolen_s(self._proc) - self._stolen_before_s:
            return self._seen_s
        return None

    def close(self) -> None:
        """Close the counter."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _read_s(fd: int) -> float:
    """Return the CPU seconds counted so far; 0 once the kernel has closed the source."""
    try:
        data = os.read(fd, 24)
    except OSError:
        return 0.0
    return int(struct.unpack_from("=Q", data)[0]) / 1e9 if len(data) >= 8 else 0.0
