"""Gather the rows of ledgers: each run once, in its group.

Rows that are a run of their own, inside no other, are summed up when they are sorted; the others
come one by one, in the order of the file. A run that was started inside another ends before it.
Runs whose rows do not stand together are found in the end, and kept when everything is gathered
once more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from eco2ai_cli.ledger.parts import Part
from eco2ai_cli.ledger.rows import Row, Skipped
from eco2ai_cli.report.groups import Alike, Group, Labels
from eco2ai_cli.report.ids import Ids
from eco2ai_cli.report.nesting import Nesting, Run
from eco2ai_cli.report.question import Question
from eco2ai_cli.report.sorting import Sorted, Sorter


class Gathering:
    """Rows by the groups of a question. `scattered`: hashes of ids whose rows are kept."""

    def __init__(self, question: Question, scattered: Collection[int]) -> None:
        self.question = question
        self.scattered = scattered
        self.skipped: list[Skipped] = []
        self._groups: defaultdict[Labels, Group] = defaultdict(Group)
        self._nesting = Nesting()
        self._ids = Ids()
        self._begun: list[Row] = []
        self._kept: defaultdict[str, list[Row]] = defaultdict(list)

    def take(self, found: Sorted) -> None:
        """Take what is left of rows that were sorted."""
        for entry in found.others:
            if isinstance(entry, Skipped):
                self.skipped.append(entry)
            else:
                self._take_row(entry)
        self._ids.add(found.ids)
        if awaited := self._nesting.awaited():
            by_hash = {hash(run_id.encode()): run_id for run_id in awaited}
            for value in by_hash.keys() & set(found.ids):
                self._count(self._nesting.arrive(by_hash[value]))

    def add(self, alike: Alike) -> None:
        """Add what was summed up when rows were sorted."""
        for labels, kind, sums in alike.groups():
            self._groups[labels].add_alike(kind, sums)

    def end(self) -> tuple[dict[Labels, Group], Group]:
        """Return the groups, and all of them as one, when everything was taken."""
        self._end_run()
        for rows in self._kept.values():
            self._take_run(tuple(rows))
        self._count(self._nesting.end(self._ids.known(self._nesting.awaited())))
        total = Group()
        for group in self._groups.values():
            total.merge(group)
        return self._groups, total

    def close(self) -> None:
        """Let go of what is not needed for the groups."""
        self._ids.close()

    def found_scattered(self) -> set[int]:
        """Return the hashes of the ids of runs whose rows did not stand together."""
        return self._ids.twice()

    def _take_row(self, row: Row) -> None:
        if self._begun and (row.id is None or row.id != self._begun[0].id):
            self._end_run()
        if row.id is not None and hash(row.id.encode()) in self.scattered:
            self._kept[row.id].append(row)
        else:
            self._begun.append(row)

    def _end_run(self) -> None:
        if self._begun:
            self._take_run(tuple(self._begun))
            self._begun = []

    def _take_run(self, rows: tuple[Row, ...]) -> None:
        if rows[0].id is not None:
            self._ids.add([hash(rows[0].id.encode())])
        self._count(self._nesting.take(rows))

    def _count(self, runs: Iterable[Run]) -> None:
        for run in runs:
            self._groups[self.question.group(run.rows)].add(run)


def gather(parts: Iterable[Part], gathering: Gathering) -> None:
    """Gather the rows of parts, in their order."""
    sorter = Sorter(gathering.question, gathering.scattered)
    for part in parts:
        gathering.take(sorter.sort(part))
    gathering.add(sorter.alike)
