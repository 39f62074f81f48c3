"""Write a report for programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from eco2ai_cli.report import Report
from eco2ai_cli.report.groups import Summary

_COLUMNS = {
    "runs": "runs",
    "nested_runs": "nested_runs",
    "rows": "rows",
    "duration_s": "duration(s)",
    "energy_kwh": "power_consumption(kWh)",
    "emissions_kg": "CO2_emissions(kg)",
    "failed_runs": "failed_runs",
    "failed_energy_kwh": "failed_energy(kWh)",
}


def to_json(report: Report) -> dict[str, object]:
    """Return the report as the object that `report --json` prints."""
    return {
        "groups": [
            {"by": dict(zip(report.by, labels, strict=True)), **_record(summary)}
            for labels, summary in report.groups
        ],
        "total": _record(report.total),
        "skipped": [row._asdict() for row in report.skipped],
    }


def to_csv(report: Report) -> str:
    """Return a line for each group: its labels, its figures, and a column of cost by currency.

    An empty cell is not known; the cost where no currency is named stands under `cost`.
    """
    currencies = list(report.total.cost)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    costs = [f"cost({currency})" if currency else "cost" for currency in currencies]
    writer.writerow([*report.by, *_COLUMNS.values(), *costs])
    for labels, summary in report.groups:
        figures = [getattr(summary, name) for name in _COLUMNS]
        writer.writerow([*labels, *figures, *(summary.cost.get(c) for c in currencies)])
    return out.getvalue()


def _record(summary: Summary) -> Mapping[str, object]:
    return {
        **{name: getattr(summary, name) for name in (*_COLUMNS, "cost", "caveats")},
        "cost": dict(summary.cost),
        "caveats": dict(summary.caveats),
    }
