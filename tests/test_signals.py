"""What is done to us happens to the command once; what it does, our caller sees."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from wrapped import HERE, PATIENCE_S, only_row, run, wrapped

VICTIM = [sys.executable, HERE / "victim.py"]
Sender = Callable[[int, int], object]


class Wrapped:
    """A victim under eco2ai, in a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.process = process
        self.output = process.stdout
        self.victim = int(self.output.readline().split()[1])

    def arrivals(self) -> list[bytes]:
        """End the victim, and return what its handlers saw.

        SIGRTMIN goes the way of the others and is the last in the order in which signals are
        taken: when the victim has it, the wrapper has dealt with all that came before.
        """
        os.kill(self.process.pid, signal.SIGRTMIN)
        return self.output.read().split()


@contextlib.contextmanager
def started(ledger: Path, *signals: str, options: tuple[str, ...] = ()) -> Iterator[Wrapped]:
    line = wrapped([*VICTIM, *signals], ledger, *options)
    with subprocess.Popen(line, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            yield Wrapped(process)
        finally:
            process.kill()


def group_members(pgid: int) -> list[int]:
    """Return the processes of a group, in the order of `/proc`."""
    members = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(int(name)) == pgid:
                    members.append(int(name))
    return members


def to_each_of_the_group(pid: int, number: int) -> None:
    for member in group_members(pid):
        os.kill(member, number)


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "USR1", "QUIT", "CONT"])
@pytest.mark.parametrize(
    "send",
    [os.kill, os.killpg, to_each_of_the_group],
    ids=["to-our-pid", "to-the-group", "pid-by-pid"],
)
def test_a_signal_reaches_the_command_once(name: str, send: Sender, ledger: Path) -> None:
    with started(ledger, name) as job:
        send(job.process.pid, signal.Signals[f"SIG{name}"])
        assert job.arrivals() == [f"SIG{name}".encode()]
        assert job.process.wait(PATIENCE_S) == 0
    assert only_row(ledger)["exit_status"] == "0"


def test_two_signals_to_our_pid_are_two_for_the_command(ledger: Path) -> None:
    with started(ledger, "USR1", "USR2") as job:
        os.kill(job.process.pid, signal.SIGUSR1)
        assert job.output.readline() == b"SIGUSR1\n"
        os.kill(job.process.pid, signal.SIGUSR1)
        assert job.output.readline() == b"SIGUSR1\n"
        assert job.arrivals() == []


def test_a_signal_from_the_tree_itself_is_not_passed_on(ledger: Path) -> None:
    """A script that signals its parent does not want to be signalled back."""
    script = "trap 'echo twice' USR1; kill -USR1 $PPID; sleep 0.2 & wait; echo end"
    assert run(wrapped(["/bin/sh", "-c", script], ledger)).stdout == b"end\n"


def test_a_signal_from_a_child_that_was_just_born_is_not_passed_on(ledger: Path) -> None:
    script = "/bin/kill -USR1 $PPID; echo end"
    assert run(wrapped(["/bin/sh", "-c", script], ledger)).stdout == b"end\n"


@pytest.mark.parametrize("waiting_s", [0, 0.7], ids=["amid our start", "while we wait"])
def test_a_signal_to_the_group_is_not_passed_on_however_late_we_take_it(
    waiting_s: float, ledger: Path
) -> None:
    """We were stopped when it came: the command has had it for long."""
    with started(ledger, "USR1") as job:
        time.sleep(waiting_s)
        os.kill(job.process.pid, signal.SIGSTOP)
        assert state_of(job.process.pid) == "T"
        os.killpg(job.process.pid, signal.SIGUSR1)
        assert job.output.readline() == b"SIGUSR1\n"
        time.sleep(0.5)  # longer than any tolerance of the wrapper's
        os.kill(job.process.pid, signal.SIGCONT)
        assert job.arrivals() == []


