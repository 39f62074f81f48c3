"""Read the rows of ledgers, ours, eco2AI's and CodeCarbon's, by the names of their columns."""

from __future__ import annotations

import csv
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger import codecarbon, spool
from eco2ai_cli.ledger.blocks import NO_ROWS
from eco2ai_cli.ledger.header import not_a_ledger, shortened
from eco2ai_cli.ledger.lines import Lines, reader_from
from eco2ai_cli.ledger.lock import size_between_writes
from eco2ai_cli.ledger.parts import Part, alone, entries_of, parts_of, texts
from eco2ai_cli.ledger.rows import AS_IT_IS, Reading, Row, Skipped
from eco2ai_cli.ledger.tail import LONGEST_ROW_BYTES

__all__ = ["NO_ROWS", "REQUIRED", "Part", "Reading", "Row", "Skipped", "parts", "read"]

REQUIRED = ("project_name", "duration(s)", "power_consumption(kWh)", "CO2_emissions(kg)")
LOCK_TIMEOUT_S = 1.0
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY


def read(
    path: str, reading: Reading = AS_IT_IS, *, tick: Callable[[int], object] = bool
) -> Iterator[Row | Skipped]:
    """Yield the rows of the ledger at `path` in the order of the file, then those that wait for it.

    No row is seen while it is being written, nor twice while it is being taken from the spool.
    `tick` is told from time to time how many bytes were read. Raises LedgerError, at the first
    row, if the file cannot be read or is not a ledger.
    """
    return entries_of(parts(path, reading, tick=tick), reading)


def parts(
    path: str, reading: Reading = AS_IT_IS, *, tick: Callable[[int], object] = bool
) -> Iterator[Part]:
    """Yield what `read` yields, in parts."""
    # The longest field that csv takes by default, 128 KiB, is shorter than a command line.
    csv.field_size_limit(LONGEST_ROW_BYTES)
    # The spool first: a row goes from there into the file, never back.
    waiting = [entry for file in spool.files(path) for entry in _waiting(file, reading)]
    found = _parts(path, OPEN_FLAGS, reading, tick)
    try:
        if waiting:
            yield from map(alone, _both(entries_of(found, reading), waiting))
        else:
            yield from found
    except FileNotFoundError:
        if not waiting:
            raise LedgerError(
                f"there is no ledger `{path}`", hint="`eco2ai run -- COMMAND` makes one"
            ) from None
        yield from map(alone, waiting)
    except OSError as error:
        raise LedgerError(f"cannot read the ledger `{path}`: {error.strerror}") from error


def _both(
    entries: Iterable[Row | Skipped], waiting: Sequence[Row | Skipped]
) -> Iterator[Row | Skipped]:
    held = Counter({row.id: 0 for row in waiting if isinstance(row, Row)})
    for entry in entries:
        if isinstance(entry, Row) and entry.id in held:
            held[entry.id] += 1
        yield entry
    for entry in waiting:
        if isinstance(entry, Row) and held[entry.id]:
            held[entry.id] -= 1
        else:
            yield entry


def _waiting(file: str, reading: Reading) -> Iterator[Row | Skipped]:
    try:
        yield from entries_of(_parts(file, spool.OPEN_FLAGS, reading, bool), reading)
    except FileNotFoundError:
        return  # it has just been taken into the ledger, which is read after
    except OSError as error:
        yield Skipped(file, 1, str(error.strerror))
    except LedgerError as error:
        yield Skipped(file, 1, str(error))


def _parts(
    path: str, flags: int, reading: Reading, tick: Callable[[int], object]
) -> Iterator[Part]:
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        size = None  # of a pipe it is not known
        if stat.S_ISREG(status.st_mode):
            size = size_between_writes(file.fileno(), path, LOCK_TIMEOUT_S)
        read_on = file.read if size is None else reader_from(file.fileno(), 0)
        lines = Lines(read_on, size, tick)
        if not lines.check(path):
            return
        try:
            names = next(csv.reader(texts(lines)))
        except csv.Error:
            raise not_a_ledger(path, "it is not a text file") from None
        if set(REQUIRED) <= set(names):
            yield from parts_of(path, lines, names, reading)
        elif codecarbon.is_codecarbon(names):
            found = parts_of(path, lines, codecarbon.our_names(names), reading)
            yield from map(alone, codecarbon.totals(entries_of(found, reading), names))
        else:
            raise not_a_ledger(path, f"its first line is {shortened(names)}")
