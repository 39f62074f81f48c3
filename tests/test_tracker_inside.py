"""A tracker inside `eco2ai run` marks epochs of that run, and measures nothing a second time."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
from pathlib import Path

import pytest

from eco2ai_cli import Tracker

PRELUDE = """
import math, os, sys, threading, time
from eco2ai_cli import Tracker, track, mark
def burn(s):
    until = time.thread_time() + s
    while time.thread_time() < until: pass
tracker = Tracker(project_name="inner", experiment_description="the net")
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECO2AI_REGION_CODE", "FR")


def run(code: str, *options: str) -> list[dict[str, str]]:
    """Run a program by `eco2ai run`; return the rows that there are then."""
    program = [sys.executable, "-c", PRELUDE + code]
    ours = [sys.executable, "-m", "eco2ai_cli", "run", "-q", "-p", "outer", *options]
    subprocess.run([*ours, "--", *program], check=True, timeout=60)
    with open("emission.csv", newline="") as file:
        return list(csv.DictReader(file))


def epochs(rows: list[dict[str, str]]) -> list[str]:
    return [row["epoch"] for row in rows]


def test_start_and_stop_part_the_run_and_nothing_is_counted_twice() -> None:
    rows = run(
        "tracker.start(); burn(0.1); tracker.stop(); print(threading.active_count());"
        "assert threading.active_count() == 1"
    )
    assert epochs(rows) == ["epoch: before the net", "epoch: the net", "N/A"]
    assert {(row["id"], row["project_name"]) for row in rows} == {(rows[0]["id"], "outer")}
    assert float(rows[1]["cpu_time(s)"]) >= 0.09


def test_epochs_are_epochs_of_the_run() -> None:
    rows = run(
        "tracker.start_training()\n"
        "for n in range(2): burn(0.02); tracker.new_epoch({'loss': 0.5 - n / 4})\n"
        "tracker.stop_training()"
    )
    assert epochs(rows) == [
        "epoch: before the net",
        "epoch: 1, loss: 0.5",
        "epoch: 2, loss: 0.25",
        "N/A",
    ]


def test_mark_and_track_part_the_run() -> None:
    rows = run("assert mark('loaded', rows=3)\n@track\ndef fit(): burn(0.02)\nfit()")
    assert epochs(rows) == ["epoch: loaded, rows: 3", "epoch: before fit", "epoch: fit", "N/A"]


def test_what_was_used_is_told_from_the_journal_of_the_run() -> None:
    code = (
        "tracker.start(); burn(0.6); time.sleep(0.4)\n"
        "open('told', 'w').write(f'{tracker.consumption()} {tracker.price()} '\n"
        "    f'{tracker.emission_level()} {tracker.id()}')\n"
        "tracker.stop()"
    )
    rows = run(code, "--interval", "0.1", "--price", "0.5")
    energy, price, level, run_id = Path("told").read_text().split()
    assert run_id == rows[0]["id"]
    assert float(level) == float(rows[0]["carbon_intensity(kg/MWh)"])
    counted = float(rows[1]["power_consumption(kWh)"])
    assert float(energy) == pytest.approx(counted, rel=0.25)
    assert float(price) == pytest.approx(0.5 * float(energy))


def test_of_the_ranks_of_one_job_the_first_alone_marks() -> None:
    rows = run(
        "import subprocess\n"
        'code = "from eco2ai_cli import Tracker\\n"\n'
        'code += "t = Tracker(); t.start_training(); t.new_epoch({}); t.stop_training()"\n'
        "for rank in '01':\n"
        "    subprocess.run([sys.executable, '-c', code], env={**os.environ, 'RANK': rank})\n"
    )
    assert epochs(rows) == ["epoch: before tracker", "epoch: 1", "N/A"]


def test_where_the_run_takes_no_marks_the_tracker_measures_as_a_part_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ECO2AI_RUN_ID", "the-run")
    monkeypatch.setenv("ECO2AI_MARK", "/nowhere/mark")
    with Tracker() as tracker:
        pass
    assert not math.isnan(tracker.consumption())
    with open("emission.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["parent_id"] == "the-run"
