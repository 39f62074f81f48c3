"""Sum the rows of ledgers up: by project or by anything else that they tell, and in total."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from eco2ai_cli.ledger.reader import NO_ROWS, Part, Row, Skipped
from eco2ai_cli.report.gathering import Gathering
from eco2ai_cli.report.groups import Labels, Summary
from eco2ai_cli.report.question import Question, dimension

__all__ = ["Labels", "Question", "Report", "Summary", "dimension", "summarise", "summarise_parts"]

BY_PROJECT = Question((dimension("project"),))


@dataclass(frozen=True, slots=True)
class Report:
    """Summaries by what was asked for, the greatest energy first, and the whole.

    A label that is None is not known.
    """

    by: tuple[str, ...]
    groups: tuple[tuple[Labels, Summary], ...]
    total: Summary
    skipped: Sequence[Skipped]


def summarise(entries: Iterable[Row | Skipped], question: Question = BY_PROJECT) -> Report:
    """Return the report on rows; their order does not matter."""
    kept = [(0, entry) for entry in entries]
    return summarise_parts(lambda: [Part(NO_ROWS, kept)], question)


def summarise_parts(read: Callable[[], Iterable[Part]], question: Question = BY_PROJECT) -> Report:
    """Return the report on what `read` yields; it is read again if runs are scattered in it."""
    scattered: set[int] = set()
    while True:
        with closing(Gathering(question, scattered)) as gathering:
            for part in read():
                gathering.take(part)
            groups, total = gathering.end()
            found = gathering.scattered()
        if found <= scattered:
            break
        scattered |= found
    summaries = [(labels, group.summary()) for labels, group in groups.items()]
    summaries.sort(key=lambda group: (-(group[1].energy_kwh or 0.0), _text(group[0])))
    by = tuple(dimension.name for dimension in question.by)
    return Report(by, tuple(summaries), total.summary(), gathering.skipped)


def _text(labels: Labels) -> tuple[str, ...]:
    return tuple(label or "" for label in labels)
