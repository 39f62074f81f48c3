"""Save a finished run: the row in its ledger or, failing that, wherever it can be kept."""

from __future__ import annotations

from eco2ai_cli import ledger
from eco2ai_cli.errors import Eco2aiError
from eco2ai_cli.run_forms import ledger_cells, write_json
from eco2ai_cli.run_record import Run


def save(run: Run, json_file: str | None, key: bytes | None = None) -> tuple[str | None, list[str]]:
    """Save `run`; return the path of its row and a sentence for each thing that went wrong.

    `key` is the secret that chains the rows. Where no file takes the row, the sentence holds the
    row itself and the path is None.
    """
    cells = ledger_cells(run)
    problems: list[str] = []
    path: str | None = None
    try:
        kept = ledger.append(run.config.output, [cells], key=key)
        path = kept.path
        problems += kept.notes
    except (Eco2aiError, OSError) as error:
        path = _rescue(cells, str(error), problems, key)
    if json_file is not None:
        try:
            write_json(json_file, run)
        except OSError as error:
            problems.append(f"`{json_file}` could not be written: {error.strerror}")
    return path, problems


def _rescue(cells: ledger.Cells, why: str, problems: list[str], key: bytes | None) -> str | None:
    try:
        path = ledger.rescue([cells], key=key)
    except (Eco2aiError, OSError) as error:
        import json

        problems.append(f"the row could not be saved: {why}; {error}; this is it:")
        problems.append(json.dumps(cells))
        return None
    problems.append(f"{why}; the row was saved to `{path}` instead")
    return path
