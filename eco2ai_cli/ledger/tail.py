"""The end of a ledger: its last whole row, that row's hash, and what a power cut has torn."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from typing import NamedTuple

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.columns import ROW_HASH
from eco2ai_cli.ledger.header import rest_of_header

HASH_CHARACTERS = 64
BLOCK_BYTES = 65536
LONGEST_ROW_BYTES = 64 * 2**20
_END_OF_OURS = re.compile(rb",[0-9a-f]{64}(?:,[0-9.e+-]{0,30})?\n")  # the error of the forecast
_LONGEST_END = 1 + HASH_CHARACTERS + 31 + 1
"""A row holds a command line, of which Linux takes 6 MiB at most, quotes doubled."""


class Tail(NamedTuple):
    """Where the rows of a ledger end, the bytes that lead over to a new one, the last row's hash.

    What stands after `end` is no row but the beginning of one.
    """

    end: int
    lead: bytes
    last_hash: str


def read_tail(fd: int, path: str, names: Sequence[str]) -> Tail:
    """Return the tail of a ledger, as a rule from its last block alone.

    A file without `names` gets its header, or the rest of it, as lead. Raises LedgerError if its
    last line is too long for a row.
    """
    size = os.fstat(fd).st_size
    if not names:
        return Tail(size, rest_of_header(os.pread(fd, size, 0)), "")
    return _tail(fd, path, size, names)


def ending(fd: int, end: int) -> bytes:
    """Return what ends a torn last line where it stands: its line, and a cell that is open."""
    torn = os.pread(fd, os.fstat(fd).st_size - end, end)
    return b'"\n' if ends_open(torn) else b"\n"


def _tail(fd: int, path: str, size: int, names: Sequence[str]) -> Tail:
    begin = last_boundary(fd, path, size) + 1
    record = os.pread(fd, size - begin, begin)
    row = _parsed(record)
    last_hash = _hash_of(row, names)
    is_ended = record.endswith(b"\n")
    if last_hash and (is_ended or is_whole(row, names)):
        return Tail(size, b"" if is_ended else b"\n", last_hash)
    # Not a row of ours: from the end nobody can tell what is within quotes, and what is not.
    begin, is_open = _last_record(fd, _end_of_last_row_of_ours(fd, size), size)
    record = os.pread(fd, size - begin, begin)
    if is_open:
        is_torn = not _hides_rows(record, names)
        return _tail(fd, path, begin, names) if begin and is_torn else Tail(size, b'"\n', "")
    if record.endswith(b"\n") or not begin or is_whole(_parsed(record), names):
        return Tail(size, b"" if is_ended else b"\n", "")
    return _tail(fd, path, begin, names)


def _end_of_last_row_of_ours(fd: int, size: int) -> int:
    """Return where a line ends with a whole hash, near the end of the file; else 0."""
    start = max(0, size - LONGEST_ROW_BYTES)
    position = size
    while position > start:
        block_start = max(start, position - BLOCK_BYTES)
        block = os.pread(fd, min(position + _LONGEST_END, size) - block_start, block_start)
        found = [match.end() for match in _END_OF_OURS.finditer(block)]
        if found:
            return block_start + found[-1]
        position = block_start
    return 0


def _last_record(fd: int, start: int, size: int) -> tuple[int, bool]:
    """Return where the last record of a file begins, and whether it ends within quotes.

    It is read on from `start`, where a record begins.
    """
    begin = position = start
    in_quotes = False
    with open(os.dup(fd), "rb") as file:
        file.seek(start)
        for line in file:
            if not in_quotes:
                begin = position
            in_quotes = ends_open(line, in_quotes=in_quotes)
            position += len(line)
            if position >= size:
                break
    return begin, in_quotes


def is_whole(row: Sequence[str], names: Sequence[str]) -> bool:
    """Tell whether a last line without its line end is a row: of ours, or of another program.

    It has every cell, among them a whole hash if it is ours, or else cells whose figures are
    figures: a number cut short cannot be told from another number.
    """
    if len(row) != len(names):
        return False
    cell = dict(zip(names, row, strict=True))
    if ROW_HASH in cell and (cell[ROW_HASH] or cell.get("version")):
        return bool(_hash_of(row, names))
    return all(
        _is_number(cell.get(name, ""))
        for name in ("duration(s)", "power_consumption(kWh)", "CO2_emissions(kg)", "cost")
    )


def _is_number(written: str) -> bool:
    try:
        float(written or "0")
    except ValueError:
        return False
    return True


def _hides_rows(record: bytes, names: Sequence[str]) -> bool:
    """Tell whether whole rows follow a quote that is open: then somebody wrote on after it."""
    return any(
        is_whole(_parsed(line), names)
        for line in record.split(b"\n")[1:]
        if line.count(b",") >= len(names) - 1
    )


def ends_open(text: bytes, *, in_quotes: bool = False) -> bool:
    """Tell whether text that begins between two cells, or `in_quotes`, ends within quotes.

    A quote amid a bare cell opens none: other programs write such cells.
    """
    if b'"' not in text:
        return in_quotes
    import csv

    csv.field_size_limit(sys.maxsize)
    # Split as by those who read: at carriage returns too, but at nothing else.
    begun = io.StringIO((b'"' * in_quotes + text).decode("utf-8", "replace"), newline="")
    reader = csv.reader([*begun, "next,"])
    row: list[str] = []
    while True:
        try:
            row = next(reader)
        except csv.Error:  # as those who read go on with the next line
            continue
        except StopIteration:
            return row != ["next", ""]


def _parsed(record: bytes) -> list[str]:
    import csv

    csv.field_size_limit(sys.maxsize)
    try:
        return next(csv.reader([record.decode("utf-8", "replace")]), [])
    except csv.Error:
        return []


def _hash_of(row: Sequence[str], names: Sequence[str]) -> str:
    if len(row) != len(names) or ROW_HASH not in names:
        return ""
    found = row[names.index(ROW_HASH)]
    return found if len(found) == HASH_CHARACTERS else ""


def last_boundary(fd: int, path: str, size: int, *, in_quotes: bool = False) -> int:
    """Return the place of the last newline before the last record that no quoted cell holds, or -1.

    Quotes come in pairs: read from the end, each one leads into a cell or out of it. Raises
    LedgerError if that record is too long for a row.
    """
    seen = in_quotes  # line ends after the last record are no boundary before it
    position = size
    while position > 0:
        if size - position > LONGEST_ROW_BYTES:
            raise LedgerError(
                f"the last line of `{path}` is longer than {LONGEST_ROW_BYTES >> 20} MiB",
                hint="look at its end, or name another file",
            )
        start = max(0, position - BLOCK_BYTES)
        block = os.pread(fd, position - start, start)
        if not seen:
            block = block.rstrip(b"\r\n")
            seen = bool(block)
        end = len(block)
        while True:
            quote = block.rfind(b'"', 0, end)
            if not in_quotes:
                newline = block.rfind(b"\n", quote + 1, end)
                if newline >= 0:
                    return start + newline
            if quote < 0:
                break
            in_quotes = not in_quotes
            end = quote
        position = start
    return -1
