"""`summary`: what a ledger adds up to, by project and in all, under eco2AI's column names."""

from __future__ import annotations

import csv
import math
import os
from importlib import import_module
from typing import Any

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.reader import read
from eco2ai_cli.report import Summary, summarise
from eco2ai_cli.tracker.warn import warn

COLUMNS = (
    "project_name",
    "total duration(s)",
    "total power_consumption(kWh)",
    "total CO2_emissions(kg)",
    "total electricity cost",
)
"""Those of eco2AI's `summary` (eco2AI 0.3.13, 2024)."""
_ALL = "All the projects"


def summary(
    filename: str | os.PathLike[str] = "emission.csv",
    write_to_file: str | os.PathLike[str] | None = None,
) -> Any:
    """Return the totals of a ledger: one line a project, by name, and one for all of them.

    A pandas DataFrame where pandas can be imported, else a list of dictionaries. What is not known
    is NaN, and so is a cost in more than one currency. `write_to_file`: a CSV file for the same.
    Rows that cannot be trusted are skipped with a warning. Raises LedgerError.
    """
    path = os.fspath(filename)
    found = summarise(read(path))
    if not found.total.rows:
        raise LedgerError(f"there are no rows in `{path}`")
    if found.skipped:
        first = found.skipped[0]
        more = f", and {len(found.skipped) - 1} more" if len(found.skipped) > 1 else ""
        warn(f"skipped the row at line {first.line} of `{first.file}`: {first.reason}{more}")
    projects = sorted((labels[0] or "", one) for labels, one in found.groups)
    lines = [_line(name, one) for name, one in projects] + [_line(_ALL, found.total)]
    if write_to_file is not None:
        with open(write_to_file, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
    try:
        pandas = import_module("pandas")
    except ImportError:
        return lines
    return pandas.DataFrame(lines, columns=list(COLUMNS))


def _line(name: str, one: Summary) -> dict[str, object]:
    costs = list(one.cost.values())
    figures = (
        one.duration_s,
        one.energy_kwh,
        one.emissions_kg,
        costs[0] if len(costs) == 1 else None,
    )
    known = [math.nan if figure is None else figure for figure in figures]
    return dict(zip(COLUMNS, (name, *known), strict=True))
