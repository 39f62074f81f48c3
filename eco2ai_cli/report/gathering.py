"""Gather the rows of ledgers: each run once, in its group.

Rows that are a run of their own, inside no other, are summed up block by block. The others, and
all that may go on in a row before or behind, go one by one. Of runs that are whole nothing is
kept but 8 bytes of their id: rows of a run stand together in a ledger, and a run that was
started inside another ends before it. Runs whose rows do not are found in the end, and kept when
everything is gathered once more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate, compress
from operator import eq

from eco2ai_cli.ledger.blocks import Block
from eco2ai_cli.ledger.reader import Part, Row, Skipped
from eco2ai_cli.report.groups import Alike, Group, Labels
from eco2ai_cli.report.ids import Ids
from eco2ai_cli.report.nesting import Nesting, Run
from eco2ai_cli.report.question import Question


class Gathering:
    """Rows by the groups of a question. `scattered`: hashes of ids whose rows are kept."""

    def __init__(self, question: Question, scattered: Collection[int]) -> None:
        self.skipped: list[Skipped] = []
        self._question = question
        self._scattered = scattered
        self._alike = Alike(question)
        self._groups: defaultdict[Labels, Group] = defaultdict(Group)
        self._nesting = Nesting()
        self._ids = Ids()
        self._begun: list[Row] = []
        self._kept: defaultdict[str, list[Row]] = defaultdict(list)

    def take(self, part: Part) -> None:
        """Take the rows of a part."""
        block, others = self._chosen(part) if self._question.asks_for_some else part
        alone = self._alone(block, [before for before, _ in others])
        for entry in self._one_by_one(block, alone, others):
            if isinstance(entry, Skipped):
                self.skipped.append(entry)
            else:
                self._take_row(entry)
        if not any(alone):
            return
        self._alike.add(block, alone)
        ids = list(filter(None, compress(block.texts["id"], alone)))
        self._ids.add(ids)
        if awaited := self._nesting.awaited():
            for run_id in awaited & {run_id.decode() for run_id in ids}:
                self._count(self._nesting.arrive(run_id))

    def end(self) -> tuple[dict[Labels, Group], Group]:
        """Return the groups, and all of them as one, when everything was taken."""
        self._end_run()
        for rows in self._kept.values():
            self._take_run(tuple(rows))
        self._count(self._nesting.end(self._ids.known(self._nesting.awaited())))
        for labels, kind, sums in self._alike.groups():
            self._groups[labels].add_alike(kind, sums)
        total = Group()
        for group in self._groups.values():
            total.merge(group)
        return self._groups, total

    def close(self) -> None:
        """Let go of what is not needed for the groups."""
        self._ids.close()

    def scattered(self) -> set[int]:
        """Return the hashes of the ids of runs whose rows did not stand together."""
        return self._ids.twice()

    def _chosen(self, part: Part) -> Part:
        """Return the rows of a part that the question is about."""
        covers = self._question.covers
        texts = part.block.texts
        chosen = [
            covers(project.decode(), start.decode())
            for project, start in zip(
                texts.get("project_name", ()), texts.get("start_time", ()), strict=True
            )
        ]
        passed = [0, *accumulate(chosen)]
        others = [
            (passed[before], entry)
            for before, entry in part.others
            if isinstance(entry, Skipped) or covers(entry.project, entry.start_time)
        ]
        return Part(part.block.chosen(chosen), others)

    def _alone(self, block: Block, others: Sequence[int]) -> list[bool]:
        """Tell which rows are runs of their own, inside no other."""
        alone = [True] * len(block.figures)
        if not alone:
            return alone
        alone[0] = alone[-1] = False
        for before in others:
            for number in (before - 1, before):
                if 0 <= number < len(alone):
                    alone[number] = False
        ids, parents = block.texts["id"], block.texts["parent_id"]
        if any(parents):
            alone = [
                is_alone and not parent for is_alone, parent in zip(alone, parents, strict=True)
            ]
        if any(map(eq, ids, ids[1:])):
            for number, run_id in enumerate(ids[1:]):
                if run_id and run_id == ids[number]:
                    alone[number] = alone[number + 1] = False
        if self._scattered:
            alone = [
                is_alone and hash(run_id) not in self._scattered
                for is_alone, run_id in zip(alone, ids, strict=True)
            ]
        return alone

    def _one_by_one(
        self, block: Block, alone: Sequence[bool], others: Iterable[tuple[int, Row | Skipped]]
    ) -> Iterator[Row | Skipped]:
        """Yield the rows that are not alone, and the others, in the order of the file."""
        done = 0
        for before, entry in (*others, (len(alone), None)):
            if False in alone[done:before]:
                for number in range(done, before):
                    if not alone[number]:
                        yield block.row(number, self._question.columns)
            done = before
            if entry is not None:
                yield entry

    def _take_row(self, row: Row) -> None:
        if self._begun and (row.id is None or row.id != self._begun[0].id):
            self._end_run()
        if row.id is not None and hash(row.id.encode()) in self._scattered:
            self._kept[row.id].append(row)
        else:
            self._begun.append(row)

    def _end_run(self) -> None:
        if self._begun:
            self._take_run(tuple(self._begun))
            self._begun = []

    def _take_run(self, rows: tuple[Row, ...]) -> None:
        if rows[0].id is not None:
            self._ids.add([rows[0].id.encode()])
        self._count(self._nesting.take(rows))

    def _count(self, runs: Iterable[Run]) -> None:
        for run in runs:
            self._groups[self._question.group(run.rows)].add(run)
