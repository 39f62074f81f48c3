"""Look ahead in a run: how much of its budget is left, and what it will have taken in the end.

An observer of samples and of epochs. When a limit is reached it has the command ended.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from eco2ai_cli import talk, units
from eco2ai_cli.budget import QUANTITIES, Budget, Limit, Quantity, words
from eco2ai_cli.config import Config
from eco2ai_cli.launch.termination import Members, Termination
from eco2ai_cli.model import Footprint, Sample

if TYPE_CHECKING:
    from eco2ai_cli.clock import Clock
    from eco2ai_cli.forecast import FirstForecast, Forecast
    from eco2ai_cli.launch.wait import Waiter
    from eco2ai_cli.recorder import Recorder
    from eco2ai_cli.run_parts import Part
    from eco2ai_cli.run_record import Run
    from eco2ai_cli.session import Request

_SOON_S = 0.05
_UNKNOWN_FROM_S = 10.0
"""What is not known by then is not going to be; meters take a moment to open."""
_SELDOM = 50
"""The epochs of which one is looked at once so many times as many are over: looks grow dearer."""


class Tree(Members, Protocol):
    """What the end of a run needs of its process tree."""

    def reap(self) -> Iterable[tuple[int, int]]:
        """Wait for those who have ended."""
        ...

    def has_children(self) -> bool:
        """Tell whether anyone is left."""
        ...


def limits(config: Config) -> tuple[Limit, ...]:
    """Return the limits that the configuration sets."""
    energy_j = None if config.max_energy_kwh is None else units.joules(config.max_energy_kwh)
    most: tuple[float | None, ...] = (energy_j, config.max_emissions_kg, config.max_cost)
    pairs = zip(QUANTITIES, most, strict=True)
    return tuple(Limit(quantity, limit) for quantity, limit in pairs if limit is not None)


class Prospect:
    """Keeps the budget of a run and forecasts its end.

    `footprint` tells what is used up to a sample, `tree` who it is that uses it. `epochs`: how
    many there will be; None: not known (yet). `is_over` is asked before the command is stopped: it
    may have ended by itself. `stopped_by` is the quantity whose limit was reached while it ran.
    """

    def __init__(
        self,
        config: Config,
        footprint: Callable[[Sample], Footprint],
        tree: Members,
        *,
        is_over: Callable[[], bool],
        now_s: Callable[[], float],
        epochs: int | None = None,
        say: Callable[[str], None] = lambda line: talk.say(line, patience_s=0.0),
    ) -> None:
        self.budget = Budget(limits(config), config.currency)
        number = getattr(signal, config.stop_signal)
        self.termination = Termination(tree, number, config.grace_s, now_s=now_s)
        self.epochs = self._given = epochs
        self.stopped_by: Quantity | None = None
        self.first: FirstForecast | None = None
        self._config = config
        self._footprint = footprint
        self._is_over = is_over
        self._now_s = now_s
        self._say = say
        self._killing = False
        self._seen: dict[str, list[float | None]] = {name: [] for name in ("duration", *QUANTITIES)}
        self._forecasts: Mapping[str, Forecast] = {}
        self._forecast_of = (0, 0)
        self._compare_from = 1

    @property
    def is_stopping(self) -> bool:
        """Whether a limit was reached and the command is being ended, or has been."""
        return self.stopped_by is not None

    @property
    def progress(self) -> str | None:
        """How many epochs are over, of how many if that is known; None before the first."""
        if not self._count:
            return None
        return str(self._count) if self.epochs is None else f"{self._count}/{self.epochs}"

    @property
    def is_complete(self) -> bool:
        """Whether as many epochs were seen as there were to be."""
        return self.epochs is not None and self._count >= self.epochs

    def __call__(self, sample: Sample) -> None:
        """Hold a sample against the budget."""
        if not self.budget.limits or self.is_stopping:
            return
        news = self.budget.take(self._footprint(sample), sample.t_s)
        sentences = list(news.sentences)
        if sample.t_s >= _UNKNOWN_FROM_S:
            sentences += self.budget.give_up_on_unknown()
        for sentence in sentences:
            self._say(f"eco2ai: warning: {sentence}")
        if news.reached is not None and not self._is_over():
            self._stop(news.reached)

    def latest(self) -> float:
        """Do what is due of the ending; return by when the next sample must come (monotonic s).

        With a budget no later than the interval says, and when a warning or a limit is due at the
        present power.
        """
        due_s = self.termination.beat()
        if self.termination.has_killed and not self._killing:
            self._killing = True
            self._say(
                f"eco2ai: {self._config.grace_s:g} s after {self._config.stop_signal} somebody is "
                "left: now SIGKILL"
            )
        if not self.budget.limits or self.is_stopping:
            return due_s
        within_s = min(self._config.interval_s, self.budget.reached_in_s())
        return min(due_s, self._now_s() + max(_SOON_S, within_s))

    def finish(self, tree: Tree, waiter: Waiter) -> None:
        """Wait until nobody of a command that was stopped is left, and look no further ahead.

        A signal that asks us to end does not wait for the grace to pass.
        """
        self._is_over = lambda: True
        if not self.is_stopping:
            return

        def nobody_is_left() -> bool:
            for _ in tree.reap():
                pass
            return not tree.has_children()

        waiter.settle(whole_tree=True, is_in_vain=self.termination.is_in_vain)
        self.termination.finish(nobody_is_left, lambda s: signal.sigtimedwait({signal.SIGCHLD}, s))

    def end_epoch(self, part: Part, total: int | None = None) -> None:
        """Take an epoch that has ended; `total`: how many there will be, as far as that was told.

        The number that was given at the start holds before it.
        """
        self.epochs = self._given or total
        energy_j = None if part.energy_kwh is None else units.joules(part.energy_kwh)
        values = (part.duration_s, energy_j, part.emissions_kg, part.cost)
        for seen, value in zip(self._seen.values(), values, strict=True):
            seen.append(value)
        if self.first is None and self.epochs is not None:
            from eco2ai_cli.forecast import FirstForecast

            self.first = FirstForecast(self.epochs, self._count, self.forecasts())
        if self.budget.limits and not self.is_stopping and self._count >= self._compare_from:
            self._compare_from = self._count + 1 + self._count // _SELDOM
            for sentence in self.budget.compare(self.forecasts()):
                self._say(f"eco2ai: warning: {sentence}")

    def forecasts(self) -> Mapping[str, Forecast]:
        """Return the forecast of each quantity that is known; empty where there is none yet."""
        if self.epochs is None or not self._count:
            return {}
        if self._forecast_of != (self._count, self.epochs):
            self._forecast_of = (self._count, self.epochs)
            self._forecasts = self._all(self.epochs)
        return self._forecasts

    def completed(self, run: Run) -> Run:
        """Return the record of the run with what is known here."""
        error_percent = None
        if run.status is not None and self.first is not None and self.is_complete:
            expected = self.first.by.get("energy"), self.first.by["duration"]
            truths = run.footprint.energy_j, run.duration_s
            for seen, truth in zip(expected, truths, strict=True):
                if error_percent is None and seen is not None and truth is not None:
                    error_percent = seen.error_percent(truth)
        unwatched = {"budget-unwatched"} if self.budget.unknown else set()
        return run._replace(
            stopped_by=self.stopped_by,
            first_forecast=self.first,
            forecast_error_percent=error_percent,
            doubts=run.doubts | unwatched,
        )

    def words(self, elapsed_s: float) -> str | None:
        """Say the forecast in a few words; None where there is none or nothing is left."""
        found = self.forecasts()
        if not found or self.is_complete:
            return None
        left_s = found["duration"].left(elapsed_s)
        parts = [f"{self.progress} · {units.format_duration(left_s)} left"]
        for quantity in QUANTITIES:
            if quantity in found:
                text = words(quantity, found[quantity].total, self._config.currency)
                if quantity == "energy":
                    bounds = (found[quantity].low, found[quantity].high)
                    text = units.format_energy(found[quantity].total, bounds)
                parts.append(text)
        return " · ".join(parts)

    def outlook(self, elapsed_s: float) -> dict[str, object]:
        """Return what a journal tells of it: `budget`, a share and words, `forecast`, `epochs`."""
        known = {
            "budget": self.budget.fullest(),
            "forecast": self.words(elapsed_s),
            "epochs": self.progress,
        }
        return {name: value for name, value in known.items() if value is not None}

    @property
    def _count(self) -> int:
        return len(self._seen["duration"])

    def _all(self, epochs: int) -> Mapping[str, Forecast]:
        from eco2ai_cli.forecast import forecast  # not every run has epochs

        found = {}
        for name, seen in self._seen.items():
            known = [value for value in seen if value is not None]
            if len(known) == len(seen):
                found[name] = forecast(known, epochs)
        return found

    def _stop(self, limit: Limit) -> None:
        self.stopped_by = limit.quantity
        self.termination.begin()
        self._say(
            f"eco2ai: {self.budget.stop_sentence(limit)}; the command gets "
            f"{self._config.stop_signal}, and SIGKILL in {self._config.grace_s:g} s"
        )


def look_ahead(
    request: Request,
    footprint: Callable[[Sample], Footprint],
    recorder: Recorder,
    tree: Tree,
    waiter: Waiter,
    clock: Clock,
) -> Prospect:
    """Return the prospect of a run, which with a budget sees every sample of `recorder`.

    The run has ended by itself with its command, or where it waits for everyone, with the last.
    """

    def is_over() -> bool:
        return waiter.has_ended() and not (request.wait_for_tree and tree.has_children())

    prospect = Prospect(
        request.config,
        footprint,
        tree,
        is_over=is_over,
        now_s=clock.awake_s,
        epochs=request.epochs,
    )
    if prospect.budget.limits:
        recorder.observers.append(prospect)
        recorder.latest = prospect.latest
    return prospect
