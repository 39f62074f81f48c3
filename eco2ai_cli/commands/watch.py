"""`eco2ai watch`: show a run that is under way on this machine, from any terminal."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
import time

import click

from eco2ai_cli.errors import NoAnswer, WrongUsage
from eco2ai_cli.launch.ending import die_of
from eco2ai_cli.watch.frame import encodable, frame
from eco2ai_cli.watch.outcome import json_object
from eco2ai_cli.watch.watcher import Watcher

_PLAIN = (80, 24)
_BETWEEN_LOOKS_S = 0.5
"""CPU shares of processes are differences of two looks."""
_INTERVALS_S = (0.1, 3600.0)


@click.command()
@click.argument("wanted", metavar="[ID]", default="")
@click.option("--once", is_flag=True, help="Print one picture and end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a sample and run.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=float,
    default=1.0,
    help="Time between looks.  [default: 1]",
)
def watch(wanted: str, once: bool, as_json: bool, interval: float) -> None:
    """Show a run that is under way on this machine: power, energy, emissions, cost, processes.

    ID is the beginning of a run's id, or a project; without it every run of yours is shown. Of
    several there is a list: the arrow keys, j, k and Tab choose one. + and - change how far the
    plot goes back; q, Esc and Ctrl-C quit. It ends when the run has ended, and says what the run
    came to. The run is read, never touched.
    """
    if not (math.isfinite(interval) and _INTERVALS_S[0] <= interval <= _INTERVALS_S[1]):
        raise WrongUsage(f"`--interval` is {interval:g}; it is a number from 0.1 to 3600 (seconds)")
    watcher = Watcher(wanted)
    if not watcher.look():
        raise _nothing(wanted)
    try:
        if as_json:
            _stream(watcher, interval, once=once)
        elif once or not _has_screen():
            _print_once(watcher)
        else:
            from eco2ai_cli.commands import watch_screen

            watch_screen.show(watcher, interval)
    except BrokenPipeError:  # of which click would make an exit status of 1
        die_of(signal.SIGPIPE)
    finally:
        watcher.close()
    for sentence in watcher.outcomes:
        click.echo(f"eco2ai: {sentence}", err=as_json)


def _nothing(wanted: str) -> NoAnswer:
    if wanted:
        return NoAnswer(
            f"no run that is under way here has the id or the project `{wanted}`",
            hint="`eco2ai watch` shows all",
        )
    return NoAnswer(
        "no run of yours is under way on this machine", hint="`eco2ai run -- CMD` starts one"
    )


def _has_screen() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def _stream(watcher: Watcher, interval_s: float, *, once: bool) -> None:
    """Print each sample once, until all runs have ended."""
    told: dict[str, int] = {}
    while True:
        for shown in watcher.watched:
            run, number = shown.run, shown.run.samples[-1].number
            if told.get(run.id) != number:
                told[run.id] = number
                object_ = json_object(run, shown.history.pace, shown.gpus)
                click.echo(json.dumps(object_, ensure_ascii=False, allow_nan=False))
        if once:
            return
        time.sleep(interval_s)
        if not watcher.look():
            return


def _print_once(watcher: Watcher) -> None:
    watched, chosen = watcher.watched, watcher.chosen
    time.sleep(_BETWEEN_LOOKS_S)
    if watcher.look():
        watched, chosen = watcher.watched, watcher.chosen
    columns, rows = shutil.get_terminal_size(_PLAIN)
    lines = [line for line in frame(watched, chosen, columns, rows - 1) if line]
    if sys.stdout.isatty():
        from eco2ai_cli.commands import watch_screen

        watch_screen.print_lines(lines, columns)
        return
    for line in lines:
        text = "".join(span.text for span in line).rstrip()
        click.echo(encodable(text, sys.stdout.encoding or "utf-8"))
