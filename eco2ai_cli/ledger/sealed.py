"""The sealed ledger: rows that only who has the secret can read, and that nobody else can change.

Each run appends one record, which holds its rows as a ledger does: a header and lines of CSV,
chained by the secret to the rows before.
"""

from __future__ import annotations

import csv
import io
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger import seal, torn
from eco2ai_cli.ledger.chain import chained_lines
from eco2ai_cli.ledger.columns import COLUMNS, ROW_HASH, Cells, line
from eco2ai_cli.ledger.lock import (
    LOCK_TIMEOUT_S,
    open_locked,
    open_unlocked,
    size_between_writes,
)
from eco2ai_cli.ledger.precheck import OPEN_FLAGS, cannot, check_folder, check_kind
from eco2ai_cli.ledger.seal import FIRST_LINK, MAGIC, Altered, Seal
from eco2ai_cli.ledger.writer import Kept, Write, write_whole

PREFIX = "encoded_"
"""The eco2AI paper's name of such a file is `encoded_emission.csv` (Budennyy et al. 2022)."""
_ANY_VERSION = b"eco2ai-sealed-"
_HEADER_BYTES = 4096
_BLOCK_BYTES = 65536
_READ_PATIENCE_S = 1.0


class Opened(NamedTuple):
    """A record that is as it was sealed, where it stands: its columns and its rows."""

    line: int
    number: int
    names: list[str]
    rows: list[list[str]]


class Flaw(NamedTuple):
    """What does not hold at a line: `seal`, `seal-order`, `seal-key` or `torn`, and why."""

    kind: str
    line: int
    why: str


class _End(NamedTuple):
    """Where the whole records of a file end, what leads over to a new one, and the last of them.

    Without a `seal` the file is to be begun.
    """

    at: int
    lead: bytes = b""
    seal: Seal | None = None
    number: int = 0
    tag: bytes = FIRST_LINK
    last_hash: str = ""


def sealed_path(ledger: str) -> str:
    """Return the name of the sealed ledger beside a ledger: `encoded_` and its name."""
    folder, name = os.path.split(ledger)
    return os.path.join(folder, PREFIX + name)


def is_sealed(path: str) -> bool:
    """Tell whether the file at `path` is a sealed ledger; False if it cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # what a FIFO holds can be read only once
            return False
        with open(path, "rb") as file:
            return file.read(len(_ANY_VERSION)) == _ANY_VERSION
    except (OSError, ValueError):
        return False


def check_sealed(path: str, key: bytes) -> None:
    """Raise LedgerError if rows could not be sealed in `path`; create and change nothing."""
    seal.ensure_installed()
    try:
        fd = os.open(path, OPEN_FLAGS)
    except FileNotFoundError:
        check_folder(path)
        return
    except (OSError, ValueError) as error:
        raise cannot(path, error) from error
    try:
        check_kind(path, os.fstat(fd).st_mode)
        _end(fd, path, key)
    except OSError as error:
        raise cannot(path, error) from error
    finally:
        os.close(fd)


def append_sealed(
    path: str,
    rows: Sequence[Cells],
    key: bytes,
    *,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
    write: Write = os.write,
) -> Kept:
    """Append the rows of one run, as one record, to the sealed ledger at `path`.

    The file is made if it is missing, and a torn last record is set aside. Where another process
    keeps it locked, there are no locks, or its end was altered, the rows go to a sealed ledger of
    their own, `<name>-<id>.csv` beside it. Raises LedgerError, with the file as it was before, if
    the system refuses or the package that seals is missing.
    """
    seal.ensure_installed()
    if not rows:
        return Kept(path, ())
    try:
        fd = open_locked(path, lock_timeout_s)
        try:
            return Kept(path, _add(fd, path, rows, key, write))
        finally:
            os.close(fd)
    except LedgerError as error:
        reason = error
    except OSError as error:
        raise cannot(path, error) from error
    root, suffix = os.path.splitext(path)
    own = f"{root}-{rows[0]['id']}{suffix}"
    try:
        fd = open_unlocked(own)  # nobody else's: its name is that of the run
        try:
            notes = _add(fd, own, rows, key, write)
        finally:
            os.close(fd)
    except OSError as error:
        raise cannot(own, error) from error
    return Kept(own, (f"{reason}; the row is sealed in `{own}` instead", *notes))


def open_sealed(
    path: str, keys: Sequence[bytes], *, until_bytes: int | None = None
) -> Iterator[Opened | Flaw]:
    """Yield every record of a sealed ledger that is genuine, and every flaw, in their order.

    Raises LedgerError if the file cannot be read or is no sealed ledger, or the package is missing.
    """
    seal.ensure_installed()
    try:
        with open(path, "rb") as file:
            if until_bytes is None:
                until_bytes = size_between_writes(file.fileno(), path, _READ_PATIENCE_S)
            header = _header_in(path, file.readline(_HEADER_BYTES)) or b""
            fitting = (found for found in (Seal(header, key) for key in keys) if found.fits)
            sealed_by = next(fitting, None)
            if sealed_by is None:
                yield Flaw("seal-key", 1, "sealed with another key, or the line was altered")
                return
            yield from _records(_lines(file, until_bytes), sealed_by)
    except OSError as error:
        raise LedgerError(f"cannot read the sealed ledger `{path}`: {error.strerror}") from error


def _lines(file: io.BufferedReader, until_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines behind the first with their numbers; those that are empty are left out."""
    number = 1
    # The file may be shorter by now: a torn record was set aside.
    while text := file.readline(max(0, until_bytes - file.tell())):
        number += 1
        if text.strip():
            yield number, text


