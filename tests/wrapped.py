"""Run commands bare and under `eco2ai run`, and read the rows that come of it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ECO2AI = [sys.executable, "-m", "eco2ai_cli"]
HERE = Path(__file__).parent
PATIENCE_S = 60
"""How long a test waits for what must come: long enough for any machine, never slept."""


def wrapped(command: list[Any], ledger: Path, *options: str) -> list[str]:
    """Return the command line that runs `command` under eco2ai without the summary."""
    return [*ECO2AI, "run", "-q", "-o", str(ledger), *options, "--", *map(str, command)]


def run(command: list[Any], **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run to the end with a limit, keeping what was written."""
    settings: dict[str, Any] = {"capture_output": True, "timeout": PATIENCE_S} | options
    return subprocess.run([str(word) for word in command], **settings, check=False)


def rows(ledger: Path) -> list[dict[str, str]]:
    """Return the rows of a ledger, as any CSV reader sees them."""
    with ledger.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def only_row(ledger: Path) -> dict[str, str]:
    """Return the one row of a ledger."""
    (row,) = rows(ledger)
    return row


def load_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text())
