"""The chain of hashes through the rows of a ledger, and its last link."""

from __future__ import annotations

import csv
import hashlib
import os
import sys
from collections.abc import Sequence

from eco2ai_cli.ledger.columns import ROW_HASH, Cells, cells, line

HASH_CHARACTERS = 64
BLOCK_BYTES = 65536
LONGEST_ROW_BYTES = 16 * 2**20
"""A row holds a command line, of which Linux takes 6 MiB at most, quotes doubled."""


def row_hash(previous: str, names: Sequence[str], row: Sequence[str]) -> str:
    """Return the hash of a row: SHA-256, in hexadecimal, over netstrings in UTF-8.

    They are `previous`, the hash of the row before (empty if it has none), then the column's
    name and the text of each cell that is not empty, in the order of the header, `row_hash`
    itself left out. Empty cells are left out so that a file may gain columns, and names are in
    so that no column can be given another's meaning.
    """
    digest = hashlib.sha256(_netstring(previous))
    for name, cell in zip(names, row, strict=True):
        if cell and name != ROW_HASH:
            digest.update(_netstring(name) + _netstring(cell))
    return digest.hexdigest()


def _netstring(value: str) -> bytes:
    data = value.encode()
    return b"%d:%b," % (len(data), data)


def chained_lines(rows: Sequence[Cells], names: Sequence[str], previous: str) -> bytes:
    """Return `rows` as lines of CSV under the header `names`, the first chained to `previous`."""
    lines = []
    for row in rows:
        row_cells = cells(row, names)
        previous = row_hash(previous, names, row_cells)
        row_cells[names.index(ROW_HASH)] = previous
        lines.append(line(row_cells))
    return b"".join(lines)


def last_link(fd: int, size: int, names: Sequence[str]) -> tuple[bytes, str]:
    """Return what ends the last line of a file of `size` bytes, and the last row's hash.

    As a rule that is nothing, and a hash that the last block of the file holds. A line torn by
    a power cut is ended, and a quoted cell left open in it is closed, so that no row can become
    part of it; it has no hash, as the rows of eco2AI have none.
    """
    previous = _hash_of(_last_record(fd, size), names)
    if previous:
        return (b"" if os.pread(fd, 1, size - 1) == b"\n" else b"\n"), previous
    # Not a row of ours. Whether a cell is open, only the quotes of the whole file tell.
    quotes = sum(
        os.pread(fd, BLOCK_BYTES, start).count(b'"') for start in range(0, size, BLOCK_BYTES)
    )
    if quotes % 2:
        return b'"\n', ""
    return (b"" if os.pread(fd, 1, size - 1) == b"\n" else b"\n"), ""


def _hash_of(record: bytes, names: Sequence[str]) -> str:
    csv.field_size_limit(sys.maxsize)
    try:
        row = next(csv.reader([record.decode("utf-8", "replace")]), [])
    except csv.Error:
        return ""
    if len(row) != len(names) or ROW_HASH not in names:
        return ""
    found = row[names.index(ROW_HASH)]
    return found if len(found) == HASH_CHARACTERS else ""


def _last_record(fd: int, size: int) -> bytes:
    """Return the bytes of the last record, read from the end: a block, then twice as much."""
    data = b""
    position = size
    while position > 0 and size - position < LONGEST_ROW_BYTES:
        step = min(max(BLOCK_BYTES, size - position), position)
        position -= step
        data = os.pread(fd, step, position) + data
        boundary = _last_boundary(data.rstrip(b"\r\n"))
        if boundary >= 0:
            return data[boundary + 1 :]
    return data if position == 0 else b""


def _last_boundary(data: bytes) -> int:
    """Return the place of the last newline that no quoted cell holds, or -1.

    Quotes come in pairs within a record, so an even number of them follows such a newline.
    """
    quotes = 0
    end = len(data)
    place = data.rfind(b"\n")
    while place >= 0:
        quotes += data.count(b'"', place, end)
        if quotes % 2 == 0:
            return place
        end = place
        place = data.rfind(b"\n", 0, place)
    return -1
