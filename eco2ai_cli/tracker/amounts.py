"""What a tracker tells its program: energy and cost so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eco2ai_cli import units
from eco2ai_cli.run_parts import Part, total
from eco2ai_cli.run_record import Run


class Amount(NamedTuple):
    """What has been used so far, PUE included; None: not known."""

    energy_kwh: float | None
    cost: float | None


UNKNOWN = Amount(None, None)


def amount(run: Run, parts: Sequence[Part] = ()) -> Amount:
    """Return what the rows of a run add up to; `parts`: none where it has only one."""
    if parts:
        return Amount(total(parts, "energy_kwh"), total(parts, "cost"))
    energy_j, _, cost = run.footprint
    return Amount(None if energy_j is None else units.kwh(energy_j), cost)
