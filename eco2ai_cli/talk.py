"""Talk to the person who started a run, on standard error, without ever being held up by it."""

from __future__ import annotations

import os
import select
import sys

_PATIENCE_S = 1.0
_PATIENCE_WITH_A_PERSON_S = 60.0
"""A terminal is stopped by Ctrl-S so that somebody can read."""
_PIECE_BYTES = 4096  # PIPE_BUF: what is told writable takes that much without blocking (pipe(7))
_WITHOUT_UNICODE = str.maketrans({"–": "-", "·": "-", "×": "x", "µ": "u", "…": "..."})
"""What we write of our own beyond ASCII, where standard error is not UTF-8."""


def say(*lines: str, patience_s: float | None = None) -> None:
    """Write lines to standard error; what nobody takes within a second is left unsaid.

    A reader may be gone, or may wait for us to end before it reads what fills its pipe.
    `patience_s`: how long to wait for it instead; 0 while the command runs.
    """
    if sys.stderr is None or not lines:  # fd 2 was closed at our start: another's by now
        return
    text = "".join(f"{line}\n" for line in lines)
    if sys.stderr.encoding.lower() != "utf-8":
        text = text.translate(_WITHOUT_UNICODE)
    data = text.encode(sys.stderr.encoding, "backslashreplace")
    if patience_s is None:
        patience_s = _PATIENCE_WITH_A_PERSON_S if os.isatty(2) else _PATIENCE_S
    writable = select.poll()
    writable.register(2, select.POLLOUT)
    try:
        sys.stderr.flush()
        while data and writable.poll(patience_s * 1000):
            data = data[os.write(2, data[:_PIECE_BYTES]) :]
    except OSError:
        return
