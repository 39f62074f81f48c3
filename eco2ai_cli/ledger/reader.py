"""Read the rows of ledgers, ours, eco2AI's and CodeCarbon's, by the names of their columns."""

from __future__ import annotations

import csv
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from io import BytesIO
from typing import NamedTuple

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger import codecarbon, spool
from eco2ai_cli.ledger.blocks import NO_ROWS, Block, plain_rows, without_quoted
from eco2ai_cli.ledger.header import not_a_ledger, shortened
from eco2ai_cli.ledger.lines import Lines
from eco2ai_cli.ledger.lock import size_between_writes
from eco2ai_cli.ledger.rows import AS_IT_IS, BadRow, Reading, Row, Skipped, row_of
from eco2ai_cli.ledger.tail import LONGEST_ROW_BYTES

__all__ = ["NO_ROWS", "REQUIRED", "Part", "Reading", "Row", "Skipped", "parts", "read"]

REQUIRED = ("project_name", "duration(s)", "power_consumption(kWh)", "CO2_emissions(kg)")
LOCK_TIMEOUT_S = 1.0
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY


class Part(NamedTuple):
    """Rows that stand together in a file: those of a block, and the others between them.

    Each of the others comes with the number of rows of the block that stand before it.
    """

    block: Block
    others: Sequence[tuple[int, Row | Skipped]]


def read(
    path: str, reading: Reading = AS_IT_IS, *, tick: Callable[[int], object] = bool
) -> Iterator[Row | Skipped]:
    """Yield the rows of the ledger at `path` in the order of the file, then those that wait for it.

    No row is seen while it is being written, nor twice while it is being taken from the spool.
    `tick` is told from time to time how many bytes were read. Raises LedgerError, at the first
    row, if the file cannot be read or is not a ledger.
    """
    return entries_of(parts(path, reading, tick=tick), reading)


def parts(
    path: str, reading: Reading = AS_IT_IS, *, tick: Callable[[int], object] = bool
) -> Iterator[Part]:
    """Yield what `read` yields, in parts."""
    # The longest field that csv takes by default, 128 KiB, is shorter than a command line.
    csv.field_size_limit(LONGEST_ROW_BYTES)
    # The spool first: a row goes from there into the file, never back.
    waiting = [entry for file in spool.files(path) for entry in _waiting(file, reading)]
    found = _parts(path, _OPEN_FLAGS, reading, tick)
    try:
        if waiting:
            yield from map(_alone, _both(entries_of(found, reading), waiting))
        else:
            yield from found
    except FileNotFoundError:
        if not waiting:
            raise LedgerError(
                f"there is no ledger `{path}`", hint="`eco2ai run -- COMMAND` makes one"
            ) from None
        yield from map(_alone, waiting)
    except OSError as error:
        raise LedgerError(f"cannot read the ledger `{path}`: {error.strerror}") from error


def entries_of(parts: Iterable[Part], reading: Reading) -> Iterator[Row | Skipped]:
    """Yield the rows of parts one by one, in their order."""
    for block, others in parts:
        done = 0
        for before, entry in others:
            for number in range(done, before):
                yield block.row(number, reading.columns)
            done = before
            yield entry
        for number in range(done, len(block.figures)):
            yield block.row(number, reading.columns)


def _alone(entry: Row | Skipped) -> Part:
    return Part(NO_ROWS, [(0, entry)])


def _both(
    entries: Iterable[Row | Skipped], waiting: Sequence[Row | Skipped]
) -> Iterator[Row | Skipped]:
    held = Counter({row.id: 0 for row in waiting if isinstance(row, Row)})
    for entry in entries:
        if isinstance(entry, Row) and entry.id in held:
            held[entry.id] += 1
        yield entry
    for entry in waiting:
        if isinstance(entry, Row) and held[entry.id]:
            held[entry.id] -= 1
        else:
            yield entry


def _waiting(file: str, reading: Reading) -> Iterator[Row | Skipped]:
    try:
        yield from entries_of(_parts(file, spool.OPEN_FLAGS, reading, bool), reading)
    except FileNotFoundError:
        return  # it has just been taken into the ledger, which is read after
    except OSError as error:
        yield Skipped(file, 1, str(error.strerror))
    except LedgerError as error:
        yield Skipped(file, 1, str(error))


def _parts(
    path: str, flags: int, reading: Reading, tick: Callable[[int], object]
) -> Iterator[Part]:
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        size = None  # of a pipe it is not known
        if stat.S_ISREG(status.st_mode):
            size = size_between_writes(file.fileno(), path, LOCK_TIMEOUT_S)
        lines = Lines(file, size, tick)
        if not lines.check(path):
            return
        try:
            names = next(csv.reader(_texts(lines)))
        except csv.Error:
            raise not_a_ledger(path, "it is not a text file") from None
        if set(REQUIRED) <= set(names):
            yield from _rows(path, lines, names, reading)
        elif codecarbon.is_codecarbon(names):
            found = _rows(path, lines, codecarbon.our_names(names), reading)
            yield from map(_alone, codecarbon.totals(entries_of(found, reading), names))
        else:
            raise not_a_ledger(path, f"its first line is {shortened(names)}")


def _rows(path: str, lines: Lines, names: Sequence[str], reading: Reading) -> Iterator[Part]:
    plain = plain_rows(names, reading)
    careful = partial(_careful, path, names, reading)
    while ahead_bytes := lines.ahead_bytes():
        data = lines.block()
        bare = without_quoted(data)
        if bare is None:
            data = lines.block_of_rows()
            bare = without_quoted(data)
        if not bare:
            yield Part(
                NO_ROWS, list(careful(lines, lines.taken_bytes + (len(data) or ahead_bytes)))
            )
            continue
        first = lines.number + 1
        lines.take(data)
        block, left = plain(bare)
        others: list[tuple[int, Row | Skipped]] = []
        if left:
            records = _records(data)
            for passed, number in enumerate(left):
                line, record = records[number]
                one = Lines(BytesIO(record), None)
                one.number = first - 1 + line
                others += [(number - passed, entry) for _, entry in careful(one, 1)]
        yield Part(block, others)


def _careful(
    path: str, names: Sequence[str], reading: Reading, lines: Lines, until_bytes: int
) -> Iterator[tuple[int, Row | Skipped]]:
    """Yield rows by the csv module until so much of the lines is taken; each with 0."""
    records = csv.reader(_texts(lines))
    while lines.taken_bytes < until_bytes:
        lines.ahead_bytes()
        number = lines.number + 1
        try:
            cells = next(records, None)
            if cells is None:
                return
            if cells:
                yield 0, row_of(names, cells, reading)
        except (csv.Error, BadRow) as error:
            yield 0, Skipped(path, number, str(error))


def _texts(lines: Lines) -> Iterator[str]:
    while line := lines.line():
        yield line.decode("utf-8", "backslashreplace")


def _records(data: bytes) -> list[tuple[int, bytes]]:
    """Return the rows of a block, each with the number of lines before it."""
    found: list[tuple[int, bytes]] = []
    begun: list[bytes] = []
    quotes = 0
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        begun.append(line + b"\n")
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            found.append((number - len(begun), b"".join(begun)))
            begun = []
    return found
