"""The frozen records that flow from the meters to the ledger. The unit is in every name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Component = Literal["cpu", "gpu", "ram"]
COMPONENTS: tuple[Component, ...] = ("cpu", "gpu", "ram")


class Usage(NamedTuple):
    """What a process tree has used so far, by one look at it.

    `cpu_s`: user + system CPU seconds of every process that ever lived in the tree; never falls.
    `memory_bytes`: resident memory now, with shared and copy-on-write pages counted once;
    None where it could not be read. `memory_byte_s`: its integral over time so far, in
    byte-seconds; None while nothing has been read. `pids`: the members alive now.
    """

    cpu_s: float
    memory_bytes: int | None
    memory_byte_s: float | None
    pids: tuple[int, ...] = ()
    caveats: frozenset[str] = frozenset()

    @property
    def processes(self) -> int:
        """The number of processes alive in the tree."""
        return len(self.pids)


class Reading(NamedTuple):
    """What one meter shows for one device: joules since the meter was opened.

    `energy_j` never falls; None means that the device is there and its energy is not known, and a
    caveat says why. `method` is a word of the ledger's `*_method` columns. `power_w` and
    `details` (names with units, e.g. `utilisation_percent`) are for screens and traces only.
    """

    component: Component
    device: str
    energy_j: float | None
    method: str
    name: str | None = None
    power_w: float | None = None
    caveats: frozenset[str] = frozenset()
    details: Mapping[str, float] = MappingProxyType({})


class Sample(NamedTuple):
    """All meters read once. `t_s`: seconds since the start, on the clock that stops in suspend."""

    t_s: float
    usage: Usage
    readings: tuple[Reading, ...]

    @property
    def caveats(self) -> frozenset[str]:
        """All doubts about this sample."""
        return self.usage.caveats.union(*(r.caveats for r in self.readings))

    def of(self, component: Component) -> tuple[Reading, ...]:
        """Return the readings of one component, one a device."""
        return tuple(r for r in self.readings if r.component == component)


class Energy(NamedTuple):
    """Joules by component before PUE: a difference of two samples.

    None: not known. A component without any reading has nothing here that could use energy: 0.
    """

    cpu_j: float | None
    gpu_j: float | None
    ram_j: float | None

    @property
    def total_j(self) -> float | None:
        """The sum of what is known; None where that is nothing but zeros."""
        parts = (self.cpu_j, self.gpu_j, self.ram_j)
        known = [joules for joules in parts if joules is not None]
        return sum(known) if any(known) or len(known) == len(parts) else None

    @classmethod
    def between(cls, first: Sample, last: Sample) -> Energy:
        """Subtract two samples, dial by dial; a dial that `first` lacks started at zero."""
        start = {(r.component, r.device): r.energy_j or 0.0 for r in first.readings}

        def used(component: Component) -> float | None:
            readings = last.of(component)
            known = [
                r.energy_j - start.get((r.component, r.device), 0.0)
                for r in readings
                if r.energy_j is not None
            ]
            return sum(known) if known or not readings else None

        return cls(used("cpu"), used("gpu"), used("ram"))

    @classmethod
    def since_start(cls, sample: Sample) -> Energy:
        """Read the dials as they stand: all of them start at zero with the run."""
        levels: dict[Component, float | None] = {}
        for component, _, energy_j, *_ in sample.readings:
            level_j = levels.get(component)
            if energy_j is not None and level_j is not None:
                levels[component] = level_j + energy_j
            elif level_j is None:
                levels[component] = energy_j
        return cls(levels.get("cpu", 0.0), levels.get("gpu", 0.0), levels.get("ram", 0.0))


ORIGIN = Sample(0.0, Usage(0.0, None, None), ())
"""The sample before anything has run."""


class Footprint(NamedTuple):
    """What an energy means at a place: at the facility's socket, in CO2, in money.

    None: not known, because the energy or the price is not.
    """

    energy_j: float | None
    emissions_kg: float | None
    cost: float | None
