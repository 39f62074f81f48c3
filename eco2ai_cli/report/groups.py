"""Gather runs in groups, and sum each group up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

from eco2ai_cli.ledger.blocks import FIGURES, Block, Figures
from eco2ai_cli.ledger.rows import Row, words
from eco2ai_cli.report.nesting import Run
from eco2ai_cli.report.question import Question
from eco2ai_cli.report.sums import Sums

Labels = tuple["str | None", ...]
_TO_BE_KNOWN = ("duration_s", "energy_kwh", "emissions_kg")
_ROWS_PENDING = 1 << 13
_KIND_COLUMNS = ("exit_status", "stop_reason", "currency", "caveats")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a set of runs has cost.

    `rows` are all rows, `runs` what they are summed up to: rows with one id are one run, and a
    run that was started inside another of these rows is part of that one and only counted in
    `nested_runs`. None: there were runs, and the figure is not known of any. `cost` by
    currency, "" where a row names none. `caveats`: of how many runs each word is said. `more`:
    the sums of what figures were asked for besides.
    """

    runs: int
    nested_runs: int
    rows: int
    duration_s: float | None
    energy_kwh: float | None
    emissions_kg: float | None
    cost: Mapping[str, float]
    failed_runs: int
    failed_energy_kwh: float | None
    caveats: Mapping[str, int]
    more: tuple[float | None, ...] = ()


class Group:
    """The runs of one group, as far as they were seen."""

    def __init__(self) -> None:
        self.runs = self.nested_runs = self.nested_rows = self.failed_runs = 0
        self.caveats: Counter[str] = Counter()
        self.sums: defaultdict[tuple[str, bool], Sums] = defaultdict(Sums)
        """By currency, and whether the run failed."""

    def add(self, run: Run) -> None:
        """Add a run."""
        rows = run.rows
        if run.is_nested:
            self.nested_runs += 1
            self.nested_rows += len(rows)
            return
        failed = any(has_failed(row.exit_status, row.stop_reason) for row in rows)
        self.runs += 1
        self.failed_runs += failed
        said = {word for row in rows for word in row.caveats}
        for row in rows:
            said.update(_unknown(row))
            self.sums[row.currency or "", failed].add(
                [(row.duration_s, row.energy_kwh, row.emissions_kg, row.cost, *row.more)]
            )
        self.caveats.update(said)

    def add_alike(self, kind: Sequence[str | None], sums: Sums) -> None:
        """Add runs of one row each, all alike in what `kind` tells."""
        status, stop_reason, currency, caveats = kind
        failed = has_failed(status, stop_reason)
        self.sums[currency or "", failed].merge(sums)
        self.runs += sums.rows
        self.failed_runs += sums.rows if failed else 0
        for word in set(words(caveats or "")):
            self.caveats[word] += sums.rows
        for number, name in enumerate(_TO_BE_KNOWN):
            if unknown := sums.unknown(number):
                self.caveats[f"{name.partition('_')[0]}-unknown"] += unknown

    def merge(self, other: Group) -> None:
        """Add all runs of another group."""
        self.runs += other.runs
        self.nested_runs += other.nested_runs
        self.nested_rows += other.nested_rows
        self.failed_runs += other.failed_runs
        self.caveats.update(other.caveats)
        for kind, sums in other.sums.items():
            self.sums[kind].merge(sums)

    def summary(self) -> Summary:
        """Return what the runs come to."""
        whole, failed = Sums(), Sums()
        cost: dict[str, float] = {}
        for currency in sorted({currency for currency, _ in self.sums}):
            of_currency = Sums()
            for has_run_failed in (False, True):
                if (currency, has_run_failed) in self.sums:
                    of_currency.merge(self.sums[currency, has_run_failed])
            whole.merge(of_currency)
            if (amount := of_currency.totals()[3]) is not None:
                cost[currency] = amount
            if (currency, True) in self.sums:
                failed.merge(self.sums[currency, True])
        totals = whole.totals() or (0.0,) * len(FIGURES)
        duration_s, energy_kwh, emissions_kg, _, *more = totals
        return Summary(
            runs=self.runs,
            nested_runs=self.nested_runs,
            rows=whole.rows + self.nested_rows,
            duration_s=duration_s,
            energy_kwh=energy_kwh,
            emissions_kg=emissions_kg,
            cost=cost,
            failed_runs=self.failed_runs,
            failed_energy_kwh=failed.totals()[1] if failed.rows else 0.0,
            caveats=dict(sorted(self.caveats.items())),
            more=tuple(more),
        )


def has_failed(exit_status: str | None, stop_reason: str | None) -> bool:
    """Tell whether a run failed: by its status, or because it was killed before it had one.

    A run that was recovered has no status: it was killed together with eco2ai, as a rule, and
    nothing says that its work was done. Of a file without that column nothing is known.
    """
    return stop_reason == "recovered" if exit_status is None else exit_status != "0"


def _unknown(row: Row) -> Iterable[str]:
    # A sum that lacks a run's figure is not the sum: what is missing is said.
    for name in _TO_BE_KNOWN:
        if getattr(row, name) is None:
            yield f"{name.partition('_')[0]}-unknown"


class Alike:
    """Runs of one row each, summed up by what is written in them, before anything is decoded."""

    def __init__(self, question: Question) -> None:
        self._columns = (*question.columns, *_KIND_COLUMNS)
        self._cuts = [len("2022-07-01 12") if d.is_time else None for d in question.by]
        self._question = question
        self._sums: defaultdict[tuple[bytes, ...], Sums] = defaultdict(Sums)
        self._pending: defaultdict[tuple[bytes, ...], list[Figures]] = defaultdict(list)
        self._pending_rows = 0

    def add(self, block: Block, chosen: Sequence[bool]) -> None:
        """Add those rows of a block that are chosen."""
        columns = [block.texts[name] for name in self._columns]
        for number, cut in enumerate(self._cuts):
            if cut:
                columns[number] = [cell[:cut] for cell in columns[number]]
        pending = self._pending
        kinds = compress(zip(*columns, strict=True), chosen)
        for kind, figures in zip(kinds, compress(block.figures, chosen), strict=True):
            pending[kind].append(figures)
        self._pending_rows += len(chosen)
        if self._pending_rows > _ROWS_PENDING:
            self._settle()

    def merge(self, sums: Mapping[tuple[bytes, ...], Sums]) -> None:
        """Add the sums of another, by kind, that answers the same question."""
        for kind, others in sums.items():
            self._sums[kind].merge(others)

    def sums(self) -> Mapping[tuple[bytes, ...], Sums]:
        """Return the sums by kind."""
        self._settle()
        return self._sums

    def groups(self) -> Iterator[tuple[Labels, Sequence[str | None], Sums]]:
        """Yield the labels, the kind and the sums of rows that are alike."""
        asked = len(self._cuts)
        for cells, sums in self.sums().items():
            texts = [cell.decode() or None for cell in cells]
            yield self._question.labels(texts[:asked]), texts[asked:], sums

    def _settle(self) -> None:
        for kind, figures in self._pending.items():
            sums = self._sums[kind]
            sums.add(figures)
            sums.settle()
        self._pending.clear()
        self._pending_rows = 0
