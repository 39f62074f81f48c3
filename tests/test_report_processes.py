"""A big ledger is read by several processes: the figures are those of pandas and the csv module."""

from __future__ import annotations

import csv
import math
import os
import random
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_rows import as_csv, run_python
from test_report_files import ENERGY, generated

from eco2ai_cli.ledger.rows import BadRow, row_of
from eco2ai_cli.report import Question, Report, dimension, summarise_ledgers, workers
from eco2ai_cli.report.data import to_json

NAMES = ["id", "project_name", "start_time", "duration(s)", ENERGY, "CO2_emissions(kg)", "cost",
         "command"]  # fmt: skip
FORKING = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(autouse=True)
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LEAST_SPAN_BYTES", 64)


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    pids: list[int] = []
    fork = os.fork

    def counted() -> int:
        pids.append(fork())
        return pids[-1]

    monkeypatch.setattr(os, "fork", counted)
    return pids


def report(path: Path, processes: int, by: str = "project") -> Report:
    return summarise_ledgers([str(path)], Question((dimension(by),)), processes=processes)


def by_the_csv_module(path: Path) -> tuple[list[float], list[tuple[int, str]]]:
    """Return the energies of a file in kWh, and the lines that are skipped, with the reasons."""
    energies: list[float] = []
    skipped: list[tuple[int, str]] = []
    with path.open(encoding="utf-8", errors="backslashreplace", newline="") as file:
        records = csv.reader(file)
        next(records)
        while True:
            line = records.line_num + 1
            try:
                cells = next(records, None)
                if cells is None:
                    return energies, skipped
                if cells:
                    energies.append(row_of(NAMES, cells).energy_kwh or 0.0)
            except (csv.Error, BadRow) as error:
                skipped.append((line, str(error)))


numbers = st.one_of(st.floats(0, 1e9).map(repr), st.sampled_from(["0.1", "", "x", "-1"]))
like_rows = st.sampled_from(["", "a", "b,c", 'd"', "\n9,p,,1,2,3,4,\n" * 9, "\r", "\r\n", '"\n"'])
records = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("123"), like_rows, numbers, like_rows).map(
            lambda cells: as_csv([[cells[0], cells[1], "", "1", cells[2], "3", "", cells[3]]])
        ),
        st.sampled_from([b"torn\n", b"\n", b"\r", b'1,p"q,,1,2,3,,\n', b"1,p,,1,0.1,3,,\r"]),
    ),
    max_size=25,
)


@FORKING
@given(records, st.integers(2, 4))
def test_rows_of_any_file_are_those_of_the_csv_module_wherever_it_is_cut(
    tmp_path: Path, found: list[bytes], processes: int
) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(as_csv([NAMES]) + b"".join(found))
    energies, skipped = by_the_csv_module(path)
    for got in (report(path, 1), report(path, processes)):
        assert got.total.rows == len(energies)
        assert (got.total.energy_kwh or 0.0) == math.fsum(energies)
        assert [(row.line, row.reason) for row in got.skipped] == skipped


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("by", ["project", "command"])
def test_totals_are_those_of_pandas(
    tmp_path: Path, processes: int, by: str, forks: list[int]
) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "l.csv"
    generated(path, 2000)
    frame = pandas.read_csv(path, keep_default_na=False, na_values=[""], dtype={"exit_status": str})
    whole = frame[frame.parent_id.isna()]
    got = report(path, processes, by)
    assert len(forks) == processes - 1
    summaries = {labels[0]: summary for labels, summary in got.groups}
    column = {"project": "project_name", "command": "command"}[by]
    for name, rows in whole.groupby(column, dropna=False):
        summary = summaries[None if pandas.isna(name) else name]
        assert summary.runs == rows.id.nunique()
        assert summary.energy_kwh == pytest.approx(rows[ENERGY].sum(), rel=1e-13)
        for currency, amounts in rows.groupby("currency"):
            assert summary.cost[currency] == pytest.approx(amounts["cost"].sum(), rel=1e-13)
    assert got.total.energy_kwh == math.fsum(map(float, whole[ENERGY].dropna()))
    assert got.total.nested_runs == len(frame) - len(whole)
    assert got.total.failed_runs == whole[whole.exit_status != "0"].id.nunique()
    assert got.total.rows == len(frame)


def test_runs_whose_rows_and_parents_are_in_other_spans_count_once(
    tmp_path: Path, forks: list[int]
) -> None:
    path = tmp_path / "l.csv"
    rows = generated(path, 600)
    with path.open(newline="") as file:
        names, *lines = list(csv.reader(file))
    random.Random(5).shuffle(lines)
    path.write_bytes(as_csv([names, *lines]))
    whole = [row for row in rows if not row.get("parent_id")]
    got = report(path, 4)
    assert forks
    assert got.total.runs == len({row["id"] for row in whole}) < len(whole)
    assert got.total.nested_runs == len(rows) - len(whole)
    energies = [float(str(row[ENERGY])) for row in whole if row[ENERGY] is not None]
    assert got.total.energy_kwh == math.fsum(energies)


def test_cut_amid_a_cell_that_looks_like_rows_is_seen(tmp_path: Path, forks: list[int]) -> None:
    path = tmp_path / "l.csv"
    looks = "\n" + "9,p,,1,1000,3,,\n" * 5000
    rows = [[str(n), "p", "", "1", "2", "3", "", looks if n == 5 else ""] for n in range(10)]
    path.write_bytes(as_csv([NAMES, *rows]) + b"torn\n")
    got = report(path, 4)
    assert len(forks) == 3
    assert (got.total.rows, got.total.energy_kwh) == (10, 20.0)
    assert [row.line for row in got.skipped] == [12 + 5001]


def children() -> set[int]:
    """Return the children of this process, also those that ended and were not waited for."""
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return set(map(int, path.read_text().split()))


@pytest.mark.parametrize("how", ["killed", "failed", "no fork", "no file"])
def test_process_that_dies_or_cannot_be_loses_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    path = tmp_path / "l.csv"
    generated(path, 500)
    expected = to_json(report(path, 1))
    sort, parent = workers._work, os.getpid()

    def dies(ledger, lines, reading, sorter, out):  # type: ignore[no-untyped-def]
        assert os.getpid() != parent
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        sort(ledger, lines, reading, sorter, out)
        raise MemoryError

    def refused(*_: object) -> int:
        raise OSError("no")

    if how == "no fork":
        monkeypatch.setattr(os, "fork", refused)
    elif how == "no file":
        monkeypatch.setattr(workers, "TemporaryFile", refused)
    else:
        monkeypatch.setattr(workers, "_work", dies)
    before = children()
    assert to_json(report(path, 3)) == expected
    assert children() <= before


def test_no_process_is_left_when_reading_ends_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "l.csv"
    generated(path, 500)

    def stop(_done_bytes: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "_work", lambda *_: signal.pause())
    question = Question((dimension("project"),))
    before = children()
    with pytest.raises(KeyboardInterrupt):
        summarise_ledgers([str(path)], question, tick=stop, processes=3)
    assert children() <= before


def test_all_processes_together_take_less_memory_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    generated(path, 25_000)
    script = """
import re, resource, sys
from eco2ai_cli.report import Question, dimension, summarise_ledgers, workers
workers.LEAST_SPAN_BYTES = 1 << 20
print(summarise_ledgers([sys.argv[1]], Question((dimension("project"),)), processes=2).total.rows)
child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(child + int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]))
"""
    rows, kilobytes = map(int, run_python(script, path).split())
    assert rows > 25_000
    assert kilobytes < 60_000
