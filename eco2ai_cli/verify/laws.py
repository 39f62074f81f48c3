"""The laws that the cells of a row, and the rows of a run, have to keep."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

ENERGY, EMISSIONS, COST = "power_consumption(kWh)", "CO2_emissions(kg)", "cost"
INTENSITY, PRICE = "carbon_intensity(kg/MWh)", "price_per_kwh"
COMPONENTS = ("cpu_energy(kWh)", "gpu_energy(kWh)", "ram_energy(kWh)")
_NUMBERS = (
    "duration(s)", ENERGY, EMISSIONS, COST, "cpu_time(s)", *COMPONENTS, "cpu_tdp(W)",
    "memory_mean(GB)", "memory_peak(GB)", "processes", "pue", INTENSITY, PRICE, "samples",
    "overhead(s)",
)  # fmt: skip
_TOLERANCE = 1e-9
"""Relative. Cells hold every digit of a binary64 number (IEEE 754-2008): a formula of five of
them is off by 1e-15, and what a person would change by more than this."""
_STAMPS_S = 3.0
_DRIFT = 1e-3
"""What the caveat `clock-set` is given for, and a second more, for stamps are whole seconds."""
_OF_THE_RUN = ("project_name", "parent_id", "command", "host", "user", "job", "rank")
"""Cells that all rows of one run share."""


class Broken(NamedTuple):
    """A cell that does not hold: what it should be by the others, and what it is."""

    column: str
    expected: str
    found: str
    why: str


def numbers(cell: Mapping[str, str]) -> dict[str, float] | Broken:
    """Return the figures of a row by column, without empty cells; or the first that is none."""
    figures: dict[str, float] = {}
    for name in _NUMBERS:
        written = cell.get(name)
        if not written:
            continue
        try:
            value = float(written)
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf or "_" in written:
            return Broken(name, "a number, 0 or more", written, "is no figure")
        figures[name] = value
    return figures


def broken_cells(cell: Mapping[str, str], figures: Mapping[str, float]) -> Iterator[Broken]:
    """Yield the cells that do not follow from the others by the formulas of the ledger.

    Energy is PUE x the sum of the components that are known, and not known where that is nothing
    but zeros; emissions and cost are that energy times intensity and price. What a formula needs
    and the row lacks leaves it out.
    """
    pue = figures.get("pue")
    energy = figures.get(ENERGY)
    if pue is not None:
        if pue < 1:
            yield Broken(
                "pue", "1 or more", cell["pue"], "no facility takes less than its computers"
            )
        known = [figures[name] for name in COMPONENTS if name in figures]
        total = sum(known) if any(known) or len(known) == len(COMPONENTS) else None
        due = None if total is None else pue * total
        yield from _unless_equal(cell, ENERGY, due, energy, "PUE × the sum of its components")
    if INTENSITY in figures:
        due = None if energy is None else energy * figures[INTENSITY] / 1000
        found = figures.get(EMISSIONS)
        yield from _unless_equal(cell, EMISSIONS, due, found, "its energy × its carbon intensity")
    if PRICE in figures:
        due = None if energy is None else energy * figures[PRICE]
        yield from _unless_equal(cell, COST, due, figures.get(COST), "its energy × its price")


def _unless_equal(
    cell: Mapping[str, str], column: str, due: float | None, found: float | None, why: str
) -> Iterator[Broken]:
    if due is None and found is None:
        return
    if due is None or found is None or not math.isclose(due, found, rel_tol=_TOLERANCE):
        expected = "nothing, for that is not known" if due is None else repr(due)
        yield Broken(column, expected, cell.get(column) or "nothing", f"is not {why}")


class Part(NamedTuple):
    """What the rows of one run, read so far, come to.

    `line`: that of the last one. `cell`: what they share. `has_ended`: the last one says why the
    run stopped.
    """

    line: int
    cell: Mapping[str, str]
    start_s: float | None
    end_s: float | None
    duration_s: float | None
    clock_was_set: bool
    has_ended: bool


def part(line: int, cell: Mapping[str, str], figures: Mapping[str, float]) -> Part:
    """Return what one row says of its run."""
    doubts = cell.get("caveats", "").split(";")
    return Part(
        line,
        {name: cell.get(name, "") for name in ("id", *_OF_THE_RUN)},
        _seconds(cell.get("start_time", "")),
        _seconds(cell.get("end_time", "")),
        figures.get("duration(s)"),
        "clock-set" in doubts or cell.get("stop_reason") == "recovered",
        bool(cell.get("stop_reason", "unknown")),
    )


def joined(run: Part, more: Part) -> Part | Broken:
    """Return what a run comes to with one more row; or the cell in which that contradicts it."""
    for name in _OF_THE_RUN:
        expected, found = run.cell.get(name, ""), more.cell.get(name, "")
        if expected != found:
            return Broken(name, expected or "nothing", found or "nothing", "differs within a run")
    known = run.duration_s is not None and more.duration_s is not None
    return Part(
        more.line,
        run.cell,
        run.start_s,
        more.end_s,
        run.duration_s + more.duration_s if known else None,  # type: ignore[operator]
        run.clock_was_set or more.clock_was_set,
        more.has_ended,
    )


def broken_times(run: Part) -> Broken | None:
    """Return the duration of a run if it is not the time from its start to its end."""
    if run.clock_was_set or None in (run.start_s, run.end_s, run.duration_s):
        return None
    assert run.start_s is not None
    assert run.end_s is not None
    assert run.duration_s is not None
    span_s = run.end_s - run.start_s
    if abs(span_s - run.duration_s) <= _STAMPS_S + _DRIFT * run.duration_s:
        return None
    why = "is not the time from `start_time` to `end_time`"
    return Broken("duration(s)", f"about {span_s:g}", f"{run.duration_s:g}", why)


def _seconds(stamp: str) -> float | None:
    """Return `YYYY-MM-DD HH:MM:SS+00:00` as Unix time; None if it is no such stamp."""
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None
