"""Hold no end of a pipe that is the command's: who reads it must see its end of file in time."""

from __future__ import annotations

import os
from collections.abc import Iterable

_OWN_DESCRIPTORS = "/proc/self/fd"


def fill_standard_gaps() -> None:
    """Open /dev/null where 0, 1 or 2 are closed, so that no file of ours gets such a number.

    They close again at the exec: the command finds them closed, as we did.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)  # takes the lowest free number


def open_numbers(folder: str = _OWN_DESCRIPTORS) -> Iterable[int]:
    """Return the numbers of our open descriptors; more than those where there is no procfs."""
    try:
        return [int(name) for name in os.listdir(folder)]
    except OSError:
        return range(256)


def let_go(folder: str = _OWN_DESCRIPTORS) -> None:
    """Close every inherited descriptor in this process, after the spawn; keep standard error.

    What Python or we opened is close-on-exec; what we inherited is not: that tells them apart.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in (0, 1):
        os.dup2(null, number, inheritable=False)
    os.close(null)
    for number in open_numbers(folder):
        try:
            if number > 2 and os.get_inheritable(number) and not _holds_a_lock(number):
                os.close(number)
        except OSError:
            continue  # the one that listed the others


def _holds_a_lock(number: int) -> bool:
    """Tell whether our process holds a POSIX lock on that file: closing it would let the lock go.

    The caller may have locked it before the exec of us, to run the command alone.
    """
    try:
        with open(f"/proc/self/fdinfo/{number}", "rb") as file:
            return b": POSIX " in file.read()
    except OSError:
        return False
