"""Mark the run of an `eco2ai run` around this process, instead of measuring a second time."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from eco2ai_cli import origin
from eco2ai_cli.marks.line import Mark
from eco2ai_cli.marks.send import VARIABLE, send
from eco2ai_cli.tracker import presence
from eco2ai_cli.tracker.amounts import UNKNOWN, Amount
from eco2ai_cli.tracker.measuring import NOTHING_S
from eco2ai_cli.watch.runs import LiveRun, live_runs


class Inside:
    """A part of the run around us; nothing raises.

    `id` is the run's. What it was at before becomes an epoch of its own, and so does what is left
    at the end, under `name`. The rows are the run's: its place and its prices hold.
    """

    def __init__(
        self, name: str, environ: Mapping[str, str], *, first_epoch: int, quiet: bool
    ) -> None:
        self.id = environ["ECO2AI_RUN_ID"]
        self._name = name
        self._environ = environ
        self._next = first_epoch
        self._quiet = quiet
        self._pid = os.getpid()
        self._has_ended = False
        self._has_epochs = False
        self._returned_s = time.monotonic()
        self._first = _so_far(_run(environ))
        self._last: Amount | None = None
        presence.enter(self)

    @property
    def is_here(self) -> bool:
        """Tell whether this is the process that marks, not a forked copy of it."""
        return os.getpid() == self._pid

    def epoch(self, mark: Mark) -> bool:
        """End the epoch that is under way."""
        if not self.is_here or self._has_ended:
            return False
        name = self._next if mark.name is None else mark.name
        self._next = int(name) + 1 if str(name).isdecimal() else self._next
        self._has_epochs = True
        sent = self._quiet or send(name, dict(mark.values), self._environ)
        self._returned_s = time.monotonic()
        return sent

    def stop(self, status: int = 0) -> None:
        """End the part; `status` is the run's to tell."""
        if not self.is_here or self._has_ended:
            return
        ends_with_epoch = self._has_epochs and time.monotonic() - self._returned_s < NOTHING_S
        if not (self._quiet or ends_with_epoch):
            send(self._name, environ=self._environ)
        self._last = self.amount()
        self._has_ended = True
        presence.leave(self)

    def pause(self) -> None:
        """Do nothing: there is no thread."""

    def resume(self) -> None:
        """Do nothing."""

    def let_go(self) -> None:
        """Do nothing: a forked copy holds nothing of ours."""

    def amount(self) -> Amount:
        """Return what the run has used since we began, as of its last sample."""
        if self._last is not None:
            return self._last
        now = _so_far(_run(self._environ))
        return Amount(
            _less(now.energy_kwh, self._first.energy_kwh), _less(now.cost, self._first.cost)
        )

    def kg_per_mwh(self) -> float | None:
        """Return the carbon intensity that the run goes by; None where it cannot be told."""
        run = _run(self._environ)
        return None if run is None else _number(run, "carbon_intensity(kg/MWh)")


def begin(name: str, environ: Mapping[str, str], *, first_epoch: int) -> Inside | None:
    """Mark that a part of the run around us begins; None where there is no run that takes marks.

    Of the ranks of one job in one run the first alone marks, else each epoch would end once a rank.
    """
    if not environ.get("ECO2AI_RUN_ID") or not environ.get(VARIABLE):
        return None
    quiet = not _is_first(environ)
    if not quiet and not send(f"before {name}", environ=environ):
        return None
    return Inside(name, environ, first_epoch=first_epoch, quiet=quiet)


def _is_first(environ: Mapping[str, str]) -> bool:
    rank = origin.here(environ).rank
    if rank in (None, "0"):
        return True
    run = _run(environ)  # which may be that of this rank alone
    return run is not None and str(run.cells.get("rank") or "") == rank


def _run(environ: Mapping[str, str]) -> LiveRun | None:
    """Return the run around us by its journal."""
    wanted = environ.get("ECO2AI_RUN_ID")
    try:
        return next((run for run in live_runs(environ) if run.id == wanted), None)
    except Exception:  # a fault of ours is no reason to fail here
        return None


def _so_far(run: LiveRun | None) -> Amount:
    if run is None:
        return UNKNOWN
    return Amount(_number(run, "power_consumption(kWh)"), _number(run, "cost"))


def _number(run: LiveRun, column: str) -> float | None:
    value = run.cells.get(column)
    return None if value in (None, "") else float(str(value))


def _less(now: float | None, before: float | None) -> float | None:
    # What was not known when we began had hardly begun itself.
    return None if now is None else max(0.0, now - (before or 0.0))
