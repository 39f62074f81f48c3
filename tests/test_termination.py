"""A budget ends the whole tree: who ignores the signal, is stopped, forks on or has moved away."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from wrapped import ECO2AI, PATIENCE_S, load_json, only_row, run

from eco2ai_cli.launch.termination import Termination

BUDGET = ["--max-energy", "1e-7"]
"""0.36 J: a busy thread uses it up within 0.2 s, be it of a laptop or of a server."""
BUSY = "while :; do :; done"


class Tree:
    """A tree of our own making: who is sent what, and who dies of it."""

    def __init__(self, *pids: int, heirs: int = 0, immune: Sequence[int] = ()) -> None:
        self.pids = list(pids)
        self.heirs = heirs
        self.immune = set(immune)
        self.frozen: set[int] = set()
        self.sent: list[tuple[int, int]] = []
        self.now_s = 0.0

    def alive(self) -> list[int]:
        """Everyone who is not stopped has one child more at every look, `heirs` in all."""
        for _ in [pid for pid in self.pids if pid not in self.frozen]:
            if self.heirs:
                self.heirs -= 1
                self.pids.append(max(self.pids) + 1)
        return list(self.pids)

    def is_stopped(self, pid: int) -> bool:
        return pid in self.frozen

    def send(self, pid: int, number: int) -> None:
        self.sent.append((pid, number))
        if pid in self.immune:
            raise PermissionError
        if number == signal.SIGSTOP:
            self.frozen.add(pid)
        elif number == signal.SIGKILL:
            self.pids.remove(pid)

    def termination(self, grace_s: float = 30) -> Termination:
        return Termination(self, signal.SIGTERM, grace_s, now_s=lambda: self.now_s, send=self.send)

    def wait(self, span_s: float) -> None:
        self.now_s += max(span_s, 0.001)


def test_everyone_gets_the_signal_once_children_first_and_the_stopped_are_woken() -> None:
    tree = Tree(1, 2, 3)
    tree.frozen = {2}
    termination = tree.termination()
    termination.begin()
    termination.begin()
    term, cont = signal.SIGTERM, signal.SIGCONT
    assert tree.sent == [(3, term), (2, term), (1, term), (2, cont)]


def test_nobody_is_killed_before_the_grace_is_over() -> None:
    tree = Tree(1, 2)
    termination = tree.termination(grace_s=30)
    termination.begin()
    assert termination.beat() == 30
    tree.now_s = 29.9
    termination.beat()
    assert tree.pids == [1, 2]
    tree.now_s = 30
    termination.beat()
    assert tree.pids == []


def test_before_it_has_begun_nothing_is_due() -> None:
    assert Tree(1).termination().beat() == float("inf")


def test_who_forks_while_being_killed_is_stopped_first() -> None:
    tree = Tree(1, heirs=40)
    termination = tree.termination(grace_s=0)
    termination.begin()
    termination.beat()
    assert tree.pids == []
    kills = [place for place, (_, number) in enumerate(tree.sent) if number == signal.SIGKILL]
    stops = [place for place, (_, number) in enumerate(tree.sent) if number == signal.SIGSTOP]
    assert max(stops) < min(kills)


def test_whom_we_may_not_kill_is_given_up_in_the_end() -> None:
    tree = Tree(1, 2, immune=[2])
    termination = tree.termination(grace_s=5)
    termination.begin()
    termination.finish(lambda: not tree.pids, tree.wait)
    assert tree.pids == [2]
    assert tree.now_s == pytest.approx(10, abs=2)


def test_an_end_without_more_grace_kills_at_once() -> None:
    tree = Tree(1, 2)
    termination = tree.termination(grace_s=1000)
    termination.begin()
    termination.finish(lambda: not tree.pids, tree.wait)
    assert tree.pids == []
    assert tree.now_s < 1


def stopped(script: str, folder: Path, *options: str, grace: str = "0.3") -> bytes:
    """Run a shell script until its budget stops it; nobody who holds `alive` may be left."""
    held = os.open(folder / "alive", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(held, True)
    command = [*ECO2AI, "run", "-q", *BUDGET, "--grace", grace, "-o", "l.csv", "--json", "r.json"]
    answer = run(
        [*command, *options, "--", "sh", "-c", script],
        cwd=folder,
        pass_fds=(held,),
    )
    os.close(held)
    assert answer.returncode == 124, answer.stderr
    row = only_row(folder / "l.csv")
    assert (row["exit_status"], row["stop_reason"]) == ("124", "budget")
    assert not {"left-running", "internal-error"} & set(row["caveats"].split(";"))
    assert holders(folder / "alive") == []
    assert answer.stdout == b"" or answer.stdout.startswith(b"mine")
    return answer.stderr


def holders(path: Path) -> list[str]:
    """Return the processes that have a file open."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") == str(path):
                    found.append(pid)
    return found


