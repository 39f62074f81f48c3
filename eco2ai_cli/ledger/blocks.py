"""Read a ledger by blocks of rows, column by column: what is plain costs no step of Python a cell.

A row is plain if its line has the header's count of cells, its quotes are those of RFC 4180, and
its figures are figures or not known, but one at least is. Every other row is left to
`rows.row_of`; what both make of a plain row is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress
from typing import NamedTuple

from eco2ai_cli.ledger import stamps
from eco2ai_cli.ledger.quotes import unquoted, with_quoted, without_quoted
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


Columns = dict[str, Sequence[bytes]]


def plain_rows(
    names: Sequence[str], reading: Reading
) -> Callable[[bytes], tuple[Block, list[int]] | None]:
    """Return a function that makes a block of lines, and tells which of their rows are not plain.

    It returns None if there are no lines, or if they have to be read one by one.
    """
    at = {name: number for number, name in enumerate(names)}
    texts = dict.fromkeys((*TEXTS, *reading.columns))
    figures = (*FIGURES, *reading.figures)
    wanted = {name: at[name] for name in (*texts, *figures) if name in at}
    width = len(names)
    horizon = stamps.day_before(reading.latest).encode() if reading.latest else b""
    is_by_time = "start_time" in reading.columns

    def columns_of(bare: bytes) -> tuple[Columns, list[bool]]:
        cells, good = _cells(bare, width)
        absent = [b""] * sum(good)
        columns: Columns = dict.fromkeys((*texts, *figures), absent)
        columns.update((name, cells[number :: width + 1]) for name, number in wanted.items())
        return columns, good

    def rows(data: bytes) -> tuple[Block, list[int]] | None:
        bare = without_quoted(data)
        if not bare:
            return None
        columns, good = columns_of(bare)
        found = {name: columns[name] for name in texts}
        written = _all_of(found)
        if b'"' in written:
            shown = with_quoted(data)
            if shown is None:
                return None
            columns, good = columns_of(shown)
            columns = {name: list(map(unquoted, cells)) for name, cells in columns.items()}
            found = {name: columns[name] for name in texts}
            written = _all_of(found)
        odd = _odd_starts(columns["start_time"], horizon, is_exact=is_by_time)
        if not written.isascii():
            odd.update(n for cells in found.values() for n in _not_utf8(cells))
        may_have_underscores = b"_" in data
        values: list[Sequence[float | None]] = []
        for name in figures:
            column, bad = _values(columns[name], may_have_underscores=may_have_underscores)
            values.append(column)
            odd |= bad
        if not all(columns[FIGURES[0]]):
            odd.update(n for n, known in enumerate(zip(*values[:3], strict=True)) if not any(known))
        if odd:
            plain = [number not in odd for number in range(len(values[0]))]
            found = {name: list(compress(cells, plain)) for name, cells in found.items()}
            values = [list(compress(column, plain)) for column in values]
            left = iter(plain)
            good = [is_good and next(left) for is_good in good]
        values[_COST] = _known_costs(values[_COST], found["currency"])
        block = Block(found, list(zip(*values, strict=True)))
        return block, [number for number, is_good in enumerate(good) if not is_good]

    return rows


def _all_of(columns: Columns) -> bytes:
    return b"".join(chain.from_iterable(columns.values()))


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


def _odd_starts(starts: Sequence[bytes], horizon: bytes, *, is_exact: bool) -> set[int]:
    """Return the rows with a stamp to look at twice: after the horizon, or with an odd end.

    The end of a stamp is of consequence only where rows are told apart by it.
    """
    odd: set[int] = set()
    if is_exact and not _PLAIN_ENDS.issuperset({start[_SECONDS:] for start in starts}):
        odd.update(n for n, start in enumerate(starts) if start[_SECONDS:] not in _PLAIN_ENDS)
    if horizon and max(starts, default=b"") > horizon:
        odd.update(n for n, start in enumerate(starts) if start > horizon)
    return odd


def _not_utf8(cells: Sequence[bytes]) -> Iterator[int]:
    joined = b",".join(cells)  # a comma ends a character that is cut
    if not (joined.isascii() or _is_utf8(joined)):
        yield from (number for number, cell in enumerate(cells) if not _is_utf8(cell))


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True


def _values(
    cells: Sequence[bytes], *, may_have_underscores: bool
) -> tuple[Sequence[float | None], set[int]]:
    """Return cells as numbers, and which of those that hold any hold none that is 0 or more."""
    if not any(cells):
        return [None] * len(cells), set()
    try:
        values = list(map(float, cells))
        # A NaN makes the sum one, which is not less than anything.
        is_good = min(values, default=0.0) >= 0 and sum(values) < math.inf
        if is_good and not (may_have_underscores and b"_" in b"".join(cells)):
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
