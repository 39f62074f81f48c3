"""Hold no end of a pipe that is the command's: who reads it must see its end of file in time."""

from __future__ import annotations

import os


def fill_standard_gaps() -> None:
    """Open /dev/null where 0, 1 or 2 are closed, so that no file of ours gets such a number.

    They close again at the exec: the command finds them closed, as we did.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)  # takes the lowest free number


def let_go() -> None:
    """Close every inherited descriptor in this process, after the spawn; keep standard error.

    What Python or we opened is close-on-exec; what we inherited is not: that tells them apart.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in (0, 1):
        os.dup2(null, number, inheritable=False)
    os.close(null)
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            if number > 2 and os.get_inheritable(number):
                os.close(number)
        except OSError:
            continue  # the one that listed the others
