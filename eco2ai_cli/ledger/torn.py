"""Set a torn last line aside: it is no row, and nothing may be written after it as if it were."""

from __future__ import annotations

import os

SUFFIX = ".torn"


def set_aside(fd: int, path: str, end: int) -> str:
    """Move what stands after `end` in the ledger open as `fd` to `<path>.torn`; return that path.

    It is added to what is there already, on a line of its own. Killed in between, it stands in
    both files. Raises OSError, with the ledger as it was.
    """
    target = (os.path.realpath(path) if os.path.islink(path) else path) + SUFFIX
    status = os.fstat(fd)
    torn = os.pread(fd, status.st_size - end, end)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    aside = os.open(target, flags, status.st_mode & 0o666)
    try:
        data = torn + b"\n"
        while data:
            data = data[os.write(aside, data) :]
        os.fsync(aside)
    finally:
        os.close(aside)
    os.ftruncate(fd, end)
    return target
