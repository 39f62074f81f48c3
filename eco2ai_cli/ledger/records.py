"""Read a ledger record by record, every cell exactly as it is written."""

from __future__ import annotations

import csv
import os
import stat
import sys
from collections.abc import Callable, Iterator
from io import BufferedReader, FileIO, RawIOBase, TextIOWrapper
from typing import Any, NamedTuple

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.columns import PAPER_COLUMNS, ROW_HASH
from eco2ai_cli.ledger.header import HEAD_BYTES, not_a_ledger, not_text, shortened
from eco2ai_cli.ledger.lock import size_between_writes

_RECORDS_A_TICK = 256
_LOCK_TIMEOUT_S = 1.0


class Record(NamedTuple):
    """The line on which a record begins and its cells, or why it has none that can be read.

    Bytes that are not UTF-8 stand in the cells as lone surrogates (PEP 383, 2009).
    """

    line: int
    cells: list[str]
    reason: str = ""


def records(path: str, tick: Callable[[int], object] = bool) -> Iterator[Record]:
    """Yield the header and the rows of the ledger at `path`; empty lines are no rows.

    `tick` is told from time to time how many bytes were read. Raises LedgerError, at the first
    record, if the file cannot be read or is no ledger; one whose header was changed is.
    """
    csv.field_size_limit(sys.maxsize)
    try:
        with FileIO(path) as file:
            beginning = _Beginning(file, _size_bytes(file, path))
            whole = BufferedReader(beginning, HEAD_BYTES)
            head = whole.peek()
            if b"\0" in head.partition(b"\n")[0]:  # a device may have no end to its first line
                raise not_a_ledger(path, not_text(head))
            text = TextIOWrapper(whole, "utf-8-sig", errors="surrogateescape", newline="")
            reader = csv.reader(text)
            try:
                names = next(reader, None)
            except csv.Error:
                raise not_a_ledger(path, "it is not a text file") from None
            if names is None:
                return
            if not (ROW_HASH in names or set(PAPER_COLUMNS) <= set(names)):
                why = not_text(head) or f"its first line is {shortened(names)}"
                raise not_a_ledger(path, why)
            yield Record(1, names)
            for count, record in enumerate(_rows(reader)):
                if count % _RECORDS_A_TICK == 0:
                    tick(beginning.read_bytes)
                yield record
    except FileNotFoundError:
        raise LedgerError(
            f"there is no ledger `{path}`", hint="`eco2ai run -- COMMAND` makes one"
        ) from None
    except OSError as error:
        raise LedgerError(f"cannot read the ledger `{path}`: {error.strerror}") from error


class _Beginning(RawIOBase):
    """As much of an open file as was there when nobody wrote: what comes then may be half a row.

    `read_bytes` is how much of it was read.
    """

    def __init__(self, file: FileIO, size_bytes: int | None) -> None:
        self._file = file
        self._left_bytes = sys.maxsize if size_bytes is None else size_bytes
        self.read_bytes = 0

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on, to the end of the beginning."""
        count = self._file.readinto(memoryview(buffer)[: self._left_bytes]) or 0
        self._left_bytes -= count
        self.read_bytes += count
        return count


def _size_bytes(file: FileIO, path: str) -> int | None:
    """Return how much of a file is whole; None for what has no size."""
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return None
    return size_between_writes(file.fileno(), path, _LOCK_TIMEOUT_S)


def _rows(reader: Any) -> Iterator[Record]:
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Record(line, [], str(error))
            continue
        if cells is None:
            return
        if cells:
            yield Record(line, cells)
