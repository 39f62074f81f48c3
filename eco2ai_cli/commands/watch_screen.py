"""Show runs on the whole terminal: draw, take keys and signals, give the terminal back."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import signal
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.live import Live
from rich.segment import Segment, Segments
from rich.style import Style

from eco2ai_cli.dashboard import Line
from eco2ai_cli.launch.ending import die_of
from eco2ai_cli.watch.frame import encodable, frame
from eco2ai_cli.watch.watcher import Watcher

_STYLES = {
    role: Style.parse(style)
    for role, style in {
        "rule": "dim",
        "label": "dim",
        "figure": "bold",
        "spark": "cyan",
        "spark1": "color(30)",
        "spark2": "color(37)",
        "spark3": "color(44)",
        "spark4": "color(51)",
        "doubt": "yellow",
        "chosen": "bold reverse",
    }.items()
}
_KEY = re.compile(rb"\x1b[\[O][0-?]*[@-~]|\x1b|[^\x1b]", re.DOTALL)
_MEANINGS = {
    b"q": "quit",
    b"Q": "quit",
    b"\x1b": "quit",
    **dict.fromkeys((b"j", b"\t", b"\x1b[B", b"\x1bOB", b"\x1b[C", b"\x1bOC"), "next"),
    **dict.fromkeys((b"k", b"\x1b[Z", b"\x1b[A", b"\x1bOA", b"\x1b[D", b"\x1bOD"), "previous"),
    **dict.fromkeys((b"+", b"="), "closer"),
    b"-": "farther",
}
"""What keys do; arrow keys as terminals send them in both of their modes (ECMA-48, DEC VT510)."""
_OBEY: dict[str, Callable[[Watcher], None]] = {
    "next": lambda watcher: watcher.choose(1),
    "previous": lambda watcher: watcher.choose(-1),
    "closer": lambda watcher: watcher.zoom(-1),
    "farther": lambda watcher: watcher.zoom(1),
}
_REST_OF_KEY_S = 0.05
"""What an arrow key sends may come in two pieces: so long after an escape it is the Esc key."""
_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGCONT,
    signal.SIGWINCH,
)


def show(watcher: Watcher, interval_s: float, keys: int = 0) -> None:
    """Show the runs until all have ended or somebody quits; dies of the signals that kill.

    `keys`: the descriptor that keys come from; one that is no terminal gives none.
    """
    console = Console(highlight=False)
    reason = signal.SIGCONT
    with _signals() as woken:
        while reason in (signal.SIGTSTP, signal.SIGCONT):
            with _screen(console, keys) as live:
                reason = _show(watcher, interval_s, live, woken, keys)
            if reason == signal.SIGTSTP:
                os.kill(os.getpid(), signal.SIGSTOP)
                reason = _heard(woken) or reason  # killed meanwhile: it may be in the background
    if reason != signal.SIGINT:
        die_of(reason)


def print_lines(lines: Sequence[Line], columns: int) -> None:
    """Print lines on the terminal, coloured as far as it can be."""
    console = Console(highlight=False, width=columns)
    console.print(_painted(lines, console.encoding))


def meanings(data: bytes) -> list[str]:
    """Return what the keys mean that were pressed, in words of ours; others mean nothing."""
    return [_MEANINGS[key] for key in _KEY.findall(data) if key in _MEANINGS]


def _show(watcher: Watcher, interval_s: float, live: Live, woken: int, keys: int) -> signal.Signals:
    """Draw and listen; return the signal that ends it, SIGINT for every way to quit."""
    sources = [woken, keys] if os.isatty(keys) else [woken]
    due_s = 0.0
    while True:
        now_s = time.monotonic()
        if now_s >= due_s:
            due_s = now_s + interval_s
            if not watcher.look():
                return signal.SIGINT
        _draw(watcher, live)
        ready, _, _ = select.select(sources, [], [], max(0.0, due_s - time.monotonic()))
        if woken in ready:
            heard = _heard(woken)
            if heard is not None:
                return heard
        if keys in ready:
            data = _pressed(keys)
            if not data:
                sources.remove(keys)
            for meaning in meanings(data):
                if meaning == "quit":
                    return signal.SIGINT
                _OBEY[meaning](watcher)


def _heard(woken: int) -> signal.Signals | None:
    """Return the signal that came, of several the first one that ends us; None: nothing to do."""
    came = os.read(woken, 64) if select.select([woken], [], [], 0)[0] else b""
    numbers = [number for number in came if number != signal.SIGWINCH]
    if not numbers:
        return None
    goes_on = (signal.SIGTSTP, signal.SIGCONT)
    return signal.Signals(min(numbers, key=lambda number: number in goes_on))


def _pressed(keys: int) -> bytes:
    data = os.read(keys, 1024)
    if (
        data.endswith((b"\x1b", b"\x1b[", b"\x1bO"))
        and select.select([keys], [], [], _REST_OF_KEY_S)[0]
    ):
        data += os.read(keys, 1024)
    return data


def _draw(watcher: Watcher, live: Live) -> None:
    watched = watcher.watched
    foot = "q quit   + - zoom"
    if len(watched) > 1:
        foot = f"{len(watched)} runs   ↑ ↓ choose   {foot}"
    if watcher.outcomes:
        foot += f"   {watcher.outcomes[-1]}"
    columns, rows = live.console.size
    lines = frame(watched, watcher.chosen, columns, rows, foot=foot, window_s=watcher.window_s)
    live.update(_painted(lines, live.console.encoding), refresh=True)


def _painted(lines: Sequence[Line], encoding: str) -> Segments:
    """Return lines as rich takes them with the least to do."""
    segments: list[Segment] = []
    for number, line in enumerate(lines):
        segments += [Segment.line()] if number else []
        segments += [Segment(encodable(text, encoding), _STYLES.get(role)) for text, role in line]
    return Segments(segments)


@contextlib.contextmanager
def _screen(console: Console, keys: int) -> Iterator[Live]:
    """Take the terminal, and give it back as it was, whatever happens."""
    before = termios.tcgetattr(keys) if os.isatty(keys) else None
    try:
        if before is not None:
            _insist(lambda: tty.setcbreak(keys))
        with Live(
            Segments([]),
            console=console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as live:
            try:
                yield live
            finally:
                console.clear()  # tmux 3.3 keeps rows of it where the window has grown meanwhile
    finally:
        if before is not None:
            with contextlib.suppress(termios.error):  # it has hung up
                _insist(lambda: termios.tcsetattr(keys, termios.TCSADRAIN, before))


def _insist(change: Callable[[], object]) -> None:
    """Change the terminal; in the background that waits for the foreground, and is interrupted."""
    while True:
        try:
            change()
        except termios.error as error:
            if error.args[0] == errno.EINTR:
                continue
            raise
        return


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """Yield a descriptor from which the numbers of signals are read instead of their effects."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    woken = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        for number, handler in handlers.items():
            if handler != signal.SIG_IGN:  # as `nohup` would have it
                signal.signal(number, lambda *_: None)
        yield reader
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken)
        os.close(reader)
        os.close(writer)