def _records(lines: Iterator[tuple[int, bytes]], sealed_by: Seal) -> Iterator[Opened | Flaw]:
    expected = 1
    link: bytes | None = FIRST_LINK
    for number, text in lines:
        try:
            record = sealed_by.opened(text)
        except Altered as error:
            if text.endswith(b"\n"):
                yield Flaw("seal", number, str(error))
            else:
                yield Flaw("torn", number, "the last record is torn, as a power cut does")
            expected += 1
            link = None
            continue
        if record.number != expected:
            why = f"record {record.number} stands where record {expected} should"
            yield Flaw("seal-order", number, f"{why}: records were removed, moved or added")
        elif link is not None and record.link != link:
            why = f"record {record.number} was written after another record than stands before it"
            yield Flaw("seal-order", number, f"{why}: that one was replaced")
        expected, link = record.number + 1, record.tag
        names, *rows = _table(record.content)
        yield Opened(number, record.number, names, rows)


def _add(fd: int, path: str, rows: Sequence[Cells], key: bytes, write: Write) -> tuple[str, ...]:
    """Write a record to the end of the open file; return what there is to say."""
    end = _end(fd, path, key)
    notes: tuple[str, ...] = ()
    if end.at < os.fstat(fd).st_size:
        target = torn.set_aside(fd, path, end.at)
        notes = (f"the last record of `{path}` was torn; it was moved to `{target}`",)
    data, sealed_by = end.lead, end.seal
    if sealed_by is None:
        header = seal.new_header(key)
        data, sealed_by = header + b"\n", Seal(header, key)
    content = line(COLUMNS) + chained_lines(rows, COLUMNS, end.last_hash, key)
    data += sealed_by.record(end.number + 1, end.tag, content)
    write_whole(fd, data, end.at, write)
    return notes


def _end(fd: int, path: str, key: bytes) -> _End:
    """Find where a new record goes. Raises LedgerError if the last one was altered, and OSError."""
    header = _header_in(path, os.pread(fd, _HEADER_BYTES, 0))
    if header is None:
        return _End(0)
    sealed_by = Seal(header, key)
    if not sealed_by.fits:
        raise LedgerError(
            f"`{path}` was sealed with another key, or its first line was altered",
            hint="name another file, or the key that it was begun with by `[ledger] key`",
        )
    size = os.fstat(fd).st_size
    begin, text = _last_line(fd, size)
    if begin and not text.endswith(b"\n"):
        try:
            return _end_behind(sealed_by, text, size)
        except Altered:  # torn, and no record
            size = begin
            begin, text = _last_line(fd, size)
    if not begin:
        return _End(size, seal=sealed_by)
    try:
        return _end_behind(sealed_by, text, size)
    except Altered as error:
        raise LedgerError(
            f"the end of `{path}` was altered: {error}", hint=f"see `eco2ai verify {path}`"
        ) from None


def _end_behind(sealed_by: Seal, text: bytes, size: int) -> _End:
    """Return the end behind a last record, which begins the line `text`; raises Altered."""
    record = sealed_by.opened(text)
    names, *rows = _table(record.content)
    last_hash = rows[-1][names.index(ROW_HASH)]
    lead = b"" if text.endswith(b"\n") else b"\n"
    return _End(size, lead, sealed_by, record.number, record.tag, last_hash)


def _header_in(path: str, head: bytes) -> bytes | None:
    """Return the first line of a file, without its end; None if it is empty or torn there."""
    begun, end, _ = head.partition(b"\n")
    begun = begun.rstrip(b"\0\r")
    if not end and (MAGIC.startswith(begun) or begun.startswith(MAGIC)):
        return None
    if begun.startswith(MAGIC + b" "):
        return begun
    why = "it is no sealed ledger of eco2ai"
    if begun.startswith(_ANY_VERSION):
        why = "a newer version of eco2ai has sealed it"
    raise LedgerError(f"`{path}` cannot be used: {why}", hint="name another file")


def _last_line(fd: int, size: int) -> tuple[int, bytes]:
    """Return where the last line that is not empty begins, and the file from there on."""
    last = b""
    position = size
    while position:
        start = max(0, position - _BLOCK_BYTES)
        last = os.pread(fd, position - start, start) + last
        at = last.rstrip(b"\r\n").rfind(b"\n")
        if at >= 0:
            return start + at + 1, last[at + 1 :]
        position = start
    return 0, last


def _table(content: bytes) -> list[list[str]]:
    """Return what a record holds: the names of the columns, then rows of cells."""
    csv.field_size_limit(sys.maxsize)
    return list(csv.reader(io.StringIO(content.decode(), newline="")))
