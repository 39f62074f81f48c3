"""`mark`: end an epoch of whatever measures this program."""

from __future__ import annotations

import os
from collections.abc import Mapping

from eco2ai_cli.marks.line import Mark, NotAMark, parse
from eco2ai_cli.marks.send import compose, send
from eco2ai_cli.tracker import presence


def mark(name: object = None, /, **values: object) -> bool:
    """End the epoch that is under way, and begin the next: `mark(3, loss=0.21)`.

    It is one of the tracker that was started last in this process, else of the `eco2ai run` around
    it. `name`: what the epoch is called; None: the next number. False where nothing measures;
    nothing raises.
    """
    stay = presence.latest()
    if stay is None:
        return send(name, values, os.environ)
    return stay.epoch(mark_of(name, values))


def mark_of(name: object, values: Mapping[str, object]) -> Mark:
    """Return the mark that `eco2ai mark` would make of a name and values; never raises."""
    try:
        return parse(compose(name, values))
    except NotAMark:
        return Mark(None)
    except Exception:  # a fault of the values' own `__str__`
        return Mark(None)
