"""Verify a sealed ledger, and turn one that is opened into the lines of a ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from eco2ai_cli.ledger.columns import line
from eco2ai_cli.ledger.records import Record
from eco2ai_cli.ledger.sealed import Flaw, Opened, open_sealed
from eco2ai_cli.verify import Fault, Verdict, verify


class Survey(NamedTuple):
    """What a sealed ledger holds: all columns of its records, how many these are, its flaws."""

    names: tuple[str, ...]
    records: int
    flaws: tuple[Flaw, ...]


def survey(entries: Iterable[Opened | Flaw]) -> Survey:
    """Read a sealed ledger through; its rows are not kept."""
    names: dict[str, None] = {}
    flaws: list[Flaw] = []
    records = 0
    for entry in entries:
        if isinstance(entry, Flaw):
            flaws.append(entry)
        else:
            records += 1
            names.update(dict.fromkeys(entry.names))
    return Survey(tuple(names), records, tuple(flaws))


def verify_sealed(path: str, keys: Sequence[bytes]) -> Verdict:
    """Return the verdict on the sealed ledger at `path`: on its seals and, if they hold, its rows.

    Raises LedgerError as `open_sealed` does.
    """
    found = survey(open_sealed(path, keys))
    if found.flaws:
        verdict = Verdict(path, with_key=True)
        for flaw in found.flaws:
            verdict.add(Fault(flaw.kind, flaw.line, None, flaw.why))
    else:
        opened = _opened(path, keys)
        verdict = verify(path, _as_records(opened, found.names), keys)
    verdict.sealed_records = found.records
    return verdict


def lines(path: str, keys: Sequence[bytes], names: Sequence[str]) -> Iterator[bytes]:
    """Yield a ledger, line by line, of what can be opened: its header, then its rows."""
    yield from (line(record.cells) for record in _as_records(_opened(path, keys), names))


def _opened(path: str, keys: Sequence[bytes]) -> Iterator[Opened]:
    return (entry for entry in open_sealed(path, keys) if isinstance(entry, Opened))


def _as_records(opened: Iterable[Opened], names: Sequence[str]) -> Iterator[Record]:
    """Yield a header and rows under it; a column that a record lacks is an empty cell."""
    if names:
        yield Record(1, list(names))
    for entry in opened:
        for row in entry.rows:
            cell = dict(zip(entry.names, row, strict=True))
            yield Record(entry.line, [cell.get(name, "") for name in names])
