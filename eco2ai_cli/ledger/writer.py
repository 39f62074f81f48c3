"""Append rows to a ledger: under a lock, in one write, whole or not at all.

What only a spool or a torn line needs is imported when there is one: a run's end is to be short.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.chain import chained_lines
from eco2ai_cli.ledger.columns import COLUMNS, Cells
from eco2ai_cli.ledger.header import missing_columns, read_header
from eco2ai_cli.ledger.lock import (
    LOCK_TIMEOUT_S,
    NoLocks,
    NotLocked,
    open_locked,
    open_unlocked,
    spool_of,
)
from eco2ai_cli.ledger.precheck import cannot
from eco2ai_cli.ledger.tail import Tail, ending, read_tail

Write = Callable[[int, bytes], int]

CLAIM_TIMEOUT_S = 2.0
_LONGEST_PAUSE_S = 0.02
_AT_ONCE_S = 0.05


class Kept(NamedTuple):
    """Where the rows of a run are now, and a sentence for each thing that its user should know."""

    path: str
    notes: tuple[str, ...]


def append(
    path: str,
    rows: Sequence[Cells],
    *,
    key: bytes | None = None,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
    write: Write = os.write,
) -> Kept:
    """Append the rows of one run to the ledger at `path`, which is made if it is missing.

    A row maps column names to values, `row_hash` excepted; None or a missing name is an empty
    cell. Rows that wait in the spool go before them, columns that the file lacks are added, and
    a torn last line is set aside. Where another process holds the lock for longer than
    `lock_timeout_s`, or there are no locks, the rows go to the spool. Raises LedgerError, with
    the file as it was before, if the system refuses. Rows are not forced to the disk: that takes
    longer than a run may be held up for, and only a power cut within seconds of its end can lose
    a row.
    """
    try:
        try:
            fd = open_locked(path, lock_timeout_s)
        except NotLocked as reason:
            return _by_spool(path, rows, key, write, reason)
        try:
            notes = _add(fd, path, rows, key, write)
        finally:
            os.close(fd)
    except OSError as error:
        raise cannot(path, error) from error
    return Kept(path, notes)


def append_now(
    path: str, rows: Sequence[Cells], *, key: bytes | None = None, write: Write = os.write
) -> tuple[str, ...]:
    """Append rows of a run that goes on, like `append`, but only if that can be done at once.

    Raises LedgerError, with the file as it was before, where the lock is not to be had within
    0.05 s or the system refuses: nothing waits in the spool, for what is not saved can be kept.
    """
    try:
        fd = open_locked(path, _AT_ONCE_S)
        try:
            return _add(fd, path, rows, key, write)
        finally:
            os.close(fd)
    except (NotLocked, OSError) as error:
        raise LedgerError(f"`{path}` is not to be written now: {error}") from error


def take_in(path: str, *, key: bytes | None = None, lock_timeout_s: float = 1.0) -> tuple[str, ...]:
    """Take the rows that wait in the spool of the ledger at `path` into it, if that can be done.

    Return what the user should know; where it cannot be done they wait on, and nothing is said.
    """
    if not os.path.isdir(spool_of(path)):
        return ()
    try:
        try:
            fd = open_locked(path, lock_timeout_s)
        except NoLocks:
            return _take_in_by_claim(path, key, os.write)
        try:
            return _add(fd, path, (), key, os.write)
        finally:
            os.close(fd)
    except (LedgerError, OSError):
        return ()


def write_whole(fd: int, data: bytes, size: int, write: Write) -> None:
    """Write `data` at the end of a file of `size` bytes with one call; if it fails, undo it."""
    try:
        written = write(fd, data)
        if written < len(data):
            raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes could be written")
    except BaseException:
        os.ftruncate(fd, size)
        raise


def _by_spool(
    path: str, rows: Sequence[Cells], key: bytes | None, write: Write, reason: NotLocked
) -> Kept:
    from eco2ai_cli.ledger import spool

    waiting_at = spool.put(path, rows, key=key)
    notes: tuple[str, ...] = ()
    if isinstance(reason, NoLocks):
        deadline_s = time.monotonic() + CLAIM_TIMEOUT_S
        try:
            notes = _take_in_by_claim(path, key, write)
            while os.path.exists(waiting_at) and time.monotonic() < deadline_s:
                time.sleep(os.urandom(1)[0] / 255 * _LONGEST_PAUSE_S)
                notes += _take_in_by_claim(path, key, write)
        except (LedgerError, OSError) as error:
            reason = NotLocked(str(error))
        if not os.path.exists(waiting_at):
            return Kept(path, notes)
    said = f"{reason}; the row waits in `{waiting_at}`, for the next run or `eco2ai report`"
    return Kept(waiting_at, (*notes, said))


def _take_in_by_claim(path: str, key: bytes | None, write: Write) -> tuple[str, ...]:
    from eco2ai_cli.ledger import claim, spool

    if claim.is_busy(spool_of(path)):
        return ()
    with spool.taken_in(path, partial(_held, path), alone=False, key=key) as waiting:
        notes = waiting.notes
        if waiting.rows:
            fd = open_unlocked(path)  # not before the claim: only then has it come to rest
            try:
                notes += _write(fd, path, waiting.rows, key, write)
            finally:
                os.close(fd)
    return notes


def _add(
    fd: int, path: str, rows: Sequence[Cells], key: bytes | None, write: Write
) -> tuple[str, ...]:
    """Write what waits, then `rows`, to the ledger that is locked as `fd`."""
    if not os.path.isdir(spool_of(path)):
        return _write(fd, path, rows, key, write)
    from eco2ai_cli.ledger import spool

    with spool.taken_in(path, partial(_held, path), alone=True, key=key) as waiting:
        return waiting.notes + _write(fd, path, (*waiting.rows, *rows), key, write)


def _held(path: str, run_id: str) -> list[dict[str, str]]:
    """Return the rows of a run that the ledger at `path` holds; a torn one is none."""
    from eco2ai_cli.ledger.search import rows_of

    fd = open_unlocked(path)
    try:
        names = read_header(fd, path)
        return rows_of(fd, read_tail(fd, path, names).end, names, run_id)
    finally:
        os.close(fd)


def _write(
    fd: int, path: str, rows: Sequence[Cells], key: bytes | None, write: Write
) -> tuple[str, ...]:
    """Write `rows` to the end of the open ledger; return what there is to say."""
    if not rows:
        return ()
    names = read_header(fd, path)
    tail, notes = _without_torn_line(fd, path, read_tail(fd, path, names))
    if names and missing_columns(names):
        from eco2ai_cli.ledger.extension import extend

        extend(fd, path, names, rows, tail.last_hash, key=key)
    else:
        data = tail.lead + chained_lines(rows, names or COLUMNS, tail.last_hash, key)
        write_whole(fd, data, os.fstat(fd).st_size, write)
    return notes


def _without_torn_line(fd: int, path: str, tail: Tail) -> tuple[Tail, tuple[str, ...]]:
    if tail.end == os.fstat(fd).st_size:
        return tail, ()
    from eco2ai_cli.ledger import torn

    try:
        target = torn.set_aside(fd, path, tail.end)
    except OSError as error:
        said = f"the last line of `{path}` is torn and could not be moved: {error.strerror}"
        return Tail(tail.end, ending(fd, tail.end), ""), (said,)
    return tail, (f"the last line of `{path}` was torn; it was moved to `{target}`",)
