"""What the tests of journals share: where they are, runs that keep one, journals of dead runs."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wrapped import PATIENCE_S, wrapped

from eco2ai_cli import journal
from eco2ai_cli.journal import layout
from eco2ai_cli.journal.owner import Owner, file_name, this_process

FIGURES = layout.Figures(7, 8, 9, 1e9, 20.0, 20.0, 10.0, 3.6e6, None, 0.0, None, 3e9, 0.1, b"{}")
WORDS = b'{"cpu_method": "tdp", "gpu_method": "none", "ram_method": "none", "caveats": "a;b"}'

CELLS = {
    "project_name": "left",
    "epoch": "N/A",
    "start_time": "2026-11-23 10:00:00+00:00",
    "command": "python train.py",
    "exit_status": 0,
    "stop_reason": "exit",
    "pue": 1.5,
    "carbon_intensity(kg/MWh)": 400.0,
    "price_per_kwh": 0.25,
    "currency": "EUR",
    "version": "0.1.0",
}


def folder() -> Path:
    """Return the folder of this test's journals."""
    return Path(str(journal.folder()))


def journals() -> list[str]:
    """Return the names of this test's journals."""
    return sorted(os.listdir(folder())) if folder().exists() else []


def until(holds: Callable[[], bool]) -> None:
    """Return as soon as `holds` does."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def start(
    command: list[Any], ledger: Path, *options: str, **settings: Any
) -> subprocess.Popen[bytes]:
    """Start `command` under eco2ai; return when the run has its journal."""
    before = journals()
    process = subprocess.Popen(wrapped(command, ledger, *options), **settings)
    until(lambda: any(name.endswith(".journal") for name in journals() if name not in before))
    return process


def id_in(path: Path) -> str:
    """Return the id of the run whose journal is at `path`."""
    return path.name.split(".")[0]


def a_dead_process() -> Owner:
    """Return one that had our pid before us."""
    here = this_process()
    return here._replace(start_ticks=here.start_ticks - 1)


def leave_journal(
    ledger: Path, owner: Owner | None = None, figures: layout.Figures | None = None, **facts: Any
) -> Path:
    """Leave the journal of a run that kept its rows in `ledger`; a dead one's by default."""
    owner = owner or a_dead_process()
    run_id = str(uuid.uuid4())
    content = layout.whole(
        {
            "owner": owner,
            "locked": True,
            "ledger": str(ledger),
            "key_file": None,
            "began": [1e9 - 20, 0.0, 0.0],
            "cells": {"id": run_id, **CELLS},
        }
        | facts,
        figures or FIGURES._replace(words=WORDS),
    )
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder() / file_name(run_id, owner)
    path.write_bytes(content)
    return path
