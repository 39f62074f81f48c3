"""Follow the chain of hashes through a ledger; where it breaks, find out as far as possible why."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal, NamedTuple

from eco2ai_cli.ledger.chain import row_hash
from eco2ai_cli.ledger.columns import ROW_HASH
from eco2ai_cli.verify.verdict import Fault, Verdict

HASH_CHARACTERS = 64
NEAR_ROWS = 64
"""How far a row is looked for that stands elsewhere than it was written."""
MOST_TRIALS = 20_000
"""Hashes that looking around may take in one file: half a second."""
_UNKNOWN = "a cell of the row was altered, or what stood before it was altered or removed"

By = Literal["key", "hash"]
"""What a row is chained by: a key that is at hand, or the plain hash."""


class _Seen(NamedTuple):
    line: int
    hash: str


class _Lost(NamedTuple):
    """A row whose predecessor has not been found yet."""

    fault: Fault
    cells: Sequence[str]


class Links:
    """A chain as far as it has been read: `verdict` is told what does not hold."""

    def __init__(self, verdict: Verdict, names: Sequence[str], keys: Sequence[bytes]) -> None:
        self._verdict = verdict
        self._names = names
        self._place = names.index(ROW_HASH)
        self._keys: list[bytes | None] = [*keys, None]
        self._previous = [""]
        self._suspect: tuple[Fault, list[str]] | None = None  # a row, and what its hash should be
        self._near: deque[_Seen] = deque(maxlen=NEAR_ROWS)
        self._lost: deque[_Lost] = deque(maxlen=NEAR_ROWS)
        self._trials = 0

    def gap(self, written: str = "") -> None:
        """Take note of a row that has no whole hash, or `written` and no text it could be of.

        The next row may begin anew, go on from that hash or from the row before.
        """
        self._suspect = None
        self._previous = list(dict.fromkeys(("", *self._previous, written)))

    def follow(self, line: int, run_id: str | None, cells: Sequence[str]) -> None:
        """Take in a row that has a hash."""
        by = self._held_by(cells, self._previous)
        if by is None:
            by = self._explained(line, run_id, cells)
        else:
            self._suspect = None
        if by is None:
            self._verdict.lost(line)
        else:
            self._verdict.held(line, by == "key")
        seen = _Seen(line, cells[self._place])
        self._find_lost(seen)
        self._near.append(seen)
        self._previous = [seen.hash]

    def _held_by(self, cells: Sequence[str], previous: Sequence[str]) -> By | None:
        """Tell by what the row is chained to one of `previous`, if it is."""
        for key in self._keys:
            for link in previous:
                if row_hash(link, self._names, cells, key) == cells[self._place]:
                    # the next row is likely by the same
                    self._keys.sort(key=lambda other: other is not key)
                    return "hash" if key is None else "key"
        return None

    def _tried(self, cells: Sequence[str], link: str) -> By | None:
        self._trials += len(self._keys)
        return None if self._trials > MOST_TRIALS else self._held_by(cells, [link])

    def _explained(self, line: int, run_id: str | None, cells: Sequence[str]) -> By | None:
        """Add the fault of a row that does not follow; tell by what a whole one is chained."""
        if by := self._behind_suspect(cells):
            return by
        should_be = [
            row_hash(link, self._names, cells, key) for key in self._keys for link in self._previous
        ]
        written = cells[self._place]
        fault = Fault("hash", line, run_id, _UNKNOWN, ROW_HASH, should_be[0], written)
        self._verdict.add(fault)
        self._suspect = (fault, should_be)
        for seen in self._near:
            if seen.hash == written:
                self._verdict.see_again(fault, "repeated", f"the row is a copy of line {seen.line}")
                return None
        if by := self._tried(cells, ""):
            why = "a chain begins anew: files were joined, or rows before it were removed"
            self._verdict.see_again(fault, "anew", why)
            return by
        for seen in reversed(self._near):
            if by := self._tried(cells, seen.hash):
                self._verdict.see_again(fault, "moved", _written_after(seen))
                return by
        self._lost.append(_Lost(fault, cells))
        return None

    def _behind_suspect(self, cells: Sequence[str]) -> By | None:
        """Tell by what the row is chained to the one before, had that the hash that it should."""
        if self._suspect is None:
            return None
        fault, should_be = self._suspect
        by = self._held_by(cells, should_be)
        if by is not None:
            self._verdict.see_again(fault, "hash-cell", "the hash itself was altered")
            self._suspect = None
            self._lost = deque((x for x in self._lost if x.fault is not fault), NEAR_ROWS)
        return by

    def _find_lost(self, seen: _Seen) -> None:
        """See whether a row without predecessor was written after this one."""
        for lost in list(self._lost):
            if lost.fault.line != seen.line and self._tried(lost.cells, seen.hash):
                self._verdict.see_again(lost.fault, "moved", _written_after(seen))
                self._lost.remove(lost)


def _written_after(seen: _Seen) -> str:
    return f"the row was written after line {seen.line}, which it does not follow here"
