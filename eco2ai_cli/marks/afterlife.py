"""See to it that nobody who writes marks blocks or dies when we have ended, in whatever way.

Who has a FIFO open for writing dies of SIGPIPE when it has no reader, and who opens one that has
none waits for ever.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import stat
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, NoReturn

from eco2ai_cli.launch import descriptors, libc
from eco2ai_cli.marks.channel import FIFO, FOLDER_PREFIX, Channel

_PIECE_BYTES = 1 << 16


class Ends(NamedTuple):
    """What is open of a FIFO: its two ends, and its folder, which is locked."""

    path: str
    read_fd: int
    write_fd: int
    folder_fd: int


def retire(ends: Ends, *, leave_folder: bool) -> None:
    """Remove the FIFO and close the ends; where there are writers left, leave a reader to them.

    The folder stays with `leave_folder`, and where there are writers, who may come again.
    """
    with contextlib.suppress(OSError):
        fcntl.fcntl(ends.read_fd, fcntl.F_SETFL, os.O_NONBLOCK)  # no signals any more
    with contextlib.suppress(OSError):
        os.unlink(ends.path)  # first: then nobody can become a writer unseen
    os.close(ends.write_fd)
    if _has_writers(ends.read_fd):
        leave_folder = True
        with contextlib.suppress(OSError):
            if os.fork() == 0:
                _go_apart(b"eco2ai-drain", (ends.read_fd,), partial(_drain, ends.read_fd))
    if not leave_folder:
        _remove_folder(ends.path)
    os.close(ends.read_fd)
    os.close(ends.folder_fd)


def keep(ends: Ends, command: int) -> int:
    """Fork a process that takes our place at the FIFO when we are gone; return its pid or -1.

    Until then it waits. From then on it reads and forgets, until the process `command` has ended.
    """
    life_read, life_write = os.pipe()  # nothing is written: its end of file is our end
    command_fd = _open_process(command)
    try:
        pid = os.fork()
    except OSError:
        pid = -1
    if pid == 0:
        body = partial(_stand_in, ends, command_fd, life_read)
        _go_apart(b"eco2ai-keeper", (*ends[1:], life_read, command_fd), body)
    os.close(life_read)
    if command_fd >= 0:
        os.close(command_fd)
    if pid < 0:
        os.close(life_write)
    return pid


def dismiss(keeper: int) -> None:
    """End a keeper and reap it."""
    # If somebody killed it and it was reaped, its pid may be another's by now.
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.waitid(os.P_PID, keeper, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        os.kill(keeper, signal.SIGKILL)
        os.waitid(os.P_PID, keeper, os.WEXITED)


def discard(path: str) -> bool:
    """Remove what a run that was killed has left of its FIFO at `path`; False while it is in use.

    Who waits to open it is let go. Nothing is touched that is not ours or has another name.
    """
    folder, name = os.path.split(path)
    if name != FIFO or not os.path.basename(folder).startswith(FOLDER_PREFIX):
        return True
    try:
        folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        if os.fstat(folder_fd).st_uid != os.geteuid():
            return True
        fcntl.flock(folder_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISFIFO(os.lstat(path).st_mode):
            retire(Channel(path, os.dup(folder_fd)).ends, leave_folder=False)
        else:
            os.unlink(path)
    except BlockingIOError:
        return False
    except OSError:
        pass
    finally:
        os.close(folder_fd)
    _remove_folder(path)
    return True


def _has_writers(read_fd: int) -> bool:
    """Tell whether anyone but us has the FIFO open for writing."""
    try:
        while os.read(read_fd, _PIECE_BYTES):
            pass
    except BlockingIOError:
        return True
    return False


def _remove_folder(path: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))


def _drain(read_fd: int) -> None:
    os.set_blocking(read_fd, True)
    while os.read(read_fd, _PIECE_BYTES):
        pass


def _open_process(pid: int) -> int:
    """Return a descriptor that tells the end of a process; -1 before Linux 5.3."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def _stand_in(ends: Ends, command_fd: int, life_fd: int) -> None:
    """Wait for the end of our parent, then read for it until the command has ended, and clean up.

    Where the end of the command cannot be waited for, there is no FIFO any more when our parent
    has ended, and the shells of the command make a plain file.
    """
    os.read(life_fd, 1)
    if command_fd >= 0:
        _drain_until(command_fd, ends.read_fd)
    os.unlink(ends.path)
    os.close(ends.write_fd)
    _drain(ends.read_fd)
    if command_fd >= 0:
        _remove_folder(ends.path)


def _drain_until(ended_fd: int, read_fd: int) -> None:
    import select

    os.set_blocking(read_fd, False)
    poll = select.poll()
    poll.register(ended_fd, select.POLLIN)
    poll.register(read_fd, select.POLLIN)
    while ended_fd not in (fd for fd, _ in poll.poll()):
        with contextlib.suppress(BlockingIOError):
            os.read(read_fd, _PIECE_BYTES)


def _go_apart(name: bytes, kept: tuple[int, ...], body: Callable[[], object]) -> NoReturn:
    """Do what is left to do in this process, a fork of ours, in nobody's way, and end."""
    try:
        os.setsid()  # no terminal and no group of a shell's job ends it
        libc.set_name(name)
        os.chdir("/")
        for fd in descriptors.open_numbers():
            if fd not in kept:
                with contextlib.suppress(OSError):  # the one that listed the others
                    os.close(fd)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        body()
    finally:
        os._exit(0)
