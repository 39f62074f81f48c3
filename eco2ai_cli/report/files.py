"""Find the ledgers that a report is about: files, folders and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.reader import parts

_ANY_OF = "*?["


def ledgers(places: Sequence[str]) -> list[str]:
    """Return each file once: those named, and the ledgers in the folders and of the patterns.

    What is no ledger is passed over unless it was named. Raises LedgerError if a folder or a
    pattern has none.
    """
    found: dict[object, str] = {}
    for place in places:
        files = list(_files(place))
        if not files:
            raise LedgerError(f"there is no ledger in `{place}`")
        for file in files:
            found.setdefault(_identity(file), file)
    return list(found.values())


def _files(place: str) -> Iterator[str]:
    if os.path.isdir(place):
        yield from filter(_is_ledger, _csv_files(place))
    elif any(character in place for character in _ANY_OF) and not os.path.lexists(place):
        for path in sorted(glob.glob(place, recursive=True)):
            files = _csv_files(path) if os.path.isdir(path) else [path]
            yield from filter(_is_ledger, files)
    else:
        yield place


def _csv_files(folder: str) -> Iterable[str]:
    for path, folders, names in os.walk(folder):
        # What waits in a spool is read with its ledger.
        folders[:] = sorted(n for n in folders if not n.startswith(".") and not _is_spool(n))
        for name in sorted(names):
            if name.endswith(".csv") and not name.startswith("."):
                yield os.path.join(path, name)


def _is_spool(folder: str) -> bool:
    return folder.endswith(".csv.spool")


def _is_ledger(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    try:
        next(parts(path), None)
    except LedgerError:
        return False
    return True


def _identity(path: str) -> object:
    with suppress(OSError):
        status = os.stat(path)
        return status.st_dev, status.st_ino
    return path
