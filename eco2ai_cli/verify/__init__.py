"""Verify a ledger: recompute its rows, follow its chain, and find what does not hold and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from eco2ai_cli.ledger.columns import ROW_HASH
from eco2ai_cli.ledger.records import Record
from eco2ai_cli.verify import laws
from eco2ai_cli.verify.header import OF_OURS, SAMPLE_ROWS, Layout, layout
from eco2ai_cli.verify.links import HASH_CHARACTERS, Links
from eco2ai_cli.verify.verdict import Fault, Verdict

__all__ = ["Fault", "Verdict", "verify"]

RUNS_COMPARED = 50_000
"""A run is known again among as many: 10 MB."""


def verify(path: str, records: Iterable[Record], keys: Sequence[bytes] = ()) -> Verdict:
    """Return the verdict on the ledger at `path`, whose header and rows are `records`.

    The first record is the header. `keys` are those by which its rows may be chained. The rows
    are read once, and none is kept.
    """
    verdict = Verdict(path, with_key=bool(keys))
    rows = iter(records)
    header = next(rows, None)
    if header is None:
        return verdict
    first = list(islice(rows, SAMPLE_ROWS))
    whole = [row.cells for row in first if len(row.cells) == len(header.cells)]
    known = layout(header.cells, whole, (*keys, None))
    for fault in known.faults:
        verdict.add(fault)
    _Reading(verdict, header, known, keys).read(chain(first, rows))
    unkeyed_from_line = verdict.unkeyed_from_line
    if verdict.rows and not verdict.hashed:
        unkeyed_from_line = first[0].line
    if keys and unkeyed_from_line is not None:
        why = "from here on no row is chained with the key, so anybody can have written them"
        verdict.add(Fault("unkeyed", unkeyed_from_line, None, why, ROW_HASH))
    return verdict


class _Reading:
    """One pass over the rows of a ledger: each by itself, each in its run, all in their chain."""

    def __init__(
        self, verdict: Verdict, header: Record, known: Layout, keys: Sequence[bytes]
    ) -> None:
        self._verdict = verdict
        self._header = header
        self._layout = known
        self._links = Links(verdict, known.names, keys) if ROW_HASH in known.names else None
        self._run: laws.Part | None = None
        self._under_way: dict[str, laws.Part] = {}  # with epochs, and no last row yet
        self._ended: dict[str, int] = {}  # runs, and the line of their last row

    def read(self, rows: Iterator[Record]) -> None:
        """Take in all rows, and the end of the file."""
        for record in rows:
            if fault := self._no_row(record):
                self._verdict.add(fault)
                self._gap()
            else:
                self._row(record.line, self._layout.cells(record.cells))
        self._leave_run()
        for run in self._under_way.values():
            self._end_of_run(run)

    def _no_row(self, record: Record) -> Fault | None:
        found, wanted = len(record.cells), len(self._header.cells)
        if record.reason:
            return Fault("torn", record.line, None, f"no row can be read: {record.reason}")
        if record.cells == self._header.cells:
            return Fault("anew", record.line, None, "a second header: files were joined here")
        if found != wanted:
            why = f"{found} cells where the header has {wanted}: a torn line, or cells were cut off"
            return Fault("torn", record.line, record.cells[0], why)
        if not any(record.cells):
            return Fault("torn", record.line, None, "all its cells are empty")
        return None

    def _row(self, line: int, cells: Sequence[str]) -> None:
        cell = dict(zip(self._layout.names, cells, strict=True))
        self._verdict.rows += 1
        self._chained(line, cell, cells)
        figures = laws.numbers(cell)
        if isinstance(figures, laws.Broken):
            self._add("cell", line, cell, figures)
            figures = {}  # of those that are left no sum can be made
        else:
            self._verdict.recomputed += "pue" in figures
            for broken in laws.broken_cells(cell, figures):
                self._add("cell", line, cell, broken)
        self._in_its_run(line, cell, figures)

    def _chained(self, line: int, cell: Mapping[str, str], cells: Sequence[str]) -> None:
        written = cell.get(ROW_HASH)
        run_id = cell.get("id")
        if self._links is not None and written:
            self._verdict.hashed += 1
            try:
                self._links.follow(line, run_id, cells)
            except UnicodeEncodeError:
                self._verdict.add(Fault("torn", line, run_id, "it is not UTF-8 text"))
                self._links.gap(written)
            if len(written) != HASH_CHARACTERS:
                self._links.gap()
        elif self._links is not None and (self._verdict.hashed or any(map(cell.get, OF_OURS))):
            why = "the row has no hash"
            self._verdict.add(Fault("no-hash", line, run_id, why, ROW_HASH, "a hash", "nothing"))
            self._gap()

    def _gap(self) -> None:
        if self._links is not None:
            self._links.gap()

    def _in_its_run(self, line: int, cell: Mapping[str, str], figures: Mapping[str, float]) -> None:
        """Add up the rows of one run; as it goes on, others may write between its epochs."""
        if not (cell.get("version") and cell.get("id")):
            self._leave_run()
            return
        part = laws.part(line, cell, figures)
        if self._run is None or self._run.cell["id"] != cell["id"]:
            self._leave_run()
            self._run = self._under_way.pop(cell["id"], None)
        if self._run is not None:
            joined = laws.joined(self._run, part)
            if isinstance(joined, laws.Broken):
                self._add("run", line, cell, joined)
                self._run = self._run._replace(line=line)
            else:
                self._run = joined
            return
        self._run = part
        if other := self._ended.get(cell["id"]):
            why = f"rows of this run are at line {other} already"
            self._verdict.add(Fault("repeated", line, cell["id"], why, "id"))

    def _leave_run(self) -> None:
        """Take note that the next row is of another run."""
        run, self._run = self._run, None
        if run is None:
            return
        if run.has_ended:
            self._end_of_run(run)
            return
        self._under_way[run.cell["id"]] = run
        if len(self._under_way) > RUNS_COMPARED:
            self._end_of_run(self._under_way.pop(next(iter(self._under_way))))

    def _end_of_run(self, run: laws.Part) -> None:
        if broken := laws.broken_times(run):
            self._add("run", run.line, run.cell, broken)
        self._ended[run.cell["id"]] = run.line
        if len(self._ended) > RUNS_COMPARED:
            del self._ended[next(iter(self._ended))]

    def _add(self, kind: str, line: int, cell: Mapping[str, str], broken: laws.Broken) -> None:
        column, expected, found, why = broken
        self._verdict.add(Fault(kind, line, cell.get("id"), why, column, expected, found))
