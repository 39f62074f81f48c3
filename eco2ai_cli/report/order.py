"""Put the groups of a report in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from eco2ai_cli.report import Labels, Report, Summary

_GREATEST: dict[str, Callable[[Summary], float]] = {
    "energy": lambda summary: summary.energy_kwh or 0.0,
    "emissions": lambda summary: summary.emissions_kg or 0.0,
    "duration": lambda summary: summary.duration_s or 0.0,
    "cost": lambda summary: max(summary.cost.values(), default=0.0),
    "runs": lambda summary: summary.runs,
    "failed": lambda summary: summary.failed_runs,
}
_NAME = "name"
KEYS = (*_GREATEST, _NAME)
_PERIODS = {"hour", "day", "week", "month", "year"}


def ordered(report: Report, key: str | None, top: int | None) -> Report:
    """Return a report with its groups in order of `key`, and no more than `top` of them.

    Without a key, periods come one after the other, anything else with the greatest energy
    first. By cost, groups are compared by their greatest amount: currencies are not converted.
    The total is that of all groups.
    """
    if key is None:
        key = _NAME if _PERIODS & set(report.by) else "energy"
    groups = sorted(report.groups, key=_name)
    if key != _NAME:
        greatest = _GREATEST[key]
        groups.sort(key=lambda group: -greatest(group[1]))
    return replace(report, groups=tuple(groups[:top]))


def _name(group: tuple[Labels, Summary]) -> tuple[tuple[bool, str], ...]:
    return tuple((label is None, label or "") for label in group[0])
