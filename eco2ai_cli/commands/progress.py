"""A progress bar on a terminal's standard error, for what takes longer than a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE_S = 1.0


@contextmanager
def bar(
    what: str,
    total_bytes: int,
    *,
    stream: TextIO | None = None,
    now_s: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int], None]]:
    """Yield what is to be told how many of `total_bytes` are done; it draws once a second is over.

    Nothing is drawn where `stream`, standard error by default, is no terminal, and nothing is
    left of the bar in the end.
    """
    stream = sys.stderr if stream is None else stream
    if stream is None or not stream.isatty():
        yield lambda done_bytes: None
        return
    shown: list[Progress] = []
    start_s = now_s()

    def tell(done_bytes: int) -> None:
        if not shown and now_s() - start_s > PATIENCE_S:
            shown.append(_started(what, total_bytes, stream))
        for progress in shown:
            progress.update(progress.task_ids[0], completed=done_bytes)

    try:
        yield tell
    finally:
        for progress in shown:
            progress.stop()


def _started(what: str, total_bytes: int, stream: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=Console(file=stream),
        transient=True,
    )
    progress.add_task(what, total=total_bytes)
    progress.start()
    return progress
