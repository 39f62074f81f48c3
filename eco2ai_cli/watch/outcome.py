"""Say what a run is at (`--json`) and what it came to, by its journal and by its row."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from eco2ai_cli import units
from eco2ai_cli.dashboard import Gpu, cut, printable
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.search import find
from eco2ai_cli.run_forms import COLUMN_OF_KEY, stamp
from eco2ai_cli.watch.power import Pace
from eco2ai_cli.watch.runs import LiveRun

_NOT_YET = ("exit_status", "stop_reason", "end_time")
_LONGEST_COMMAND = 60


def json_object(
    run: LiveRun, pace: Pace | None, gpus: Sequence[Gpu] | None = None
) -> dict[str, Any]:
    """Return the object of `watch --json`: the run as of its last sample, its pace, its GPUs."""
    cells = run.cells
    cpu_name = str(cells.get("CPU_name") or "").rpartition("/")[0]
    return {
        **{key: cells.get(column) for key, column in COLUMN_OF_KEY.items()},
        **dict.fromkeys(_NOT_YET),
        "tags": json.loads(str(cells.get("tags") or "{}")),
        "cpu_name": cpu_name or None,
        "gpu_name": cells.get("GPU_name") or None,
        "caveats": list(run.caveats),
        "pid": run.pid,
        "sample_time": stamp(run.samples[-1].wall_s),
        "power_w": pace and pace.power_w,
        "cpu_power_w": pace and pace.cpu_w,
        "gpu_power_w": pace and pace.gpu_w,
        "ram_power_w": pace and pace.ram_w,
        "cpu_percent": pace and pace.cpu_percent,
        "memory_gb": None
        if pace is None or pace.memory_bytes is None
        else pace.memory_bytes / units.BYTES_PER_GB,
        "gpus": None if gpus is None else [_gpu(gpu) for gpu in gpus],
    }


def _gpu(gpu: Gpu) -> dict[str, Any]:
    record = gpu._asdict()
    used_bytes = record.pop("memory_used_bytes")
    return record | {
        "memory_used_gb": None if used_bytes is None else used_bytes / units.BYTES_PER_GB
    }


def outcome(run: LiveRun) -> str:
    """Say in a sentence what a run came to that has ended since `run` was read."""
    name = f"`{_named(run)}`"
    if os.path.exists(run.path):
        return f"{name} was killed; the next `eco2ai` command saves its row, if it can"
    rows: list[dict[str, str]] = []
    with suppress(OSError, LedgerError):
        rows = find(run.ledger, run.id)
    if not rows or not rows[-1].get("stop_reason"):  # epochs have their rows before the end
        return f"{name} has ended; its row is not in `{printable(run.ledger)}` yet"
    return f"{name} has ended: {' · '.join(_figures(rows))} · saved to `{printable(run.ledger)}`"


def _figures(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return how a run ended, how long it took, and what it cost, of all its rows together."""
    status = rows[-1].get("exit_status", "")
    words = [f"exit {status}" if status.isdigit() else f"ended by {status}"] if status else []
    currency = rows[-1].get("currency") or None
    for column, write in (
        ("duration(s)", units.format_duration),
        ("power_consumption(kWh)", lambda kwh: units.format_energy(units.joules(kwh))),
        ("CO2_emissions(kg)", lambda kg: f"{units.format_mass(kg)} CO2"),
        ("cost", lambda amount: units.format_money(amount, currency)),
    ):
        with suppress(KeyError, ValueError):  # a cell that is empty: not known
            words.append(write(sum(float(row[column]) for row in rows)))
    return words


def _named(run: LiveRun) -> str:
    return cut(printable(run.command or run.project or run.id), _LONGEST_COMMAND)
