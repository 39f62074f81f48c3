"""The parts of a run: what is added up of them, and to what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eco2ai_cli.run_forms import figures
from eco2ai_cli.run_record import Run


class Part(NamedTuple):
    """A part of a run that has its own row; the sum of them is the run.

    Energies in kWh as in the ledger: `energy_kwh` with PUE, the components before it. None: not
    known.
    """

    epoch: str
    start_time: str
    duration_s: float
    energy_kwh: float | None
    emissions_kg: float | None
    cost: float | None
    cpu_time_s: float
    cpu_energy_kwh: float | None
    gpu_energy_kwh: float | None
    ram_energy_kwh: float | None
    samples: int
    overhead_s: float


ADDED = frozenset(Part._fields) - {"epoch", "start_time"}
"""The figures of a run that are the sums of those of its parts."""


def part_of(run: Run, values: Mapping[str, Any] | None = None) -> Part:
    """Return the figures of a part of a run that are added up.

    `values`: all its figures, where the caller has them already.
    """
    values = figures(run) if values is None else values
    return Part(run.epoch, *(values[key] for key in Part._fields[1:]))


def total(parts: Sequence[Part], key: str) -> float | None:
    """Add up what is known, as whoever adds up the rows of the ledger does."""
    known = [value for part in parts if (value := getattr(part, key)) is not None]
    if all(isinstance(value, int) for value in known):
        return sum(map(int, known)) if known else None
    return math.fsum(known)
