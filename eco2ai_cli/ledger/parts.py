"""Read the rows of a ledger in parts: blocks of plain rows, and between them the others."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from eco2ai_cli.ledger.blocks import NO_ROWS, Block, plain_rows
from eco2ai_cli.ledger.lines import BLOCK_BYTES, Lines, line_ends
from eco2ai_cli.ledger.rows import BadRow, Reading, Row, Skipped, row_of
from eco2ai_cli.ledger.tail import is_whole

_LEAST_BLOCK_BYTES = BLOCK_BYTES >> 6
_TORN = "it is torn: the file ends amid its last cell"


class Part(NamedTuple):
    """Rows that stand together in a file: those of a block, and the others between them.

    Each of the others comes with the number of rows of the block that stand before it.
    """

    block: Block
    others: Sequence[tuple[int, Row | Skipped]]


def alone(entry: Row | Skipped) -> Part:
    """Return the part that is one row."""
    return Part(NO_ROWS, [(0, entry)])


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


def texts(lines: Lines) -> Iterator[str]:
    """Yield lines as the csv module takes them."""
    while line := lines.line():
        yield line.decode("utf-8", "backslashreplace")


def parts_of(path: str, lines: Lines, names: Sequence[str], reading: Reading) -> Iterator[Part]:
    """Yield the rows that begin before `lines.stop`; `lines` stand where a row begins."""
    plain = plain_rows(names, reading)
    careful = partial(_careful, path, lines, names, reading)
    limit_bytes = BLOCK_BYTES
    while lines.ahead_bytes() and lines.at_bytes < lines.stop:
        data = lines.block(limit_bytes)
        found = plain(data)
        if found is None:
            data = lines.block_of_rows(limit_bytes)
            found = plain(data)
        if found:
            first = lines.number + 1
            lines.take(data)
            block, left = found
            others = _others(path, data, left, first, names, reading) if left else []
            yield Part(block, others)
            limit_bytes = min(limit_bytes * 2, BLOCK_BYTES)
        elif limit_bytes > _LEAST_BLOCK_BYTES:
            limit_bytes >>= 3  # most rows around the one that is not plain may be
        else:
            data = lines.block(limit_bytes)
            yield Part(NO_ROWS, list(careful(lines.at_bytes + (len(data) or 1))))


def _careful(
    path: str, lines: Lines, names: Sequence[str], reading: Reading, until_bytes: int
) -> Iterator[tuple[int, Row | Skipped]]:
    """Yield rows by the csv module until so much of the lines is taken; each with 0."""
    records = csv.reader(texts(lines))
    while lines.at_bytes < until_bytes:
        number = lines.number + 1
        try:
            cells = next(records, None)
            if cells is None:
                return
            if cells:
                row = row_of(names, cells, reading)
                if not lines.is_ended and not is_whole(cells, names):
                    raise BadRow(_TORN)
                yield 0, row
        except (csv.Error, BadRow) as error:
            yield 0, Skipped(path, number, str(error))


def _others(
    path: str,
    data: bytes,
    left: Sequence[int],
    first_line: int,
    names: Sequence[str],
    reading: Reading,
) -> list[tuple[int, Row | Skipped]]:
    """Return those rows of a block whose numbers are `left`, each read by the csv module."""
    found: list[tuple[int, Row | Skipped]] = []
    records = _records(data)
    for passed, number in enumerate(left):
        lines_before, record = records[number]
        if b"\r" in record:  # perhaps several rows
            lines = _lines_of(record, first_line + lines_before)
            careful = _careful(path, lines, names, reading, len(record))
            found += [(number - passed, entry) for _, entry in careful]
            continue
        try:
            cells = next(csv.reader((record.decode("utf-8", "backslashreplace"),)))
            if cells:
                found.append((number - passed, row_of(names, cells, reading)))
        except (csv.Error, BadRow) as error:
            skipped = Skipped(path, first_line + lines_before, str(error))
            found.append((number - passed, skipped))
    return found


def _lines_of(record: bytes, number: int) -> Lines:
    from io import BytesIO

    lines = Lines(BytesIO(record).read, None)
    lines.number = number - 1
    return lines


def _records(data: bytes) -> list[tuple[int, bytes]]:
    """Return the rows of a block, each with the number of lines before it."""
    lines = data.split(b"\n")
    lines.pop()
    if b'"' not in data and b"\r" not in data:
        return [*enumerate(lines)]
    found: list[tuple[int, bytes]] = []
    begun: list[bytes] = []
    before = 0
    for line in lines:
        begun.append(line)
        if b'"' in line or len(begun) > 1:
            record = b"\n".join(begun)
            if record.count(b'"') % 2:
                continue
        else:
            record = line
        record += b"\n"
        found.append((before, record))
        before += line_ends(record)
        begun = []
    return found
