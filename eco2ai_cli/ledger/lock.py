"""Keep other writers off a ledger while one writes, for no longer than a stated time."""

from __future__ import annotations

import errno
import fcntl
import os
import time

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.precheck import OPEN_FLAGS, check_kind

LOCK_TIMEOUT_S = 10.0
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
"""What file systems answer that know no locks: Lustre, and some NFS and FUSE mounts."""
_FIRST_PAUSE_S = 0.0005
_LONGEST_PAUSE_S = 0.02


class NotLocked(LedgerError):
    """A lock that another process has kept for too long."""


class NoLocks(NotLocked):
    """A file system that has no locks."""


def open_locked(path: str, timeout_s: float) -> int:
    """Return a descriptor of the file that `path` names now, locked against other writers.

    The file is made if it is missing. Raises NotLocked or NoLocks, OSError, and LedgerError if it
    is not a regular file.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        fd = open_unlocked(path)
        try:
            if not _locked(fd, path, fcntl.LOCK_EX, deadline_s):
                raise NotLocked(
                    f"another process has kept `{path}` locked for {timeout_s:g} s",
                    hint=f"see which with `fuser -v {path}`",
                )
            if _is_still_at(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def spool_of(path: str) -> str:
    """Return the folder for rows that wait for the ledger at `path`: beside the file itself."""
    return (os.path.realpath(path) if os.path.islink(path) else path) + ".spool"


def open_unlocked(path: str) -> int:
    """Return a descriptor of the file at `path`, which is made if it is missing."""
    fd = os.open(path, OPEN_FLAGS | os.O_CREAT, 0o666)
    try:
        check_kind(path, os.fstat(fd).st_mode)
    except BaseException:
        os.close(fd)
        raise
    return fd


def size_between_writes(fd: int, path: str, timeout_s: float) -> int:
    """Return the size of an open file at a moment at which no row is being written.

    Where there is no such moment within `timeout_s`, or there are no locks, its size as it is.
    """
    try:
        if _locked(fd, path, fcntl.LOCK_SH, time.monotonic() + timeout_s):
            size = os.fstat(fd).st_size
            fcntl.flock(fd, fcntl.LOCK_UN)
            return size
    except (NoLocks, OSError):
        pass
    return os.fstat(fd).st_size


def knows_locks(path: str) -> bool | None:
    """Tell whether the file system of `path`, or of its folder, has locks; None: who knows.

    Asks for a shared lock and lets go of it at once.
    """
    existing = path if os.path.exists(path) else os.path.dirname(path) or os.curdir
    try:
        fd = os.open(existing, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        return True if error.errno in (errno.EAGAIN, errno.EACCES) else None
    finally:
        os.close(fd)  # which gives the lock back
    return True


def _locked(fd: int, path: str, kind: int, deadline_s: float) -> bool:
    # Asked for again and again, since waiting in flock(2) could only be ended by a signal.
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                raise NoLocks(f"the file system of `{path}` has no locks") from error
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        else:
            return True


def _is_still_at(fd: int, path: str) -> bool:
    """Tell whether `path` names the open file: while we waited another may have taken its place."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
