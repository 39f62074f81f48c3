"""Give a ledger the columns that it lacks: eco2AI's own file, or one of an older version."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO

from eco2ai_cli.ledger.chain import chained_lines
from eco2ai_cli.ledger.columns import Cells, line
from eco2ai_cli.ledger.header import BOM, missing_columns
from eco2ai_cli.ledger.tail import ends_open

KEPT_SUFFIX = ".eco2ai-original"
_NO_HARD_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV)


def extend(
    fd: int,
    path: str,
    names: tuple[str, ...],
    rows: Sequence[Cells],
    last_hash: str,
    *,
    key: bytes | None = None,
    link: Callable[[str, str], None] = os.link,
) -> None:
    """Put in the place of the ledger at `path`, open and locked as `fd`, one with all columns.

    The new file holds the old cells byte for byte, empty cells for the new columns, then
    `rows`, chained to `last_hash`. It is written beside the old one and takes its name in one
    step; the old file stays as `<name>.eco2ai-original`. Raises OSError, with the old file in
    its place and nothing beside it.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    added = missing_columns(names)
    descriptor, temporary = tempfile.mkstemp(prefix=".eco2ai-", dir=folder)
    try:
        with open(fd, "rb", closefd=False) as old, open(descriptor, "wb") as new:
            old.seek(0)
            new.writelines(_padded(old, added))
            new.write(chained_lines(rows, names + added, last_hash, key))
            new.flush()
            _take_over_owner_and_mode(fd, descriptor)
            os.fsync(descriptor)
        kept = _keep_original(target, link)
        try:
            os.replace(temporary, target)
        except BaseException:
            os.unlink(kept)
            raise
    except BaseException:
        os.unlink(temporary)
        raise
    _sync_folder(folder)


def _padded(old: BinaryIO, added: tuple[str, ...]) -> Iterator[bytes]:
    r"""Yield the lines of `old` with `added` in its header and empty cells in its rows.

    A line end within quotes is part of a cell. Line ends become `\n`, a byte order mark goes,
    and an unfinished quoted cell at the end is closed.
    """
    padding = b"," * len(added)
    yield old.readline().removeprefix(BOM).rstrip(b"\r\n") + b"," + line(added)
    in_quotes = False
    for old_line in old:
        in_quotes = ends_open(old_line, in_quotes=in_quotes)
        if in_quotes:
            yield old_line
        elif record_end := old_line.rstrip(b"\r\n"):
            yield record_end + padding + b"\n"
        else:
            yield b"\n"
    if in_quotes:
        yield b'"\n'


def _take_over_owner_and_mode(old: int, new: int) -> None:
    status = os.fstat(old)
    try:
        os.fchown(new, status.st_uid, status.st_gid)
    except PermissionError:
        os.fchown(new, -1, status.st_gid)  # only root gives files away
    os.fchmod(new, status.st_mode & 0o7777)


def _keep_original(target: str, link: Callable[[str, str], None]) -> str:
    kept = target + KEPT_SUFFIX
    number = 1
    while os.path.lexists(kept):
        number += 1
        kept = f"{target}{KEPT_SUFFIX}.{number}"
    try:
        link(target, kept)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        shutil.copy2(target, kept)
    return kept


def _sync_folder(folder: str) -> None:
    # The rows are in the file of that name already; not every file system syncs folders.
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
