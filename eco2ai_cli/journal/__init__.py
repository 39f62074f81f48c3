"""The journal: a small file a run, from which the run is recovered if we are killed.

`keeper` writes it while the command runs, `recovery` saves the `row` of what a dead run has left,
`layout` is what a file looks like, `owner` tells the dead from the living. What is here is all
that a command pays for that finds nothing to recover. Told in `docs/journal.md`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from eco2ai_cli import state, talk

SUFFIX = ".journal"


class Note(NamedTuple):
    """A sentence about a dead run; `is_trouble` if something has to be done about it."""

    sentence: str
    is_trouble: bool = False


def folder(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return where journals are; None without a home."""
    ours = state.folder(environ)
    return None if ours is None else os.path.join(ours, "journal")


def remove(run_id: str, environ: Mapping[str, str] = os.environ) -> None:
    """Remove the journal of a run that is saved, if it had one; never raises OSError."""
    where, names = _listed(environ)
    for name in names:
        if name.startswith(run_id):
            discard(os.path.join(where, name))


def recover(environ: Mapping[str, str] = os.environ, *, everywhere: bool = True) -> list[Note]:
    """Save the row of every run that died, once; return a note on each that there was.

    Without `everywhere` runs of other machines are not even looked at. What the file system
    refuses becomes a note, never an exception.
    """
    where, names = _listed(environ)
    if not names:
        return []
    from eco2ai_cli.journal import recovery

    return recovery.recover(where, names, environ=environ, everywhere=everywhere)


def _listed(environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the folder and what is in it; as a rule nothing, or no folder at all."""
    where = folder(environ)
    if where is not None:
        try:
            return where, sorted(os.listdir(where))
        except OSError:
            pass
    return "", []


def say(notes: Iterable[Note]) -> None:
    """Print notes on standard error; nobody listening is no fault."""
    lines = (("eco2ai: warning:" if n.is_trouble else "eco2ai:", n.sentence) for n in notes)
    talk.say(*map(" ".join, lines))


def discard(path: str) -> None:
    """Remove a file that may have gone already; never raises OSError."""
    try:
        os.unlink(path)
    except OSError:
        return
