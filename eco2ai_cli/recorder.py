"""Read all meters at once, keep the beat, remember what the row will need."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from eco2ai_cli.clock import Clock
from eco2ai_cli.faults import Faults
from eco2ai_cli.meters import Meter
from eco2ai_cli.meters.unmetered import Unmetered
from eco2ai_cli.model import COMPONENTS, ORIGIN, Reading, Sample, Usage

_DUTY = 0.005  # of one core, at the most, in the long run
_CREDIT_S = 0.05  # of CPU time, for the looks that find many newborns at once
_FIRST_STEP_S = 0.05
_STEP_OF_ESCAPES_S = 0.25


class UsageSource(Protocol):
    """Anything that can tell what a process tree has used so far."""

    def usage(self, now_s: float) -> Usage:
        """Look at the tree once."""
        ...


class Recorder:
    """Takes samples of one process tree, and hands each to the observers.

    The beats come at 0.05, 0.1, 0.2 … s and then every `interval_s`, or less often where looking
    would cost more than 0.5 % of one core in the long run. Counters do not depend on them.
    `began_s`: when the run began, on the clock that stops in suspend. `observers` are handed each
    sample; a fault of one is kept, and the others still get theirs. `longest_step_s` is what the
    meters stand: no beat takes longer but for the cost of looking. `latest` is asked at every beat
    by when the next must come, whatever it costs.
    """

    def __init__(
        self,
        tree: UsageSource,
        interval_s: float,
        *,
        began_s: float,
        clock: Clock,
        faults: Faults,
    ) -> None:
        self._tree = tree
        self._interval_s = interval_s
        self._clock = clock
        self._faults = faults
        self._began_s = began_s
        self._step_s = min(_FIRST_STEP_S, interval_s)
        self._beat_s = self._due_s = clock.awake_s()
        self._credit_s = _CREDIT_S
        self.meters: tuple[Meter, ...] = tuple(map(Unmetered, COMPONENTS))
        self.longest_step_s = math.inf
        self.latest: Callable[[], float] | None = None
        self.observers: list[Callable[[Sample], None]] = []
        self.last = ORIGIN
        self.samples = 0
        self.memory_peak_bytes: int | None = None
        self.processes_peak = 0
        self.late = False

    def beat(self) -> float:
        """Take a sample, and return when the next is due on the monotonic clock; never raises."""
        now_s = self._clock.awake_s()
        if now_s - self._due_s > max(2.0, 2 * self._step_s):
            self.late = True
        before_s = self._clock.used_s()
        self.sample()
        cost_s = self._clock.used_s() - before_s
        # Where the kernel forgets processes, only what was seen of them counts: look more often.
        escapes = "tree-escaped" in self.last.usage.caveats
        longest_s = min(self._interval_s, self.longest_step_s)
        longest_s = min(longest_s, _STEP_OF_ESCAPES_S) if escapes else longest_s
        earned_s = _DUTY * (now_s - self._beat_s)
        self._credit_s = min(_CREDIT_S, self._credit_s + earned_s) - cost_s
        self._beat_s = now_s
        wait_s = max(min(self._step_s, longest_s), -self._credit_s / _DUTY)
        self._due_s = now_s + wait_s
        common_s = self.longest_step_s
        if common_s < math.inf:
            # Runs that share out one machine look at the same moments, whatever else each looks
            # at, so that nothing is shared out twice.
            next_s = (now_s // common_s + 1) * common_s
            late = math.ceil(self._due_s / common_s) * common_s
            self._due_s = late if wait_s > common_s else min(self._due_s, next_s)
        self._step_s = min(2 * self._step_s, longest_s)
        if self.latest is not None:
            self._due_s = min(self._due_s, self._faults.guard(self.latest, math.inf))
        return self._due_s

    def sample(self) -> None:
        """Read every meter once and tell the observers; never raises."""
        sample = self._faults.guard(self._read, None)
        if sample is None:
            return
        self.last = sample
        self.samples += 1
        self.processes_peak = max(self.processes_peak, sample.usage.processes)
        if sample.usage.memory_bytes is not None:
            self.memory_peak_bytes = max(self.memory_peak_bytes or 0, sample.usage.memory_bytes)
        for observe in self.observers:
            try:
                observe(sample)
            except Exception as error:
                self._faults.keep(error)

    def forget_peaks(self) -> None:
        """Start the peaks of memory and processes anew, from what there is now."""
        self.memory_peak_bytes = self.last.usage.memory_bytes
        self.processes_peak = self.last.usage.processes

    def _read(self) -> Sample:
        now_s = self._clock.awake_s()
        usage = self._tree.usage(now_s)
        readings: tuple[Reading, ...] = ()
        for meter in self.meters:
            readings += meter.sample(usage, now_s)
        return Sample(now_s - self._began_s, usage, readings)
