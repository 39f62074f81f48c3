"""Sum the rows of ledgers up: by project, and in total."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from eco2ai_cli.ledger.reader import Row, Skipped


@dataclass(frozen=True, slots=True)
class Summary:
    """What a set of runs has cost.

    `rows` are all rows, `runs` what they are summed up to: rows with one id are one run, and a
    run that was started inside another of these rows is part of that one and only counted in
    `nested_runs`. None: there were runs, and the figure is not known of any. `cost` by
    currency, "" where a row names none. `caveats`: of how many runs each word is said.
    """

    runs: int
    nested_runs: int
    rows: int
    duration_s: float | None
    energy_kwh: float | None
    emissions_kg: float | None
    cost: Mapping[str, float]
    failed_runs: int
    failed_energy_kwh: float | None
    caveats: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """Summaries by project (None: it has no name), the greatest energy first, and the whole."""

    by_project: Sequence[tuple[str | None, Summary]]
    total: Summary
    skipped: Sequence[Skipped]


@dataclass(frozen=True, slots=True)
class _Run:
    rows: tuple[Row, ...]
    is_nested: bool

    @property
    def failed(self) -> bool:
        return any(row.exit_status not in (None, "0") for row in self.rows)

    @property
    def caveats(self) -> set[str]:
        words = {word for row in self.rows for word in row.caveats}
        # A sum that lacks a run's figure is not the sum: what is missing is said.
        for name in ("duration_s", "energy_kwh", "emissions_kg"):
            if any(getattr(row, name) is None for row in self.rows):
                words.add(f"{name.partition('_')[0]}-unknown")
        return words


def summarise(entries: Iterable[Row | Skipped]) -> Report:
    """Return the report on the rows of any number of ledgers; their order does not matter."""
    rows: list[Row] = []
    skipped: list[Skipped] = []
    for entry in entries:
        if isinstance(entry, Row):
            rows.append(entry)
        else:
            skipped.append(entry)
    runs = _runs(rows)
    projects: dict[str | None, list[_Run]] = {}
    for run in runs:
        projects.setdefault(run.rows[0].project, []).append(run)
    by_project = [(project, _summary(part)) for project, part in projects.items()]
    by_project.sort(key=lambda group: (-(group[1].energy_kwh or 0.0), group[0] or ""))
    return Report(by_project, _summary(runs), skipped)


def _runs(rows: Iterable[Row]) -> list[_Run]:
    by_id: dict[object, list[Row]] = {}
    for row in rows:
        by_id.setdefault(row.id or row.place, []).append(row)
    parents = {run_id: part[0].parent_id for run_id, part in by_id.items()}
    return [_Run(tuple(part), _is_nested(run_id, parents)) for run_id, part in by_id.items()]


def _is_nested(run_id: object, parents: Mapping[object, str | None]) -> bool:
    """Tell whether a run lies within another; a circle of parents, a forgery, nests nothing."""
    seen = {run_id}
    while (parent := parents[run_id]) in parents:
        if parent in seen:
            return False
        seen.add(parent)
        run_id = parent
    return len(seen) > 1


def _summary(runs: Sequence[_Run]) -> Summary:
    counted = [run for run in runs if not run.is_nested]
    failed = [run for run in counted if run.failed]
    return Summary(
        runs=len(counted),
        nested_runs=len(runs) - len(counted),
        rows=sum(len(run.rows) for run in runs),
        duration_s=_sum(row.duration_s for row in _rows(counted)),
        energy_kwh=_sum(row.energy_kwh for row in _rows(counted)),
        emissions_kg=_sum(row.emissions_kg for row in _rows(counted)),
        cost=_cost(_rows(counted)),
        failed_runs=len(failed),
        failed_energy_kwh=_sum(row.energy_kwh for row in _rows(failed)),
        caveats=dict(sorted(Counter(word for run in counted for word in run.caveats).items())),
    )


def _rows(runs: Iterable[_Run]) -> Iterator[Row]:
    return (row for run in runs for row in run.rows)


def _sum(values: Iterable[float | None]) -> float | None:
    """Return the sum of what is known, exact in any order; None if there is nothing known."""
    all_values = list(values)
    known = [value for value in all_values if value is not None]
    return math.fsum(known) if known or not all_values else None


def _cost(rows: Iterable[Row]) -> dict[str, float]:
    amounts: dict[str, list[float]] = {}
    for row in rows:
        if row.cost is not None:
            amounts.setdefault(row.currency or "", []).append(row.cost)
    return {currency: math.fsum(amounts[currency]) for currency in sorted(amounts)}


def to_json(report: Report) -> dict[str, object]:
    """Return the report as the object that `report --json` prints."""
    return {
        "groups": [
            {"by": {"project": project}, **_to_json(summary)}
            for project, summary in report.by_project
        ],
        "total": _to_json(report.total),
        "skipped": [
            {"file": row.file, "line": row.line, "reason": row.reason} for row in report.skipped
        ],
    }


def _to_json(summary: Summary) -> dict[str, object]:
    return {
        "runs": summary.runs,
        "nested_runs": summary.nested_runs,
        "rows": summary.rows,
        "duration_s": summary.duration_s,
        "energy_kwh": summary.energy_kwh,
        "emissions_kg": summary.emissions_kg,
        "cost": dict(summary.cost),
        "failed_runs": summary.failed_runs,
        "failed_energy_kwh": summary.failed_energy_kwh,
        "caveats": dict(summary.caveats),
    }