@pytest.mark.parametrize("options", [[], ["--foreground"]])
def test_timeout_ends_the_command_once(options: list[str], ledger: Path) -> None:
    line = ["timeout", *options, "-s", "TERM", "1.5", *wrapped([*VICTIM, "TERM"], ledger)]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        victim = int(process.stdout.readline().split()[1])
        assert process.stdout.readline() == b"SIGTERM\n"
        # The wrapper has taken the signal when it answers a later one.
        os.kill(parent_of(victim), signal.SIGRTMIN)
        assert process.stdout.read() == b""
        assert process.wait(PATIENCE_S) == 124
    assert only_row(ledger)["exit_status"] == "0"


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])


@contextlib.contextmanager
def shell() -> Iterator[pexpect.spawn]:
    """An interactive bash with job control in a terminal."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    terminal = pexpect.spawn(bash, ["--norc", "--noprofile", "-i"], timeout=PATIENCE_S, echo=False)
    try:
        terminal.sendline("PS1='PROMPT> '; bind 'set enable-bracketed-paste off'; stty -echo")
        terminal.expect("PROMPT> ")
        terminal.expect("PROMPT> ") if terminal.before.strip().endswith(b"PS1=") else None
        yield terminal
    finally:
        terminal.close(force=True)


def in_shell(ledger: Path, *signals: str) -> str:
    return " ".join(wrapped([*VICTIM, *signals], ledger))


def victim_in(terminal: pexpect.spawn) -> int:
    terminal.expect(rb"ready (\d+)\r\n")
    return int(terminal.match.group(1))


@pytest.mark.parametrize(("key", "name"), [("\x03", "INT"), ("\x1c", "QUIT")])
def test_a_key_of_the_terminal_reaches_the_command_once(key: str, name: str, ledger: Path) -> None:
    with shell() as terminal:
        terminal.sendline(f"{in_shell(ledger, name)}; echo status $?")
        victim = victim_in(terminal)
        terminal.send(key)
        terminal.expect(f"SIG{name}\r\n")
        os.kill(parent_of(victim), signal.SIGRTMIN)
        terminal.expect(r"status (\d+)")
        assert terminal.match.group(1) == b"0"
        assert b"SIG" not in terminal.before
    assert only_row(ledger)["exit_status"] == "0"


def test_ctrl_z_stops_both_and_fg_resumes_both_once(ledger: Path) -> None:
    with shell() as terminal:
        terminal.sendline(in_shell(ledger, "CONT"))
        victim = victim_in(terminal)
        for _ in range(2):
            terminal.send("\x1a")
            terminal.expect("Stopped")
            terminal.expect("PROMPT> ")
            assert state_of(victim) == state_of(parent_of(victim)) == "T"
            terminal.sendline("fg")
            terminal.expect("SIGCONT\r\n")
        os.kill(parent_of(victim), signal.SIGRTMIN)
        terminal.expect("PROMPT> ")
        assert b"SIG" not in terminal.before
    assert only_row(ledger)["exit_status"] == "0"


def state_of(pid: int) -> str:
    """Return the state of a process, waiting a moment for a stop to be complete."""
    until = time.monotonic() + 5
    while True:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
        if state == "T" or time.monotonic() > until:
            return state


def test_a_job_that_ignores_ctrl_z_goes_on_in_the_foreground(ledger: Path) -> None:
    with shell() as terminal:
        terminal.sendline(in_shell(ledger, "TSTP"))
        victim = victim_in(terminal)
        terminal.send("\x1a")
        terminal.expect("SIGTSTP\r\n")
        os.kill(parent_of(victim), signal.SIGRTMIN)
        terminal.expect("PROMPT> ")
        assert b"Stopped" not in terminal.before
        assert b"SIG" not in terminal.before


def test_a_command_that_stops_itself_is_stopped_for_the_shell(ledger: Path) -> None:
    line = " ".join(wrapped(["sh", "-c", "'kill -STOP $$; echo resumed'"], ledger))
    with shell() as terminal:
        terminal.sendline(line)
        terminal.expect("Stopped")
        terminal.expect("PROMPT> ")
        terminal.sendline("fg")
        terminal.expect("resumed")
        terminal.expect("PROMPT> ")
    assert only_row(ledger)["exit_status"] == "0"


def test_kill_of_a_shell_job_reaches_the_command_once(ledger: Path) -> None:
    with shell() as terminal:
        terminal.sendline(f"{in_shell(ledger, 'TERM')} &")
        victim = victim_in(terminal)
        terminal.sendline("kill %1")
        terminal.expect("SIGTERM\r\n")
        os.kill(parent_of(victim), signal.SIGRTMIN)
        terminal.sendline("wait; echo over")
        terminal.expect("over")
        assert b"SIG" not in terminal.before
    assert only_row(ledger)["exit_status"] == "0"


def test_a_command_in_the_background_that_reads_the_terminal_is_stopped(ledger: Path) -> None:
    with shell() as terminal:
        terminal.sendline(" ".join(wrapped(["cat"], ledger)) + " &")
        terminal.expect(r"\[1\] (\d+)")
        assert state_of(int(terminal.match.group(1))) == "T"
        terminal.sendline("")  # bash tells of jobs before a prompt
        terminal.expect("Stopped")
        terminal.sendline("fg")
        terminal.sendline("typed")
        terminal.expect("typed")
        terminal.sendeof()
        terminal.expect("PROMPT> ")
    assert only_row(ledger)["exit_status"] == "0"


@pytest.mark.parametrize("we_lead_the_session", [True, False])
def test_a_hang_up_ends_the_command_as_it_would_without_us(
    we_lead_the_session: bool, ledger: Path, tmp_path: Path
) -> None:
    """The kernel tells the leader of the session alone, and the others when that one ends."""
    notes = tmp_path / "notes"
    script = f"trap 'echo HUP >> {notes}; kill $!; exit 3' HUP; sleep 60 & echo ready; wait"
    line = wrapped(["/bin/sh", "-c", script], ledger)
    if not we_lead_the_session:
        line = ["/bin/sh", "-c", '"$@"; exit $?', "sh", *line]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(line[0], line)
    seen = b""
    while b"ready" not in seen:
        seen += os.read(terminal, 1000)
    os.close(terminal)
    os.waitpid(pid, 0)
    assert wait_for(notes) == "HUP\n"
    wait_for(ledger)
    assert only_row(ledger)["exit_status"] == "3"


def wait_for(path: Path) -> str:
    """Return the content of a file as soon as it has one."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if path.exists() and path.read_text():
            return path.read_text()
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")


