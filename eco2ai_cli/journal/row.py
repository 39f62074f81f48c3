"""The row of a run that was killed, by the last sample that its journal holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from eco2ai_cli.clock import Moment, clock_was_set
from eco2ai_cli.footprint import footprint
from eco2ai_cli.journal import layout
from eco2ai_cli.journal.owner import Owner
from eco2ai_cli.ledger import COLUMNS, Cells
from eco2ai_cli.ledger.columns import cells as as_text
from eco2ai_cli.model import Energy
from eco2ai_cli.run_forms import stamp
from eco2ai_cli.units import BYTES_PER_GB, kwh

_LONGEST_COMMAND = 60
_SUSPENDED_S = 1.0
"""More than that between a clock that counts suspend and one that does not is no inaccuracy."""


class Left(NamedTuple):
    """What a journal holds: whose it is, whether that process had it locked, and the row."""

    owner: Owner
    locked: bool
    ledger: str
    key_file: str | None
    cells: Cells

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return str(self.cells["id"])

    @property
    def name(self) -> str:
        """The run as a sentence can name it."""
        command = "".join(c if c.isprintable() else " " for c in str(self.cells["command"] or ""))
        if len(command) > _LONGEST_COMMAND:
            command = command[: _LONGEST_COMMAND - 1] + "…"
        of = f"the run `{command}`" if command else "the run"
        return f"{of} of {self.cells['start_time']}"


def left_in(data: bytes) -> Left:
    """Read a journal; raises layout.Damaged or layout.Newer."""
    facts, figures = layout.parse(data)
    try:
        return Left(
            owner=Owner(*facts["owner"]),
            locked=facts["locked"],
            ledger=facts["ledger"],
            key_file=facts["key_file"],
            cells=_cells(facts["cells"], Moment(*facts["began"]), figures),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise layout.Damaged(f"its facts are not those of a run: {error!r}") from error


def _cells(known: Mapping[str, Any], began: Moment, figures: layout.Figures) -> Cells:
    """Return the cells of a run that was recovered; `known` are those of its start."""
    ended = Moment(
        wall_s=figures.wall_s,
        elapsed_s=began.elapsed_s + figures.duration_s,
        awake_s=began.awake_s + figures.awake_s,
    )
    energy = Energy(figures.cpu_j, figures.gpu_j, figures.ram_j)
    due = footprint(
        energy,
        pue=known["pue"],
        kg_per_mwh=known["carbon_intensity(kg/MWh)"],
        price_per_kwh=known["price_per_kwh"],
    )
    words = json.loads(figures.words)
    caveats = {"end-unseen", *filter(None, words.pop("caveats").split(";"))}
    if figures.duration_s - figures.awake_s > _SUSPENDED_S:
        caveats.add("suspended")
    if clock_was_set(began, ended):
        caveats.add("clock-set")
    mean_bytes = None
    if figures.memory_byte_s is not None and figures.awake_s > 0:
        mean_bytes = figures.memory_byte_s / figures.awake_s
    cells = {
        **known,
        **words,
        "duration(s)": figures.duration_s,
        "power_consumption(kWh)": _in_kwh(due.energy_j),
        "CO2_emissions(kg)": due.emissions_kg,
        "cost": due.cost,
        "exit_status": None,
        "stop_reason": "recovered",
        "end_time": stamp(figures.wall_s),
        "cpu_time(s)": figures.cpu_s,
        "cpu_energy(kWh)": _in_kwh(energy.cpu_j),
        "gpu_energy(kWh)": _in_kwh(energy.gpu_j),
        "ram_energy(kWh)": _in_kwh(energy.ram_j),
        "memory_mean(GB)": _in_gb(mean_bytes),
        "memory_peak(GB)": _in_gb(figures.memory_peak_bytes),
        "processes": figures.processes,
        "caveats": ";".join(sorted(caveats)),
        "samples": figures.samples,
        "overhead(s)": figures.overhead_s,
    }
    # An older version than the one that wrote it may have found it.
    row = {column: cells[column] for column in COLUMNS if column in cells}
    as_text(row, COLUMNS)  # what cannot be written is found here and not at the ledger
    return row


def _in_kwh(joules: float | None) -> float | None:
    return None if joules is None else kwh(joules)


def _in_gb(count: float | None) -> float | None:
    return None if count is None else count / BYTES_PER_GB