def test_a_program_that_heeds_sigterm_ends_with_124_before_the_grace_is_over(
    tmp_path: Path,
) -> None:
    began_s = time.monotonic()
    said = stopped(f"echo mine; {BUSY}", tmp_path, grace="1000")
    assert time.monotonic() - began_s < PATIENCE_S
    assert b"gets SIGTERM, and SIGKILL in 1000 s" in said
    assert load_json(tmp_path / "r.json")["budget_stopped_by"] == "energy"


def test_exit_0_in_the_grace_is_124_all_the_same(tmp_path: Path) -> None:
    stopped(f"trap 'echo mine saved; exit 0' TERM; {BUSY}", tmp_path)


def test_a_signal_of_ones_own_choice_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECO2AI_BUDGET_SIGNAL", "usr1")
    said = stopped(f"trap '' TERM; trap 'echo mine; exit 3' USR1; {BUSY}", tmp_path, grace="1000")
    assert b"gets SIGUSR1" in said


@pytest.mark.parametrize(
    "script",
    [
        f"trap '' TERM; {BUSY}",
        f"trap '' TERM; (trap '' TERM; {BUSY}) & {BUSY}",
        f"trap '' TERM; setsid sh -c \"trap '' TERM; sleep 1000\" & {BUSY}",
        f"trap '' TERM; sleep 1000 & kill -STOP $!; {BUSY}",
        f"trap 'sleep 1000 & sleep 1000 & exit' TERM; {BUSY}",
        "trap '' TERM; f() { sleep 0.01 & sleep 0.01 & :; }; while :; do f; done",
    ],
    ids=["alone", "tree", "new session", "stopped", "forks when told to end", "forks on and on"],
)
def test_nobody_is_left_of_a_tree(script: str, tmp_path: Path) -> None:
    stopped(script, tmp_path)


def test_with_wait_tree_the_budget_goes_for_those_who_outlive_the_command(tmp_path: Path) -> None:
    stopped(f"setsid sh -c \"trap '' TERM; {BUSY}\" & exit 0", tmp_path, "--wait", "tree")


def test_a_command_that_ends_by_itself_keeps_its_status(tmp_path: Path) -> None:
    answer = run([*ECO2AI, "run", "-q", "--max-energy", "9", "sh", "-c", "exit 7"], cwd=tmp_path)
    assert answer.returncode == 7
    assert only_row(tmp_path / "emission.csv")["stop_reason"] == "exit"


def test_signals_of_the_caller_still_reach_the_command_in_the_grace(tmp_path: Path) -> None:
    script = f"trap 'echo told' TERM; trap 'echo asked; exit 5' INT; {BUSY}"
    command = [*ECO2AI, "run", "-q", *BUDGET, "--grace", "1000", "--", "sh", "-c", script]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"told\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"asked\n"
        assert process.wait(PATIENCE_S) == 124


@pytest.mark.parametrize(
    ("options", "environ", "status", "complaint"),
    [
        (["--max-cost", "3"], {}, 2, "option `--max-cost` needs a price of electricity"),
        ([], {"ECO2AI_BUDGET_COST": "3"}, 125, "`budget.cost` needs a price of electricity"),
        (["--max-energy", "0"], {}, 2, "option `--max-energy` must be a number from"),
        ([], {"ECO2AI_BUDGET_SIGNAL": "TERM,KILL"}, 125, "must be the name of one signal"),
        (["--epochs", "0"], {}, 2, "--epochs"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_the_command_starts(
    options: list[str], environ: dict[str, str], status: int, complaint: str, tmp_path: Path
) -> None:
    command = [*ECO2AI, "run", *options, sys.executable, "-c", "open('started', 'w')"]
    answer = run(command, cwd=tmp_path, env={**os.environ, **environ})
    assert answer.returncode == status
    assert complaint in answer.stderr.decode()
    assert not (tmp_path / "started").exists()


def test_who_asks_us_to_end_need_not_wait_for_the_grace_of_those_who_are_left(
    tmp_path: Path,
) -> None:
    stubborn = "trap '' TERM; sleep 1000"
    script = f"trap 'echo ended; exit' TERM; setsid sh -c \"{stubborn}\" > alive & {BUSY}"
    command = [*ECO2AI, "run", "-q", *BUDGET, "--grace", "1000", "--", "sh", "-c", script]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ended\n"
        assert holders(tmp_path / "alive") != []
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)  # an earlier one may have found the command not yet reaped
    assert process.returncode == 124
    assert holders(tmp_path / "alive") == []