def test_killing_us_kills_the_command(ledger: Path) -> None:
    with started(ledger) as job:
        job.process.kill()
        assert job.output.read() == b""  # the end of file: nobody of the job is left
        assert job.process.wait(PATIENCE_S) == -signal.SIGKILL


def test_on_death_keep_leaves_the_command_alive(ledger: Path) -> None:
    with started(ledger, options=("--on-death", "keep")) as job:
        job.process.kill()
        job.process.wait(PATIENCE_S)
        os.kill(job.victim, signal.SIGTERM)
        os.kill(job.victim, signal.SIGRTMIN)
        assert job.output.read() == b"SIGTERM\n"


def test_nobody_else_is_left_when_we_end(ledger: Path) -> None:
    with started(ledger) as job:
        group = job.process.pid
        job.arrivals()
        job.process.wait(PATIENCE_S)
        assert group_members(group) == []


def test_a_storm_of_signals_does_not_hold_up_the_end(ledger: Path, tmp_path: Path) -> None:
    """Of the signals that are pending the lowest number comes first: SIGTERM before SIGCHLD."""
    ready = tmp_path / "ready"
    script = f"trap : TERM; touch {ready}; for i in 1 2 3 4 5; do sleep 0.05; done; exit 3"
    process = subprocess.Popen(wrapped(["sh", "-c", script], ledger))
    deadline_s = time.monotonic() + PATIENCE_S
    while not ready.exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    while process.poll() is None:
        assert time.monotonic() < deadline_s
        process.send_signal(signal.SIGTERM)
        time.sleep(0.002)
    assert process.returncode in (3, 128 + signal.SIGTERM, -signal.SIGTERM)
