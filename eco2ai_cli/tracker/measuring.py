"""Measure this process and its children from a moment on, in a thread beside the user's."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from eco2ai_cli import journal
from eco2ai_cli.accounting import Watched, record
from eco2ai_cli.clock import Clock, Moment
from eco2ai_cli.epochs import Epochs
from eco2ai_cli.faults import Faults
from eco2ai_cli.journal.keeper import Journal
from eco2ai_cli.ledger import Cells
from eco2ai_cli.ledger.writer import append_now
from eco2ai_cli.marks.line import Mark
from eco2ai_cli.meters import choice
from eco2ai_cli.recorder import Recorder
from eco2ai_cli.run_forms import ledger_cells
from eco2ai_cli.run_record import Run
from eco2ai_cli.saving import save_rows
from eco2ai_cli.tracker import presence
from eco2ai_cli.tracker.amounts import UNKNOWN, Amount, amount
from eco2ai_cli.tracker.arguments import Settled
from eco2ai_cli.tracker.seals import Seals

T = TypeVar("T")
_PATIENCE_S = 10.0
"""How long a call waits while a sample is being taken, before it goes on without us."""
_NOT_SAVED = "a fault of eco2ai has cost the row; the next eco2ai command tries to save it"
NOTHING_S = 0.1
"""Time of the user's own, between the last epoch and the end, that is no part of the training."""


