"""Say what figures alone do not: what was in vain, and what an amount is like."""

from __future__ import annotations

from collections.abc import Iterator

from eco2ai_cli.report.equivalences import equivalences
from eco2ai_cli.report.groups import Summary


def notes(total: Summary) -> Iterator[str]:
    """Yield a sentence each: the share of failed runs, nested runs, and equivalents."""
    if total.failed_energy_kwh and total.energy_kwh:
        percent = 100 * total.failed_energy_kwh / total.energy_kwh
        share = f"{percent:.0f} %" if percent >= 1 else "less than 1 %"
        yield f"{share} of the energy went into {runs(total.failed_runs)} that failed"
    if total.nested_runs:
        yield f"{runs(total.nested_runs)} inside others, counted there"
    for equivalence in equivalences(total):
        yield f"as much as {equivalence}"


def runs(count: int) -> str:
    """Write a number of runs."""
    return "1 run" if count == 1 else f"{count:,} runs"
