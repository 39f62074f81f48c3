"""What was found in a ledger: the faults, and what was and was not covered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

FAULTS_KEPT = 1000
"""More than anybody reads; the others are counted."""


@dataclass(slots=True)
class Fault:
    """One thing that does not hold. `kind` is one of the words in `docs/ledger.md`.

    `column` is the cell, if it can be told; `expected` and `found` are what it should hold and
    what it holds; `why` is the rest of the sentence.
    """

    kind: str
    line: int
    id: str | None
    why: str
    column: str | None = None
    expected: str | None = None
    found: str | None = None


@dataclass(slots=True)
class Verdict:
    """What verifying one file has brought to light; rows are counted, not kept.

    Of its rows `hashed` have a hash, of which `keyed` hold by a key; `recomputed` had the cells
    from which energy, emissions or cost follow. `key_from_line` is where a key was first used,
    `unkeyed_from_line` where rows without it begin that no later row with it vouches for.
    `sealed_records` is None for a file that is not sealed.
    `lost_rows`, from `lost_from_line` on, are those at the end of the file of which no hash holds.
    """

    file: str
    with_key: bool
    rows: int = 0
    hashed: int = 0
    keyed: int = 0
    recomputed: int = 0
    sealed_records: int | None = None
    lost_rows: int = 0
    lost_from_line: int | None = None
    key_from_line: int | None = None
    unkeyed_from_line: int | None = None
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    @property
    def plain_rows(self) -> int:
        """The number of rows with a hash that holds by no key."""
        return self.hashed - self.keyed

    @property
    def holds(self) -> bool:
        """Tell whether nothing was found that does not hold."""
        return not any(self.counts.values())

    def held(self, line: int, by_key: bool) -> None:
        """Take note of a row whose hash holds."""
        self.lost_rows = 0
        self.lost_from_line = None
        if not by_key:
            self.unkeyed_from_line = self.unkeyed_from_line or line
            return
        self.unkeyed_from_line = None
        self.keyed += 1
        self.key_from_line = self.key_from_line or line

    def lost(self, line: int) -> None:
        """Take note of a row whose hash does not hold, whatever stands before it."""
        self.lost_rows += 1
        self.lost_from_line = self.lost_from_line or line

    def add(self, fault: Fault) -> None:
        """Count a fault, and keep it if there is room."""
        self.counts[fault.kind] += 1
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(fault)

    def see_again(self, fault: Fault, kind: str, why: str) -> None:
        """Change what a fault was taken for, now that more is known."""
        self.counts[fault.kind] -= 1
        self.counts[kind] += 1
        fault.kind, fault.why = kind, why
