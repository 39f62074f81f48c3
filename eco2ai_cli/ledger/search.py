"""Look a run up in a ledger by its id, without reading rows that need not be read."""

from __future__ import annotations

import os
from collections.abc import Iterator

from eco2ai_cli.ledger import spool
from eco2ai_cli.ledger.columns import line, text
from eco2ai_cli.ledger.header import read_header
from eco2ai_cli.ledger.precheck import check_kind
from eco2ai_cli.ledger.tail import read_tail

BLOCK_BYTES = 1 << 20


def has_ended(path: str, run_id: str) -> bool:
    """Tell whether the ledger at `path`, or the spool beside it, has the last row of a run.

    That is the one which says why the run stopped; rows of its epochs may be there before. The
    file is searched from its end: the last rows cost microseconds, a run that is not there one
    pass over the bytes. A missing file holds nothing, and a torn last line, which the next writer
    sets aside, is no row. Raises OSError if it cannot be read, LedgerError if it is not a ledger.
    """
    # The spool first: a row goes from there into the file, never back. Epochs do not wait there.
    if os.path.exists(spool.place(path, run_id)):
        return True
    return any(row.get("stop_reason", "unknown") for row in find(path, run_id))


def find(path: str, run_id: str) -> list[dict[str, str]]:
    """Return the rows of the run `run_id` in the ledger at `path` by column, the first one first.

    Raises OSError if it cannot be read, LedgerError if it is not a ledger; a missing file has
    none.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except FileNotFoundError:
        return []
    try:
        check_kind(path, os.fstat(fd).st_mode)
        names = read_header(fd, path)
        return rows_of(fd, read_tail(fd, path, names).end, names, run_id)
    finally:
        os.close(fd)


def rows_of(fd: int, size: int, names: tuple[str, ...], run_id: str) -> list[dict[str, str]]:
    """Return the rows of a run in the first `size` bytes of a ledger, the first one first."""
    places = sorted(_rows_of(fd, size, names, run_id))
    return [dict(zip(names, _record(fd, place), strict=True)) for place in places]


def _rows_of(fd: int, size: int, names: tuple[str, ...], run_id: str) -> Iterator[int]:
    """Yield where the rows of a run begin: the last one first, if the ids are in front."""
    if "id" not in names:
        return
    column, sought = names.index("id"), text(run_id)
    for place in _possible_places(fd, size, column, sought):
        row = _record(fd, place + 1)
        if len(row) == len(names) and row[column] == sought:
            yield place + 1


def _possible_places(fd: int, size: int, column: int, run_id: str) -> Iterator[int]:
    """Yield the line ends that may stand before a row of a run."""
    if column:
        yield from _places(fd, size, b"\n")
        return
    cell = line([run_id]).rstrip(b"\n")
    yield from _places(fd, size, b"\n" + cell + b",")
    if not cell.startswith(b'"'):  # programs that write the file anew may quote all
        yield from _places(fd, size, b'\n"' + cell + b'",')


def _record(fd: int, place: int) -> list[str]:
    import csv
    import sys

    csv.field_size_limit(sys.maxsize)
    with open(os.dup(fd), "rb") as file:
        file.seek(place)
        try:
            return next(csv.reader(line.decode("utf-8", "replace") for line in file), [])
        except csv.Error:
            return []


def _places(fd: int, size: int, sought: bytes) -> Iterator[int]:
    """Yield where `sought` stands in the first `size` bytes of a file, from their end."""
    over = len(sought) - 1  # what begins in a block may end in the next
    end = size
    while end > 0:
        start = max(0, end - BLOCK_BYTES)
        block = os.pread(fd, min(end + over, size) - start, start)
        place = block.rfind(sought)
        while place >= 0:
            yield start + place
            place = block.rfind(sought, 0, place + over)
        end = start
