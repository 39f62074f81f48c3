"""Read CodeCarbon's `emissions.csv` as if it were a ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from eco2ai_cli.ledger.rows import Row, Skipped

_OUR_NAMES = {
    "run_id": "id",
    "duration": "duration(s)",
    "energy_consumed": "power_consumption(kWh)",
    "emissions": "CO2_emissions(kg)",
}
"""CodeCarbon 3.3 (2025), `EmissionsData`: seconds, kWh with PUE, kg, as ours are."""

_TASK = "task_name"


def is_codecarbon(names: Sequence[str]) -> bool:
    """Tell whether a header is CodeCarbon's."""
    return {"project_name", "duration", "energy_consumed", "emissions"} <= set(names)


def our_names(names: Sequence[str]) -> list[str]:
    """Return a header of CodeCarbon in our words; what we do not read keeps its own."""
    return [_OUR_NAMES.get(name, name) for name in names]


def totals(entries: Iterable[Row | Skipped], names: Sequence[str]) -> Iterator[Row | Skipped]:
    """Yield of every run the row that counts.

    CodeCarbon writes a run anew whenever it is flushed, each time with all it has used so far:
    the longest of these rows is the run. The rows of tasks are parts of it, and all count.
    """
    longest: dict[object, Row] = {}
    for entry in entries:
        if isinstance(entry, Skipped) or _TASK in names or entry.id is None:
            yield entry
        elif entry.id not in longest or _duration_s(entry) >= _duration_s(longest[entry.id]):
            longest[entry.id] = entry
    yield from longest.values()


def _duration_s(row: Row) -> float:
    return row.duration_s or 0.0
