"""Keep the journal of a run that is under way: an observer of the recorder."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from eco2ai_cli import state
from eco2ai_cli.clock import Clock
from eco2ai_cli.journal import discard, folder, layout, owner
from eco2ai_cli.meters import choice
from eco2ai_cli.model import COMPONENTS, ORIGIN, Energy, Sample
from eco2ai_cli.recorder import Recorder
from eco2ai_cli.run_forms import ledger_cells
from eco2ai_cli.run_record import Run

if TYPE_CHECKING:
    from eco2ai_cli.ledger.columns import Value
    from eco2ai_cli.weighing import Weigher

NEW_SUFFIX = ".new"
_WORDS_EVERY = 16
"""Of how many samples one is asked for doubts beside those of its meters: that costs a third."""
_IDLE_S = 5.0
"""How far apart the writes are while nobody in the tree runs: each is half of what a beat costs."""
_RATES = ("price_per_kwh", "carbon_intensity(kg/MWh)")
Write = Callable[[int, bytes, int], int]


class Journal:
    """Writes each sample into a file that holds all which the run's row needs.

    `run` is the run as known at its start; `doubts` tells its caveats beside those of the sample
    and the place; `mark_path` is where its marks come in, `overhead_s` tells the CPU seconds that
    we have used. A sample that cannot be written is left out: the one before it stays, and so does
    for seconds that of an idle tree. `outlook` tells, by the seconds elapsed, what there is to say
    of budget and forecast; for `eco2ai watch`. `saved` tells what rows of the run are in the ledger
    already, as `sums` has them.
    """

    def __init__(
        self,
        run: Run,
        recorder: Recorder,
        clock: Clock,
        doubts: Callable[[Sample], frozenset[str]],
        *,
        weigher: Weigher | None = None,
        mark_path: str | None = None,
        overhead_s: Callable[[], float] = time.process_time,
        write: Write = os.pwrite,
    ) -> None:
        self.outlook: Callable[[float], Mapping[str, object]] | None = None
        nothing: Mapping[str, Value] = {}
        self.saved: Callable[[], Mapping[str, Value]] = lambda: nothing
        self._saved = nothing
        self._weigher = weigher
        self._mark_path = mark_path
        self._overhead_s = overhead_s
        self._run = run
        self._recorder = recorder
        self._clock = clock
        self._doubts = doubts
        self._write = write
        self._fd = -1
        self._number = 0
        self._written: Sample | None = None
        self._worded: object = None
        self._words = b""
        self._worded_last = ORIGIN

    def open(self, environ: Mapping[str, str] = os.environ) -> bool:
        """Make the file, locked for as long as we live; False where there is no place for it.

        It gets its name when it is whole and locked, so nobody sees it otherwise.
        """
        where = folder(environ)
        if where is None:
            return False
        try:
            us = owner.this_process()
            path = os.path.join(where, owner.file_name(self._run.id, us))
            state.make(where)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(path + NEW_SUFFIX, flags, 0o600)
        except OSError:
            return False
        if self._begin(path, us):
            return True
        os.close(self._fd)
        discard(path + NEW_SUFFIX)
        return False

    def __call__(self, sample: Sample) -> None:
        """Write the sample over the older of the two that are kept."""
        if self._is_like_the_last(sample):
            return
        self._number += 1
        data = layout.slot(self._figures())
        try:
            written = self._write(self._fd, data, layout.SLOTS_AT[self._number % 2])
        except OSError:
            written = 0
        if written < len(data):
            self._number -= 1  # the good one must not be the next to be written over
        else:
            self._written = sample

    def close(self) -> None:
        """Close the file, and with it the lock if nobody else has it open; the file stays."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _is_like_the_last(self, sample: Sample) -> bool:
        """Tell whether nothing but time has gone by, and little of it, since the last write."""
        last = self._written
        return (
            last is not None
            and sample.usage.cpu_s == last.usage.cpu_s
            and sample.t_s - last.t_s < _IDLE_S
            and self.saved() is self._saved
            and not sample.of("gpu")
        )

    def _begin(self, path: str, us: owner.Owner) -> bool:
        # Nobody else has this open file: all that we fork was forked before, and it is closed
        # at an exec. So the lock ends with us.
        try:
            facts = self._facts(us, locked=_locked(self._fd))
            data = layout.whole(facts, self._figures())
            whole = self._write(self._fd, data, 0) == len(data)
            if whole:
                os.rename(path + NEW_SUFFIX, path)
        except OSError:
            return False
        return whole

    def _facts(self, us: owner.Owner, *, locked: bool) -> dict[str, object]:
        config = self._run.config
        return {
            "owner": us,
            "locked": locked,
            "ledger": os.path.abspath(config.output),
            "key_file": config.ledger_key_file and os.path.abspath(config.ledger_key_file),
            "began": self._run.began,
            "mark_path": self._mark_path,
            "cells": ledger_cells(self._run),
        }

    def _figures(self) -> layout.Figures:
        recorder, clock = self._recorder, self._clock
        sample = recorder.last
        usage = sample.usage
        cpu_j, gpu_j, ram_j = Energy.since_start(sample)
        return layout.Figures(  # by place: names cost a beat 5 µs
            self._number,
            recorder.samples,
            recorder.processes_peak,
            clock.wall_s(),
            clock.elapsed_s() - self._run.began.elapsed_s,
            sample.t_s,
            usage.cpu_s,
            cpu_j,
            gpu_j,
            ram_j,
            usage.memory_byte_s,
            recorder.memory_peak_bytes,
            self._overhead_s(),
            self._words_of(sample),
        )

    def _words_of(self, sample: Sample) -> bytes:
        """Return the cells that are text; they seldom change."""
        rates = None if self._weigher is None else self._weigher.mean_rates()
        elapsed_s = self._clock.elapsed_s() - self._run.began.elapsed_s
        outlook = None if self.outlook is None else self.outlook(elapsed_s)
        before, self._worded_last = self._worded_last, sample
        saved, self._saved = self._saved, self.saved()
        dated = rates or outlook or saved is not self._saved
        if not dated and self._number % _WORDS_EVERY and _is_alike(sample, before):
            return self._words
        doubts = self._doubts(sample)
        devices = [(r.component, r.method, r.name) for r in sample.readings]
        worded = (doubts, sample.caveats, devices, rates, outlook, self._saved)
        if worded != self._worded:
            now = self._run._replace(sample=sample, doubts=doubts)
            words: dict[str, object] = {**(outlook or {}), "saved": self._saved}
            words |= {f"{component}_method": now.method(component) for component in COMPONENTS}
            words["caveats"] = ";".join(now.caveats)
            if rates is not None:
                words |= {
                    c: rate for c, rate in zip(_RATES, rates, strict=True) if rate is not None
                }
            words["GPU_name"] = choice.gpu_name(sample.of("gpu"))
            self._words = json.dumps(words).encode("ascii")
            if len(self._words) > layout.LONGEST_WORDS_BYTES:
                del words["GPU_name"]  # dozens of models: the rest is short words of ours
                self._words = json.dumps(words).encode("ascii")
            self._worded = worded
        return self._words


def _is_alike(sample: Sample, other: Sample) -> bool:
    """Tell whether two samples can be told in the same words; in doubt they cannot."""
    if sample.usage.caveats is not other.usage.caveats:
        return False
    if len(sample.readings) != len(other.readings):
        return False
    for one, two in zip(sample.readings, other.readings, strict=True):
        if one.method != two.method or one.caveats is not two.caveats:
            return False
    return True


def _locked(fd: int) -> bool:
    """Lock our file; False where the file system knows no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
