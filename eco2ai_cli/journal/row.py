"""The row of a run that was killed, by the last sample that its journal holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eco2ai_cli.clock import Moment, clock_was_set
from eco2ai_cli.footprint import footprint
from eco2ai_cli.journal import layout
from eco2ai_cli.journal.owner import Owner
from eco2ai_cli.journal.sums import number
from eco2ai_cli.ledger import COLUMNS, Cells
from eco2ai_cli.ledger.columns import Value
from eco2ai_cli.ledger.columns import cells as as_text
from eco2ai_cli.model import COMPONENTS, Energy
from eco2ai_cli.run_forms import stamp
from eco2ai_cli.units import BYTES_PER_GB, joules, kwh

_LONGEST_COMMAND = 60
_SUSPENDED_S = 1.0
"""More than that between a clock that counts suspend and one that does not is no inaccuracy."""


class Left(NamedTuple):
    """What a journal holds: whose it is, whether that process had it locked, and the row.

    `saved` is what the run had in the ledger already, as `sums` has it; empty: nothing.
    """

    owner: Owner
    locked: bool
    ledger: str
    key_file: str | None
    mark_path: str | None
    saved: Mapping[str, Value]
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


def after(saved: Sequence[Mapping[str, Value]], cells: Cells) -> Cells:
    """Return the row of what a run used after its epochs, whose rows are `saved`.

    `cells` are those of the whole run. So all rows of the run add up to it.
    """
    if not saved:
        return cells
    energies_kwh = [_less(cells, saved, f"{component}_energy(kWh)") for component in COMPONENTS]
    energy = Energy(*(None if kwh is None else joules(kwh) for kwh in energies_kwh))
    rates = [_rate(cells, saved, *columns) for columns in _RATES]
    due = footprint(
        energy, pue=number(cells["pue"]), kg_per_mwh=rates[0] or 0.0, price_per_kwh=rates[1]
    )
    rest = dict(cells)
    for column in ("duration(s)", "cpu_time(s)", "samples", "overhead(s)"):
        rest[column] = _less(cells, saved, column)
    rest["samples"] = int(number(rest["samples"]))
    for component, kwh_left in zip(COMPONENTS, energies_kwh, strict=True):
        rest[f"{component}_energy(kWh)"] = kwh_left
    rest |= {
        "start_time": saved[-1].get("end_time") or cells["start_time"],
        "power_consumption(kWh)": _in_kwh(due.energy_j),
        "CO2_emissions(kg)": due.emissions_kg,
        "cost": due.cost,
        "carbon_intensity(kg/MWh)": rates[0],
        "price_per_kwh": rates[1],
        "memory_mean(GB)": _mean_after(cells, saved),
    }
    return rest


_RATES = (
    ("carbon_intensity(kg/MWh)", "CO2_emissions(kg)", 1000.0),
    ("price_per_kwh", "cost", 1.0),
)


def _rate(
    cells: Cells, saved: Sequence[Mapping[str, Value]], column: str, product: str, scale: float
) -> float | None:
    """Return what a kWh after the epochs was charged with: the same, or what is left over it."""
    whole = cells[column]
    if whole is None or all(number(row.get(column)) == whole for row in saved):
        return None if whole is None else number(whole)
    energy, due = _less(cells, saved, "power_consumption(kWh)"), _less(cells, saved, product)
    return scale * due / energy if energy and due is not None else number(whole)


def _less(cells: Cells, saved: Sequence[Mapping[str, Value]], column: str) -> float | None:
    """Return what a column of the whole run has more than the rows of its epochs together."""
    whole = cells[column]
    if whole is None:
        return None
    return max(0.0, math.fsum([number(whole), *(-number(row.get(column)) for row in saved)]))


def _mean_after(cells: Cells, saved: Sequence[Mapping[str, Value]]) -> float | None:
    """Return the mean memory after the epochs, by the means of the run and of the epochs."""
    column, duration = "memory_mean(GB)", "duration(s)"
    span_s = _less(cells, saved, duration)
    if cells[column] is None or not span_s:
        return None
    gb_s = [-number(row.get(column)) * number(row.get(duration)) for row in saved]
    gb_s.append(number(cells[column]) * number(cells[duration]))
    return max(0.0, math.fsum(gb_s)) / span_s


def left_in(data: bytes) -> Left:
    """Read a journal; raises layout.Damaged or layout.Newer."""
    facts, figures = layout.parse(data)
    try:
        return Left(
            owner=Owner(*facts["owner"]),
            locked=facts["locked"],
            ledger=facts["ledger"],
            key_file=facts["key_file"],
            mark_path=facts.get("mark_path"),
            saved=json.loads(figures.words).get("saved") or {},
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
    words = json.loads(figures.words)
    known = {**known, **words}
    due = footprint(
        energy,
        pue=known["pue"],
        kg_per_mwh=known["carbon_intensity(kg/MWh)"],
        price_per_kwh=known["price_per_kwh"],
    )
    caveats = {"end-unseen", *filter(None, words["caveats"].split(";"))}
    if figures.duration_s - figures.awake_s > _SUSPENDED_S:
        caveats.add("suspended")
    if clock_was_set(began, ended):
        caveats.add("clock-set")
    mean_bytes = None
    if figures.memory_byte_s is not None and figures.awake_s > 0:
        mean_bytes = figures.memory_byte_s / figures.awake_s
    cells = {
        **known,
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
