"""Tell runs that were started inside another run from those that were not."""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Mapping, Sequence, Set
from typing import NamedTuple

from eco2ai_cli.ledger.rows import Row


class Run(NamedTuple):
    """The rows of one run, and whether it lies within another that is counted."""

    rows: tuple[Row, ...]
    is_nested: bool = False


class Nesting:
    """Tell runs that lie within others from those that do not.

    A run waits until the run inside which it was started has come, or all have.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[Row, ...]]] = {}
        self._parents: dict[str, str] = {}

    def awaited(self) -> KeysView[str]:
        """Return the ids of runs for which others wait."""
        return self._waiting.keys()

    def take(self, rows: tuple[Row, ...]) -> Iterator[Run]:
        """Take the rows of a run; yield the runs of which is clear now what they are."""
        parent = _parent_of(rows)
        if parent is None:
            yield Run(rows)
            if rows[0].id is not None:
                yield from self.arrive(rows[0].id)
        else:
            self._waiting.setdefault(parent, []).append(rows)
            if rows[0].id is not None:
                self._parents[rows[0].id] = parent

    def arrive(self, run_id: str) -> Iterator[Run]:
        """Yield the runs within a run that lies in no other."""
        within = [run_id]
        while within:
            for rows in self._waiting.pop(within.pop(), ()):
                yield Run(rows, is_nested=True)
                if rows[0].id is not None:
                    self._parents.pop(rows[0].id, None)
                    within.append(rows[0].id)

    def end(self, known: Set[str]) -> Iterator[Run]:
        """Yield the runs that still wait; `known` are the ids among `awaited` that came before."""
        for rows in [rows for waiting in self._waiting.values() for rows in waiting]:
            yield Run(rows, _lies_within(rows, self._parents, known))


def _parent_of(rows: Sequence[Row]) -> str | None:
    """Return the run inside which a run was started."""
    return next((row.parent_id for row in rows if row.parent_id is not None), None)


def _lies_within(rows: Sequence[Row], parents: Mapping[str, str], known: Set[str]) -> bool:
    """Tell whether a run lies within another; a circle of parents, a forgery, nests nothing."""
    run_id = _parent_of(rows)
    if run_id not in parents:
        return run_id in known
    seen = {rows[0].id}
    while run_id is not None and run_id in parents:
        if run_id in seen:
            return False
        seen.add(run_id)
        run_id = parents[run_id]
    return True
