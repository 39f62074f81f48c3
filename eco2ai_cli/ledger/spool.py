"""Rows that wait beside a ledger, in `<ledger>.spool/`, until a writer takes them in.

One file a run, a small ledger of its own, made whole before it gets its name. Whoever may write
the ledger takes them in; a claim in the folder says so, and outlives one who is killed meanwhile:
then, and only then, the ledger itself is searched for what it already holds.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from eco2ai_cli.ledger import claim
from eco2ai_cli.ledger.columns import COLUMNS, PAPER_COLUMNS, ROW_HASH, Cells, line
from eco2ai_cli.ledger.lock import spool_of

_SUFFIX = ".csv"
_FOLDER_TRIES = 20
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Waiting(NamedTuple):
    """What waits for a ledger: rows, the oldest first, and a sentence for each unusable file."""

    rows: tuple[Cells, ...]
    notes: tuple[str, ...]


def place(path: str, run_id: str) -> str:
    """Return the file in which the rows of a run wait for the ledger at `path`."""
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in run_id)
    return os.path.join(spool_of(path), name + _SUFFIX)


def files(path: str) -> list[str]:
    """Return the files that wait for the ledger at `path`; as a rule there are none."""
    folder = spool_of(path)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [
        os.path.join(folder, name)
        for name in names
        if name.endswith(_SUFFIX) and not name.startswith(".")
    ]


def put(path: str, rows: Sequence[Cells], *, key: bytes | None = None) -> str:
    """Leave the rows of one run in the spool of the ledger at `path`; return their file.

    Raises OSError, with nothing left behind, if the system refuses or they wait there already.
    """
    from eco2ai_cli.ledger.chain import chained_lines
    from eco2ai_cli.ledger.writer import write_whole

    data = line(COLUMNS) + chained_lines(rows, COLUMNS, "", key)
    target = place(path, str(rows[0]["id"]))
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}")
    fd = _create(temporary, path)
    try:
        try:
            write_whole(fd, data, 0, os.write)
            _share(fd, path, is_folder=False)
        finally:
            os.close(fd)
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "rows of this run wait there already")
        os.rename(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return target


@contextmanager
def taken_in(
    path: str, held: Callable[[str], Sequence[Mapping[str, str]]], *, alone: bool, key: bytes | None
) -> Iterator[Waiting]:
    """Hand out the rows that wait for the ledger at `path`, and forget them when all went well.

    Only what is chained by `key`, or by none if there is none: in the ledger every row gets a new
    hash, and one that was altered while it waited would get a good one.

    `held` says which rows of a run the ledger has already; it is asked only if somebody died
    while he took rows in. Unless we are `alone`, by a lock on the ledger, nothing is handed out
    while another takes rows in.
    """
    if not files(path):
        yield Waiting((), ())
        return
    own, others, note = _claimed(path, alone)
    if not own:
        yield Waiting((), note)
        return
    usable: list[str] = []
    rows: list[Cells] = []
    notes: list[str] = []
    for file in files(path):  # again: before we had the claim, another may have taken some
        try:
            part = _rows_in(file, key)
        except (OSError, ValueError) as error:
            notes.append(f"`{file}` cannot be taken into the ledger: {error}")
            continue
        usable.append(file)
        rows += _lacking(part, held(str(part[0]["id"]))) if others else part
    rows.sort(key=lambda row: str(row.get("end_time") or ""))
    if not alone and not os.path.exists(own):  # the search took so long that we passed for dead
        yield Waiting((), ())
        return
    try:
        yield Waiting(tuple(rows), tuple(notes))
    except BaseException:
        claim.leave(own)
        raise
    _forget(usable, others, own)


def _lacking(
    part: Sequence[Mapping[str, str]], held: Sequence[Mapping[str, str]]
) -> list[Mapping[str, str]]:
    """Return the rows of `part` that are not among those that the ledger holds."""
    there = [_filled(row) for row in held]
    return [row for row in part if _filled(row) not in there]


def _filled(row: Mapping[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if cell and name != ROW_HASH}


def _claimed(path: str, alone: bool) -> tuple[str, list[str], tuple[str, ...]]:
    """Claim what waits; return our claim, those of the dead, and what there is to say.

    The claim is empty if it is not to be had now.
    """
    try:
        own, others = claim.make(spool_of(path))
    except FileNotFoundError:  # emptied, and removed, at this very moment
        return "", [], ()
    except OSError as error:  # not ours to empty: its owner's next run does
        return "", [], (f"rows wait in `{spool_of(path)}`: {error.strerror}",)
    if not alone and any(claim.is_alive(other, own) for other in others):
        _forget((), (), own)
        return "", [], ()
    return own, others, ()


def _forget(taken: Sequence[str], others: Sequence[str], own: str) -> None:
    """Remove the files whose rows the ledger holds now, and then the claims that told of them."""
    try:
        for file in taken:
            os.unlink(file)
    except OSError:
        claim.leave(own)
        return
    for file in (*others, own):
        with suppress(OSError):  # whoever has finished meanwhile took his own away
            os.unlink(file)
    with suppress(OSError):
        os.rmdir(os.path.dirname(own))


def _rows_in(file: str, key: bytes | None) -> list[Mapping[str, str]]:
    """Return the rows of a spooled file. Raises ValueError if it is not one, or not as written."""
    import csv
    import sys

    from eco2ai_cli.ledger.chain import row_hash

    csv.field_size_limit(sys.maxsize)
    fd = os.open(file, OPEN_FLAGS)
    with open(fd, "rb") as opened:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("it is not a regular file")
        data = opened.read()
    if not data:
        raise ValueError("it is empty")
    # As bytes, and at newlines: a text, or `splitlines`, is split at more than that.
    reader = csv.reader(line.decode() for line in io.BytesIO(data))
    try:
        names, *lines = reader
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if not {*PAPER_COLUMNS, ROW_HASH} <= set(names) <= set(COLUMNS):
        raise ValueError("its columns are not those of this version")
    if not lines or not data.endswith(b"\n") or any(len(row) != len(names) for row in lines):
        raise ValueError("it is not whole")
    hash_at, last_hash = names.index(ROW_HASH), ""
    for row in lines:
        last_hash = row_hash(last_hash, names, row, key)
        if row[hash_at] != last_hash:
            reason = "its hash does not hold: it was altered, or chained with another key"
            raise ValueError(reason)
    return [
        {name: cell for name, cell in zip(names, row, strict=True) if name != ROW_HASH}
        for row in lines
    ]


def _create(temporary: str, path: str) -> int:
    folder = os.path.dirname(temporary)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    for _ in range(_FOLDER_TRIES):
        with suppress(FileExistsError):
            os.mkdir(folder)
            _share(folder, path, is_folder=True)
        # Gone again: somebody has emptied the spool at this very moment.
        with suppress(FileNotFoundError):
            return os.open(temporary, flags, 0o666)
    return os.open(temporary, flags, 0o666)


def _share(made: str | int, path: str, *, is_folder: bool) -> None:
    """Give what we made to those who may write the ledger: they shall be able to take it in."""
    with suppress(OSError):
        status = os.stat(path)
        mode = status.st_mode & 0o666
        if is_folder:
            mode |= 0o700 | (mode & 0o444) >> 2
        os.chown(made, -1, status.st_gid)
        os.chmod(made, mode)
