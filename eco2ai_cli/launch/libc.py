"""The process attributes that only prctl(2) can set."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, argument: int | bytes) -> None:
    function = ctypes.CDLL(None, use_errno=True).prctl
    value = ctypes.c_char_p(argument) if isinstance(argument, bytes) else ctypes.c_ulong(argument)
    if function(ctypes.c_int(option), value, ctypes.c_ulong(0), ctypes.c_ulong(0), 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def become_subreaper() -> None:
    """Have the orphans of our descendants given to us instead of to init."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Have this process killed when `parent`, its parent, ends in whatever way."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we had said so
        os._exit(125)


def leave_no_core() -> None:
    """Have no core dump made of this process: a limit of 0 does not keep one out of a pipe."""
    _prctl(_PR_SET_DUMPABLE, 0)


def set_name(name: bytes) -> None:
    """Set what `ps` and `top` call this process; 15 bytes at most."""
    _prctl(_PR_SET_NAME, name)
