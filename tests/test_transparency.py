"""The command cannot tell that it is wrapped: each law compares a bare run with a wrapped one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from wrapped import ECO2AI, PATIENCE_S, only_row, run, wrapped

SHOW_ARGV = [sys.executable, "-c", "import sys; print(open('/proc/self/cmdline','rb').read())"]
SHOW_ENVIRONMENT = ["/usr/bin/env", "-0"]
SHOW_SIGNALS = ["/bin/sh", "-c", "exec grep -E '^(Sig|Shd)' /proc/self/status"]


def both(command: list[str], ledger: Path, **options: object) -> tuple[object, object]:
    """Run `command` bare and wrapped; return what each left: status and output."""
    results = [run(line, **options) for line in (command, wrapped(command, ledger))]
    bare, under = ((r.returncode, r.stdout, r.stderr) for r in results)
    return bare, under


@pytest.mark.parametrize(
    "arguments",
    [
        ["plain", "two words", ""],
        ["--", "-q", "--output=x", "--help", "--version"],
        ["naïve", "日本", "🌱", "tab\there", "new\nline", "'\"$`\\"],
        [b"\xff\xfe invalid \x80", b"\xc3"],
        ["*", "~", "%s", "{}"],
    ],
)
def test_arguments_arrive_byte_for_byte(arguments: list[str | bytes], ledger: Path) -> None:
    bare = subprocess.run([*SHOW_ARGV, *arguments], capture_output=True, check=True)
    line = [*wrapped(SHOW_ARGV, ledger), *arguments]
    assert subprocess.run(line, capture_output=True, check=True).stdout == bare.stdout


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"LANG": "C"},
        {"LC_ALL": "C"},
        {"LC_CTYPE": "C"},
        {"LC_ALL": "C.UTF-8", "ODD": "a\nb"},
        {b"BYTES": b"\xff\xfe"},
    ],
)
def test_the_environment_is_the_callers_plus_the_run_id_and_where_marks_go(
    variables: dict[str | bytes, str | bytes], ledger: Path
) -> None:
    kept = ("PATH", "PYTHONPATH", "HOME", "XDG_STATE_HOME")
    base = {name: os.environ[name] for name in kept if name in os.environ}
    outputs = [
        run(line, env=base | variables).stdout
        for line in (SHOW_ENVIRONMENT, wrapped(SHOW_ENVIRONMENT, ledger))
    ]
    bare, under = (set(output.rstrip(b"\0").split(b"\0")) for output in outputs)
    added = under - bare
    assert bare <= under
    assert {item.split(b"=")[0] for item in added} == {b"ECO2AI_RUN_ID", b"ECO2AI_MARK"}


def test_the_working_folder_is_the_callers(tmp_path: Path, ledger: Path) -> None:
    bare, under = both(["pwd", "-P"], ledger, cwd=tmp_path)
    assert under == bare


@pytest.mark.parametrize("closed", [[], [0], [1], [2], [0, 1, 2]])
def test_descriptors_are_the_callers(closed: list[int], ledger: Path, tmp_path: Path) -> None:
    """Also those above 2, and also where the caller closed some of the first three."""
    extra = os.open(os.devnull, os.O_RDONLY)
    shown = tmp_path / "shown"
    program = (
        "import os;"
        "fds = sorted(map(int, os.listdir('/proc/self/fd')));"
        "links = [(n, os.readlink(f'/proc/self/fd/{n}')) for n in fds"
        " if os.path.exists(f'/proc/self/fd/{n}')];"
        f"open({str(shown)!r}, 'w').write(repr([n for n, _ in links]))"
    )
    command = [sys.executable, "-c", program]

    def close_some() -> None:
        for number in closed:
            os.close(number)

    seen = []
    for line in (command, wrapped(command, ledger)):
        subprocess.run(
            line,
            pass_fds=[extra],
            preexec_fn=close_some,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        seen.append(shown.read_text())
    os.close(extra)
    assert seen[1] == seen[0]
    assert str(extra) in seen[0]


def test_process_substitution_works(ledger: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    script = '"$@" cat <(echo one) <(echo two)'
    bare = run([bash, "-c", script, "bash"])
    under = run([bash, "-c", script, "bash", *wrapped([], ledger)])
    assert (under.returncode, under.stdout, under.stderr) == (0, bare.stdout, b"")
    assert bare.stdout == b"one\ntwo\n"


def test_make_shares_its_jobs_through_the_wrapper(tmp_path: Path, ledger: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    inner = 'all: a b\na b:\n\t@test -n "$(findstring jobserver,$(MAKEFLAGS))" && echo $@\n'
    (tmp_path / "inner.mk").write_text(inner)
    outer = "all:\n\t+@$(WRAPPER) $(MAKE) --no-print-directory -f inner.mk\n"
    (tmp_path / "outer.mk").write_text(outer)
    make = ["make", "-j2", "-s", "-f", "outer.mk"]
    bare = run(make, cwd=tmp_path)
    under = run([*make, f"WRAPPER={' '.join(wrapped([], ledger))}"], cwd=tmp_path)
    assert bare.returncode == 0
    assert (under.returncode, sorted(under.stdout), under.stderr) == (
        0,
        sorted(bare.stdout),
        bare.stderr,
    )


def test_standard_streams_pass_through_untouched(ledger: Path) -> None:
    command = ["/bin/sh", "-c", "cat; printf 'no newline' >&2"]
    data = bytes(range(256)) * 1000
    bare, under = both(command, ledger, input=data)
    assert under == bare == (0, data, b"no newline")


def test_nothing_of_ours_is_on_standard_output_even_with_the_summary(ledger: Path) -> None:
    result = run([*ECO2AI, "run", "-o", ledger, "--", "echo", "mine"])
    assert result.stdout == b"mine\n"
    assert b"emissions" in result.stderr


@pytest.mark.parametrize("descriptor", [1, 3])
def test_a_pipe_ends_when_the_command_closes_it(descriptor: int, ledger: Path) -> None:
    """The reader sees the end of file while the command still runs: we hold no end of the pipe."""
    read, write = os.pipe()
    hold, release = os.pipe()
    os.dup2(write, 200)
    program = "import os, sys; os.close(int(sys.argv[1])); os.read(int(sys.argv[2]), 1)"

    def arrange() -> None:
        os.dup2(200, descriptor)
        os.close(200) if descriptor != 200 else None

    process = subprocess.Popen(
        wrapped([sys.executable, "-c", program, descriptor, 190], ledger),
        preexec_fn=lambda: (os.dup2(hold, 190), arrange()),
        close_fds=False,
    )
    os.close(write)
    os.close(200)
    os.close(hold)
    signal.alarm(PATIENCE_S)  # where the law is broken, this read does not return
    try:
        assert os.read(read, 1) == b""
    finally:
        signal.alarm(0)
        os.write(release, b"x")
        os.close(release)
        assert process.wait(PATIENCE_S) == 0
        os.close(read)


def test_the_process_group_and_session_are_the_callers(ledger: Path) -> None:
    command = [sys.executable, "-c", "import os; print(os.getpgrp(), os.getsid(0))"]
    bare, under = both(command, ledger)
    assert under == bare
    assert bare[1].split()[0] == str(os.getpgrp()).encode()


def ignore(*numbers: int) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda: None,
        lambda: ignore(signal.SIGINT, signal.SIGQUIT),
        lambda: ignore(signal.SIGHUP, signal.SIGTSTP, signal.SIGUSR1),
        lambda: ignore(signal.SIGCHLD),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGRTMIN}),
    ],
    ids=["nothing", "as-in-the-background", "as-under-nohup", "children", "blocked"],
)
def test_signal_dispositions_and_mask_are_the_callers(prepare: object, ledger: Path) -> None:
    bare, under = both(SHOW_SIGNALS, ledger, preexec_fn=prepare)
    assert under == bare
    assert b"SigIgn" in bare[1]


@pytest.mark.parametrize("status", [0, 1, 2, 7, 124, 125, 126, 127, 128, 137, 200, 255])
def test_the_exit_status_is_the_commands(status: int, ledger: Path) -> None:
    result = run(wrapped(["/bin/sh", "-c", f"exit {status}"], ledger))
    assert (result.returncode, result.stderr) == (status, b"")
    assert only_row(ledger)["exit_status"] == str(status)


@pytest.mark.parametrize(
    "name", ["HUP", "INT", "ABRT", "KILL", "SEGV", "PIPE", "ALRM", "TERM", "USR1", "RTMIN"]
)
def test_death_by_a_signal_is_seen_as_such(name: str, ledger: Path) -> None:
    number = signal.Signals[f"SIG{name}"]
    result = run(wrapped(["/bin/sh", "-c", f"ulimit -c 0; kill -{int(number)} $$"], ledger))
    assert result.returncode == -number
    row = only_row(ledger)
    assert (row["exit_status"], row["stop_reason"]) == (f"SIG{name}", "signal")


def test_a_shell_reports_the_death_of_the_command(ledger: Path) -> None:
    line = " ".join(wrapped(["/bin/sh", "-c", "'kill -SEGV $$'"], ledger))
    assert run(["/bin/sh", "-c", f"{line}; echo $?"]).stdout == b"139\n"


def test_a_command_that_does_not_exist_is_127(ledger: Path) -> None:
    result = run(wrapped(["no-such-command-anywhere"], ledger))
    assert (result.returncode, result.stdout) == (127, b"")
    assert result.stderr == b"eco2ai: error: command not found: `no-such-command-anywhere`\n"
    assert not ledger.exists()


def test_a_command_that_cannot_be_executed_is_126(tmp_path: Path, ledger: Path) -> None:
    for name, mode in (("file", 0o644), ("folder", None)):
        path = tmp_path / name
        path.mkdir() if mode is None else path.write_text("x")
        result = run(wrapped([path], ledger))
        assert result.returncode == 126
        assert result.stderr.count(b"\n") == 1
    assert not ledger.exists()


def test_a_script_without_a_first_line_runs_as_the_shell_would_run_it(
    tmp_path: Path, ledger: Path
) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$0" "$@"')
    script.chmod(0o755)
    bare = run(["/usr/bin/env", script, "one two"])
    assert run(wrapped([script, "one two"], ledger)).stdout == bare.stdout


def test_a_missing_interpreter_is_127(tmp_path: Path, ledger: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    result = run(wrapped([script], ledger))
    assert result.returncode == 127
    assert b"interpreter" in result.stderr


def test_the_search_path_is_searched_as_execvp_does(tmp_path: Path, ledger: Path) -> None:
    """A file without permission early in the path does not hide a program further on."""
    first, second = tmp_path / "1", tmp_path / "2"
    for folder, mode in ((first, 0o644), (second, 0o755)):
        folder.mkdir()
        tool = folder / "tool"
        tool.write_text("#!/bin/sh\necho found\n")
        tool.chmod(mode)
    path = f"{tmp_path / 'absent'}:{first}:{second}:{os.environ['PATH']}"
    result = run(wrapped(["tool"], ledger), env=os.environ | {"PATH": path})
    assert (result.returncode, result.stdout) == (0, b"found\n")


def test_the_open_files_limit_is_the_callers(ledger: Path) -> None:
    bare, under = both(["/bin/sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -Sc"], ledger)
    assert under == bare


def test_socket_activation_reaches_the_command(ledger: Path) -> None:
    """systemd names the process that it means by its pid: that is us, and must be the command."""
    command = ["/bin/sh", "-c", 'test "$LISTEN_PID" = "$$"']
    line = ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *wrapped(command, ledger)]
    assert run(line).returncode == 0


def test_the_terminal_is_the_commands(ledger: Path) -> None:
    import pexpect

    look = (
        "import os,sys;"
        "print([os.isatty(n) for n in (0,1,2)], os.tcgetpgrp(0) == os.getpgrp(),"
        " os.ttyname(0) == os.ttyname(1), input())"
    )
    shown = []
    for line in ([sys.executable, "-c", look], wrapped([sys.executable, "-c", look], ledger)):
        terminal = pexpect.spawn(line[0], line[1:], timeout=PATIENCE_S, echo=False)
        terminal.sendline("typed")
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 0
        shown.append(terminal.before)
    assert shown[1] == shown[0]
    assert b"[True, True, True] True True typed" in shown[0]
