"""`eco2ai verify`: recompute every row of ledgers and check their chain of hashes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import click

from eco2ai_cli import config
from eco2ai_cli.commands.progress import bar
from eco2ai_cli.ledger import key as ledger_key
from eco2ai_cli.ledger import spool
from eco2ai_cli.ledger.records import records
from eco2ai_cli.verify import Verdict, words
from eco2ai_cli.verify import verify as verdict_on

_DEFAULT_LEDGER = "emission.csv"
_FAULTS_SHOWN = 5


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option(
    "--key",
    "key_files",
    metavar="FILE",
    multiple=True,
    help="A secret by which rows are chained, over `[ledger] key`; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list of them.")
@click.pass_context
def verify(
    context: click.Context, files: tuple[str, ...], key_files: tuple[str, ...], as_json: bool
) -> None:
    """Recompute every row and check the chain of hashes; exit status 1 if anything does not hold.

    FILE is a ledger of ours or of eco2AI, `emission.csv` by default. The first row and cell that
    do not hold are named, with what should be there, and whether the file looks altered, merged
    or torn. What cannot be seen is said as well: rows cut off at the end, or, where no key is
    used, a file written anew as a whole.
    """
    paths = files or (_DEFAULT_LEDGER,)
    keys = [ledger_key.load(path) for path in key_files or _configured()]
    with bar("verifying", sum(map(_size_bytes, paths))) as tell:
        verdicts = list(_verdicts(paths, keys, tell))
    if as_json:
        import json

        found = [_record(verdict) for verdict in verdicts]
        click.echo(json.dumps(found[0] if len(found) == 1 else found, indent=2))
    else:
        for verdict in verdicts:
            _show(verdict)
    if not all(verdict.holds for verdict in verdicts):
        context.exit(1)


def _configured() -> Iterator[str]:
    path = config.load({}).ledger_key_file
    if path is not None:
        yield path


def _verdicts(
    paths: tuple[str, ...], keys: list[bytes], tell: Callable[[int], None]
) -> Iterator[Verdict]:
    before_bytes = 0
    for path in paths:
        yield verdict_on(path, records(path, partial(_tell_more, tell, before_bytes)), keys)
        before_bytes += _size_bytes(path)


def _tell_more(tell: Callable[[int], None], before_bytes: int, done_bytes: int) -> None:
    tell(before_bytes + done_bytes)


def _size_bytes(path: str) -> int:
    with suppress(OSError):
        return os.stat(path).st_size
    return 0


def _show(verdict: Verdict) -> None:
    file = _printable(verdict.file)
    for fault in verdict.faults[:_FAULTS_SHOWN]:
        click.echo(_printable(words.sentence(verdict.file, fault)))
    more = sum(verdict.counts.values()) - _FAULTS_SHOWN
    if more > 0:
        click.echo(f"{file}: {more} more; `--json` names them")
    click.echo(f"{file}: {words.conclusion(verdict)}")
    for line in words.covered(verdict):
        click.echo(f"  {line}")
    for line in words.unseen(verdict):
        click.echo(f"  cannot be seen: {line}")
    if waiting := spool.files(verdict.file):
        runs = "1 run waits" if len(waiting) == 1 else f"{len(waiting)} runs wait"
        click.echo(f"  not checked: {runs} in `{file}.spool` for the next run or `eco2ai report`")


def _record(verdict: Verdict) -> dict[str, object]:
    return {
        "file": verdict.file,
        "holds": verdict.holds,
        "conclusion": words.conclusion(verdict),
        "rows": verdict.rows,
        "hashed_rows": verdict.hashed,
        "keyed_rows": verdict.keyed,
        "recomputed_rows": verdict.recomputed,
        "with_key": verdict.with_key,
        "key_from_line": verdict.key_from_line,
        "fault_counts": {kind: count for kind, count in verdict.counts.items() if count},
        "faults": [
            {
                "kind": fault.kind,
                "line": fault.line,
                "id": fault.id,
                "column": fault.column,
                "expected": fault.expected,
                "found": fault.found,
                "reason": fault.why,
            }
            for fault in verdict.faults
        ],
        "unseen": list(words.unseen(verdict)),
        "waiting_runs": len(spool.files(verdict.file)),
    }


def _printable(text: str) -> str:
    """Return `text` with control characters escaped: what a file says must not steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
