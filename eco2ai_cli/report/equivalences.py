"""Say what an energy and its emissions are like, with the factor and its source beside."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import NamedTuple

from eco2ai_cli import resources
from eco2ai_cli.report.groups import Summary

_TABLE = "equivalences.csv"
_LEAST = 0.01
"""Of anything: a smaller part of it says nothing to anybody."""


class Equivalence(NamedTuple):
    """So many of something stand for the same emissions, or the same energy: `factor` each."""

    number: float
    name: str
    factor: float
    unit: str
    source: str

    def __str__(self) -> str:
        return f"{_written(self.number)} {self.name} ({self.factor:g} {self.unit}; {self.source})"


def equivalences(summary: Summary) -> Iterator[Equivalence]:
    """Yield what is known to be equivalent; nothing where there is next to nothing, or not known.

    Raises ResourceError if the installation lacks the table.
    """
    known = {"emissions_kg": summary.emissions_kg, "energy_kwh": summary.energy_kwh}
    for line in csv.DictReader(resources.read(_TABLE).decode().splitlines()):
        amount, factor = known[line["of"]], float(line["factor"])
        count = (amount or 0.0) / factor
        if count >= _LEAST:
            yield Equivalence(count, line["name"], factor, line["unit"], line["source"])


def _written(count: float) -> str:
    return f"{count:,.0f}" if count >= 1000 else f"{count:.3g}"
