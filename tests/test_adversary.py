"""Attempts to tell `eco2ai run` from a bare run by what few commands and few callers do."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest
from test_signals import VICTIM, parent_of, shell, state_of, victim_in
from wrapped import ECO2AI, PATIENCE_S, only_row, run, wrapped

from eco2ai_cli.launch.start import child_environment
from eco2ai_cli.processes.finder import Finder

ROOT = Path(__file__).parent.parent
LEAVE = "import os, sys; getattr(os, sys.argv[1])(); os.execv(sys.argv[2], sys.argv[2:])"
"""Leaves its process group by the call that is named, and becomes the command that follows."""


def leaving(call: str, *signals: str) -> list[str]:
    return [sys.executable, "-c", LEAVE, call, *map(str, VICTIM), *signals]


def to_the_pid_then_to_the_group(pid: int, number: int) -> None:
    os.kill(pid, number)  # as timeout(1) does
    time.sleep(0.005)  # else the two would often be one
    os.killpg(pid, number)


@pytest.mark.parametrize("call", ["setpgrp", "setsid"])
@pytest.mark.parametrize("send", [os.kill, to_the_pid_then_to_the_group])
def test_a_command_that_left_the_group_gets_a_signal_once(
    call: str, send: Callable[[int, int], None], ledger: Path
) -> None:
    """It has nothing of what the group is sent: who asks our group only never ends it."""
    line = wrapped(leaving(call, "TERM"), ledger)
    with subprocess.Popen(line, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        send(process.pid, signal.SIGTERM)
        assert process.stdout.readline() == b"SIGTERM\n"
        os.kill(process.pid, signal.SIGRTMIN)
        assert process.stdout.read() == b""
    assert only_row(ledger)["exit_status"] == "0"


def test_the_keys_reach_a_command_that_left_the_group(ledger: Path) -> None:
    """Without us it would have led the group of the job, and could not have left it."""
    with shell() as terminal:
        terminal.sendline(shlex.join(wrapped(leaving("setpgrp", "INT", "CONT"), ledger)))
        victim = victim_in(terminal)
        terminal.send("\x03")
        terminal.expect("SIGINT\r\n")
        terminal.send("\x1a")
        terminal.expect("Stopped")
        assert state_of(victim) == "T"
        terminal.sendline("fg")
        terminal.expect("SIGCONT\r\n")
        os.kill(parent_of(victim), signal.SIGRTMIN)
        terminal.expect("PROMPT> ")
        assert b"SIG" not in terminal.before
    assert only_row(ledger)["exit_status"] == "0"


def test_a_command_that_left_the_group_may_read_the_terminal(ledger: Path) -> None:
    program = "import os; os.setpgrp(); print('read', input('ask: '))"
    with shell() as terminal:
        terminal.sendline(shlex.join(wrapped([sys.executable, "-c", program], ledger)))
        terminal.expect("ask: ")
        terminal.sendline("a line")
        terminal.expect("read a line")
        terminal.expect("PROMPT> ")


def test_an_inner_shell_can_be_suspended_and_resumed(ledger: Path) -> None:
    """It has a group and the terminal of its own, and gets both back."""
    program = (
        "import os, signal;"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN);"
        "os.setpgrp(); os.tcsetpgrp(0, os.getpgrp());"
        "os.kill(os.getpid(), signal.SIGSTOP);"
        "print('has the terminal:', os.tcgetpgrp(0) == os.getpgrp())"
    )
    with shell() as terminal:
        terminal.sendline(shlex.join(wrapped([sys.executable, "-c", program], ledger)))
        terminal.expect("Stopped")
        terminal.expect("PROMPT> ")
        terminal.sendline("fg")
        terminal.expect("has the terminal: True")
        terminal.expect("PROMPT> ")


def test_a_command_that_is_stopped_from_elsewhere_is_resumed_from_there(ledger: Path) -> None:
    """As by cpulimit(1), while a script waits: if we stopped likewise, nobody would resume us."""
    script = shlex.join(wrapped(VICTIM, ledger)) + "; echo status $?"
    terminal = pexpect.spawn("/bin/sh", ["-c", script], timeout=PATIENCE_S, echo=False)
    try:
        victim = victim_in(terminal)
        wrapper = parent_of(victim)
        os.kill(victim, signal.SIGSTOP)
        assert state_of(victim) == "T"
        # It is passed on after we have looked at the stop: signals are taken in their order.
        os.kill(wrapper, signal.SIGRTMIN)
        while not pending(victim) and is_stopped_or_awake(wrapper):
            pass
        os.kill(victim, signal.SIGCONT)
        terminal.expect("status 0")
    finally:
        terminal.close(force=True)


def pending(pid: int) -> bool:
    """Tell whether SIGRTMIN waits to be taken by a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    waiting = int(status.split("ShdPnd:\t", 1)[1].split("\n", 1)[0], 16)
    return bool(waiting >> (signal.SIGRTMIN - 1) & 1)


