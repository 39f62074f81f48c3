"""Read the rows of ledgers: ours and eco2AI's, by the names of their columns."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TextIO

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.header import not_a_ledger, shortened

REQUIRED = ("project_name", "duration(s)", "power_consumption(kWh)", "CO2_emissions(kg)")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a ledger. None: not known. `energy_kwh` includes PUE.

    `place` is the file and the line on which the row begins.
    """

    place: tuple[str, int]
    id: str | None
    parent_id: str | None
    project: str | None
    duration_s: float | None
    energy_kwh: float | None
    emissions_kg: float | None
    cost: float | None
    currency: str | None
    exit_status: str | None
    caveats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that cannot be trusted, where it begins, and why."""

    file: str
    line: int
    reason: str


class _BadRow(ValueError):
    """What makes a row useless, as a reason to show."""


def read(path: str) -> Iterator[Row | Skipped]:
    """Yield the rows of the ledger at `path`, in the order of the file.

    Raises LedgerError, at the first row, if the file cannot be read or is not a ledger.
    """
    # The longest field that csv takes by default, 128 KiB, is shorter than a command line.
    csv.field_size_limit(sys.maxsize)
    try:
        with open(path, encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
            yield from _entries(path, file)
    except FileNotFoundError:
        raise LedgerError(
            f"there is no ledger `{path}`", hint="`eco2ai run -- COMMAND` makes one"
        ) from None
    except OSError as error:
        raise LedgerError(f"cannot read the ledger `{path}`: {error.strerror}") from error


def _entries(path: str, file: TextIO) -> Iterator[Row | Skipped]:
    reader = csv.reader(file)
    try:
        names = next(reader, None)
    except csv.Error:
        raise not_a_ledger(path, "it is not a text file") from None
    if names is None:
        return
    if not set(REQUIRED) <= set(names):
        raise not_a_ledger(path, f"its first line is {shortened(names)}")
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
            if cells is None:
                return
            if cells:
                yield _row((path, line), names, cells)
        except (csv.Error, _BadRow) as error:
            yield Skipped(path, line, str(error))


def _row(place: tuple[str, int], names: list[str], cells: list[str]) -> Row:
    if len(cells) != len(names):
        raise _BadRow(f"{len(cells)} cells where the header has {len(names)}")
    if not any(cells):
        raise _BadRow("all its cells are empty")
    cell = dict(zip(names, cells, strict=True))
    currency = cell.get("currency") or None
    cost = _quantity(cell, "cost")
    if cost == 0 and currency is None:
        cost = None  # eco2AI writes 0 where it was given no price
    return Row(
        place=place,
        id=cell.get("id") or None,
        parent_id=cell.get("parent_id") or None,
        project=cell["project_name"] or None,
        duration_s=_quantity(cell, "duration(s)"),
        energy_kwh=_quantity(cell, "power_consumption(kWh)"),
        emissions_kg=_quantity(cell, "CO2_emissions(kg)"),
        cost=cost,
        currency=currency,
        exit_status=cell.get("exit_status") or None,
        caveats=tuple(word for word in cell.get("caveats", "").split(";") if word),
    )


def _quantity(cell: Mapping[str, str], name: str) -> float | None:
    """Return a cell that holds a finite number, 0 or more; None if it is empty or missing."""
    written = cell.get(name, "")
    if not written:
        return None
    try:
        value = float(written)
    except ValueError:
        raise _BadRow(f"`{name}` is not a number: `{written}`") from None
    if not 0 <= value < math.inf or "_" in written:
        raise _BadRow(f"`{name}` cannot be `{written}`")
    return value
