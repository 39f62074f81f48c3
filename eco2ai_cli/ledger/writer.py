"""Append rows to a ledger: under a lock, in one write, whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Sequence

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.columns import COLUMNS, Cells, line
from eco2ai_cli.ledger.header import missing_columns, read_header
from eco2ai_cli.ledger.precheck import OPEN_FLAGS, cannot, check_kind

Write = Callable[[int, bytes], int]

LOCK_TIMEOUT_S = 10.0
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
"""What file systems answer that know no locks: Lustre and some NFS and FUSE mounts."""
_FIRST_PAUSE_S = 0.0005
_LONGEST_PAUSE_S = 0.02


def append(
    path: str,
    rows: Sequence[Cells],
    *,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
    write: Write = os.write,
) -> None:
    """Append the rows of one run to the ledger at `path`, which is made if it is missing.

    A row maps column names to values, `row_hash` excepted; None or a missing name is an empty
    cell. The columns that the file lacks are added to it first. Raises LedgerError, with the
    file as it was before, if another process holds the lock for longer than `lock_timeout_s`
    or the system refuses. Rows are not forced to the disk: that takes longer than a run may be
    held up for, and only a power cut within seconds of its end can lose a row.
    """
    from eco2ai_cli.ledger import chain  # loads hashlib: not before the command has ended

    try:
        fd = _open_locked(path, lock_timeout_s)
        try:
            names = read_header(fd, path)
            if names and missing_columns(names):
                from eco2ai_cli.ledger.extension import extend

                extend(fd, path, names, rows)
                return
            size = os.fstat(fd).st_size
            if names:
                start, previous = chain.last_link(fd, size, names)
            else:
                names, start, previous = COLUMNS, line(COLUMNS), ""
            data = start + chain.chained_lines(rows, names, previous)
            write_whole(fd, data, size, write)
        finally:
            os.close(fd)
    except OSError as error:
        raise cannot(path, error) from error


def write_whole(fd: int, data: bytes, size: int, write: Write) -> None:
    """Write `data` at the end of a file of `size` bytes with one call; if it fails, undo it."""
    try:
        written = write(fd, data)
        if written < len(data):
            raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes could be written")
    except BaseException:
        os.ftruncate(fd, size)
        raise


def _open_locked(path: str, timeout_s: float) -> int:
    """Return a descriptor of the file that `path` names now, locked against other writers."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        fd = os.open(path, OPEN_FLAGS | os.O_CREAT, 0o666)
        try:
            check_kind(path, os.fstat(fd).st_mode)
            if not _locked(fd, deadline_s):
                raise LedgerError(
                    f"another process has kept `{path}` locked for {timeout_s:g} s",
                    hint=f"see which with `fuser -v {path}`",
                )
            if _is_still_at(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _locked(fd: int, deadline_s: float) -> bool:
    # Asked for again and again, since waiting in flock(2) could only be ended by a signal.
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return True  # one write to the end stays whole on one machine even so
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
