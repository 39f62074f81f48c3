"""Sum the rows of ledgers up: by project or by anything else that they tell, and in total."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial

from eco2ai_cli.ledger.reader import NO_ROWS, Part, Reading, Row, Skipped, parts
from eco2ai_cli.ledger.spans import divided
from eco2ai_cli.report import workers
from eco2ai_cli.report.gathering import Gathering, gather
from eco2ai_cli.report.groups import Labels, Summary
from eco2ai_cli.report.question import Question, dimension

__all__ = [
    "Labels",
    "Question",
    "Report",
    "Summary",
    "dimension",
    "summarise",
    "summarise_ledgers",
    "summarise_parts",
]

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
    return _summarised(question, lambda gathering: gather(read(), gathering))


def summarise_ledgers(
    paths: Sequence[str],
    question: Question,
    latest: str = "",
    tick: Callable[[int], object] = bool,
    processes: int | None = None,
) -> Report:
    """Return the report on ledgers, read by several processes where they are big.

    Rows that begin after `latest` are skipped. `tick` is told from time to time how many bytes
    were read. `processes` are as many as there are processors for us, up to a limit, by default.
    Raises LedgerError.
    """
    reading = Reading(question.columns, latest, question.figures)
    count = workers.count() if processes is None else processes

    def read(gathering: Gathering) -> None:
        before_bytes = 0
        for path in paths:
            tell = partial(_tell_more, tick, before_bytes)
            with divided(path, count, workers.LEAST_SPAN_BYTES) as ledger:
                if ledger is not None:
                    workers.gather(ledger, reading, gathering, tell)
                else:
                    gather(parts(path, reading, tick=tell), gathering)
            before_bytes += _size_bytes(path)

    return _summarised(question, read)


def _summarised(question: Question, read: Callable[[Gathering], None]) -> Report:
    scattered: set[int] = set()
    while True:
        with closing(Gathering(question, scattered)) as gathering:
            read(gathering)
            groups, total = gathering.end()
            found = gathering.found_scattered()
        if found <= scattered:
            break
        scattered |= found
    summaries = [(labels, group.summary()) for labels, group in groups.items()]
    summaries.sort(key=lambda group: (-(group[1].energy_kwh or 0.0), _text(group[0])))
    by = tuple(dimension.name for dimension in question.by)
    return Report(by, tuple(summaries), total.summary(), gathering.skipped)


def _tell_more(tick: Callable[[int], object], before_bytes: int, done_bytes: int) -> None:
    tick(before_bytes + done_bytes)


def _size_bytes(path: str) -> int:
    with suppress(OSError):
        return os.stat(path).st_size
    return 0


def _text(labels: Labels) -> tuple[str, ...]:
    return tuple(label or "" for label in labels)
