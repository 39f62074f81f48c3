"""The chain of hashes, and the torn line that must not become part of a row."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest
from ledger_rows import a_row, as_csv, first_broken_row, rows_of

from eco2ai_cli import ledger

NASTY_COMMAND = "bash -c \"\necho, 'a\n"


def test_hash_is_what_the_documentation_says_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    ledger.append(str(path), [{"id": "a", "cost": 1.5, "tags": '{"t": "é"}'}, {"id": "b"}])
    first = hashlib.sha256(b'0:,2:id,1:a,4:cost,3:1.5,4:tags,11:{"t": "\xc3\xa9"},').hexdigest()
    second = hashlib.sha256(b"64:" + first.encode() + b",2:id,1:b,").hexdigest()
    assert [row["row_hash"] for row in rows_of(path)] == [first, second]


def test_chain_goes_on_over_rows_that_are_longer_than_a_block_and_hold_newlines(
    tmp_path: Path,
) -> None:
    path = tmp_path / "l.csv"
    for number, command in enumerate((NASTY_COMMAND * 20_000, '"' * 70_000, "\n" * 65_536, "x")):
        csv.field_size_limit(131072)  # as it is in a process of its own
        ledger.append(str(path), [a_row(id=str(number), command=command)] * 2)
    assert len(rows_of(path)) == 8
    assert len({row["row_hash"] for row in rows_of(path)}) == 8
    assert first_broken_row(path) is None


@pytest.mark.parametrize("column", ["id", "project_name", "cost", "version", "duration(s)"])
def test_changing_any_cell_breaks_the_chain_at_its_row(tmp_path: Path, column: str) -> None:
    path = tmp_path / "l.csv"
    ledger.append(str(path), [a_row(id=str(number)) for number in range(5)])
    rows = rows_of(path)
    rows[2][column] += "1"
    path.write_bytes(as_csv([list(rows[0]), *(list(row.values()) for row in rows)]))
    assert first_broken_row(path) == 2


def test_removing_inserting_and_swapping_rows_breaks_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    ledger.append(str(path), [a_row(id=str(number)) for number in range(4)])
    header, *lines = path.read_bytes().splitlines(keepends=True)
    a, b, c, d = lines
    for forged in ([a, c, d], [b, c, d], [a, b, b, c, d], [a, c, b, d]):
        path.write_bytes(b"".join([header, *forged]))
        assert first_broken_row(path) is not None


def test_exchanging_the_names_of_two_columns_breaks_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    ledger.append(str(path), [a_row() | {"cpu_energy(kWh)": 1.0, "ram_energy(kWh)": 2.0}])
    swapped = path.read_bytes().replace(b"cpu_energy", b"x").replace(b"ram_energy", b"cpu_energy")
    path.write_bytes(swapped.replace(b"x(kWh)", b"ram_energy(kWh)", 1))
    assert first_broken_row(path) == 0


def test_last_row_without_a_line_end_is_ended_and_chained_to(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    ledger.append(str(path), [a_row(id="1", command=NASTY_COMMAND)])
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    ledger.append(str(path), [a_row(id="2")])
    assert [row["id"] for row in rows_of(path)] == ["1", "2"]
    assert first_broken_row(path) is None


def test_row_in_the_file_of_a_newer_version_has_empty_cells_for_its_columns(
    tmp_path: Path,
) -> None:
    path = tmp_path / "l.csv"
    ledger.append(str(path), [a_row(id="1")])
    row = rows_of(path)[0] | {"water(l)": "", "note": 'of "theirs",\nlong'}
    del row["row_hash"]
    parts = [b"0:,"]
    for text in (text for name, cell in row.items() if cell for text in (name, cell)):
        parts.append(f"{len(text)}:{text},".encode())
    names = [*ledger.COLUMNS, "water(l)", "note"]
    row["row_hash"] = hashlib.sha256(b"".join(parts)).hexdigest()
    path.write_bytes(as_csv([names, [row[name] for name in names]]))
    before = path.read_bytes()

    ledger.append(str(path), [a_row(id="2")])
    assert path.read_bytes().startswith(before)
    last = rows_of(path)[-1]
    assert (last["id"], last["water(l)"], last["note"]) == ("2", "", "")
    assert first_broken_row(path) is None
