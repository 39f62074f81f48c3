"""End as the command ended, so that our caller sees what it would have seen without us."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import NoReturn

from eco2ai_cli.launch import libc


def end_like(status: int) -> NoReturn:
    """Exit with the status of a child, or die of the signal it died of (a wait(2) status)."""
    flush_standard_streams()
    if os.WIFSIGNALED(status):
        die_of(os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def die_of(number: int) -> NoReturn:
    """Die of the signal `number`, without leaving a core file of ours."""
    with contextlib.suppress(OSError):
        libc.leave_no_core()
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        with contextlib.suppress(OSError, ValueError):  # two are the C library's own
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # process 1 of a container does not die of signals; shells say 128 + n


def flush_standard_streams() -> None:
    """Flush what was said; a reader that has gone is no fault of the command's."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
