"""A terminal to run commands on: a pty with pyte behind it, which keeps every line."""

from __future__ import annotations

import copy
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pexpect
import pyte
from wrapped import PATIENCE_S

PANEL = "── eco2ai ──"
"""What the first row of a panel begins with."""
CI_VARIABLES = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TEAMCITY_VERSION", "TF_BUILD")


class Screen(pyte.HistoryScreen):
    """A screen that keeps its lines, with the second one that full-screen programs draw on."""

    def set_mode(self, *modes: int, **options: Any) -> None:
        """Save the cursor and start with an empty screen on `?1049h`, as xterm does."""
        if options.get("private") and 1049 in modes:
            self._first = copy.deepcopy((dict(self.buffer), self.cursor))
            self._length = len(self.history.top)
            self.erase_in_display(2)
        super().set_mode(*modes, **options)

    def reset_mode(self, *modes: int, **options: Any) -> None:
        """Go back to the first screen on `?1049l`."""
        if options.get("private") and 1049 in modes:
            rows, self.cursor = self._first
            self.buffer.clear()
            self.buffer.update(rows)
            while len(self.history.top) > self._length:
                self.history.top.pop()
        super().reset_mode(*modes, **options)


class Terminal:
    """A command on a terminal of its own. `output`: the bytes that came, all of them."""

    def __init__(
        self,
        command: list[Any],
        *,
        columns: int = 80,
        rows: int = 24,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in CI_VARIABLES}
        program, *arguments = map(str, command)
        self.process = pexpect.spawn(
            program,
            arguments,
            dimensions=(rows, columns),
            env=inherited | {"TERM": "xterm-256color"} | dict(environ or {}),
            echo=True,
        )
        self.screen = Screen(columns, rows, history=10**9)
        self._stream = pyte.ByteStream(self.screen)
        self.output = b""

    def read(self, timeout_s: float = 0.05) -> bool:
        """Take what came; False when there will be no more."""
        try:
            data = self.process.read_nonblocking(1 << 16, timeout_s)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.output += data
        self._stream.feed(data)
        return True

    def until(self, is_reached: Callable[[], bool]) -> None:
        """Read until it is so; fails when that takes too long or the command has ended."""
        until_s = time.monotonic() + PATIENCE_S
        while not is_reached():
            more = self.read()
            assert is_reached() or (more and time.monotonic() < until_s), "\n".join(self.rows)

    def until_shown(self, text: str) -> None:
        """Read until a row contains `text`."""
        self.until(lambda: any(text in row for row in self.rows))

    def until_gone(self, text: str) -> None:
        """Read until no row contains `text`."""
        self.until(lambda: not any(text in row for row in self.rows))

    def finish(self) -> int:
        """Read to the end; return the exit status, or the signal as a negative number."""
        until_s = time.monotonic() + PATIENCE_S
        while self.read():
            assert time.monotonic() < until_s
        self.process.close()
        if self.process.signalstatus is not None:
            return -int(self.process.signalstatus)
        return int(self.process.exitstatus)

    def write(self, text: str) -> None:
        """Write `text` on the screen, as whoever comes after the command does."""
        self._stream.feed(text.encode())

    def send(self, text: str) -> None:
        """Type `text`."""
        self.process.send(text)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size as xterm does: what is cut off is below the cursor, else above."""
        screen = self.screen
        lines = [screen.buffer[y] for y in range(screen.lines)]
        above = max(0, screen.cursor.y - (rows - 1))
        screen.history.top.extend(lines[:above])
        screen.buffer.clear()
        screen.buffer.update(enumerate(lines[above : above + rows]))
        for line in screen.buffer.values():
            for x in range(columns, screen.columns):
                line.pop(x, None)
        screen.lines, screen.columns, screen.margins = rows, columns, None
        screen.cursor.x, screen.cursor.y = (
            min(screen.cursor.x, columns - 1),
            screen.cursor.y - above,
        )
        self.process.setwinsize(rows, columns)

    def kill(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to the command alone."""
        os.kill(self.process.pid, number)

    @property
    def rows(self) -> list[str]:
        """The rows that are on the screen, without trailing blanks."""
        return [row.rstrip() for row in self.screen.display]

    @property
    def lines(self) -> list[str]:
        """All lines, those included that have scrolled out of sight, up to the last not empty."""
        past = [
            "".join(line[x].data for x in range(self.screen.columns)).rstrip()
            for line in self.screen.history.top
        ]
        lines = past + self.rows
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def panels(self) -> int:
        """How many panels are to be seen; more than one is a ghost."""
        return sum(PANEL in row for row in self.rows)

    @property
    def is_whole(self) -> bool:
        """Whether every row scrolls."""
        return self.screen.margins is None


def touch(path: Path) -> None:
    """Let a program go on that waits for the file `path`."""
    path.write_bytes(b"")
