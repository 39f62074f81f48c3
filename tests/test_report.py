"""`eco2ai report`: what counts, what counts once, and what does not count."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_rows import LEDGERS, ROOT, a_row

from eco2ai_cli import ledger
from eco2ai_cli.ledger.reader import Row, Skipped
from eco2ai_cli.report import Question, Report, dimension, summarise
from eco2ai_cli.report.data import to_json
from eco2ai_cli.report.notes import notes

ENERGY, MASS = "power_consumption(kWh)", "CO2_emissions(kg)"


def row(
    run_id: str | None = "1",
    *,
    parent: str | None = None,
    project: str | None = "p",
    energy_kwh: float | None = 1.0,
    emissions_kg: float | None = 0.5,
    cost: float | None = None,
    currency: str | None = None,
    status: str | None = "0",
    caveats: tuple[str, ...] = (),
    stop: str | None = None,
    start: str | None = None,
    asked: tuple[str | None, ...] | None = None,
) -> Row:
    return Row(
        run_id, parent, project, start, 10.0, energy_kwh, emissions_kg, cost, currency, status,
        stop, caveats, asked or (project,),
    )  # fmt: skip


def of_project(report: Report, project: str | None) -> dict[str, object]:
    return next(g for g in to_json(report)["groups"] if g["by"] == {"project": project})  # type: ignore[attr-defined,no-any-return]


def eco2ai(*args: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eco2ai_cli", "report", *map(str, args)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_sums_of_the_papers_table_3_are_its_sums(tmp_path: Path) -> None:
    malevich = a_row(id="1", project_name="malevich") | {ENERGY: 1.37, MASS: 0.33}
    kandinsky = a_row(id="2") | {ENERGY: 24.50, MASS: 5.89}
    ledger.append(str(tmp_path / "emission.csv"), [malevich | {"duration(s)": 15540}])
    ledger.append(str(tmp_path / "emission.csv"), [kandinsky | {"duration(s)": 35100}])
    done = eco2ai("--json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["total"]["energy_kwh"] == 25.87
    assert found["total"]["emissions_kg"] == 6.22
    assert found["total"]["duration_s"] == 50640
    assert [group["by"]["project"] for group in found["groups"]] == ["kandinsky", "malevich"]
    assert found["groups"][1]["energy_kwh"] == 1.37


def test_json_has_the_keys_of_the_contract() -> None:
    keys = {
        "runs", "rows", "duration_s", "energy_kwh", "emissions_kg", "cost", "failed_runs",
        "failed_energy_kwh", "caveats",
    }  # fmt: skip
    found = to_json(summarise([row(), Skipped("l.csv", 7, "torn")]))
    assert set(found) == {"groups", "total", "skipped"}
    assert keys <= set(found["total"])  # type: ignore[call-overload]
    assert of_project(summarise([row()]), "p").keys() == {"by"} | found["total"].keys()  # type: ignore[attr-defined]
    assert found["skipped"] == [{"file": "l.csv", "line": 7, "reason": "torn"}]


def test_rows_with_one_id_are_one_run() -> None:
    total = summarise([row("1"), row("1"), row("2")]).total
    assert (total.runs, total.rows, total.energy_kwh) == (2, 3, 3.0)


def test_run_with_epochs_is_in_the_group_of_how_it_ended_and_when_it_began() -> None:
    question = Question((dimension("status"), dimension("month"), dimension("tag:lr")))
    stamps = [f"2026-0{month}-28 23:00:00+00:00" for month in (1, 2, 3)]
    statuses, tags = (None, None, "1"), (None, '{"lr": "0.1"}', '{"lr": "0.2"}')
    rows = [
        row("1", status=status, start=stamp, asked=(status, stamp, tag))
        for status, stamp, tag in zip(statuses, stamps, tags, strict=True)
    ]
    for _ in range(5):
        random.shuffle(rows)
        ((labels, summary),) = summarise(rows, question).groups
        assert labels == ("1", "2026-01", "0.2")
        assert (summary.runs, summary.rows, summary.failed_runs) == (1, 3, 1)


def test_rows_without_an_id_are_runs_of_their_own() -> None:
    assert summarise([row(None), row(None)]).total.runs == 2


def test_run_inside_another_is_listed_and_not_summed_in_any_order() -> None:
    rows = [
        row("innermost", parent="inner", project="q", energy_kwh=1.0, status="1"),
        row("inner", parent="outer", energy_kwh=2.0, caveats=("gpu-shared",)),
        row("outer", energy_kwh=4.0),
        row("other", parent="in another ledger", energy_kwh=8.0),
    ]
    for _ in range(5):
        random.shuffle(rows)
        total = summarise(rows).total
        assert (total.runs, total.nested_runs, total.rows) == (2, 2, 4)
        assert (total.energy_kwh, total.duration_s) == (12.0, 20.0)
        assert (total.failed_runs, total.failed_energy_kwh, total.caveats) == (0, 0.0, {})
        assert of_project(summarise(rows), "q")["energy_kwh"] == 0.0
        assert of_project(summarise(rows), "q")["rows"] == 1


@pytest.mark.parametrize("parents", [("1", None), ("2", "1"), ("2", "2")])
def test_runs_that_name_each_other_as_parents_are_not_lost(
    parents: tuple[str | None, str | None],
) -> None:
    total = summarise([row("1", parent=parents[0]), row("2", parent=parents[1])]).total
    assert total.runs >= 1
    assert total.runs + total.nested_runs == 2


def test_currencies_are_never_added() -> None:
    rows = [
        row("1", cost=1.5, currency="EUR"),
        row("2", cost=100.0, currency="JPY"),
        row("3", cost=2.0, currency="EUR"),
        row("4", cost=7.0),
        row("5"),
    ]
    assert summarise(rows).total.cost == {"": 7.0, "EUR": 3.5, "JPY": 100.0}


@pytest.mark.parametrize(
    ("status", "failed"), [("0", 0), (None, 0), ("1", 1), ("255", 1), ("SIGKILL", 1)]
)
def test_run_failed_when_its_status_says_so(status: str | None, failed: int) -> None:
    total = summarise([row("1", energy_kwh=2.0, status=status), row("2")]).total
    assert (total.failed_runs, total.failed_energy_kwh) == (failed, 2.0 * failed)


def test_run_that_was_recovered_failed_and_one_of_a_file_without_statuses_did_not() -> None:
    killed = row("1", energy_kwh=2.0, status=None, stop="recovered")
    total = summarise([killed, row("2", status=None)]).total
    assert (total.failed_runs, total.failed_energy_kwh) == (1, 2.0)


def test_every_row_of_a_failed_run_is_energy_that_failed() -> None:
    total = summarise([row("1", status=None), row("1", status="1"), row("2")]).total
    assert (total.failed_runs, total.failed_energy_kwh) == (1, 2.0)


def test_small_share_that_failed_is_not_said_to_be_nothing() -> None:
    total = summarise([row("1", energy_kwh=999.0), row("2", status="1")]).total
    assert next(notes(total)) == "less than 1 % of the energy went into 1 run that failed"


def test_caveats_are_counted_by_run_and_not_by_row() -> None:
    rows = [row("1", caveats=("a", "b")), row("1", caveats=("a",)), row("2", caveats=("a",))]
    assert summarise(rows).total.caveats == {"a": 2, "b": 1}


def test_missing_figure_is_said_and_is_not_zero() -> None:
    unknown = row("1", energy_kwh=None, project="q")
    report = summarise([unknown, row("2", energy_kwh=2.0)])
    assert of_project(report, "q")["energy_kwh"] is None
    assert (report.total.energy_kwh, report.total.caveats) == (2.0, {"energy-unknown": 1})


def test_sum_of_no_runs_is_zero() -> None:
    total = summarise([]).total
    assert (total.runs, total.energy_kwh, total.cost, total.failed_energy_kwh) == (0, 0.0, {}, 0.0)


amounts = st.floats(0, 1e9)


@given(st.lists(st.tuples(st.sampled_from("abc"), amounts, amounts, st.booleans())), st.randoms())
def test_report_does_not_depend_on_the_order_of_the_rows_and_groups_add_up(
    runs: list[tuple[str, float, float, bool]], random: random.Random
) -> None:
    rows = [
        row(str(n), project=project, energy_kwh=energy, cost=cost, status=str(int(failed)))
        for n, (project, energy, cost, failed) in enumerate(runs)
    ]
    report = summarise(rows)
    random.shuffle(rows)
    assert to_json(summarise(rows)) == to_json(report)
    groups = [summary for _, summary in report.groups]
    assert sum(group.runs for group in groups) == report.total.runs == len(runs)
    assert sum(group.failed_runs for group in groups) == report.total.failed_runs
    energy_kwh = sum(group.energy_kwh or 0.0 for group in groups)
    assert energy_kwh == pytest.approx(report.total.energy_kwh, rel=1e-12)


def test_file_of_eco2ai_is_summed_like_ours() -> None:
    found = json.loads(eco2ai("--json", LEDGERS / "eco2ai.csv").stdout)
    assert found["total"]["energy_kwh"] == 25.87
    assert found["total"]["cost"] == {}
    assert [group["by"]["project"] for group in found["groups"]] == ["kandinsky", "malevich"]


def test_several_files_are_one_report_and_bad_rows_are_named_on_stderr(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        ledger.append(str(tmp_path / name), [a_row(id=name)])
        with (tmp_path / name).open("a") as file:
            file.write("torn,row\n")
    done = eco2ai("a.csv", "b.csv", folder=tmp_path)
    assert done.returncode == 0
    assert re.search(r"total +2 .* 49\.0 kWh +11\.8 kg", done.stdout)
    assert "line 3 of `a.csv`: 2 cells" in done.stderr
    assert "line 3 of `b.csv`: 2 cells" in done.stderr
    skipped = json.loads(eco2ai("a.csv", "b.csv", "--json", folder=tmp_path).stdout)["skipped"]
    assert [(bad["file"], bad["line"]) for bad in skipped] == [("a.csv", 3), ("b.csv", 3)]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no ledger `emission.csv`"), (b"a,b\n1,2\n", "`a,b`"), (b"\0\1", "not a ledger")],
)
def test_file_that_cannot_be_read_is_one_sentence_and_status_125(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "emission.csv").write_bytes(content)
    done = eco2ai(folder=tmp_path)
    assert (done.returncode, done.stdout) == (125, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_ledger_without_rows_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "emission.csv").touch()
    done = eco2ai(folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "no runs in `emission.csv`\n"
    assert json.loads(eco2ai("--json", folder=tmp_path).stdout)["total"]["runs"] == 0


def test_table_is_plain_text_in_a_pipe_and_lets_no_project_steer_a_terminal(
    tmp_path: Path,
) -> None:
    path = tmp_path / "emission.csv"
    long_name = "a project with quite a long name " * 5
    for number, project in enumerate((long_name, "\x1b[31mred\n", "[bold]x", "日本 🎨", None)):
        ledger.append(str(path), [a_row(id=str(number), project_name=project, exit_status=number)])
    done = eco2ai(folder=tmp_path)
    lines = done.stdout.splitlines()
    assert "\x1b" not in done.stdout
    assert lines[0].split() == ["project", "runs", "failed", "duration", "energy", "CO2"]
    for name in (long_name, "\\x1b[31mred\\n ", "[bold]x ", "日本 🎨 ", "(no name) "):
        assert len([line for line in lines if line.startswith(name)]) == 1
    assert "80 % of the energy went into 4 runs that failed" in lines


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_table_fits_a_terminal_of_80_columns_and_no_figure_is_cut_on_any(
    tmp_path: Path, columns: int
) -> None:
    path = tmp_path / "emission.csv"
    a = a_row(id="1", cost=1234.5, currency="EUR", caveats="region-assumed;gpu-shared")
    ledger.append(str(path), [a | {"project_name": "a project with quite a long name " * 2}])
    ledger.append(str(path), [a_row(id="2", project_name="b", cost=98765.4, currency="JPY")])
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "eco2ai_cli", "report", str(path)],
        dimensions=(50, columns),
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
    )
    shown = terminal.read()
    terminal.close()
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r", "").split("\n")
    assert max(map(len, lines)) <= max(columns, 60)
    assert ("failed" in lines[0], "duration" in lines[0]) == (columns > 40, columns > 60)
    assert all(len(line) <= columns for line in lines if "region" in line)
    assert "…" not in shown
    words = " ".join(lines).split()
    for figure in ("1,234.50", "98,765.40", "EUR", "JPY", "24.5", "49.0", "5.89", "11.8"):
        assert figure in words
