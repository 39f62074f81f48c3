"""`eco2ai report`: sum ledgers up, by project or by anything else, and in total."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import time

import click

from eco2ai_cli.commands import report_table
from eco2ai_cli.commands.progress import bar
from eco2ai_cli.errors import Eco2aiError, WrongUsage
from eco2ai_cli.ledger import stamps
from eco2ai_cli.ledger.reader import Skipped
from eco2ai_cli.report import Question, Report, dimension, files, order, summarise_ledgers

_DEFAULT_LEDGER = "emission.csv"
_SKIPPED_ROWS_SHOWN = 5
FORMATS = ("table", "json", "csv", "md", "html", "latex", "hf")


@click.command()
@click.argument("places", metavar="[FILE]...", nargs=-1)
@click.option(
    "--by",
    metavar="NAME",
    multiple=True,
    help="By what to sum up: project (default), region, host, user, hour, day, week, month, year, "
    "command, job, rank, description, status, stop, cpu, gpu, os, currency, version or tag:KEY; "
    "several with commas or repeated.",
)
@click.option("--since", metavar="TIME", help="Rows that began then or later (UTC).")
@click.option("--until", metavar="TIME", help="Rows that began before that (UTC).")
@click.option("-p", "--project", "projects", metavar="NAME", multiple=True, help="Only this one.")
@click.option("--sort", type=click.Choice(order.KEYS), help="What comes first; energy by default.")
@click.option("--top", metavar="N", type=click.IntRange(1), help="Only the first N groups.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    help="What to print; `hf` is the block of a Hugging Face model card.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: `--format json`.")
@click.option(
    "--trace", metavar="FILE", help="With `html`: the trace of a run, for its power curve."
)
def report(
    places: tuple[str, ...],
    by: tuple[str, ...],
    since: str | None,
    until: str | None,
    projects: tuple[str, ...],
    sort: str | None,
    top: int | None,
    form: str,
    as_json: bool,
    trace: str | None,
) -> None:
    """Sum ledgers up: runs, duration, energy, emissions and cost by project, and a total.

    FILE is a ledger of ours, of eco2AI or of CodeCarbon, a folder of them or a pattern,
    `emission.csv` by default. All rows of one run count as one, and a run that was started inside
    another counts as part of that. Rows that wait in the spool beside a ledger count, and are
    taken into it if it may be written. Rows that cannot be trusted are named and skipped.
    """
    form = "json" if as_json else form
    if trace and form != "html":
        raise WrongUsage("a trace is drawn by `--format html` alone")
    names = [name for names in by for name in names.split(",")] or ["project"]
    if form == "hf":
        names = _names_for_model_card(by)
    question = Question(
        by=tuple(map(dimension, dict.fromkeys(names))),
        since=_moment(since),
        until=_moment(until),
        projects=frozenset(projects),
    )
    paths = files.ledgers(places or (_DEFAULT_LEDGER,))
    for note in _take_in_what_waits(paths):
        click.echo(f"eco2ai: warning: {report_table.printable(note)}", err=True)
    with _readable_again(paths) as sources:
        summed_up = partial(_summed_up, sources)
        found = order.ordered(summed_up(question), sort, top)
        if form != "json":
            for line in _warnings(found.skipped):
                click.echo(f"eco2ai: warning: {line}", err=True)
        if found.total.rows or form in ("json", "csv"):
            _show(found, form, question, summed_up, trace)
        else:
            click.echo(f"no runs in {_named(paths)}", err=True)


def _names_for_model_card(by: Sequence[str]) -> list[str]:
    from eco2ai_cli.report.documents import MODEL_CARD_BY

    if by:
        raise WrongUsage("a model card is about all runs: leave `--by` out")
    return list(MODEL_CARD_BY)


def _moment(text: str | None) -> str:
    """Return a time as ledgers are compared by; raises WrongUsage."""
    if text is None:
        return ""
    # A year and a month are their first days.
    moment = stamps.utc(
        text + "-01-01"[len(text) - len("2026-01-01") :] if _is_month(text) else text
    )
    if moment is None:
        raise WrongUsage(f"`{text}` is no time", hint="write `2026-11-23` or `2026-11-23 14:00`")
    return moment


def _is_month(text: str) -> bool:
    return text.replace("-", "").isdecimal() and len(text) in (len("2026"), len("2026-11"))


@contextmanager
def _readable_again(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the paths, of a pipe that of a copy: a report may have to read twice."""
    if not any(map(_is_pipe, paths)):
        yield paths
        return
    with tempfile.TemporaryDirectory() as folder:
        yield [
            _copied(path, os.path.join(folder, f"{number}.csv")) if _is_pipe(path) else path
            for number, path in enumerate(paths, 1)
        ]


def _is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False


def _copied(path: str, target: str) -> str:
    with open(path, "rb") as pipe, open(target, "wb") as copy:
        shutil.copyfileobj(pipe, copy)
    return target


def _summed_up(paths: Sequence[str], question: Question) -> Report:
    with bar("reading", sum(map(_size_bytes, paths))) as tell:
        return summarise_ledgers(paths, question, stamps.latest_start(time()), tell)


def _size_bytes(path: str) -> int:
    with suppress(OSError):
        return os.stat(path).st_size
    return 0


def _show(
    found: Report,
    form: str,
    question: Question,
    summed_up: Callable[[Question], Report],
    trace: str | None,
) -> None:
    if form == "table":
        report_table.show(found)
    elif form == "json":
        import json

        from eco2ai_cli.report.data import to_json

        click.echo(json.dumps(to_json(found), indent=2, allow_nan=False))
    elif form == "html":
        from eco2ai_cli.report import page

        click.echo(page.to_html(found, question, summed_up, trace), nl=False)
    elif form == "csv":
        from eco2ai_cli.report.data import to_csv

        click.echo(to_csv(found), nl=False)
    else:
        from eco2ai_cli.report import documents

        write = {
            "md": documents.to_markdown,
            "latex": documents.to_latex,
            "hf": documents.to_model_card,
        }[form]
        click.echo(write(found), nl=False)


def _take_in_what_waits(paths: Sequence[str]) -> Iterator[str]:
    """Take rows from spools into their ledgers; a report does not fail because it cannot."""
    from eco2ai_cli.ledger import spool

    waited_for = [path for path in paths if spool.files(path)]
    if not waited_for:
        return
    from eco2ai_cli import config, ledger
    from eco2ai_cli.ledger.key import load as load_key

    try:
        key_file = config.load({}).ledger_key_file
        key = None if key_file is None else load_key(key_file)
    except Eco2aiError:
        return  # without the key the chain would break
    for path in waited_for:
        yield from ledger.take_in(path, key=key)


def _warnings(skipped: Sequence[Skipped]) -> Iterator[str]:
    for row in skipped[:_SKIPPED_ROWS_SHOWN]:
        yield report_table.printable(
            f"skipped the row at line {row.line} of `{row.file}`: {row.reason}"
        )
    more = len(skipped) - _SKIPPED_ROWS_SHOWN
    if more > 0:
        yield f"skipped {more} more rows, {len(skipped)} in all; `--json` names them"


def _named(paths: Sequence[str]) -> str:
    return ", ".join(f"`{path}`" for path in paths)
