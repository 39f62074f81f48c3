"""Find the header under which the rows of a ledger were written, if its own was changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from eco2ai_cli.ledger.chain import row_hash
from eco2ai_cli.ledger.columns import COLUMNS, ROW_HASH
from eco2ai_cli.verify.verdict import Fault

SAMPLE_ROWS = 8
"""Rows by which headers are compared."""
OF_OURS = frozenset(
    ("stop_reason", "pue", "carbon_intensity(kg/MWh)", "overhead(s)", "version", ROW_HASH)
)
"""Columns by which a ledger that we have written to is known, whichever of them was renamed."""


class Layout(NamedTuple):
    """The names of the columns, the places of their cells in a row, and what was changed."""

    names: tuple[str, ...]
    places: tuple[int, ...] | None
    faults: tuple[Fault, ...]

    def cells(self, row: Sequence[str]) -> Sequence[str]:
        """Return the cells of a row in the order of `names`."""
        return row if self.places is None else [row[place] for place in self.places]


def layout(
    names: Sequence[str], rows: Sequence[Sequence[str]], keys: Sequence[bytes | None]
) -> Layout:
    """Return the layout under which the hashes of most of `rows` hold; `names` wins a tie."""
    return max(_layouts(tuple(names)), key=lambda known: _holding(known, rows, keys))


def _layouts(names: tuple[str, ...]) -> Iterator[Layout]:
    """Yield what the header may have been, its own names first, those renamed put right."""
    if OF_OURS & set(names):
        as_they_are = tuple(
            known if name not in COLUMNS and known not in names else name
            for name, known in zip(names, COLUMNS, strict=False)
        )
        yield _in_place(names, (*as_they_are, *names[len(COLUMNS) :]))
    else:
        yield _in_place(names, names)
    if len(names) >= len(COLUMNS):
        yield _in_place(names, (*COLUMNS, *names[len(COLUMNS) :]))
    if len(set(names)) == len(names) and set(COLUMNS) <= set(names):
        ordered = (*COLUMNS, *(name for name in names if name not in COLUMNS))
        why = "the columns stand in another order than the rows were written in"
        yield Layout(ordered, tuple(map(names.index, ordered)), (Fault("header", 1, None, why),))


def _in_place(names: tuple[str, ...], before: tuple[str, ...]) -> Layout:
    faults = [
        Fault("header", 1, None, f"column {number} was renamed", known, known, name)
        for number, (name, known) in enumerate(zip(names, before, strict=True), 1)
        if name != known
    ]
    twice = {name for name in before if before.count(name) > 1}
    faults += [
        Fault("header", 1, None, "the column is there more than once", name)
        for name in sorted(twice)
    ]
    if ROW_HASH not in before and OF_OURS & set(before):
        faults.append(Fault("header", 1, None, "the column was removed", ROW_HASH))
    return Layout(before, None, tuple(faults))


def _holding(known: Layout, rows: Sequence[Sequence[str]], keys: Sequence[bytes | None]) -> int:
    """Count the rows whose hash follows from the row before under a layout."""
    if ROW_HASH not in known.names:
        return 0
    place = known.names.index(ROW_HASH)
    previous = ""
    count = 0
    for row in map(known.cells, rows):
        written = row[place]
        with suppress(UnicodeEncodeError):  # bytes that are not UTF-8, of which none is ours
            count += any(
                row_hash(link, known.names, row, key) == written
                for key in keys
                for link in {previous, ""}
            )
        previous = written
    return count
