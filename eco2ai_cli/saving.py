"""Save a finished run: the rows in its ledger or, failing that, wherever they can be kept."""

from __future__ import annotations

from collections.abc import Sequence

from eco2ai_cli import ledger
from eco2ai_cli.errors import Eco2aiError
from eco2ai_cli.run_forms import ledger_cells, write_json
from eco2ai_cli.run_record import Finished


def save(
    finished: Finished, json_file: str | None, key: bytes | None = None
) -> tuple[str | None, list[str]]:
    """Save a run; return the path of its rows and a sentence for each thing that went wrong.

    `key` is the secret that chains the rows. Where no file takes them, the sentence holds the
    rows themselves and the path is None.
    """
    rows = [*finished.unsaved, ledger_cells(finished.rest)]
    path, problems = save_rows(finished.run.config.output, rows, key)
    problems = [*finished.notes, *problems]
    if json_file is not None:
        try:
            write_json(json_file, finished.run, finished.parts)
        except OSError as error:
            problems.append(f"`{json_file}` could not be written: {error.strerror}")
    return path, problems


def save_rows(
    ledger_path: str, rows: Sequence[ledger.Cells], key: bytes | None = None
) -> tuple[str | None, list[str]]:
    """Save the rows of a run that has ended; return what `save` does."""
    problems: list[str] = []
    try:
        kept = ledger.append(ledger_path, rows, key=key)
    except (Eco2aiError, OSError) as error:
        return _rescue(rows, str(error), problems, key), problems
    return kept.path, [*kept.notes]


def _rescue(
    rows: Sequence[ledger.Cells], why: str, problems: list[str], key: bytes | None
) -> str | None:
    try:
        path = ledger.rescue(rows, key=key)
    except (Eco2aiError, OSError) as error:
        import json

        problems.append(f"the row could not be saved: {why}; {error}; this is it:")
        problems += map(json.dumps, rows)
        return None
    problems.append(f"{why}; the row was saved to `{path}` instead")
    return path
