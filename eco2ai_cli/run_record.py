"""A finished run: the facts as one record, and what follows from them as its properties."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

from eco2ai_cli.clock import Moment
from eco2ai_cli.config import Config
from eco2ai_cli.cpus import Processor
from eco2ai_cli.footprint import footprint
from eco2ai_cli.model import COMPONENTS, Component, Energy, Footprint, Sample
from eco2ai_cli.origin import Origin
from eco2ai_cli.place import Place

if TYPE_CHECKING:  # its bounds are not needed for the row
    from eco2ai_cli.uncertainty import Band


class Run(NamedTuple):
    """Everything that is known about one finished run.

    `status` is as of wait(2); `sample` is the last one, so its dials hold the run's totals;
    `doubts` are caveats beside those of the sample and the place. `gpu_idle_j`: what the GPUs
    given to the command drew while nobody was on them; it is in no other figure.
    """

    id: str
    parent_id: str | None
    argv: tuple[bytes, ...]
    config: Config
    place: Place
    processor: Processor | None
    origin: Origin
    status: int
    began: Moment
    ended: Moment
    sample: Sample
    samples: int
    memory_peak_bytes: int | None
    processes: int
    gpu_name: str
    gpu_idle_j: float | None
    overhead_s: float
    doubts: frozenset[str]
    version: str

    @property
    def command(self) -> str | None:
        """The command line as far as it is to be kept; no secret that can be told is in it."""
        from eco2ai_cli.redaction import command_line  # not before the command has ended

        return command_line(self.argv, self.config.ledger_command)

    @property
    def exit_status(self) -> int | str:
        """The exit status, or the name of the signal that ended it."""
        if os.WIFSIGNALED(self.status):
            return signal_name(os.WTERMSIG(self.status))
        return os.WEXITSTATUS(self.status)

    @property
    def stop_reason(self) -> str:
        """Why it ended: `exit` or `signal`."""
        return "signal" if os.WIFSIGNALED(self.status) else "exit"

    @property
    def duration_s(self) -> float:
        """The duration, suspend included."""
        return self.ended.elapsed_s - self.began.elapsed_s

    @property
    def energy(self) -> Energy:
        """Joules by component, before PUE."""
        return Energy.since_start(self.sample)

    @property
    def footprint(self) -> Footprint:
        """Energy at the socket of the facility, emissions and cost."""
        return footprint(
            self.energy,
            pue=self.place.pue,
            kg_per_mwh=self.place.region.kg_per_mwh,
            price_per_kwh=self.config.price_per_kwh,
        )

    @property
    def energy_band_j(self) -> Band | None:
        """The bounds of the energy, PUE included; None where there is no telling."""
        from eco2ai_cli import uncertainty

        caveats, energy = self.caveats, self.energy
        quality = self.processor.quality if self.processor else None
        parts: list[tuple[float, Band | None]] = []
        for component in COMPONENTS:
            joules = getattr(energy, f"{component}_j")
            if joules is None:
                return None
            method = self.method(component)
            factors = uncertainty.energy_factors(component, method, caveats, quality)
            parts.append((joules, factors))
        band = uncertainty.total(parts, caveats)
        return None if band is None else band.of(self.place.pue)

    @property
    def emissions_band_kg(self) -> Band | None:
        """The bounds of the emissions; None where there is no telling."""
        from eco2ai_cli import uncertainty

        energy_j, emissions_kg = self.footprint.energy_j, self.footprint.emissions_kg
        band_j, region = self.energy_band_j, self.place.region
        intensity = uncertainty.intensity_factors(
            self.place.caveats,
            region.year and time.gmtime(self.began.wall_s).tm_year - region.year,
            is_given=self.config.intensity_kg_per_mwh is not None,
            is_world=region.code == "WORLD",
        )
        if band_j is None or intensity is None or not energy_j or emissions_kg is None:
            return None
        return uncertainty.product(band_j.of(1 / energy_j), intensity).of(emissions_kg)

    @property
    def memory_mean_bytes(self) -> float | None:
        """The mean memory of the tree over the run."""
        byte_s = self.sample.usage.memory_byte_s
        if byte_s is None or self.sample.t_s <= 0:
            return None
        return byte_s / self.sample.t_s

    @property
    def caveats(self) -> tuple[str, ...]:
        """All doubts about the figures, each once, sorted."""
        return tuple(sorted(self.sample.caveats | self.place.caveats | self.doubts))

    def method(self, component: Component) -> str:
        """Say how a component was metered; `none` where it was not, or where there is none."""
        methods = {reading.method for reading in self.sample.of(component)}
        return ";".join(sorted(methods - {"none"})) or "none"


def signal_name(number: int) -> str:
    """Return the name of a signal, real-time ones counted from SIGRTMIN as kill(1) does."""
    if signal.SIGRTMIN < number < signal.SIGRTMAX:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"  # the two that the C library keeps for itself