def is_stopped_or_awake(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
    assert state != "T", "the wrapper stopped, and nobody will resume it"
    return True


START_STOPPED = """
import os, signal
from eco2ai_cli.launch.spawn import Inherited, release, spawn
inherited = Inherited.take()
child = spawn([b"/bin/echo", b"ran"], os.environb, inherited, die_with_us=True)
os.killpg(0, signal.SIGTSTP)
release(child)
os._exit(os.waitpid(child.pid, 0)[1])
"""


def test_ctrl_z_between_fork_and_exec_stops_us_both() -> None:
    line = [sys.executable, "-c", START_STOPPED]
    with subprocess.Popen(line, stdout=subprocess.PIPE, preexec_fn=os.setpgrp) as process:
        assert process.stdout is not None
        try:
            assert state_of(process.pid) == "T"
            os.killpg(process.pid, signal.SIGCONT)
            assert process.stdout.read() == b"ran\n"
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"])
def test_the_callers_timers_run_on_in_the_command(name: str, ledger: Path) -> None:
    """`alarm 60; exec CMD` limits the time of a command; an exec keeps timers, a fork does not."""
    prelude = (
        "import os, signal, sys;"
        f"signal.setitimer(signal.{name}, 5000, 70);"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    look = f"import signal; print([round(s, -2) for s in signal.getitimer(signal.{name})])"
    command = [sys.executable, "-c", look]
    outputs = [
        run([sys.executable, "-c", prelude, *line]).stdout
        for line in (command, wrapped(command, ledger))
    ]
    assert outputs == [b"[5000.0, 100.0]\n"] * 2


@pytest.mark.parametrize("name", ["WATCHDOG_PID", "SYSTEMD_EXEC_PID"])
def test_what_systemd_means_for_a_pid_is_meant_for_the_command(name: str, ledger: Path) -> None:
    command = ["/bin/sh", "-c", f'test "${name}" = "$$"']
    line = ["/bin/sh", "-c", f'{name}=$$ exec "$@"', "sh", *wrapped(command, ledger)]
    assert run(line).returncode == 0


def test_a_variable_without_a_name_does_not_keep_the_command_from_running(ledger: Path) -> None:
    line = [os.fsencode(word) for word in wrapped(["/bin/echo", "ran"], ledger)]
    environ = [b"=odd", *(name + b"=" + value for name, value in os.environb.items())]
    call = (  # Python's own exec functions refuse such an environment
        "import ctypes;"
        "array = lambda words: (ctypes.c_char_p * (len(words) + 1))(*words, None);"
        f"words, environ = {line!r}, {environ!r};"
        "ctypes.CDLL(None).execve(words[0], array(words), array(environ))"
    )
    assert run([sys.executable, "-c", call]).stdout == b"ran\n"


def test_a_lock_that_the_caller_took_is_held_while_the_command_runs(
    ledger: Path, tmp_path: Path
) -> None:
    lock = tmp_path / "lock"
    prelude = (
        "import fcntl, os, sys;"
        f"fd = os.open({str(lock)!r}, os.O_RDWR | os.O_CREAT);"
        "os.set_inheritable(fd, True);"
        "fcntl.lockf(fd, fcntl.LOCK_EX);"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    line = [sys.executable, "-c", prelude, *wrapped([*VICTIM, "USR1"], ledger)]
    with subprocess.Popen(list(map(str, line)), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGUSR1)
        assert process.stdout.readline() == b"SIGUSR1\n"  # we have let go what we let go
        with lock.open("r+") as file, pytest.raises(BlockingIOError):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(process.pid, signal.SIGRTMIN)


def test_an_empty_name_is_a_command_that_does_not_exist(ledger: Path) -> None:
    assert run(wrapped([""], ledger)).returncode == run(["env", ""]).returncode == 127


def test_a_core_dump_is_the_commands_alone(ledger: Path, tmp_path: Path) -> None:
    """Also where dumps go through a pipe to a collector, which no limit keeps them from."""
    script = f'cd {shlex.quote(str(tmp_path))}; ulimit -c "$(ulimit -H -c)"; exec "$@"'
    line = ["/bin/sh", "-c", script, "sh", *wrapped(["sh", "-c", "kill -SEGV $$"], ledger)]
    pid = os.posix_spawn(line[0], line, os.environ)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGSEGV
    assert not os.WCOREDUMP(status)


def test_without_procfs_descriptors_are_let_go_all_the_same(tmp_path: Path) -> None:
    read, write = os.pipe()
    program = (
        "import os, signal; from eco2ai_cli.launch.descriptors import let_go;"
        f"let_go({str(tmp_path / 'missing')!r}); os.write(2, b'let go'); signal.pause()"
    )
    line = [sys.executable, "-c", program]
    with subprocess.Popen(line, pass_fds=[write], stderr=subprocess.PIPE) as process:
        os.close(write)
        try:
            assert process.stderr is not None
            assert process.stderr.read(6) == b"let go"
            assert os.read(read, 1) == b""
        finally:
            process.kill()
            os.close(read)


def test_without_procfs_the_environment_is_what_we_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_CTYPE", "C.UTF-8")
    monkeypatch.setenv("PLAIN", "kept")
    assert child_environment("run", given=str(tmp_path / "missing"))[b"PLAIN"] == b"kept"


def test_without_procfs_nobody_is_found(tmp_path: Path) -> None:
    finder = Finder(os.getpid(), str(tmp_path / "missing"), None)
    assert list(finder.newborns({}, {os.getpid(): 1})) == []


def test_a_full_pipe_that_nobody_reads_holds_us_up_no_longer_than_the_command(
    ledger: Path,
) -> None:
    """The caller reads the messages when all has ended; the command itself wrote none."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writes, b"x" * 1000):
            pass
    os.set_blocking(writes, True)
    line = [word for word in wrapped(["true"], ledger) if word != "-q"]
    with subprocess.Popen(line, stderr=writes) as process:
        assert process.wait(PATIENCE_S) == 0
    os.close(writes)
    os.close(reads)
    assert only_row(ledger)["exit_status"] == "0"


def test_modules_of_the_user_do_not_become_ours(ledger: Path, tmp_path: Path) -> None:
    for name in ("click", "uuid", "contextlib", "resource"):  # as the console script starts us
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not yours')\n")
    show = ["sh", "-c", 'echo "$PYTHONPATH"']
    environ = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    main = "from eco2ai_cli.__main__ import main; main()"
    line = [sys.executable, "-c", main, *wrapped(show, ledger)[len(ECO2AI) :]]
    answer = run(line, env=environ)
    assert (answer.returncode, answer.stdout) == (0, f"{tmp_path}:{ROOT}\n".encode())


def test_a_removed_working_folder_is_said_in_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    script = f"cd {folder} && rmdir {folder} && {shlex.join([*ECO2AI, 'run', '--', 'true'])}"
    answer = run(["sh", "-c", script], env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert answer.returncode in (2, 125)
    assert answer.stderr.startswith(b"eco2ai: error: ")


CTRL_C_AT_IMPORT = """
import os, signal, sys

class Keyboard:
    def find_spec(self, name, *_):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Keyboard())
from eco2ai_cli.__main__ import main
main()
"""


def test_ctrl_c_during_our_imports_shows_no_traceback() -> None:
    answer = run([sys.executable, "-c", CTRL_C_AT_IMPORT, "run", "--", "true"], cwd=ROOT)
    assert (answer.returncode, answer.stderr) == (-signal.SIGINT, b"")
