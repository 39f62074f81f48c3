"""A run, or a part of it: the facts as one record, and what follows from them."""

from __future__ import annotations

import os
import signal
import time
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from eco2ai_cli.clock import Moment
from eco2ai_cli.config import Config
from eco2ai_cli.cpus import Processor
from eco2ai_cli.footprint import footprint
from eco2ai_cli.model import COMPONENTS, ORIGIN, Component, Energy, Footprint, Sample
from eco2ai_cli.origin import Origin
from eco2ai_cli.place import Place

if TYPE_CHECKING:  # its bounds are not needed for the row
    from eco2ai_cli.forecast import FirstForecast
    from eco2ai_cli.ledger import Cells
    from eco2ai_cli.run_parts import Part
    from eco2ai_cli.uncertainty import Band
    from eco2ai_cli.weighing import Weighed


NO_EPOCH = "N/A"


class Run(NamedTuple):
    """Everything that is known about one run, or about one part of it.

    `status` is as of wait(2), None while it goes on. `sample` is the last one and `since` the one
    before the part began: the part is what lies between them. `doubts` are caveats beside those
    of the sample and the place. `gpu_idle_j`: what the GPUs given to the command drew while
    nobody was on them; it is in no other figure. `epoch`: the mark that ended the part, with its
    values. `weighed` are the joules by price and by intensity up to the end of the part, where
    those change with the time of day, and `weighed_since` up to its beginning. `stopped_by`: the
    quantity whose budget was used up. `first_forecast`: what was expected of the whole run after
    its first epoch, and `forecast_error_percent` how far that was off, if every epoch came.
    """

    id: str
    parent_id: str | None
    argv: tuple[bytes, ...]
    config: Config
    place: Place
    processor: Processor | None
    origin: Origin
    status: int | None
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
    since: Sample = ORIGIN
    epoch: str = NO_EPOCH
    weighed: Weighed | None = None
    weighed_since: Weighed | None = None
    stopped_by: str | None = None
    first_forecast: FirstForecast | None = None
    forecast_error_percent: float | None = None

    @property
    def command(self) -> str | None:
        """The command line as far as it is to be kept; no secret that can be told is in it."""
        return _command_line(self.argv, self.config.ledger_command)

    @property
    def exit_status(self) -> int | str | None:
        """The exit status, or the name of the signal that ended it; None while it goes on."""
        if self.status is None:
            return None
        if os.WIFSIGNALED(self.status):
            return signal_name(os.WTERMSIG(self.status))
        return os.WEXITSTATUS(self.status)

    @property
    def stop_reason(self) -> str | None:
        """Why it ended: `exit`, `signal` or `budget`; None while it goes on."""
        if self.status is None:
            return None
        if self.stopped_by is not None:
            return "budget"
        return "signal" if os.WIFSIGNALED(self.status) else "exit"

    @property
    def duration_s(self) -> float:
        """The duration, suspend included."""
        return self.ended.elapsed_s - self.began.elapsed_s

    @property
    def energy(self) -> Energy:
        """Joules by component, before PUE."""
        if self.since is ORIGIN:
            return Energy.since_start(self.sample)
        return Energy.between(self.since, self.sample)

    @property
    def cpu_s(self) -> float:
        """CPU seconds, user and system."""
        return self.sample.usage.cpu_s - self.since.usage.cpu_s

    @property
    def footprint(self) -> Footprint:
        """Energy at the socket of the facility, emissions and cost."""
        price_per_kwh, kg_per_mwh = self.rates
        return footprint(
            self.energy, pue=self.place.pue, kg_per_mwh=kg_per_mwh, price_per_kwh=price_per_kwh
        )

    @property
    def rates(self) -> tuple[float | None, float]:
        """The price per kWh, if there is one, and the kg/MWh: means over the joules of the part."""
        price_per_kwh, kg_per_mwh = self.config.price_per_kwh, self.place.region.kg_per_mwh
        if self.weighed is None:
            return price_per_kwh, kg_per_mwh
        from eco2ai_cli.weighing import NOTHING, mean_rates

        mean_price, mean_kg = mean_rates(self.weighed_since or NOTHING, self.weighed)
        return (
            price_per_kwh if mean_price is None else mean_price,
            kg_per_mwh if mean_kg is None else mean_kg,
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
            is_given=self.config.intensity_kg_per_mwh is not None
            or self.config.profile is not None,
            is_world=region.code == "WORLD",
        )
        if band_j is None or intensity is None or not energy_j or emissions_kg is None:
            return None
        return uncertainty.product(band_j.of(1 / energy_j), intensity).of(emissions_kg)

    @property
    def memory_mean_bytes(self) -> float | None:
        """The mean memory of the tree."""
        byte_s, span_s = self.sample.usage.memory_byte_s, self.sample.t_s - self.since.t_s
        if byte_s is None or span_s <= 0:
            return None
        return (byte_s - (self.since.usage.memory_byte_s or 0.0)) / span_s

    @property
    def caveats(self) -> tuple[str, ...]:
        """All doubts about the figures, each once, sorted."""
        return tuple(sorted(self.sample.caveats | self.place.caveats | self.doubts))

    def method(self, component: Component) -> str:
        """Say how a component was metered; `none` where it was not, or where there is none."""
        methods = {reading.method for reading in self.sample.of(component)}
        return ";".join(sorted(methods - {"none"})) or "none"


@lru_cache(maxsize=1)
def _command_line(argv: tuple[bytes, ...], kept: str) -> str | None:
    """Return the command line without secrets, sought once for all the epochs of a run."""
    from eco2ai_cli.redaction import command_line  # not before the command has ended

    return command_line(argv, kept)


def signal_name(number: int) -> str:
    """Return the name of a signal, real-time ones counted from SIGRTMIN as kill(1) does."""
    if signal.SIGRTMIN < number < signal.SIGRTMAX:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"  # the two that the C library keeps for itself


class Finished(NamedTuple):
    """A run that has ended, and what is left to be saved of it.

    `rest` is the part after the last mark, which is the whole run where there was none; `parts`
    are all of them, the rest included, if there was a mark. `unsaved` are the rows of the parts
    before that could not be written yet; `notes` say what their writing has brought to light.
    """

    run: Run
    rest: Run
    parts: tuple[Part, ...] = ()
    unsaved: tuple[Cells, ...] = ()
    notes: tuple[str, ...] = ()
