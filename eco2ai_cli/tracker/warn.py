"""Warn the user of a tracker; never by an exception."""

from __future__ import annotations

import sys
import warnings

_PACKAGE = __name__.partition(".")[0] + "."


class Eco2aiWarning(UserWarning):
    """What a tracker has to say about its rows or its use."""


def warn(sentence: str) -> None:
    """Issue a warning; where warnings are made errors, say it on standard error instead."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back  # up to the line of the user's that calls us
    try:
        warnings.warn(f"eco2ai: {sentence}", Eco2aiWarning, stacklevel=level)
    except Eco2aiWarning:
        from eco2ai_cli import talk

        talk.say(f"eco2ai: warning: {sentence}")
