"""Cut a big ledger into spans of rows that can be read apart, each by a process of its own.

From amid a file nobody can tell whether a line end stands within a quoted cell. So a cut is a
guess, and whoever read the span before it tells where his last row has truly ended: if that is
the cut, all that was read from there on is right.
"""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger import spool
from eco2ai_cli.ledger.lines import BLOCK_BYTES, Lines, reader_from
from eco2ai_cli.ledger.lock import size_between_writes
from eco2ai_cli.ledger.parts import Part, parts_of, texts
from eco2ai_cli.ledger.quotes import without_quoted
from eco2ai_cli.ledger.reader import LOCK_TIMEOUT_S, OPEN_FLAGS, REQUIRED
from eco2ai_cli.ledger.rows import Reading
from eco2ai_cli.ledger.tail import LONGEST_ROW_BYTES


class Divided(NamedTuple):
    """An open ledger, and the places between its spans, from the first row to its end."""

    path: str
    fd: int
    names: Sequence[str]
    cuts: Sequence[int]

    def lines(
        self, begin: int, stop: int, number: int, tick: Callable[[int], object] = bool
    ) -> Lines:
        """Return the lines of a span; the first is that after line `number`."""
        read = reader_from(self.fd, begin)
        lines = Lines(read, self.cuts[-1], tick, begin=begin, stop=stop)
        lines.number = number
        return lines

    def parts(self, lines: Lines, reading: Reading) -> Iterator[Part]:
        """Yield the rows of a span."""
        return parts_of(self.path, lines, self.names, reading)


@contextmanager
def divided(path: str, count: int, least_bytes: int) -> Iterator[Divided | None]:
    """Open a ledger and cut it into at most `count` spans of at least `least_bytes`.

    None if it is no big ledger of ours or eco2AI's to which no rows wait to be added, or cannot
    be read: it is left to `reader.parts`, which also says why.
    """
    try:
        if spool.files(path) or min(count, os.stat(path).st_size // least_bytes) < 2:
            yield None
            return
        fd = os.open(path, OPEN_FLAGS)
    except OSError:
        yield None
        return
    try:
        yield _cut(path, fd, count, least_bytes)
    finally:
        os.close(fd)


def _cut(path: str, fd: int, count: int, least_bytes: int) -> Divided | None:
    csv.field_size_limit(LONGEST_ROW_BYTES)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return None
    size = size_between_writes(fd, path, LOCK_TIMEOUT_S)
    lines = Lines(reader_from(fd, 0), size)
    try:
        if not lines.check(path):
            return None
        names = next(csv.reader(texts(lines)))
    except (LedgerError, OSError, csv.Error):
        return None
    if lines.number != 1 or not set(REQUIRED) <= set(names):
        return None
    spans = min(count, size // least_bytes)
    cuts = {_place(fd, size * number // spans, len(names)) for number in range(1, spans)}
    return Divided(path, fd, names, [lines.at_bytes, *sorted(cuts - {0}), size])


def _place(fd: int, near: int, width: int) -> int:
    """Return where a row seems to begin, not far from a place; 0 if none does."""
    ahead = os.pread(fd, BLOCK_BYTES, near)
    end = ahead.find(b"\n") + 1
    while end:
        begin, end = end, ahead.find(b"\n", end) + 1
        line = without_quoted(ahead[begin:end])
        if line and line.count(b",") == width - 1:
            return near + begin
    return 0
