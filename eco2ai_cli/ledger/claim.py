"""The claim to empty a spool, where there may be no locks: a file of one's own, seen by all.

Everybody makes a file of his own first and looks at those of the others then, so of two at once
at least one sees the other and leaves; both may. That takes no more of a file system than to
make files and to list them.
"""

from __future__ import annotations

import os
from contextlib import suppress

PREFIX = "merging-"
_LEFT = "left"
LONGEST_S = 600.0
"""After this time whoever claims is taken for dead where nothing else can tell, as on another
host; a claim is as a rule held for milliseconds."""


def make(folder: str) -> tuple[str, list[str]]:
    """Claim `folder`; return our claim and those of others, dead or alive. Raises OSError."""
    own = os.path.join(folder, f"{PREFIX}{_token()}")
    os.close(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    return own, [other for other in _claims(folder) if other != own]


def leave(own: str) -> None:
    """Say that we have given up, and that nobody knows how far we came."""
    with suppress(OSError):  # then our end says it
        os.replace(own, os.path.join(os.path.dirname(own), PREFIX + _LEFT))


def is_busy(folder: str) -> bool:
    """Tell whether a process that surely lives claims `folder`; no claim is made for that."""
    try:
        return any(_known_to_live(claim) for claim in _claims(folder))
    except OSError:
        return False


def is_alive(other: str, own: str) -> bool:
    """Tell whether the claim `other` is of a process that lives, as far as can be known.

    `own` is a claim made just now: the file system's own clock says how old the other is.
    """
    known = _known_to_live(other)
    if known is not None:
        return known
    try:
        return os.stat(own).st_mtime - os.stat(other).st_mtime < LONGEST_S
    except FileNotFoundError:
        return False  # he has finished


def _known_to_live(claim: str) -> bool | None:
    """Tell whether a claim's owner lives; None for one of another machine or namespace."""
    token = os.path.basename(claim).removeprefix(PREFIX)
    if token == _LEFT:
        return False
    where, _, process = token.partition(".")
    if not where or where != _boot_and_namespace():
        return None
    pid, _, start = process.rpartition(".")[0].partition(".")
    return bool(start) and _start_time(pid) == start


def _claims(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in os.listdir(folder) if name.startswith(PREFIX)]


def _token() -> str:
    pid = str(os.getpid())
    return f"{_boot_and_namespace()}.{pid}.{_start_time(pid)}.{os.urandom(4).hex()}"


def _boot_and_namespace() -> str:
    """Return what tells apart the processes that one pid may name; empty where it is not known."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _start_time(pid: str) -> str:
    """Return when a process was started, in ticks since boot; empty if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
