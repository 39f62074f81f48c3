"""Read a ledger record by record, every cell exactly as it is written."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from typing import Any, NamedTuple

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.columns import PAPER_COLUMNS, ROW_HASH
from eco2ai_cli.ledger.header import not_a_ledger, shortened

_RECORDS_A_TICK = 256


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
        with open(path, "rb") as file:
            text = TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
            reader = csv.reader(text)
            try:
                names = next(reader, None)
            except csv.Error:
                raise not_a_ledger(path, "it is not a text file") from None
            if names is None:
                return
            if not (ROW_HASH in names or set(PAPER_COLUMNS) <= set(names)):
                raise not_a_ledger(path, f"its first line is {shortened(names)}")
            yield Record(1, names)
            for count, record in enumerate(_rows(reader)):
                if count % _RECORDS_A_TICK == 0:
                    tick(file.tell())
                yield record
    except FileNotFoundError:
        raise LedgerError(
            f"there is no ledger `{path}`", hint="`eco2ai run -- COMMAND` makes one"
        ) from None
    except OSError as error:
        raise LedgerError(f"cannot read the ledger `{path}`: {error.strerror}") from error


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
