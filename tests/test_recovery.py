"""Runs that died under us: their rows come, once, and nobody who lives loses anything by it."""

from __future__ import annotations

import csv
import errno
import fcntl
import hashlib
import hmac
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import CELLS, FIGURES, WORDS, folder, id_in, journals, leave_journal, start, until
from ledger_rows import first_broken_row
from wrapped import ECO2AI, PATIENCE_S, only_row, rows, run, wrapped

from eco2ai_cli import journal, ledger
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.journal import recovery
from eco2ai_cli.journal.owner import ABANDONED_S, Owner, judge, this_process
from eco2ai_cli.ledger import append


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a wrapper as nobody can prepare for, and wait until it is dead."""
    process.kill()
    process.wait(PATIENCE_S)


def sentences(notes: list[journal.Note]) -> str:
    return "\n".join(note.sentence for note in notes)


# -- a run that is killed

BURN = """
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
while True:
    os.pwrite(fd, b"%20.6f" % time.process_time(), 0)
"""


def test_a_killed_run_gets_its_row_to_within_one_interval(tmp_path: Path, ledger: Path) -> None:
    interval_s = 0.2
    used = tmp_path / "used"
    burn = [sys.executable, "-c", BURN, used]
    options = ["-i", str(interval_s), "-p", "name", "--price", "2", "-r", "FR", "--pue", "1.5"]
    with start(burn, ledger, *options) as process:
        until(lambda: used.exists() and float(used.read_bytes() or 0) > 1.0)
        kill(process)
    result = run([*ECO2AI, "report", ledger])
    assert result.returncode == 0
    assert re.search(
        rf"^eco2ai: recovered the run `.* of 20.*: its row is in `{ledger}`$",
        result.stderr.decode(),
        re.M,
    )
    row = only_row(ledger)
    truth_s, told_s = float(used.read_bytes()), float(row["cpu_time(s)"])
    late = "sampling-late" in row["caveats"]
    assert told_s <= truth_s + 0.001
    assert told_s >= truth_s - interval_s - (2.0 if late else 0.2)
    assert (row["stop_reason"], row["exit_status"]) == ("recovered", "")
    assert "end-unseen" in row["caveats"].split(";")
    parts = [float(row[f"{part}_energy(kWh)"]) for part in ("cpu", "gpu", "ram")]
    energy = float(row["power_consumption(kWh)"])
    assert energy == pytest.approx(1.5 * sum(parts), rel=1e-12)
    assert float(row["CO2_emissions(kg)"]) == pytest.approx(energy * 41.45 / 1000, rel=1e-12)
    assert float(row["cost"]) == pytest.approx(energy * 2, rel=1e-12)
    assert first_broken_row(ledger) is None
    assert journals() == []


@pytest.mark.parametrize(
    "command", ["report emission.csv", "regions lookup FR", "cpus list", "config show", "run true"]
)
def test_any_command_finds_it(command: str, ledger: Path) -> None:
    path = leave_journal(ledger)
    ledger.touch()
    result = run([*ECO2AI, *command.split()], cwd=ledger.parent)
    assert result.returncode == 0
    assert b"recovered the run `python train.py` of 2026-11-23" in result.stderr
    assert b"recovered" not in result.stdout.replace(b"end-unseen", b"")
    assert id_in(path) in [row["id"] for row in rows(ledger)]
    assert journals() == []


def test_a_quiet_run_recovers_without_a_word(ledger: Path) -> None:
    leave_journal(ledger)
    assert run(wrapped(["true"], ledger)).stderr == b""
    assert [row["stop_reason"] for row in rows(ledger)] == ["exit", "recovered"]


def test_a_run_looks_when_its_command_has_ended_and_not_before(ledger: Path) -> None:
    leave_journal(ledger)
    look = f"test -e {ledger} && exit 3; exit 0"
    assert run(wrapped(["sh", "-c", look], ledger)).returncode == 0
    assert len(rows(ledger)) == 2


def test_a_command_that_outlives_us_does_not_hold_the_journal(ledger: Path) -> None:
    with start(["sh", "-c", "echo $$; exec cat"], ledger, "--on-death", "keep", **PIPES) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        kill(process)
        os.kill(child, 0)
        assert len(journal.recover()) == 1
        os.kill(child, signal.SIGKILL)
    assert only_row(ledger)["stop_reason"] == "recovered"


PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


def test_a_run_whose_parent_has_not_noticed_its_death_is_dead(ledger: Path) -> None:
    with start(["sleep", "60"], ledger) as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # and still a zombie
        assert len(journal.recover()) == 1
    assert only_row(ledger)["stop_reason"] == "recovered"


def test_a_run_of_which_the_row_could_be_saved_nowhere_is_recovered(tmp_path: Path) -> None:
    ledger = tmp_path / "l.csv"
    program = (
        "def refused(*a, **o): raise OSError(28, 'No space left on device')\n"
        "import eco2ai_cli.ledger.writer, eco2ai_cli.ledger.unsaved\n"
        "eco2ai_cli.ledger.writer.append = eco2ai_cli.ledger.unsaved.rescue = refused\n"
        "from eco2ai_cli.cli import main\n"
        "main()"
    )
    result = run([sys.executable, "-c", program, *wrapped(["sleep", "0.7"], ledger)[3:]])
    assert b"could not be saved" in result.stderr
    assert len(journals()) == 1
    assert len(journal.recover()) == 1
    assert only_row(ledger)["stop_reason"] == "recovered"


# -- once


def test_of_eight_that_look_at_once_one_recovers_it(ledger: Path) -> None:
    paths = [leave_journal(ledger) for _ in range(5)]
    looks = [
        subprocess.Popen([*ECO2AI, "cpus", "list"], stdout=subprocess.DEVNULL, stderr=-1)
        for _ in range(8)
    ]
    said = b"".join(look.communicate(timeout=PATIENCE_S)[1] for look in looks)
    assert sorted(row["id"] for row in rows(ledger)) == sorted(id_in(path) for path in paths)
    assert said.count(b"recovered the run") == 5
    assert first_broken_row(ledger) is None


def test_a_row_that_is_there_already_is_not_added_again(ledger: Path) -> None:
    """Somebody was killed between the append and the removal of the journal."""
    content = leave_journal(ledger)
    kept = content.read_bytes()
    assert len(journal.recover()) == 1
    content.write_bytes(kept)
    assert journal.recover() == []
    assert len(rows(ledger)) == 1
    assert journals() == []


def test_a_row_that_was_rescued_is_not_added_to_the_ledger(ledger: Path) -> None:
    path = leave_journal(ledger)
    ledger_of_one = folder().parent / "unsaved" / f"{id_in(path)}.csv"
    ledger_of_one.parent.mkdir()
    append(str(ledger_of_one), [{**CELLS, "id": id_in(path)}])
    assert journal.recover() == []
    assert not ledger.exists()
    assert journals() == []


@pytest.mark.parametrize("kept", [0, 0.5, 0.97])
def test_a_rescue_that_was_cut_short_is_none(kept: float, ledger: Path) -> None:
    """Our death amid it leaves a file without a row, and the journal."""
    path = leave_journal(ledger)
    ledger_of_one = folder().parent / "unsaved" / f"{id_in(path)}.csv"
    ledger_of_one.parent.mkdir()
    append(str(ledger_of_one), [{**CELLS, "id": id_in(path)}])
    os.truncate(ledger_of_one, int(kept * ledger_of_one.stat().st_size))
    assert len(journal.recover()) == 1
    assert len(rows(ledger)) == 1
    assert journals() == []


def no_locks(fd: int, operation: int) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def recover_without_locks(*, now_s: float | None = None) -> list[journal.Note]:
    def clock() -> float:
        return time.time() if now_s is None else now_s

    return recovery.recover(str(folder()), journals(), lock=no_locks, now_s=clock)


def test_without_locks_the_one_who_renames_it_first_recovers_it(ledger: Path) -> None:
    path = leave_journal(ledger, locked=False)
    claimed = path.rename(f"{path}.claimed")
    assert recover_without_locks() == []
    assert recover_without_locks(now_s=time.time() + 3601) != []
    assert not claimed.exists()
    assert len(rows(ledger)) == 1
    assert journals() == []


def refuse(*rows: object, **options: object) -> str:
    raise LedgerError("the row could not be kept anywhere")


def test_without_locks_a_journal_that_cannot_be_saved_yet_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger_path = tmp_path / "later" / "l.csv"
    path = leave_journal(ledger_path, locked=False)
    monkeypatch.setattr(ledger, "rescue", refuse, raising=False)
    assert "cannot be saved yet" in sentences(recover_without_locks())
    assert journals() == [path.name]
    ledger_path.parent.mkdir()
    assert "recovered" in sentences(recover_without_locks())
    assert len(rows(ledger_path)) == 1


# -- never of a run that lives


def test_a_run_that_lives_is_left_alone(ledger: Path) -> None:
    with start(["cat"], ledger, stdin=subprocess.PIPE) as process:
        assert journal.recover() == []
        assert recover_without_locks() == []
        assert len(journals()) == 1
        assert not ledger.exists()
        process.communicate(timeout=PATIENCE_S)
    assert only_row(ledger)["stop_reason"] == "exit"


def test_the_copy_of_a_living_runs_journal_is_left_alone(ledger: Path) -> None:
    with start(["cat"], ledger, stdin=subprocess.PIPE) as process:
        (path,) = folder().iterdir()
        shutil.copy(path, folder() / "copy.journal")
        assert journal.recover() == []
        process.communicate(timeout=PATIENCE_S)
    assert len(rows(ledger)) == 1


def test_a_pid_that_is_anothers_now_does_not_keep_a_run_alive() -> None:
    here = this_process()
    earlier = here._replace(start_ticks=here.start_ticks - 1)
    assert judge(here, here, locked=True, idle_s=0.0) == "lives"
    assert judge(earlier, here, locked=True, idle_s=0.0) == "dead"
    assert judge(here._replace(pid=2**22 + 1), here, locked=True, idle_s=0.0) == "dead"


HERE = this_process()
REBOOTED = HERE._replace(boot="another")
ELSEWHERE = REBOOTED._replace(machine="another")
CONTAINER = HERE._replace(pid_namespace=1, machine="another")


@pytest.mark.parametrize(
    ("owner", "locked", "idle_s", "verdict"),
    [
        (REBOOTED, True, 0.0, "dead"),
        (REBOOTED, False, 0.0, "dead"),
        (ELSEWHERE, True, ABANDONED_S - 1, "elsewhere"),
        (ELSEWHERE, False, ABANDONED_S - 1, "elsewhere"),
        (ELSEWHERE, False, ABANDONED_S + 1, "dead"),
        (CONTAINER, True, 0.0, "dead"),  # its kernel is ours, and has taken its lock away
        (CONTAINER, False, 0.0, "elsewhere"),
        (CONTAINER, False, ABANDONED_S + 1, "dead"),
        (HERE._replace(boot=""), True, 0.0, "elsewhere"),  # a kernel that does not name its boot
    ],
)
def test_who_cannot_be_asked_is_judged_by_boot_lock_and_age(
    owner: Owner, locked: bool, idle_s: float, verdict: str
) -> None:
    assert judge(owner, HERE, locked=locked, idle_s=idle_s) == verdict


def test_another_machines_journal_is_left_to_it_until_nobody_can_keep_it(ledger: Path) -> None:
    path = leave_journal(ledger, ELSEWHERE)
    assert journal.recover() == []
    assert journals() == [path.name]
    os.utime(path, (0, time.time() - 31 * 86400))
    assert journal.recover(everywhere=False) == []
    assert "recovered" in sentences(journal.recover())
    assert len(rows(ledger)) == 1


def test_a_run_in_another_pid_namespace_is_recovered_when_it_is_dead(ledger: Path) -> None:
    unshare = ["unshare", "-r", "--pid", "--fork", "--kill-child", "--mount-proc"]
    try:
        subprocess.run([*unshare, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not make a namespace")
    line = [*unshare, *wrapped(["sleep", "60"], ledger)]
    with subprocess.Popen(line) as process:
        until(lambda: any(name.endswith(".journal") for name in journals()))
        assert journal.recover() == []
        kill(process)
    until(lambda: bool(journal.recover()))
    assert only_row(ledger)["stop_reason"] == "recovered"


def test_another_users_journals_are_left_to_him(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = leave_journal(ledger)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert journal.recover() == []
    assert journals() == [path.name]


# -- what stands in the way


def test_a_row_whose_ledger_is_gone_is_kept_elsewhere_and_said_once(tmp_path: Path) -> None:
    """As the row of a run that ended by itself is: it would be asked for by every command else."""
    path = leave_journal(tmp_path / "gone" / "l.csv")
    (note,) = journal.recover()
    saved = folder().parent / "unsaved" / f"{id_in(path)}.csv"
    assert note.is_trouble
    assert "No such file" in note.sentence
    assert f"`{saved}`" in note.sentence
    assert only_row(saved)["stop_reason"] == "recovered"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert journals() == []
    assert journal.recover() == []


def test_a_ledger_that_cannot_be_read_is_not_appended_to(tmp_path: Path) -> None:
    """Whether the row is there already nobody can tell then."""
    other = tmp_path / "notes.csv"
    other.write_text("a,b\n1,2\n")
    path = leave_journal(other)
    assert "not a ledger" in sentences(journal.recover())
    assert other.read_text() == "a,b\n1,2\n"
    assert len(rows(folder().parent / "unsaved" / f"{id_in(path)}.csv")) == 1


def test_a_row_that_no_lasting_place_takes_keeps_its_journal(tmp_path: Path) -> None:
    """`/tmp` would take it, until the machine is started again."""
    path = leave_journal(tmp_path / "gone" / "l.csv")
    (folder().parent / "unsaved").write_text("")
    for _ in range(2):
        (note,) = journal.recover()
        assert note.is_trouble
        assert "cannot be saved yet" in note.sentence
        assert f"remove `{path}`" in note.sentence
    assert journals() == [path.name]


def test_a_row_for_a_ledger_that_is_locked_waits_in_its_spool(ledger: Path) -> None:
    leave_journal(ledger)
    with ledger.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = sentences(journal.recover())
    assert f"`{ledger}.spool/" in said
    assert journals() == []
    run(wrapped(["true"], ledger))
    assert [row["stop_reason"] for row in rows(ledger)] == ["recovered", "exit"]


@pytest.mark.parametrize(
    ("wall_s", "duration_s", "awake_s", "doubts"),
    [
        (1e9, 20.0, 20.0, set()),
        (1e9 + 300, 320.0, 20.0, {"suspended"}),
        (1e9 - 3600, 20.0, 20.0, {"clock-set"}),
    ],
)
def test_a_recovered_run_was_suspended_or_its_clock_set_like_any_other(
    wall_s: float, duration_s: float, awake_s: float, doubts: set[str], ledger: Path
) -> None:
    times = {"wall_s": wall_s, "duration_s": duration_s, "awake_s": awake_s}
    leave_journal(ledger, figures=FIGURES._replace(words=WORDS, **times))
    journal.recover()
    row = only_row(ledger)
    assert set(row["caveats"].split(";")) == {"a", "b", "end-unseen"} | doubts
    assert float(row["duration(s)"]) == duration_s
    assert row["end_time"] == time.strftime("%Y-%m-%d %H:%M:%S+00:00", time.gmtime(wall_s))


def test_the_row_is_chained_with_the_key_of_the_run(tmp_path: Path, ledger: Path) -> None:
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    key.chmod(0o600)
    leave_journal(ledger, key_file=str(key))
    assert len(journal.recover()) == 1
    with ledger.open(newline="") as file:
        row = dict(next(csv.DictReader(file)))
    found = row.pop("row_hash")
    texts = ["", *(text for name, cell in row.items() if cell for text in (name, cell))]
    message = b"".join(b"%d:%b," % (len(text.encode()), text.encode()) for text in texts)
    assert found == hmac.new(b"0123456789abcdef", message, hashlib.sha256).hexdigest()


def test_without_its_key_the_row_is_kept_apart_from_those_that_have_it(
    tmp_path: Path, ledger: Path
) -> None:
    path = leave_journal(ledger, key_file=str(tmp_path / "gone"))
    (note,) = journal.recover()
    assert note.is_trouble
    assert "ledger key" in note.sentence
    assert not ledger.exists()
    assert len(rows(folder().parent / "unsaved" / f"{id_in(path)}.csv")) == 1
    assert journals() == []


@pytest.mark.parametrize("content", [b"", b"not a journal", b"\0" * 20000, b"x" * 20000])
def test_a_damaged_journal_is_said_once_and_set_aside(content: bytes, ledger: Path) -> None:
    path = leave_journal(ledger)
    path.write_bytes(content)
    (note,) = journal.recover()
    assert note.is_trouble
    assert f"`{path}.damaged`" in note.sentence
    assert journal.recover() == []
    assert journals() == [f"{path.name}.damaged"]
    assert not ledger.exists()


@pytest.mark.parametrize(
    "wrong", [{"cells": {}}, {"cells": None}, {"pue": "x"}, {"pue": 1e999}, {"project_name": []}]
)
def test_facts_that_cannot_be_a_runs_are_damage(wrong: dict[str, object], ledger: Path) -> None:
    facts = wrong if "cells" in wrong else {"cells": CELLS | wrong}
    path = leave_journal(ledger, **facts)
    assert f"`{path}.damaged`" in sentences(journal.recover())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_befalls_a_journal_no_wrong_row_comes_of_it(data: st.DataObject) -> None:
    shutil.rmtree(folder(), ignore_errors=True)
    ledger = folder().parent / "l.csv"
    ledger.unlink(missing_ok=True)
    path = leave_journal(ledger)
    good = path.read_bytes()
    kept = data.draw(st.integers(0, len(good)) | st.just(len(good)))
    damaged = bytearray(good[:kept])
    for place in data.draw(st.lists(st.integers(0, len(good) - 1), max_size=3)):
        damaged[place : place + 1] = data.draw(st.binary(min_size=1, max_size=1))
    path.write_bytes(damaged)
    (note,) = journal.recover()
    if note.is_trouble:
        assert not ledger.exists()
        assert journals() == [f"{path.name}.damaged"]
    else:
        row = only_row(ledger)
        assert float(row["cpu_energy(kWh)"]) == 1.0
        assert float(row["power_consumption(kWh)"]) == 1.5
        assert (row["id"], row["caveats"]) == (id_in(path), "a;b;end-unseen")
        assert journals() == []


def test_old_leftovers_are_pruned(ledger: Path) -> None:
    folder().mkdir(parents=True)
    month_ago_s = time.time() - 31 * 86400
    for name in ("a.journal.new", "b.journal.damaged", "c.journal.new", "d.journal.damaged"):
        (folder() / name).touch()
        if name < "c":
            os.utime(folder() / name, (0, month_ago_s))
    assert journal.recover() == []
    assert journals() == ["c.journal.new", "d.journal.damaged"]


# -- at random moments


def test_a_run_killed_at_any_moment_leaves_one_row_at_the_most(ledger: Path) -> None:
    draw = random.Random(5)
    for number in range(8):
        lasts_s = (5, 0.1)[number % 2]  # killed somewhere in the middle, or near the end
        process = subprocess.Popen(wrapped(["sleep", lasts_s], ledger, "-i", "0.05"))
        if number % 2 == 0:
            until(lambda: journals() != [])
        time.sleep(draw.uniform(0, 0.3))
        kill(process)
        journal.recover()
        assert not any(name.endswith(".journal") for name in journals())
        if number % 2 == 0:
            assert rows(ledger)[-1]["stop_reason"] == "recovered"
    assert len({row["id"] for row in rows(ledger)}) == len(rows(ledger))
    assert 4 <= len(rows(ledger)) <= 8
    assert first_broken_row(ledger) is None
