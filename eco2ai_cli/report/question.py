"""What a report is asked: by what to sum up, and which rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eco2ai_cli.errors import WrongUsage
from eco2ai_cli.ledger import stamps
from eco2ai_cli.ledger.rows import Row

_COLUMNS = {
    "project": "project_name",
    "description": "experiment_description",
    "region": "region/country",
    "host": "host",
    "user": "user",
    "command": "command",
    "job": "job",
    "rank": "rank",
    "status": "exit_status",
    "stop": "stop_reason",
    "cpu": "CPU_name",
    "gpu": "GPU_name",
    "os": "OS",
    "currency": "currency",
    "version": "version",
}
_DAY = len("2022-07-01")
_PERIODS: dict[str, Callable[[str], str]] = {
    "hour": lambda moment: moment[: len("2022-07-01 12")] + ":00",
    "day": lambda moment: moment[:_DAY],
    "week": lambda moment: stamps.week(moment[:_DAY]),
    "month": lambda moment: moment[: len("2022-07")],
    "year": lambda moment: moment[: len("2022")],
}
_TAG = "tag:"
DIMENSIONS = (*_COLUMNS, *_PERIODS, "tag:KEY")


class Dimension(NamedTuple):
    """By what rows are told apart: its name, the column it is read from, and how."""

    name: str
    column: str
    label: Callable[[str], str | None]
    is_time: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """`since` and `until` are stamps of UTC: from that second on, and before it.

    `figures` are columns that are summed up besides those of every summary.
    """

    by: tuple[Dimension, ...]
    since: str = ""
    until: str = ""
    projects: frozenset[str] = frozenset()
    figures: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that the answer needs of each row."""
        return tuple(dimension.column for dimension in self.by)

    @property
    def asks_for_some(self) -> bool:
        """Tell whether rows are left out."""
        return bool(self.since or self.until or self.projects)

    def covers(self, project: str | None, start_time: str | None) -> bool:
        """Tell whether the question is about a row; one without a time is in no period."""
        if self.projects and (project or "") not in self.projects:
            return False
        if not (self.since or self.until):
            return True
        moment = stamps.utc(start_time) if start_time else None
        if moment is None:
            return False
        return self.since <= moment and not (self.until and moment >= self.until)

    def group(self, rows: Sequence[Row]) -> tuple[str | None, ...]:
        """Return the group of a run: its period by its first row, all else by the last to tell.

        Of a run with epochs the last row alone knows how it ended.
        """
        if len(rows) == 1:
            return self.labels(rows[0].asked)
        told = [row.asked for row in sorted(rows, key=_place)]
        cells = []
        for dimension, column in zip(self.by, zip(*told, strict=True), strict=True):
            known = [cell for cell in column if cell is not None]
            cells.append(None if not known else known[0 if dimension.is_time else -1])
        return self.labels(cells)

    def labels(self, cells: Sequence[str | None]) -> tuple[str | None, ...]:
        """Return what `columns` of a row are called in the answer; None: not known."""
        return tuple(
            None if cell is None else dimension.label(cell)
            for dimension, cell in zip(self.by, cells, strict=True)
        )


def dimension(name: str) -> Dimension:
    """Return a dimension by its name; raises WrongUsage."""
    if name.startswith(_TAG) and len(name) > len(_TAG):
        key = name[len(_TAG) :]
        return Dimension(name, "tags", lambda cell: _tag(cell, key))
    if name in _COLUMNS:
        return Dimension(name, _COLUMNS[name], _itself)
    if name in _PERIODS:
        period = _PERIODS[name]
        return Dimension(name, "start_time", lambda cell: _period(cell, period), is_time=True)
    raise WrongUsage(f"a report cannot be by `{name}`", hint=f"by {', '.join(DIMENSIONS)}")


def _itself(cell: str) -> str:
    return cell


def _period(cell: str, period: Callable[[str], str]) -> str | None:
    moment = stamps.utc(cell)
    return None if moment is None else period(moment)


def _tag(cell: str, key: str) -> str | None:
    try:
        tags = json.loads(cell)
    except ValueError:
        return None
    value = tags.get(key) if isinstance(tags, dict) else None
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _place(row: Row) -> tuple[str, tuple[str, ...]]:
    return row.start_time or "", tuple(cell or "" for cell in row.asked)
