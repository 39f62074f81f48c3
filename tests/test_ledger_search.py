"""Is this run in the ledger already? Asked before a row is written a second time."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path

import pytest
from ledger_rows import LEDGERS, a_row, as_csv, rows_of

from eco2ai_cli import ledger
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger import search
from eco2ai_cli.ledger.search import has_ended


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "l.csv"


def test_run_is_found_wherever_it_stands_and_no_other(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        ledger.append(str(path), [a_row(id=f"run-{number}", parent_id=f"parent-{number}")])
    for block in (1, 7, 64, 1000, 1 << 20):
        monkeypatch.setattr(search, "BLOCK_BYTES", block)
        for number in (0, 1, 30, 59) if block > 1 else (0, 59):
            assert has_ended(str(path), f"run-{number}")
            assert not has_ended(str(path), f"parent-{number}")
        for absent in ("run", "run-", "run-60", "un-1", "", "id", "kandinsky"):
            assert not has_ended(str(path), absent)


def test_missing_file_holds_nothing_and_a_file_of_others_is_an_error(path: Path) -> None:
    assert not has_ended(str(path), "1")
    path.write_text("a,b\n1,2\n")
    with pytest.raises(LedgerError, match="not a ledger"):
        has_ended(str(path), "1")


def test_fifo_in_the_place_of_a_ledger_holds_nobody_up(path: Path) -> None:
    os.mkfifo(path)
    signal.alarm(5)  # whose default is our death
    try:
        with pytest.raises(LedgerError, match="is a FIFO"):
            has_ended(str(path), "1")
    finally:
        signal.alarm(0)


def test_id_within_a_cell_is_not_the_run(path: Path) -> None:
    ledger.append(str(path), [a_row(id="1", command="echo '\n2,kandinsky,,\n'")])
    assert not has_ended(str(path), "2")


@pytest.mark.parametrize("lacking_bytes", [2, 10, 64, 65, 66, 100])
def test_row_that_is_torn_is_not_the_run(path: Path, lacking_bytes: int) -> None:
    """Neither where all its cells are there and its hash alone is cut short."""
    ledger.append(str(path), [a_row(id="1", version="0.1.0")])
    ledger.append(str(path), [a_row(id="2", version="0.1.0")])
    os.truncate(path, path.stat().st_size - lacking_bytes)
    assert has_ended(str(path), "1")
    assert not has_ended(str(path), "2")


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_MINIMAL])
@pytest.mark.parametrize("order", [1, -1])
def test_file_that_another_program_wrote_anew_is_searched_too(
    path: Path, quoting: int, order: int
) -> None:
    ledger.append(str(path), [a_row(id="1"), a_row(id='a "b", c\n')])
    rows = rows_of(path)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0])[::order], quoting=quoting)
        writer.writeheader()
        writer.writerows(rows)
    assert has_ended(str(path), "1")
    assert has_ended(str(path), 'a "b", c\n')
    assert not has_ended(str(path), "2")


def test_run_of_eco2ai_is_found(path: Path) -> None:
    path.write_bytes((LEDGERS / "eco2ai.csv").read_bytes())
    assert has_ended(str(path), "7d2c1f86-12aa-4c55-8a1e-5b9d3e604f02")


def test_bytes_that_are_no_csv_are_no_run(path: Path) -> None:
    header = as_csv([list(ledger.COLUMNS)])
    path.write_bytes(header + b'1,\0\r,\r"\n1,"\r\n')
    assert not has_ended(str(path), "1")
