"""Keep the journal of a run that is under way: an observer of the recorder."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping

from eco2ai_cli.clock import Clock
from eco2ai_cli.journal import discard, folder, layout, owner
from eco2ai_cli.meters import choice
from eco2ai_cli.model import COMPONENTS, Energy, Sample
from eco2ai_cli.recorder import Recorder
from eco2ai_cli.run_forms import ledger_cells
from eco2ai_cli.run_record import Run

NEW_SUFFIX = ".new"
_WORDS_EVERY = 16
"""Of how many samples one is asked for doubts beside those of its meters: that costs a third."""
Write = Callable[[int, bytes, int], int]


class Journal:
    """Writes each sample into a file that holds all which the run's row needs.

    `run` is the run as known at its start; `doubts` tells its caveats beside those of the sample
    and the place. A sample that cannot be written is left out: the one before it stays.
    """

    def __init__(
        self,
        run: Run,
        recorder: Recorder,
        clock: Clock,
        doubts: Callable[[Sample], frozenset[str]],
        *,
        write: Write = os.pwrite,
    ) -> None:
        self._run = run
        self._recorder = recorder
        self._clock = clock
        self._doubts = doubts
        self._write = write
        self._fd = -1
        self._number = 0
        self._worded: object = None
        self._words = b""
        self._outline: object = None

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
            for private in (os.path.dirname(where), where):
                os.makedirs(private, mode=0o700, exist_ok=True)
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
        self._number += 1
        data = layout.slot(self._figures())
        try:
            written = self._write(self._fd, data, layout.SLOTS_AT[self._number % 2])
        except OSError:
            written = 0
        if written < len(data):
            self._number -= 1  # the good one must not be the next to be written over

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
            "cells": ledger_cells(self._run),
        }

    def _figures(self) -> layout.Figures:
        recorder, clock, began = self._recorder, self._clock, self._run.began
        sample = recorder.last
        usage = sample.usage
        energy = Energy.since_start(sample)
        return layout.Figures(
            number=self._number,
            samples=recorder.samples,
            processes=recorder.processes_peak,
            wall_s=clock.wall_s(),
            duration_s=clock.elapsed_s() - began.elapsed_s,
            awake_s=sample.t_s,
            cpu_s=usage.cpu_s,
            cpu_j=energy.cpu_j,
            gpu_j=energy.gpu_j,
            ram_j=energy.ram_j,
            memory_byte_s=usage.memory_byte_s,
            memory_peak_bytes=recorder.memory_peak_bytes,
            overhead_s=time.process_time(),
            words=self._words_of(sample),
        )

    def _words_of(self, sample: Sample) -> bytes:
        """Return the cells that are text; they seldom change."""
        outline = (sample.usage.caveats, [(r.method, r.caveats) for r in sample.readings])
        if self._number % _WORDS_EVERY and outline == self._outline:
            return self._words
        self._outline = outline
        doubts = self._doubts(sample)
        devices = [(r.component, r.method, r.name) for r in sample.readings]
        worded = (doubts, sample.caveats, devices)
        if worded != self._worded:
            now = self._run._replace(sample=sample, doubts=doubts)
            words = {f"{component}_method": now.method(component) for component in COMPONENTS}
            words["caveats"] = ";".join(now.caveats)
            words["GPU_name"] = choice.gpu_name(sample.of("gpu"))
            self._words = json.dumps(words).encode("ascii")
            if len(self._words) > layout.LONGEST_WORDS_BYTES:
                del words["GPU_name"]  # dozens of models: the rest is of our own short words
                self._words = json.dumps(words).encode("ascii")
            self._worded = worded
        return self._words


def _locked(fd: int) -> bool:
    """Lock our file; False where the file system knows no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
