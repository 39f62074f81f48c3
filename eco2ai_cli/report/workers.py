"""Read a big ledger in several processes, to the same figures.

Each process sorts the rows of a span and leaves in a file without a name what is left of them,
which is then taken in the order of the ledger as if one process had read it all. Where one has
died, or its span began amid a row, that span is read anew.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple, cast

from eco2ai_cli.ledger.lines import Lines
from eco2ai_cli.ledger.rows import Reading, Skipped
from eco2ai_cli.ledger.spans import Divided
from eco2ai_cli.report.gathering import Gathering
from eco2ai_cli.report.sorting import Sorted, Sorter
from eco2ai_cli.report.sums import Sums

MOST = 4
"""More processes would take more memory together than a report may, 60 MB."""
LEAST_SPAN_BYTES = 16 << 20
"""To read as much takes a tenth of a second, and to start a process some milliseconds."""


class _Done(NamedTuple):
    """Where the rows of a span have ended, how many lines they have, and what they sum up to."""

    at_bytes: int
    lines: int
    sums: Mapping[tuple[bytes, ...], Sums]


class _Worker(NamedTuple):
    pid: int
    out: BinaryIO


def count() -> int:
    """Return how many processes may read at the same time."""
    return min(len(os.sched_getaffinity(0)), MOST)


def gather(
    ledger: Divided,
    reading: Reading,
    gathering: Gathering,
    tick: Callable[[int], object] = bool,
) -> None:
    """Gather the rows of a ledger, the first span in this process and each other one in its own."""
    sorter = Sorter(gathering.question, gathering.scattered)
    at, *stops = ledger.cuts
    number = 1

    def read_here(stop: int, share: int) -> tuple[int, int]:
        lines = ledger.lines(at, stop, number, lambda done: tick(done * share))
        for part in ledger.parts(lines, reading):
            gathering.take(sorter.sort(part))
        return lines.at_bytes, lines.number

    with ExitStack() as stack:
        workers = [
            stack.enter_context(_worker(ledger, begin, stop, reading, sorter))
            for begin, stop in pairwise(stops)
        ]
        # The others get on meanwhile as this one does.
        at, number = read_here(stops[0], share=len(stops))
        for (begin, stop), worker in zip(pairwise(stops), workers, strict=True):
            if at == begin and worker is not None and _has_done(worker):
                done = _take(worker.out, gathering, number)
                sorter.alike.merge(done.sums)
                at, number = done.at_bytes, number + done.lines
            else:
                at, number = read_here(stop, share=1)
    gathering.add(sorter.alike)


@contextmanager
def _worker(
    ledger: Divided, begin: int, stop: int, reading: Reading, sorter: Sorter
) -> Iterator[_Worker | None]:
    """Read a span in a process of its own, which ends with us; None if there can be none."""
    with ExitStack() as stack:
        try:
            out = cast("BinaryIO", stack.enter_context(TemporaryFile()))
            pid = os.fork()
        except OSError:
            yield None
            return
        if pid == 0:
            status = 1
            try:
                _work(ledger, ledger.lines(begin, stop, 0), reading, sorter, out)
                status = 0
            finally:
                os._exit(status)  # whatever happened: all else is the parent's
        try:
            yield _Worker(pid, out)
        finally:
            with suppress(ChildProcessError):  # it was waited for, and its number may be another's
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)


def _work(ledger: Divided, lines: Lines, reading: Reading, sorter: Sorter, out: BinaryIO) -> None:
    for part in ledger.parts(lines, reading):
        pickle.dump(sorter.sort(part), out, pickle.HIGHEST_PROTOCOL)
    done = _Done(lines.at_bytes, lines.number, sorter.alike.sums())
    pickle.dump(done, out, pickle.HIGHEST_PROTOCOL)
    out.flush()


def _has_done(worker: _Worker) -> bool:
    return os.waitpid(worker.pid, 0)[1] == 0


def _take(out: BinaryIO, gathering: Gathering, lines_before: int) -> _Done:
    """Take what a worker has left, its lines numbered on from those before."""
    out.seek(0)
    while isinstance(found := pickle.load(out), Sorted):
        others = [
            entry._replace(line=entry.line + lines_before) if isinstance(entry, Skipped) else entry
            for entry in found.others
        ]
        gathering.take(Sorted(found.ids, others))
    return cast("_Done", found)
