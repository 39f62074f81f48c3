"""What the rows that a run has saved already add up to, for whoever may not find them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eco2ai_cli.ledger import Cells
from eco2ai_cli.ledger.columns import Value

ROWS = "rows"
_ADDED = (
    "duration(s)",
    "power_consumption(kWh)",
    "CO2_emissions(kg)",
    "cost",
    "cpu_time(s)",
    "cpu_energy(kWh)",
    "gpu_energy(kWh)",
    "ram_energy(kWh)",
    "samples",
    "overhead(s)",
)
_ALIKE = ("carbon_intensity(kg/MWh)", "price_per_kwh")


def added(sums: Mapping[str, Value], rows: Sequence[Cells]) -> dict[str, Value]:
    """Return `sums`, which may be empty, with `rows` added: one row in place of all of them.

    `rows` in it is their number. Rates are there only where all have the same; what is not known
    adds nothing. The mean memory is weighed by the durations.
    """
    total = dict(sums)
    for row in rows:
        gb_s = number(total.get("memory_mean(GB)")) * number(total.get("duration(s)"))
        gb_s += number(row.get("memory_mean(GB)")) * number(row.get("duration(s)"))
        for column in _ADDED:
            total[column] = number(total.get(column)) + number(row.get(column))
        for column in _ALIKE:
            alike = not total.get(ROWS) or total.get(column) == row.get(column)
            total[column] = row.get(column) if alike else None
        duration_s = number(total["duration(s)"])
        total["memory_mean(GB)"] = gb_s / duration_s if duration_s else None
        total["end_time"] = row.get("end_time")
        total[ROWS] = int(number(total.get(ROWS))) + 1
    return total


def number(cell: Value) -> float:
    """Return the number in a cell; an empty one adds nothing."""
    return float(cell or 0.0)
