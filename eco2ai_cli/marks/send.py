"""Send a mark to the run that this process is part of: one line, by one write that never blocks.

It is imported into the programs of others: it costs them next to nothing, and never raises.
"""

from __future__ import annotations

import os
import stat
import time

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "ECO2AI_MARK"
"""The environment variable that holds the path of the run's FIFO."""
LIMIT = 4096
"""Bytes of a line with its end: PIPE_BUF, up to which the kernel lets nobody's write into another's
(pipe(7))."""
CUT = "…"
"""How a line ends that was cut."""
_PATIENCE_S = 1.0
_PAUSE_S = 0.005
_WITHOUT_PLAIN = dict.fromkeys(map(ord, "._+-/%"))  # what a word may hold beside letters


def send(
    name: object = None,
    values: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> bool:
    """Write a mark for the run around us; False where there is none, or it does not take it.

    `name`: what the epoch is called; None: the next number. Waits a second at the most, when marks
    are sent faster than they are taken.
    """
    try:
        path = environ.get(VARIABLE)
        return bool(path) and _write(str(path), compose(name, values or {}))
    except Exception:  # of the values' `__str__` as well: no mark is worth a training
        return False


def compose(name: object, values: Mapping[str, object]) -> bytes:
    """Return the line of a mark, with its end; cut where it would be longer than LIMIT."""
    words = [] if name is None else [_quoted(_text(name))]
    words += [f"{_quoted(str(key))}={_quoted(_text(value))}" for key, value in values.items()]
    line = " ".join(words).encode("utf-8", "surrogateescape")
    if len(line) >= LIMIT:
        line = cut(line, LIMIT - 1 - len(CUT.encode())) + CUT.encode()
    return line + b"\n"


def cut(line: bytes, length: int) -> bytes:
    """Return the first `length` bytes of `line`, or up to three less: no character is parted."""
    start = length
    while start > max(0, length - 3) and line[start] & 0xC0 == 0x80:  # within a character
        start -= 1
    return line[:start]


def _text(value: object) -> str:
    """Return a value as text; the scalar of an array library as the number that it is."""
    item = getattr(value, "item", None)
    if item is None:
        return str(value)
    try:
        number = item()
    except Exception:
        return str(value)
    return f"{number:.7g}" if isinstance(number, float) else str(number)  # as float32 has digits


def _quoted(text: str) -> str:
    """Return the text as one word of a line, in quotes where it has to be."""
    if text.translate(_WITHOUT_PLAIN).isalnum():
        return text
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    lines = text.replace("\r", "\\r").replace("\n", "\\n")  # the end of a line ends the mark
    return f'"{lines}"'


def _write(path: str, line: bytes) -> bool:
    until_s = time.monotonic() + _PATIENCE_S
    fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    reader = -1
    try:
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            return False  # a file that another writer made when the run had ended
        reader = _reader(path)
        while True:
            try:
                return os.write(fd, line) == len(line)
            except BlockingIOError:  # the pipe is full
                if time.monotonic() > until_s:
                    return False
                time.sleep(_PAUSE_S)
    finally:
        os.close(fd)
        if reader >= 0:
            os.close(reader)


def _reader(path: str) -> int:
    """Open the FIFO for reading, or return -1: as long as there is a reader, no SIGPIPE comes."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return -1
