"""Read a ledger by blocks of rows, column by column: what is plain costs no step of Python a cell.

A row is plain if its line has the header's count of cells, its quotes are those of RFC 4180, the
cells that are wanted are not quoted, and its figures are figures or not known, but one at least
is. Every other row is left to `rows.row_of`; what both make of a plain row is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

from eco2ai_cli.ledger.rows import Reading, Row, words

FIGURES = ("duration(s)", "power_consumption(kWh)", "CO2_emissions(kg)", "cost")
_COST = FIGURES.index("cost")
TEXTS = (
    "id",
    "parent_id",
    "project_name",
    "start_time",
    "exit_status",
    "stop_reason",
    "currency",
    "caveats",
)
_SECONDS = len("2022-07-01 12:00:00")
_PLAIN_ENDS = frozenset((b"", b"+00:00"))


Figures = tuple["float | None", ...]


class Block(NamedTuple):
    """Rows side by side: their cells by column, as they are written, and their figures.

    `figures` are seconds, kWh, kg, the cost and what else was asked for; None: not known.
    """

    texts: Mapping[str, Sequence[bytes]]
    figures: Sequence[Figures]

    def row(self, number: int, columns: Iterable[str]) -> Row:
        """Return one of the rows, with the cells of `columns`."""
        text = {name: cells[number].decode() for name, cells in self.texts.items()}
        duration_s, energy_kwh, emissions_kg, cost, *more = self.figures[number]
        return Row(
            text["id"] or None,
            text["parent_id"] or None,
            text["project_name"] or None,
            text["start_time"] or None,
            duration_s,
            energy_kwh,
            emissions_kg,
            cost,
            text["currency"] or None,
            text["exit_status"] or None,
            text["stop_reason"] or None,
            words(text["caveats"]),
            tuple(text[name] or None for name in columns),
            tuple(more),
        )

    def chosen(self, chosen: Sequence[bool]) -> Block:
        """Return the rows that are chosen."""
        if all(chosen):
            return self
        texts = {name: list(compress(cells, chosen)) for name, cells in self.texts.items()}
        return Block(texts, list(compress(self.figures, chosen)))


NO_ROWS = Block({}, [])


def without_quoted(data: bytes) -> bytes | None:
    """Return lines with `"` in place of each quoted cell; None if their quotes are not plain.

    Plain: each quote that opens a cell stands after a comma. Line ends within quoted cells go
    with them.
    """
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if b'"' not in data:
        return data
    pieces = data.split(b'"')
    outside = pieces[::2]
    if len(pieces) % 2 == 0 or not outside[0]:
        return None
    # Nothing stands between two quotes where one is doubled. What follows on a closing quote
    # stays in its cell, which is then no plain one if it is wanted.
    if {piece[-1:] for piece in outside[:-1]} <= {b"", b","}:
        return b'"'.join(outside)
    return None


def plain_rows(
    names: Sequence[str], reading: Reading
) -> Callable[[bytes], tuple[Block, list[int]]]:
    """Return a function that makes a block of bare lines, and tells which lines are not plain."""
    at = {name: number for number, name in enumerate(names)}
    texts = [(name, at.get(name)) for name in dict.fromkeys((*TEXTS, *reading.columns))]
    figures = [at.get(name) for name in (*FIGURES, *reading.figures)]
    width = len(names)

    def rows(bare: bytes) -> tuple[Block, list[int]]:
        cells, good = _cells(bare, width)
        count = sum(good)
        absent = [b""] * count
        found = {name: absent if i is None else cells[i :: width + 1] for name, i in texts}
        odd = _odd_texts(found, reading.latest.encode())
        values: list[Sequence[float | None]] = []
        for i in figures:
            column, bad = _values(absent if i is None else cells[i :: width + 1])
            values.append(column)
            odd |= bad
        if figures[0] is None or not all(cells[figures[0] :: width + 1]):
            odd.update(n for n, known in enumerate(zip(*values[:3], strict=True)) if not any(known))
        if odd:
            plain = [number not in odd for number in range(count)]
            found = {name: list(compress(column, plain)) for name, column in found.items()}
            values = [list(compress(column, plain)) for column in values]
            left = iter(plain)
            good = [is_good and next(left) for is_good in good]
        values[_COST] = _known_costs(values[_COST], found["currency"])
        block = Block(found, list(zip(*values, strict=True)))
        return block, [number for number, is_good in enumerate(good) if not is_good]

    return rows


def _cells(bare: bytes, width: int) -> tuple[list[bytes], list[bool]]:
    """Return the cells of the lines that have `width` of them, and which these are.

    A line feed stands after those of each line.
    """
    cells = bare.replace(b"\n", b",\n,").split(b",")
    cells.pop()
    ends = cells[width :: width + 1]
    count, more = divmod(len(cells), width + 1)
    if not more and ends.count(b"\n") == count and b"\r" not in bare:
        return cells, [True] * count
    lines = bare.split(b"\n")[:-1]
    good = [line.count(b",") == width - 1 and b"\r" not in line for line in lines]
    whole = b"".join([line + b",\n," for line in compress(lines, good)])
    return whole.split(b",")[:-1], good


def _odd_texts(texts: Mapping[str, Sequence[bytes]], latest: bytes) -> set[int]:
    """Return the rows with a cell that is quoted or not UTF-8, or with a stamp to look at twice."""
    odd: set[int] = set()
    for column in texts.values():
        joined = b",".join(column)
        if b'"' in joined or not (joined.isascii() or _is_utf8(joined)):
            odd.update(n for n, cell in enumerate(column) if b'"' in cell or not _is_utf8(cell))
    starts = texts["start_time"]
    if not _PLAIN_ENDS.issuperset({start[_SECONDS:] for start in starts}):
        odd.update(n for n, start in enumerate(starts) if start[_SECONDS:] not in _PLAIN_ENDS)
    if latest and max(starts, default=b"") > latest:
        odd.update(n for n, start in enumerate(starts) if start > latest)
    return odd


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True


def _values(cells: Sequence[bytes]) -> tuple[Sequence[float | None], set[int]]:
    """Return cells as numbers, and which of those that hold any hold none that is 0 or more."""
    if not any(cells):
        return [None] * len(cells), set()
    try:
        values = list(map(float, cells))
        # A NaN makes the sum one, which is not less than anything.
        if min(values, default=0.0) >= 0 and sum(values) < math.inf and b"_" not in b"".join(cells):
            return values, set()
    except ValueError:
        pass
    found = [_value(cell) for cell in cells]
    return found, {number for number, value in enumerate(found) if value is _NO_NUMBER}


_NO_NUMBER = float("nan")


def _value(cell: bytes) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        return _NO_NUMBER
    return value if 0 <= value < math.inf and b"_" not in cell else _NO_NUMBER


def _known_costs(
    costs: Sequence[float | None], currencies: Sequence[bytes]
) -> Sequence[float | None]:
    """Return costs without the 0 that eco2AI writes where it was given no price."""
    if all(currencies):
        return costs
    return [
        cost if cost or currency else None for cost, currency in zip(costs, currencies, strict=True)
    ]
