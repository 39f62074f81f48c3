"""Part a run at its marks: every mark ends an epoch, which gets its row while the run goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from eco2ai_cli.clock import Clock, Moment
from eco2ai_cli.errors import Eco2aiError
from eco2ai_cli.faults import Faults
from eco2ai_cli.model import ORIGIN, Sample
from eco2ai_cli.recorder import Recorder
from eco2ai_cli.run_parts import Part, part_of
from eco2ai_cli.run_record import Finished, Run

if TYPE_CHECKING:
    from typing import Protocol

    from eco2ai_cli.ledger import Cells
    from eco2ai_cli.ledger.columns import Value
    from eco2ai_cli.marks.line import Mark
    from eco2ai_cli.weighing import Weighed

    class Source(Protocol):
        """Where marks come from, such as a channel."""

        @property
        def due_s(self) -> float:
            """When there may be a mark without anything having come (monotonic seconds)."""
            ...

        @property
        def complaints(self) -> tuple[str, ...]:
            """What did not become a mark, in sentences."""
            ...

        def read(self, *, last: bool = False) -> Sequence[Mark]:
            """Return the marks that have come; with `last` the unfinished one too."""
            ...


_DUTY = 0.05  # of one core: who asks for rows at such a rate pays for them
_AT_ONCE = 1000


class Epochs:
    """The parts of a run so far.

    `outline` returns the run as it stands, as if it had no parts; `append` writes rows to the
    ledger now or raises, for there is time for it later. The part that is under way begins where
    the last one ended, so together they are the run. `total`: how many epochs there will be, as
    the last mark that told of it has it.
    """

    def __init__(
        self,
        recorder: Recorder,
        outline: Callable[[], Run],
        append: Callable[[Sequence[Cells]], Sequence[str]],
        *,
        began: Moment,
        clock: Clock,
        first: int = 1,
    ) -> None:
        self._recorder = recorder
        self._outline = outline
        self._append = append
        self._clock = clock
        self._began = began
        self._since: Sample = ORIGIN
        self._weighed: Weighed | None = None
        self._counted = (0, 0.0)  # samples, and CPU seconds of ours, when the part began
        self._next = first
        self._memory_peak_bytes: int | None = None
        self._processes_peak = 0
        self._unsaved: list[Cells] = []
        self._notes: list[str] = []
        self.saved: Mapping[str, Value] = {}
        self.total: int | None = None
        self.parts: list[Part] = []
        self.observers: list[Callable[[Part], None]] = []

    def end(self, marks: Sequence[Mark], at: Moment | None = None) -> None:
        """End the part that is under way by the first of `marks`; the others came at once.

        `at`: when; None: now. Raises what a fault of ours raises; the ledger's refusal is none.
        """
        from eco2ai_cli.journal import sums
        from eco2ai_cli.marks.line import label
        from eco2ai_cli.run_forms import figures, ledger_cells

        now = self._clock.now() if at is None else at
        self._recorder.sample()
        run = self._outline()._replace(status=None, gpu_idle_j=None)
        ended: list[Part] = []
        for mark in marks:
            done = self._part(run._replace(ended=now, epoch=label(mark, self._next)))
            self._next = _number(mark, self._next) + 1
            self.total = mark.total or self.total
            values = figures(done)
            self._unsaved.append(ledger_cells(done, values))
            ended.append(part_of(done, values))
            self._begin(run, now)
        self.parts += ended
        for observe in self.observers:
            for epoch_part in ended:
                observe(epoch_part)
        try:
            self._notes += self._append(self._unsaved)
        except (Eco2aiError, OSError):
            return  # with the next one, or at the end
        self.saved = sums.added(self.saved, self._unsaved)
        self._unsaved.clear()

    def finish(self, run: Run) -> Finished:
        """Return the run that has ended with what is left to be saved of it."""
        rest = self._part(run)
        if not self.parts:
            return Finished(run, rest)
        whole = run._replace(
            memory_peak_bytes=_highest(self._memory_peak_bytes, run.memory_peak_bytes),
            processes=max(self._processes_peak, run.processes),
        )
        return Finished(
            run=whole,
            rest=rest,
            parts=(*self.parts, part_of(rest)),
            unsaved=tuple(self._unsaved),
            notes=tuple(self._notes),
        )

    def _part(self, run: Run) -> Run:
        """Return the part of `run` that is under way."""
        return run._replace(
            since=self._since,
            weighed_since=self._weighed,
            began=self._began,
            samples=run.samples - self._counted[0],
            overhead_s=run.overhead_s - self._counted[1],
        )

    def _begin(self, run: Run, now: Moment) -> None:
        self._memory_peak_bytes = _highest(self._memory_peak_bytes, run.memory_peak_bytes)
        self._processes_peak = max(self._processes_peak, run.processes)
        self._recorder.forget_peaks()
        self._since, self._weighed, self._began = run.sample, run.weighed, now
        self._counted = (run.samples, run.overhead_s)


def _number(mark: Mark, due: int) -> int:
    """Return the number of the epoch that a mark ends; `due` if it does not say."""
    return int(mark.name) if mark.name and mark.name.isdecimal() else due


def _highest(one: int | None, other: int | None) -> int | None:
    known = [peak for peak in (one, other) if peak is not None]
    return max(known, default=None)


class Intake:
    """Takes marks in as they come, but no faster than we may work for them.

    A mark that has to wait for its turn makes its epoch longer and the next one shorter. `ended`
    tells when the run has ended, if it has: no epoch lasts longer.
    """

    def __init__(
        self,
        source: Source,
        epochs: Epochs,
        *,
        clock: Clock,
        faults: Faults,
        ended: Callable[[], Moment | None] = lambda: None,
    ) -> None:
        self.source = source
        self._ended = ended
        self.epochs = epochs
        self._clock = clock
        self._faults = faults
        self._waiting: list[Mark] = []
        self._not_before_s = -math.inf

    def take(self) -> float:
        """Take what has come; return when to be called again (monotonic s); never raises.

        Infinity: not before more has come.
        """
        self._waiting += self._faults.guard(self.source.read, ())
        if self._waiting and self._clock.awake_s() >= self._not_before_s:
            self._end_some(self._ended())
        return self._not_before_s if self._waiting else self.source.due_s

    def take_all(self, ended: Moment) -> None:
        """Take what has come before the end of the run; never raises."""
        self._waiting += self._faults.guard(partial(self.source.read, last=True), ())
        while self._waiting:
            self._end_some(ended)

    def _end_some(self, at: Moment | None) -> None:
        marks, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
        before_s = self._clock.used_s()
        self._faults.guard(partial(self.epochs.end, marks, at), None)
        cost_s = self._clock.used_s() - before_s
        self._not_before_s = self._clock.awake_s() + cost_s / _DUTY
