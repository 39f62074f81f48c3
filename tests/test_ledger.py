"""The ledger: what is written, by how many at once, and how it is read back."""

from __future__ import annotations

import csv
import fcntl
import math
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_rows import a_row, as_csv, first_broken_row, fork_writers, rows_of

from eco2ai_cli import ledger
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.reader import Row, Skipped, read

CONTRACT = """
id project_name experiment_description epoch start_time duration(s) power_consumption(kWh)
CO2_emissions(kg) CPU_name GPU_name OS region/country cost
parent_id command exit_status stop_reason end_time host user job rank tags
cpu_time(s) cpu_energy(kWh) gpu_energy(kWh) ram_energy(kWh) cpu_method gpu_method ram_method
cpu_tdp(W) memory_mean(GB) memory_peak(GB) processes
pue carbon_intensity(kg/MWh) intensity_year intensity_source region_source price_per_kwh currency
caveats samples overhead(s) version row_hash forecast_error(%)
"""

any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
nasty_text = st.text(st.sampled_from([",", '"', "\n", "\r", " ", "a", "é", "🎨", "\u2028"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledgers")


def test_columns_are_those_of_the_contract_in_its_order(tmp_path: Path) -> None:
    ledger.append(str(tmp_path / "l.csv"), [a_row()])
    header = (tmp_path / "l.csv").read_bytes().split(b"\n")[0]
    assert header == ",".join(CONTRACT.split()).encode()
    assert list(ledger.COLUMNS) == CONTRACT.split()


def test_second_row_gets_no_second_header(tmp_path: Path) -> None:
    ledger.append(str(tmp_path / "l.csv"), [a_row(id="1")])
    ledger.append(str(tmp_path / "l.csv"), [a_row(id="2"), a_row(id="2")])
    assert [row["id"] for row in rows_of(tmp_path / "l.csv")] == ["1", "2", "2"]


@pytest.mark.parametrize("empty", [b"", b"\xef\xbb\xbf"])
def test_empty_file_gets_a_header_first(tmp_path: Path, empty: bytes) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(empty)
    ledger.check(str(path))
    ledger.append(str(path), [a_row()])
    assert path.read_bytes().startswith(empty + b"id,project_name,")
    assert len(rows_of(path)) == 1


@given(any_text | nasty_text, any_text | nasty_text, nasty_text)
def test_any_text_comes_back_as_it_went_in(
    folder: Path, project: str, command: str, description: str
) -> None:
    path = folder / "texts.csv"
    path.unlink(missing_ok=True)
    for number in ("1", "2"):
        row = a_row(id=number, project_name=project, command=command)
        ledger.append(str(path), [row | {"experiment_description": description}])
    for row in rows_of(path):
        assert (row["project_name"], row["command"]) == (project, command)
        assert row["experiment_description"] == description
    assert [row.project for row in read(str(path)) if isinstance(row, Row)] == [project or None] * 2
    assert first_broken_row(path) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_to_the_last_bit(folder: Path, number: float) -> None:
    path = folder / "numbers.csv"
    path.unlink(missing_ok=True)
    ledger.append(str(path), [a_row() | {"cpu_time(s)": number}])
    assert float(rows_of(path)[0]["cpu_time(s)"]) == number


def test_none_and_a_missing_value_are_empty_cells_and_zero_is_zero(tmp_path: Path) -> None:
    ledger.append(str(tmp_path / "l.csv"), [a_row(cost=None, job=None, samples=0)])
    row = rows_of(tmp_path / "l.csv")[0]
    assert (row["cost"], row["job"], row["rank"], row["samples"]) == ("", "", "", "0")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_number_that_is_not_finite_is_never_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="cost"):
        ledger.append(str(tmp_path / "l.csv"), [a_row(cost=value)])
    assert rows_of(tmp_path / "l.csv") == []


def test_column_that_the_ledger_lacks_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="energy_j"):
        ledger.append(str(tmp_path / "l.csv"), [a_row(energy_j=1.0)])


def test_bytes_that_are_not_utf8_are_written_as_escapes(tmp_path: Path) -> None:
    argument = os.fsdecode(b"caf\xe9 \xff \xc3\xa9")
    ledger.append(str(tmp_path / "l.csv"), [a_row(command=argument, host="a\0b\ud800")])
    row = rows_of(tmp_path / "l.csv")[0]
    assert row["command"] == "caf\\xe9 \\xff é"
    assert row["host"] == "a\\x00b\\ud800"


def test_rows_of_one_run_are_written_by_one_call(tmp_path: Path) -> None:
    calls = []

    def write(fd: int, data: bytes) -> int:
        calls.append(data)
        return os.write(fd, data)

    ledger.append(str(tmp_path / "l.csv"), [a_row(id="1")] * 3, write=write)
    assert len(calls) == 1
    assert len(rows_of(tmp_path / "l.csv")) == 3


def test_forty_writers_at_once_leave_forty_rows_one_header_and_a_whole_chain(
    tmp_path: Path,
) -> None:
    fork_writers(40, tmp_path / "l.csv")
    rows = rows_of(tmp_path / "l.csv")
    assert sorted(int(row["id"]) for row in rows) == list(range(40))
    assert {row["command"] for row in rows} == {"a 'b'\n" * 300}
    assert first_broken_row(tmp_path / "l.csv") is None


def test_row_goes_to_the_file_that_took_the_ledgers_place_while_we_waited(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        before = _open_files()
        writer = threading.Thread(target=ledger.append, args=(str(path), [a_row()]))
        writer.start()
        while _open_files() == before:
            pass
        (tmp_path / "new").write_bytes(b"")
        (tmp_path / "new").rename(path)
    writer.join()
    assert len(rows_of(path)) == 1


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_reader_takes_eco2ai_files_by_column_name_whatever_their_order(tmp_path: Path) -> None:
    names = ["CO2_emissions(kg)", "", "power_consumption(kWh)", "duration(s)", "project_name"]
    cells = ["0.33", "0", "1.37", "15540.0", "malevich"]
    (tmp_path / "l.csv").write_bytes(b"\xef\xbb\xbf" + as_csv([names, cells], "\r\n"))
    (row,) = read(str(tmp_path / "l.csv"))
    assert isinstance(row, Row)
    assert (row.project, row.duration_s) == ("malevich", 15540.0)
    assert (row.energy_kwh, row.emissions_kg) == (1.37, 0.33)
    assert (row.id, row.cost, row.exit_status, row.caveats) == (None, None, None, ())


def test_reader_takes_the_zero_that_eco2ai_writes_without_a_price_for_unknown(
    tmp_path: Path,
) -> None:
    cells = ["id", "p", "d", "N/A", "2022-07-01 12:00:00", "1.5", "2", "3", "c", "g", "o", "r", "0"]
    (tmp_path / "l.csv").write_bytes(as_csv([CONTRACT.split()[:13], cells]))
    (row,) = read(str(tmp_path / "l.csv"))
    assert isinstance(row, Row)
    assert row.cost is None


def test_missing_figure_is_none_and_not_zero(tmp_path: Path) -> None:
    ledger.append(str(tmp_path / "l.csv"), [a_row() | {"CO2_emissions(kg)": None}])
    (row,) = read(str(tmp_path / "l.csv"))
    assert isinstance(row, Row)
    assert row.emissions_kg is None
    assert row.energy_kwh == 24.5


@pytest.mark.parametrize("written", ["NaN", "inf", "-1", "abc", "1_0", "1,5", "0x10"])
def test_row_with_a_figure_that_cannot_be_is_skipped_with_its_line_and_reason(
    tmp_path: Path, written: str
) -> None:
    header = ["project_name", "duration(s)", "power_consumption(kWh)", "CO2_emissions(kg)"]
    rows = [["two\nlines", "1", "1", "1"], ["p", "1", written, "1"], ["q", "1", "1", "1"]]
    (tmp_path / "l.csv").write_bytes(as_csv([header, *rows]))
    first, bad, last = read(str(tmp_path / "l.csv"))
    assert isinstance(first, Row)
    assert isinstance(bad, Skipped)
    assert bad.line == 4
    assert "`power_consumption(kWh)`" in bad.reason
    assert f"`{written}`" in bad.reason
    assert isinstance(last, Row)


@pytest.mark.parametrize("line", ["p,1", "p,1,1,1,1", ",,,"])
def test_row_with_too_few_too_many_or_no_cells_is_skipped(tmp_path: Path, line: str) -> None:
    header = "project_name,duration(s),power_consumption(kWh),CO2_emissions(kg)\n"
    (tmp_path / "l.csv").write_text(f"{header}{line}\n\np,1,1,1\n")
    entries = list(read(str(tmp_path / "l.csv")))
    assert [type(entry) for entry in entries] == [Skipped, Row]


def test_reader_takes_a_command_longer_than_the_csv_module_does(tmp_path: Path) -> None:
    ledger.append(str(tmp_path / "l.csv"), [a_row(command="x" * 300_000)])
    csv.field_size_limit(131072)
    assert [type(entry) for entry in read(str(tmp_path / "l.csv"))] == [Row]


def test_reader_says_what_is_wrong_with_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("timestamp,project_name,run_id\n1,2,3\n")
    with pytest.raises(LedgerError, match="`timestamp,project_name,run_id`"):
        list(read(str(tmp_path / "l.csv")))
    with pytest.raises(LedgerError, match="no ledger"):
        list(read(str(tmp_path / "missing.csv")))
    with pytest.raises(LedgerError, match="directory"):
        list(read(str(tmp_path)))
