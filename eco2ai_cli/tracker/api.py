"""`Tracker`: measure what the program does between two calls, under the names of eco2AI."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from types import TracebackType

from eco2ai_cli.errors import WrongArgument
from eco2ai_cli.session import Plan
from eco2ai_cli.tracker import inside, presence, starting
from eco2ai_cli.tracker.arguments import Arguments, Settled, settle
from eco2ai_cli.tracker.inside import Inside
from eco2ai_cli.tracker.marking import mark_of
from eco2ai_cli.tracker.measuring import Measuring
from eco2ai_cli.tracker.warn import warn


class Tracker:
    """Measures this process and its children from `start` to `stop`, and keeps a row in a ledger.

    The parameters have eco2AI's names and order. None: what the configuration says (`eco2ai.toml`,
    `ECO2AI_` variables, `set_params`), else the default. A tracker can be started again: that is
    another run, with an id of its own.

    Inside an `eco2ai run` it marks epochs of that run instead of measuring a second time.
    """

    def __init__(
        self,
        project_name: str | None = None,
        experiment_description: str | None = None,
        file_name: str | os.PathLike[str] | None = None,
        measure_period: float | None = None,
        emission_level: float | None = None,
        alpha_2_code: str | None = None,
        region: str | None = None,
        cpu_processes: str | None = None,
        pue: float | None = None,
        encode_file: bool | str | os.PathLike[str] | None = None,
        electricity_pricing: Mapping[str, float] | None = None,
        ignore_warnings: bool = False,
    ) -> None:
        """Take the parameters; nothing is checked or looked up before `start`.

        `measure_period`: seconds between samples, 10 by default; the figures hardly depend on it.
        `emission_level`: kg of CO2 per MWh, over that of the region. `alpha_2_code` and `region`:
        the country and a part of it. `cpu_processes`: `current`, or `all` for the CPU load of the
        whole machine. `encode_file`: True or a path, for a sealed copy of the rows.
        `electricity_pricing`: the price of a kWh by times of the day.
        """
        self._arguments = Arguments(
            project_name=project_name,
            experiment_description=experiment_description,
            file_name=file_name,
            measure_period=measure_period,
            emission_level=emission_level,
            alpha_2_code=alpha_2_code,
            region=region,
            cpu_processes=cpu_processes,
            pue=pue,
            encode_file=encode_file,
            electricity_pricing=electricity_pricing,
            ignore_warnings=ignore_warnings,
        )
        self._settled: Settled | None = None
        self._stay: Measuring | Inside | None = None

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy has, in this or in another process: the parameters, and no start."""
        return {"_arguments": self._arguments, "_settled": None, "_stay": None}

    def start(self) -> None:
        """Begin to measure; what was under way is stopped, and its row saved.

        Raises WrongArgument, a ValueError, and other Eco2aiErrors for a configuration or a file
        that cannot be used.
        """
        self._begin(1)

    def stop(self) -> None:
        """End, and save the row; without a start or twice, nothing happens."""
        self._end(0)

    def start_training(self, start_epoch: int = 1) -> None:
        """Begin to measure a training, of which `start_epoch` is the first epoch; see `start`."""
        if not isinstance(start_epoch, int) or isinstance(start_epoch, bool):
            raise WrongArgument(f"argument `start_epoch` must be an integer, not `{start_epoch}`")
        self._begin(start_epoch)

    def new_epoch(self, parameters_dict: Mapping[str, object] | None = None) -> None:
        """End an epoch: save a row of what it has used, with the given values."""
        stay = self._stay
        if stay is None:
            self._warn("`new_epoch` was called before `start_training`: there is nothing to end")
        elif stay.is_here:
            if not isinstance(parameters_dict, Mapping | None):
                self._warn("`new_epoch` takes a dictionary of values; the row has none")
                parameters_dict = None
            stay.epoch(mark_of(None, parameters_dict or {}))

    def stop_training(self) -> None:
        """End the training.

        What was done since the last epoch becomes a row too, unless the program came here at once.
        """
        self._end(0)

    def __enter__(self) -> Tracker:
        """Begin to measure; see `start`."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End, and save the row, whatever has happened; an exception passes on."""
        self.end(error)

    def end(self, error: BaseException | None) -> None:
        """End as `stop` does, for a program that `error` has come to, if it is not None."""
        self._end(presence.status_of(error))

    def consumption(self) -> float:
        """Return the energy so far in kWh, PUE included; NaN where it is not known."""
        return math.nan if self._stay is None else _known(self._stay.amount().energy_kwh)

    def price(self) -> float:
        """Return the cost so far; NaN where it is not known, as without a price."""
        return math.nan if self._stay is None else _known(self._stay.amount().cost)

    def emission_level(self) -> float:
        """Return the carbon intensity of the electricity in kg of CO2 per MWh."""
        if self._stay is not None and (level := self._stay.kg_per_mwh()) is not None:
            return level
        return self._plan().place.region.kg_per_mwh

    def measure_period(self) -> float:
        """Return the seconds between samples."""
        return self._plan().request.config.interval_s

    def id(self) -> str | None:
        """Return the id of the rows; None before the first start."""
        return None if self._stay is None else self._stay.id

    def _plan(self) -> Plan:
        return (self._settled or settle(self._arguments)).plan

    def _begin(self, first_epoch: int) -> None:
        self._end(0)
        self._settled = settled = settle(self._arguments)
        for note in settled.notes:
            self._warn(note)
        config = settled.plan.request.config
        name = config.description or config.project or "tracker"
        part = inside.begin(name, settled.plan.environ, first_epoch=first_epoch)
        if part is not None and settled.sealing is not None:
            self._warn("inside `eco2ai run` the rows are the run's, and nothing is sealed")
        self._stay = part or starting.start(settled, self._warn, first_epoch=first_epoch)

    def _end(self, status: int) -> None:
        if self._stay is not None:
            self._stay.stop(status)

    def _warn(self, sentence: str) -> None:
        if not self._arguments.ignore_warnings:
            warn(sentence)


def _known(value: float | None) -> float:
    return math.nan if value is None else value
