"""A finished run: the facts as one record, and what follows from them as its properties."""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

from eco2ai_cli.clock import Moment
from eco2ai_cli.config import Config
from eco2ai_cli.cpus import Processor
from eco2ai_cli.footprint import footprint
from eco2ai_cli.model import Component, Energy, Footprint, Sample
from eco2ai_cli.place import Place


class Origin(NamedTuple):
    """Who ran it where: `job` and `rank` are the batch system's, None outside of one."""

    operating_system: str
    host: str
    user: str
    job: str | None
    rank: str | None


class Run(NamedTuple):
    """Everything that is known about one finished run.

    `status` is as of wait(2); `sample` is the last one, so its dials hold the run's totals;
    `doubts` are caveats beside those of the sample and the place.
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
    overhead_s: float
    doubts: frozenset[str]
    version: str

    @property
    def command(self) -> str:
        """The command line, quoted so that a shell would read the same arguments."""
        import shlex

        return shlex.join(os.fsdecode(word) for word in self.argv)

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
