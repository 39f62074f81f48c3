"""`eco2ai verify`: recompute every row of ledgers and check their chain of hashes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import click

from eco2ai_cli import config
from eco2ai_cli.commands.progress import bar
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger import key as ledger_key
from eco2ai_cli.ledger import spool
from eco2ai_cli.ledger.records import records
from eco2ai_cli.ledger.sealed import is_sealed, open_sealed, sealed_path
from eco2ai_cli.verify import Verdict, sealed, words
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
@click.option(
    "--open",
    "opens",
    is_flag=True,
    help="Print the rows of a sealed ledger (`encoded_emission.csv`) as a ledger.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list of them.")
@click.pass_context
def verify(
    context: click.Context,
    files: tuple[str, ...],
    key_files: tuple[str, ...],
    opens: bool,
    as_json: bool,
) -> None:
    """Recompute every row and check the chain of hashes; exit status 1 if anything does not hold.

    FILE is a ledger of ours or of eco2AI, `emission.csv` by default, or a sealed one. The first
    row and cell that do not hold are named, with what should be there, and whether the file looks
    altered, merged or torn. What cannot be seen is said as well: rows cut off at the end, or, where
    no key is used, a file written anew as a whole.
    """
    if opens:
        context.exit(_open(context, files, key_files, as_json))
    paths = files or (_DEFAULT_LEDGER,)
    with bar("verifying", sum(map(_size_bytes, paths))) as tell:
        verdicts = list(_verdicts(paths, key_files, tell))
    if as_json:
        import json

        found = [_record(verdict) for verdict in verdicts]
        click.echo(json.dumps(found[0] if len(found) == 1 else found, indent=2))
    else:
        for verdict in verdicts:
            _show(verdict)
    if not all(verdict.holds for verdict in verdicts):
        context.exit(1)


def _open(
    context: click.Context, files: tuple[str, ...], key_files: tuple[str, ...], as_json: bool
) -> int:
    """Print what can be opened of a sealed ledger; return the exit status."""
    if len(files) > 1 or as_json:
        other = "`--json`" if as_json else "more than one FILE"
        raise click.UsageError(f"`--open` prints one ledger: it goes without {other}", context)
    path = files[0] if files else sealed_path(_DEFAULT_LEDGER)
    keys = _keys(path, key_files, sealed=True)
    found = sealed.survey(open_sealed(path, keys))
    out = sys.stdout.buffer
    for text in sealed.lines(path, keys, found.names):
        out.write(text)
    out.flush()
    for flaw in found.flaws:
        click.echo(f"eco2ai: warning: {_printable(path)}:{flaw.line}: {flaw.why}", err=True)
    return 1 if found.flaws else 0


def _keys(path: str, key_files: tuple[str, ...], *, sealed: bool) -> list[bytes]:
    """Return the secrets to verify with; a sealed ledger may be of the user's own, unnamed."""
    configured = key_files or tuple(filter(None, [config.load({}).ledger_key_file]))
    own = ledger_key.own_path()
    if sealed and not configured and own is not None and os.path.lexists(own):
        configured = (own,)
    if sealed and not configured:
        raise LedgerError(
            f"there is no key to open `{path}` with", hint="name its file with `--key FILE`"
        )
    return [ledger_key.load(file) for file in configured]


def _verdicts(
    paths: tuple[str, ...], key_files: tuple[str, ...], tell: Callable[[int], None]
) -> Iterator[Verdict]:
    before_bytes = 0
    for path in paths:
        if is_sealed(path):
            yield sealed.verify_sealed(path, _keys(path, key_files, sealed=True))
        else:
            keys = _keys(path, key_files, sealed=False)
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
        "sealed_records": verdict.sealed_records,
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
