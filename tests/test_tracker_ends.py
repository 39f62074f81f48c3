"""How a program with a tracker can end and what it can fork: no row is lost, and none doubled."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eco2ai_cli import Tracker

ROUNDING_S = 0.03


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECO2AI_REGION_CODE", "FR")


def rows() -> list[dict[str, str]]:
    with open("emission.csv", newline="") as file:
        return list(csv.DictReader(file))


PRELUDE = """
import os, sys, threading, time, signal
from eco2ai_cli import Tracker, track, mark
def burn(s):
    until = time.thread_time() + s
    while time.thread_time() < until: pass
tracker = Tracker(project_name="p", measure_period=0.1)
"""


def program(code: str, *, status: int = 0, prelude: str = PRELUDE) -> str:
    """Run a program in the current folder to its end; return what it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", prelude + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_who_never_stops_gets_the_row_when_the_interpreter_ends() -> None:
    program("tracker.start(); burn(0.1)")
    (row,) = rows()
    assert float(row["cpu_time(s)"]) >= 0.1
    assert row["exit_status"] == "0"


def test_a_program_that_fails_has_failed_in_its_row_too() -> None:
    assert "ZeroDivisionError" in program("tracker.start(); 1 / 0", status=1)
    assert rows()[0]["exit_status"] == "1"


def test_a_program_that_is_interrupted_has_been_so_in_its_row_too() -> None:
    program("tracker.start(); signal.raise_signal(signal.SIGINT)", status=-signal.SIGINT)
    assert (rows()[0]["exit_status"], rows()[0]["stop_reason"]) == ("SIGINT", "signal")


def test_children_that_the_end_of_the_interpreter_waits_for_are_in_the_row() -> None:
    program(
        "import multiprocessing.util\n"  # before the start, as by an import of torch
        "tracker.start()\n"
        "context = multiprocessing.get_context('fork')\n"
        "context.Process(target=burn, args=(0.3,)).start()"
    )
    assert float(rows()[0]["cpu_time(s)"]) >= 0.3


def test_a_fork_happens_beside_no_thread_of_ours_and_measuring_goes_on() -> None:
    program(
        "def threads(): return len(os.listdir('/proc/self/task'))\n"
        "seen = []\n"
        "def look():\n"  # called after what is registered later
        "    until = time.monotonic() + 2\n"
        "    while threads() > 1 and time.monotonic() < until: pass\n"
        "    seen.append(threads())\n"
        "os.register_at_fork(before=look)\n"
        "tracker.start()\n"
        "assert threads() == 2\n"
        "pid = os.fork()\n"
        "if pid == 0: os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "assert seen == [1] and threads() == 2\n"
        "burn(0.3); os.kill(os.getpid(), 9)",
        status=-9,
    )
    with Tracker():
        pass
    (recovered,) = [row for row in rows() if row["stop_reason"] == "recovered"]
    assert float(recovered["cpu_time(s)"]) > 0.1


def test_a_program_that_is_killed_or_ends_at_once_is_recovered_by_the_next() -> None:
    program("tracker.start(); burn(0.3); os.kill(os.getpid(), 9)", status=-9)
    program(
        "tracker.start_training(); burn(0.1); tracker.new_epoch({}); burn(0.3); os._exit(3)",
        status=3,
    )
    assert [row["epoch"] for row in rows()] == ["epoch: 1"]
    with Tracker(project_name="next"):
        pass
    found = {
        (row["epoch"], row["stop_reason"]): row for row in rows() if row["project_name"] == "p"
    }
    recovered = [row for row in rows() if row["stop_reason"] == "recovered"]
    assert len(rows()) == 4
    assert len(recovered) == 2
    for row in recovered:
        assert 0.1 < float(row["cpu_time(s)"]) < 0.4
    assert ("epoch: 1", "") in found


def test_a_forked_child_leaves_the_tracker_of_its_parent_alone() -> None:
    program(
        "tracker.start_training()\n"
        "burn(0.1)\n"  # the first samples are over
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    burn(0.1); tracker.new_epoch({'who': 'child'}); mark('child'); tracker.stop()\n"
        "    assert tracker.consumption() >= 0\n"
        "    sys.exit(0)\n"  # by way of atexit
        "assert os.waitpid(pid, 0)[1] == 0\n"
        "tracker.new_epoch({'who': 'parent'})\n"
        "tracker.stop_training()"
    )
    (row,) = rows()
    assert row["epoch"] == "epoch: 1, who: parent"
    assert float(row["cpu_time(s)"]) >= 0.2


def test_a_forked_child_that_lives_on_does_not_keep_its_parents_row_from_being_recovered() -> None:
    code = (
        "tracker.start()\n"
        "if os.fork() == 0:\n"
        "    os.close(1); os.close(2)\n"
        "    time.sleep(3); os._exit(0)\n"
        "burn(0.2); os.kill(os.getpid(), 9)"
    )
    program(code, status=-9)
    with Tracker():
        pass
    assert {row["stop_reason"] for row in rows()} == {"recovered", "exit"}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_count_and_a_tracker_of_their_own_is_part_of_ours(
    method: str, tmp_path: Path
) -> None:
    (tmp_path / "work.py").write_text(
        PRELUDE
        + "import multiprocessing\n"
        + "def work(seconds):\n"
        + "    inner = Tracker(project_name='inner'); inner.start(); burn(seconds)\n"
        + "if __name__ == '__main__':\n"
        + f"    context = multiprocessing.get_context('{method}')\n"
        + "    tracker.start()\n"
        + "    workers = [context.Process(target=work, args=(0.1,)) for _ in range(2)]\n"
        + "    for worker in workers: worker.start()\n"
        + "    for worker in workers: worker.join()\n"
        + "    tracker.stop()\n"
    )
    subprocess.run([sys.executable, "work.py"], check=True, timeout=60)
    inner = [row for row in rows() if row["project_name"] == "inner"]
    (outer,) = [row for row in rows() if row["project_name"] == "p"]
    assert len(inner) == 2  # though nobody stopped them
    if method == "fork":
        assert {row["parent_id"] for row in inner} == {outer["id"]}
    assert float(outer["cpu_time(s)"]) >= 0.2 - ROUNDING_S
    assert all(0.1 <= float(row["cpu_time(s)"]) < 0.2 for row in inner)


def test_what_other_programs_of_ours_used_is_counted_whatever_ends_first() -> None:
    out = program(
        "import subprocess, resource\n"
        "code = 'import time\\nwhile time.process_time() < 0.15: pass'\n"
        "tracker.start()\n"
        "own = time.process_time()\n"
        "subprocess.run([sys.executable, '-S', '-c', code])\n"
        "subprocess.run(['sh', '-c', f'{sys.executable} -S -c \"{code}\"; true'])\n"
        "own = time.process_time() - own\n"
        "tracker.stop()\n"
        "children = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(own + children.ru_utime + children.ru_stime)"
    )
    assert float(rows()[0]["cpu_time(s)"]) == pytest.approx(float(out), abs=0.02)


def test_the_public_names_cost_an_import_of_the_package_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import eco2ai_cli; "
        "print(sorted(set(sys.modules) - before)); "
        "import eco2ai_cli.talk; from eco2ai_cli import Tracker, track, mark, summary; "
        "from eco2ai_cli import set_params, get_params; Tracker(project_name='p'); "
        "import os, threading; assert threading.active_count() == 1 and not os.listdir()"
    )
    assert program(code, prelude="").strip() == "['eco2ai_cli']"
