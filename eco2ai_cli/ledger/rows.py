"""What a line of a ledger says to those who read it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from eco2ai_cli.ledger.stamps import begins_after


class Row(NamedTuple):
    """One row of a ledger. None: not known. `energy_kwh` includes PUE.

    `start_time` is as it is written; `asked` are the cells of the columns that the reader was
    asked for, None where a cell is empty or the file has no such column; `more` are figures.
    """

    id: str | None
    parent_id: str | None
    project: str | None
    start_time: str | None
    duration_s: float | None
    energy_kwh: float | None
    emissions_kg: float | None
    cost: float | None
    currency: str | None
    exit_status: str | None
    stop_reason: str | None
    caveats: tuple[str, ...]
    asked: tuple[str | None, ...] = ()
    more: tuple[float | None, ...] = ()


class Skipped(NamedTuple):
    """A row that cannot be trusted, where it begins, and why."""

    file: str
    line: int
    reason: str


class BadRow(ValueError):
    """What makes a row useless, as a reason to show."""


class Reading(NamedTuple):
    """How rows are read: which columns are asked for, and when the latest row may have begun.

    `figures` are columns of numbers that are asked for besides; what is none is not known.

    `latest` is a second of UTC, `YYYY-MM-DD HH:MM:SS`; empty: a row may begin at any time.
    """

    columns: tuple[str, ...] = ("project_name",)
    latest: str = ""
    figures: tuple[str, ...] = ()


AS_IT_IS = Reading()


def row_of(names: Sequence[str], cells: Sequence[str], reading: Reading = AS_IT_IS) -> Row:
    """Return the row that `cells` make under the header `names`. Raises BadRow."""
    if len(cells) != len(names):
        raise BadRow(f"{len(cells)} cells where the header has {len(names)}")
    if not any(cells):
        raise BadRow("all its cells are empty")
    cell = dict(zip(names, cells, strict=True))
    start_time = cell.get("start_time") or None
    if start_time and reading.latest and begins_after(start_time, reading.latest):
        raise BadRow(f"it begins in the future: `{start_time}`")
    currency = cell.get("currency") or None
    cost = _quantity(cell, "cost")
    if cost == 0 and currency is None:
        cost = None  # eco2AI writes 0 where it was given no price
    return Row(
        id=cell.get("id") or None,
        parent_id=cell.get("parent_id") or None,
        project=cell["project_name"] or None,
        start_time=start_time,
        duration_s=_quantity(cell, "duration(s)"),
        energy_kwh=_quantity(cell, "power_consumption(kWh)"),
        emissions_kg=_quantity(cell, "CO2_emissions(kg)"),
        cost=cost,
        currency=currency,
        exit_status=cell.get("exit_status") or None,
        stop_reason=cell.get("stop_reason") or None,
        caveats=words(cell.get("caveats", "")),
        asked=tuple(cell.get(name) or None for name in reading.columns),
        more=tuple(_known(cell, name) for name in reading.figures),
    )


def words(caveats: str) -> tuple[str, ...]:
    """Return the words of a cell of caveats."""
    return tuple(word for word in caveats.split(";") if word)


def _known(cell: Mapping[str, str], name: str) -> float | None:
    try:
        return _quantity(cell, name)
    except BadRow:
        return None


def _quantity(cell: Mapping[str, str], name: str) -> float | None:
    """Return a cell that holds a finite number, 0 or more; None if it is empty or missing."""
    written = cell.get(name, "")
    if not written:
        return None
    try:
        value = float(written)
    except ValueError:
        raise BadRow(f"`{name}` is not a number: `{written}`") from None
    if not 0 <= value < math.inf or "_" in written:
        raise BadRow(f"`{name}` cannot be `{written}`")
    return value
