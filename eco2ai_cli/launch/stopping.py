"""Stop as the command stopped, so that our caller sees it and can resume us both."""

from __future__ import annotations

import contextlib
import os
import signal


def stop(number: int) -> None:
    """Stop by the signal `number`, which is blocked; returns when we were resumed."""
    os.kill(os.getpid(), number)  # still blocked, it is one with what the group was sent
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})  # here we stay until resumed
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})


def will_be_resumed(holder: int | None) -> bool:
    """Tell whether a shell with job control waits for us, and `holder` has its terminal.

    Within a script nobody would: who stopped the command from elsewhere resumes it alone.
    """
    parent = os.getppid()
    try:
        is_jobs_shell = os.getsid(parent) == os.getsid(0) and os.getpgid(parent) != os.getpgrp()
    except OSError:
        return False
    return is_jobs_shell and holder is not None and holder == terminal_holder()


def terminal_holder() -> int | None:
    """Return the process group that our terminal listens to; None without a terminal."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.tcgetpgrp(terminal)
    except OSError:
        return None
    finally:
        os.close(terminal)


def hand_terminal_over(group: int) -> None:
    """Have our terminal listen to the process group `group`, if it is still there."""
    with contextlib.suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            os.tcsetpgrp(terminal, group)
        finally:
            os.close(terminal)
