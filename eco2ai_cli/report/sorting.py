"""Sort the rows of a ledger: those that are a run of their own, inside no other, and the rest.

The first are nearly all, and summed up by what is written in them. Of them nothing is kept but a
hash of their id, 8 bytes. Rows of a run stand together in a ledger, as a rule: all that may go on
in a row before or behind is left in its order for `Gathering`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate, compress
from operator import eq
from typing import NamedTuple

from eco2ai_cli.ledger.blocks import Block
from eco2ai_cli.ledger.parts import Part
from eco2ai_cli.ledger.rows import Row, Skipped
from eco2ai_cli.report.groups import Alike
from eco2ai_cli.report.question import Question


class Sorted(NamedTuple):
    """What is left of a part: hashes of the ids of those summed up, and the other rows."""

    ids: Sequence[int]
    others: Sequence[Row | Skipped]


class Sorter:
    """Sort rows for a question. `scattered`: hashes of ids whose rows are not summed up here."""

    def __init__(self, question: Question, scattered: Collection[int]) -> None:
        self.alike = Alike(question)
        self._question = question
        self._scattered = scattered

    def sort(self, part: Part) -> Sorted:
        """Sum up the rows of a part that are runs of their own; return what is left."""
        block, others = self._chosen(part) if self._question.asks_for_some else part
        alone = self._alone(block, [before for before, _ in others])
        left = list(self._one_by_one(block, alone, others))
        if not any(alone):
            return Sorted((), left)
        self.alike.add(block, alone)
        return Sorted(list(map(hash, filter(None, compress(block.texts["id"], alone)))), left)

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
