"""Own the bottom rows of the terminal while a command writes above them.

The rows are kept by a scroll region: what the command writes scrolls above them and is never
touched. Here are the only escape codes. Whatever is drawn is one write(2), which the kernel lets
nobody else's output into. It is made by a thread of its own, because a stopped terminal (Ctrl-S)
holds up whoever writes to it.

The rows are given back while the terminal is not in canonical mode (a full-screen program or a
line editor has it), while another process group has it, and before we stop or end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from eco2ai_cli.dashboard import BARS, Line

_CI_VARIABLES = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TEAMCITY_VERSION", "TF_BUILD")
"""What CI services set (their documentation, 2025); most of them set `CI`, some do not."""
_UNSET = ("", "0", "false")
_FULL_ROWS = 20
"""A terminal of so many rows has room for a panel; a lower one for a single row."""
_LEAST = (16, 5)
"""Columns and rows below which nothing is drawn."""
_MOST_ROWS = 6
_PATIENCE_S = 0.2
"""How long a write may take before we go on without it."""
_CALM = 2
"""So many looks in a row must find the terminal ours before it is drawn on again."""

# ECMA-48 (1991) and DEC's VT510 reference manual (EK-VT510-RM, 1995) name these.
_SAVE, _RESTORE = "\x1b7", "\x1b8"  # DECSC, DECRC: cursor, attributes, character sets
_DOWN = "\x1bD"  # IND: down, scrolling at the bottom; the column stays
_WHOLE = "\x1b[r"  # DECSTBM: all rows scroll; the cursor goes home
_PLAIN = "\x1b[0m\x1b(B\x0f\x1b[?6l"  # no attributes, ASCII, rows counted from the top
_ERASE_ROW = "\x1b[2K"
_ERASE_BELOW = "\x1b[G\x1b[J"

_COLOURS = {"rule": "2", "label": "2", "figure": "1", "spark": "36", "doubt": "33"}
_IN_ASCII = str.maketrans(f"{BARS}─█░…·°", "._-=+*##-#.~. ")


class _Shown(NamedTuple):
    """What is on the terminal now: so many rows, drawn when it was of that size."""

    rows: int
    size: os.terminal_size


class Screen:
    """The bottom rows of one terminal; `fd` is a descriptor of our own, open for writing.

    `lock` is a descriptor of the same device: who has it locked is the one who draws. `colour` and
    `encoding` are what the terminal takes.
    """

    def __init__(self, fd: int, lock: int | None, *, colour: bool, encoding: str) -> None:
        self._fd = fd
        self._lock = lock
        self._colour = colour
        self._encoding = encoding
        self._writer: threading.Thread | None = None
        self._gone = False
        self._shown: _Shown | None = None
        self._left_behind = False
        self._calm = _CALM - 1

    def show(self, picture: Callable[[int, int], Sequence[Line]]) -> bool:
        """Draw `picture(columns, rows)` on the bottom rows, if the terminal is ours to draw on.

        Return whether there still is a terminal.
        """
        try:
            if not self._gone and not self._writing():
                self._show(picture)
        except (OSError, termios.error):
            self._gone = True
        return not self._gone

    def _show(self, picture: Callable[[int, int], Sequence[Line]]) -> None:
        if not self._give_way():
            return
        self._calm += 1
        if self._shown is None and (self._calm < _CALM or not self._has_lock()):
            return
        size = os.get_terminal_size(self._fd)
        rows = rows_for(size)
        self._draw(picture(size.columns - 1, rows) if rows else (), size)

    def keep_out(self) -> bool:
        """Withdraw if another program has taken the terminal, and clear up when it has left.

        Return whether it is worth while to look again soon.
        """
        if self._gone or self._writing() or not (self._shown or self._left_behind):
            return False
        try:
            self._give_way()
        except (OSError, termios.error):
            self._gone = True
        return True

    def resized(self) -> None:
        """Take the rows away, for the next drawing to bring them back; never raises."""
        was_shown = self._shown is not None
        self.give_back()
        if was_shown:
            self._calm = _CALM - 1

    def give_back(self) -> None:
        """Leave the terminal as it would be without us; idempotent, never raises."""
        with contextlib.suppress(OSError, termios.error):
            if not self._gone and not self._writing():
                self._leave()

    def _give_way(self) -> bool:
        """Withdraw if the terminal is not ours, clear up when it is again; return which it is."""
        if not self._is_ours():
            self._calm = 0
            self._withdraw()
            return False
        if self._left_behind:
            self._clear_up()
        return True

    def _leave(self) -> None:
        ours, shown = self._is_ours(), self._shown
        self._shown, self._calm = None, 0
        if shown is not None and shown.size == os.get_terminal_size(self._fd):
            self._write((_make_room(shown.rows) if ours else "") + _erased(shown))
        elif ours and shown is not None:
            self._write(_make_room(1, sweep=True))
        elif ours and self._left_behind:
            self._clear_up()
        if self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _clear_up(self) -> None:
        """Erase what is below the cursor: our rows on the screen that a program came back to."""
        self._left_behind = False
        self._write(f"{_SAVE}\x1b[0m\x1b[J{_RESTORE}")

    def _withdraw(self) -> None:
        """Leave the rows to a program that has taken the terminal, and have it repaint them.

        It may have drawn on fewer rows than it believed to have; a SIGWINCH, which is ignored by
        whoever does not draw, makes it look again. The screen that it returns to when it ends may
        still hold our rows.
        """
        if self._shown is None:
            return
        shown, self._shown, self._left_behind = self._shown, None, True
        same = shown.size == os.get_terminal_size(self._fd)
        self._write(_erased(shown if same else shown._replace(rows=0)))
        if os.tcgetpgrp(self._fd) == os.getpgrp():
            os.killpg(os.getpgrp(), signal.SIGWINCH)

    def _draw(self, lines: Sequence[Line], size: os.terminal_size) -> None:
        old = self._shown
        resized = old is not None and old.size != size
        if not lines:
            self._shown = None
            if old is not None:
                self._write(_make_room(1, sweep=True) if resized else _erased(old))
            return
        first = size.lines - len(lines) + 1
        blank = 0 if old is None or resized else max(0, old.rows - len(lines))
        texts = [*[""] * blank, *map(self._painted, lines)]
        text = "".join(
            f"\x1b[{row};1H{_ERASE_ROW}{text}" for row, text in enumerate(texts, first - blank)
        )
        room = _make_room(len(lines), sweep=resized)
        region = f"\x1b[1;{first - 1}r"
        self._shown = _Shown(len(lines), size)
        self._write(f"{room}{_SAVE}{_PLAIN}{region}{text}{_RESTORE}")

    def _painted(self, line: Line) -> str:
        if not self._colour:
            return "".join(span.text for span in line)
        return "".join(
            f"\x1b[{_COLOURS[span.role]}m{span.text}\x1b[0m" if span.role else span.text
            for span in line
        )

    def _is_ours(self) -> bool:
        """Tell whether our group has the terminal, and nobody takes its keys one by one."""
        if os.tcgetpgrp(self._fd) != os.getpgrp():
            return False
        return bool(termios.tcgetattr(self._fd)[3] & termios.ICANON)

    def _has_lock(self) -> bool:
        """Tell whether we are the one of all panels on this terminal that is drawn."""
        if self._lock is None:
            return True
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _writing(self) -> bool:
        """Tell whether the terminal still holds up the last write."""
        if self._writer is not None:
            self._writer.join(0)
        return self._writer is not None and self._writer.is_alive()

    def _write(self, text: str) -> None:
        if self._encoding != "utf-8":
            text = text.translate(_IN_ASCII)
        data = text.encode(self._encoding, "replace")
        writer = threading.Thread(target=self._write_all, args=(data,), daemon=True)
        try:
            writer.start()
        except RuntimeError:  # no thread is left for it
            self._write_all(data)
        else:
            self._writer = writer
            writer.join(_PATIENCE_S)

    def _write_all(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:  # the terminal has hung up
            self._gone = True


def open_screen(
    environ: Mapping[str, str],
    *,
    insist: bool = False,
    terminal: str = "/dev/tty",
    standard_error: int = 2,
) -> Screen | None:
    """Return the screen of our terminal; None where it is not to be drawn on.

    That is where standard error is not our controlling terminal, where `TERM` says that it cannot
    move its cursor and, unless `insist`, in continuous integration.
    """
    if environ.get("TERM", "") in ("", "dumb", "unknown"):
        return None
    if not insist and any(environ.get(name, "") not in _UNSET for name in _CI_VARIABLES):
        return None
    try:
        os.tcgetpgrp(standard_error)
        fd = os.open(terminal, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # By its own path: /dev/tty is one device for all the terminals of the machine.
        lock = os.open(f"/proc/self/fd/{standard_error}", os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # another user's terminal, after su(1)
        lock = None
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    return Screen(fd, lock, colour=not environ.get("NO_COLOR"), encoding=encoding.lower())


def rows_for(size: os.terminal_size) -> int:
    """Return how many rows of a terminal the panel may take."""
    if size.columns < _LEAST[0] or size.lines < _LEAST[1]:
        return 0
    return 1 if size.lines < _FULL_ROWS else min(_MOST_ROWS, size.lines // 4)


def _make_room(rows: int, *, sweep: bool = False) -> str:
    """Have all rows scroll, and the cursor stand `rows` above the last row at least.

    A cursor that stands there already stays; else what is above it scrolls up. Its column is kept.
    With `sweep` everything below its row is erased: what a resized terminal has made of our rows.
    """
    below = f"{_SAVE}\x1b[0m{_ERASE_BELOW}{_RESTORE}" if sweep else ""
    return f"{_SAVE}{_WHOLE}{_RESTORE}{_DOWN}{below}{_DOWN * (rows - 1)}\x1b[{rows}A"


def _erased(shown: _Shown) -> str:
    """Have all rows scroll, and ours empty."""
    first = shown.size.lines - shown.rows + 1
    rows = "".join(f"\x1b[{first + number};1H{_ERASE_ROW}" for number in range(shown.rows))
    return f"{_SAVE}\x1b[0m{_WHOLE}{rows}{_RESTORE}"