class Measuring:
    """A measurement of this process that has begun; any thread may call it, and nothing raises.

    `id` is that of the rows. What goes wrong is told to `warn`, once. `first_epoch`: the number of
    the first one.
    """

    def __init__(
        self,
        settled: Settled,
        recorder: Recorder,
        watched: Watched,
        *,
        clock: Clock,
        faults: Faults,
        warn: Callable[[str], None],
        first_epoch: int,
    ) -> None:
        self.id = settled.plan.run_id
        self._plan = settled.plan
        self._recorder = recorder
        self._watched = watched
        self._clock = clock
        self._faults = faults
        self._warn = warn
        self._epochs = Epochs(
            recorder, self._run, self._append, began=watched.began, clock=clock, first=first_epoch
        )
        self._seals = Seals(settled.sealing)
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._over = False
        self._due_s = watched.began.awake_s
        self._halt = threading.Event()
        self._thread: threading.Thread | None = None
        self._used_s = 0.0
        self._returned_s = watched.began.awake_s
        self._amount: Amount | None = None
        self._problems: list[str] = []
        self._journal: Journal | None = None
        self._parent = presence.enter(self)

    @property
    def is_here(self) -> bool:
        """Tell whether this is the process that is measured, not a forked copy of it."""
        return os.getpid() == self._pid

    def go_on(self) -> None:
        """Take the first sample, and others from time to time."""
        self._locked(self._recorder.sample, None)
        self._locked(self._keep_journal, None)
        self._locked(self._start_thread, None)
        self._returned_s = self._clock.awake_s()

    def epoch(self, mark: Mark) -> bool:
        """End the epoch that is under way; False where nothing is."""
        is_done = self._locked(lambda: self._end_epoch(mark), False)
        self._returned_s = self._clock.awake_s()
        return is_done

    def stop(self, status: int = 0) -> None:
        """End the measurement and save the row of what is left; `status` is as of wait(2)."""
        if not self.is_here:
            return
        left_s = self._clock.awake_s() - self._returned_s
        self._locked(lambda: self._finish(status, left_s), None)
        if not self._over:  # a sample takes too long: the end of the program tries again
            return
        presence.leave(self)
        problems, self._problems = self._problems, []
        for problem in problems:
            self._warn(problem)
        self.pause()

    def pause(self) -> None:
        """Have no thread while the process forks: a lock that it holds would stay held in the copy.

        What could be held is a lock of a GPU's driver, which the copy may want to use itself.
        """
        self._halt.set()
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(1.0)

    def resume(self) -> None:
        """Go on in the original."""
        self._locked(self._start_thread, None)

    def let_go(self) -> None:
        """Close the journal in a forked copy: else the lock on it would outlive us."""
        if self._journal is not None:
            self._faults.guard(self._journal.close, None)

    def amount(self) -> Amount:
        """Return what has been used so far, or in all."""
        if self._amount is None:
            self._locked(self._recorder.sample, None)
        return self._amount or self._faults.guard(lambda: amount(self._run()), UNKNOWN)

    def kg_per_mwh(self) -> float:
        """Return the carbon intensity of the electricity."""
        return self._faults.guard(self._watched.place, self._plan.place).region.kg_per_mwh

    def _locked(self, action: Callable[[], T], otherwise: T) -> T:
        """Do something with the recorder alone, unless all is over or this is a forked copy."""
        if not self.is_here or not self._lock.acquire(timeout=_PATIENCE_S):
            return otherwise
        before_s = self._clock.used_s()
        try:
            return otherwise if self._over else self._faults.guard(action, otherwise)
        finally:
            self._used_s += self._clock.used_s() - before_s
            self._lock.release()

    def _start_thread(self) -> None:
        if self._thread is None or self._halt.is_set():
            self._halt = halt = threading.Event()  # of its own: one that is slow ends all the same
            self._thread = threading.Thread(
                target=self._beat, args=(halt,), name="eco2ai", daemon=True
            )
            self._thread.start()  # refused while the interpreter ends

    def _beat(self, halt: threading.Event) -> None:
        while not halt.wait(max(0.0, self._due_s - self._clock.awake_s())):
            self._due_s = self._locked(self._recorder.beat, self._due_s + _PATIENCE_S)

    def _run(self, ended: Moment | None = None, status: int | None = None) -> Run:
        """Return the run as it stands, or as it has ended."""
        watched = self._watched._replace(ended=ended or self._clock.now())
        run = record(self._plan, watched, self._faults)
        doubts, parent = run.doubts, self._parent
        if parent is not None and not presence.goes_on(parent):
            parent, doubts = None, doubts | {"trackers-overlap"}
        return run._replace(
            parent_id=parent or run.parent_id,
            status=status,
            overhead_s=self._used_s + choice.overhead_s(self._recorder.meters),
            doubts=doubts,
        )

    def _end_epoch(self, mark: Mark) -> bool:
        for meter in self._recorder.meters:
            self._faults.guard(meter.finish, None)
        self._epochs.end([mark])
        return True

    def _append(self, rows: Sequence[Cells]) -> Sequence[str]:
        path, key = self._plan.request.config.output, self._plan.ledger_key
        notes = append_now(path, rows, key=key)
        self._seals.add(rows)
        return notes

    def _finish(self, status: int, left_s: float) -> None:
        self._over = True
        self._halt.set()
        self._problems = [_NOT_SAVED]
        ended = self._clock.now()
        for meter in self._recorder.meters:
            self._faults.guard(meter.finish, None)
        self._recorder.sample()
        for meter in self._recorder.meters:
            self._faults.guard(meter.close, None)
        finished = self._epochs.finish(self._run(ended, status))
        parts, rows = finished.parts, [*finished.unsaved]
        if parts and status == 0 and left_s < NOTHING_S:
            parts = parts[:-1]  # the training ended with its last epoch
        else:
            rows.append(ledger_cells(finished.rest))
        self._amount = amount(finished.run, parts)
        self._problems = [*finished.notes, *self._save(rows)]
        if self._faults.first is not None:
            self._problems.append(f"a fault of eco2ai cost accuracy: {self._faults.first!r}")

    def _save(self, rows: Sequence[Cells]) -> list[str]:
        """Save the last rows, and those of runs that died before; return what went wrong."""
        problems: list[str] = []
        is_saved = True
        if rows:
            path = self._plan.request.config.output
            saved_to, problems = save_rows(path, rows, self._plan.ledger_key)
            self._seals.add(rows, last=True)
            is_saved = saved_to is not None
        if is_saved:
            journal.remove(self.id, self._plan.environ)
        self.let_go()
        notes = journal.recover(everywhere=False)
        return [
            *problems,
            *self._seals.notes,
            *(note.sentence for note in notes if note.is_trouble),
        ]

    def _keep_journal(self) -> None:
        self._journal = Journal(
            self._run(),
            self._recorder,
            self._clock,
            lambda _: self._run().doubts,
            weigher=self._watched.weigher,
            overhead_s=lambda: self._used_s,
        )
        if self._journal.open(self._plan.environ):
            self._recorder.observers.append(self._journal)
