"""The live view on real terminals: what the command writes is on the screen as without us."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from terminal import PANEL, Terminal, touch
from wrapped import ECO2AI, PATIENCE_S, only_row, rows, wrapped

DRAWN = b" eco2ai "
"""Each drawing of the panel contains it once."""
WAIT = """
import os, sys, time
def wait(name="go"):
    sys.stdout.flush()
    while not os.path.exists(os.path.join(sys.argv[1], name)):
        time.sleep(0.01)
def say(*words):
    print(*words, flush=True)
"""
"""What the programs below begin with; `wait` until the test lets them go on."""

PROGRAMS = {
    "prints": """
for n in range(40): say("line", n)
wait()
for n in range(40): say("line", n)
""",
    "few-lines": "say('one'); wait(); say('two')",
    "half-a-line": """
for n in range(30): say("line", n)
print("half a li", end=""); wait(); say("ne"); say("next")
""",
    "a-line-as-wide-as-the-terminal": "say('x' * 79); wait(); say('y' * 80); say('z' * 81)",
    "one-bar": """
say("training")
for n in range(101):
    print(f"\\r{n:3}%|{'#' * (n // 2):50}|", end="", flush=True)
    if n == 50: wait()
say(); say("trained")
""",
    "nested-bars": """
for epoch in range(30):
    print(f"\\repoch {epoch}/30 {'#' * epoch}", end="")
    for batch in range(10):
        print(f"\\n\\rbatch {batch}/10 {'=' * batch}\\x1b[A", end="", flush=True)
    if epoch == 15: wait()
print("\\n"); say("trained")
""",
    "colours": """
for n in range(40): print(f"\\x1b[3{n % 8};1mcolour {n}\\x1b[0m plain")
print("\\x1b[41mred", end=""); wait(); say(" still red\\x1b[0m")
for n in range(40): print(f"\\x1b[4{n % 8}mcolour {n}\\x1b[0m plain")
""",
    "a-title": "say('one'); wait(); say('\\x1b]0;a title\\x07two')",
    "wide-characters": """
for n in range(30): say("数字 🎉 é", n)
wait()
for n in range(30): say("数字 🎉 é", n)
""",
}

CLEARING = {"clear": "\\x1b[2J\\x1b[H", "reset": "\\x1bc"}


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """The file that a program waits for."""
    return tmp_path / "go"


def program(source: str, go: Path) -> list[Any]:
    return [sys.executable, "-c", WAIT + source, go.parent]


def live(command: list[Any], ledger: Path, *options: str) -> list[str]:
    """Return the command line that runs `command` with the live view, without the summary."""
    return wrapped(command, ledger, "--live", *options)


def cells(terminal: Terminal) -> list[Any]:
    """Return all that has been written, with its colours."""
    screen = terminal.screen
    past = [[line[x] for x in range(screen.columns)] for line in screen.history.top]
    present = [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines)]
    blank = [screen.default_char] * screen.columns
    written = past + present
    while written and written[-1] == blank:
        written.pop()
    return written


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_a_program_writes_is_there_as_without_us(name: str, go: Path, ledger: Path) -> None:
    command = program(PROGRAMS[name], go)
    watched = Terminal(live(command, ledger))
    watched.until_shown(PANEL)
    touch(go)
    assert watched.finish() == 0
    bare = Terminal(command)
    assert bare.finish() == 0
    assert watched.lines == bare.lines
    assert cells(watched) == cells(bare)
    assert watched.is_whole
    assert watched.panels == 0
    assert (watched.screen.cursor.x, watched.screen.cursor.attrs) == (
        bare.screen.cursor.x,
        bare.screen.cursor.attrs,
    )
    assert only_row(ledger)["caveats"].count("internal-error") == 0


@pytest.mark.parametrize("how", CLEARING)
def test_a_program_may_clear_the_screen(how: str, go: Path, ledger: Path) -> None:
    """From then on all is as without us, even where it runs over our rows before we draw again."""
    source = f"""
for n in range(30): say("before", n)
wait(); say("{CLEARING[how]}first")
for n in range(40): say("more", n)
wait("end")
for n in range(50): say("after", n)
"""
    watched = Terminal(live(program(source, go), ledger))
    watched.until_shown(PANEL)
    touch(go)
    watched.until_shown("more 39")
    watched.until_shown(PANEL)
    touch(go.with_name("end"))
    assert watched.finish() == 0
    expected = ["first", *(f"more {n}" for n in range(40)), *(f"after {n}" for n in range(50))]
    assert watched.lines[-len(expected) :] == expected


def test_100_000_lines_at_full_speed_are_all_there(go: Path, ledger: Path) -> None:
    source = "wait()\nfor n in range(100_000): print(n)\n"
    watched = Terminal(live(program(source, go), ledger))
    watched.until_shown(PANEL)
    touch(go)
    assert watched.finish() == 0
    assert watched.output.count(DRAWN) > 2
    assert watched.lines == [str(n) for n in range(100_000)]


def test_a_prompt_is_answered_as_without_us(go: Path, ledger: Path) -> None:
    source = "name = input('name? '); say('hello', name); wait()"
    watched = Terminal(live(program(source, go), ledger))
    watched.until_shown(PANEL)
    watched.send("Ada\n")
    watched.until_shown("hello")
    touch(go)
    assert watched.finish() == 0
    assert watched.lines == ["name? Ada", "hello Ada"]


def test_nothing_is_drawn_on_while_a_program_takes_the_keys_one_by_one(
    go: Path, ledger: Path
) -> None:
    """A line editor or a full-screen program; one that saw too few rows is made to look again."""
    source = """
import signal, termios, tty
signal.signal(signal.SIGWINCH, lambda *_: say("look again"))
for n in range(30): say("line", n)
before = termios.tcgetattr(0)
wait(); tty.setcbreak(0); wait("on")
termios.tcsetattr(0, termios.TCSANOW, before); wait("end"); say("end")
"""
    watched = Terminal(live(program(source, go), ledger))
    watched.until_shown(PANEL)
    touch(go)
    watched.until_shown("look again")
    assert watched.panels == 0
    assert watched.is_whole
    drawn = watched.output.count(b"\x1b7")
    touch(go.with_name("on"))
    watched.until_shown(PANEL)
    touch(go.with_name("end"))
    assert watched.finish() == 0
    assert watched.lines == [*(f"line {n}" for n in range(30)), "look again", "end"]
    assert drawn < watched.output.count(b"\x1b7")


def test_a_full_screen_program_has_every_row_and_leaves_none_of_ours(
    go: Path, ledger: Path
) -> None:
    source = """
import signal, termios, tty
def paint(*_):
    rows = "\\r\\n".join(f"full {n}" for n in range(os.get_terminal_size().lines))
    print("\x1b[2J\x1b[H" + rows, end="", flush=True)
for n in range(30): say("line", n)
before = termios.tcgetattr(0)
wait(); signal.signal(signal.SIGWINCH, paint); tty.setcbreak(0)
print("\x1b[?1049h", end=""); paint(); wait("quit")
termios.tcsetattr(0, termios.TCSANOW, before)
print("\x1b[?1049l", end=""); wait("back"); say("back"); wait("end"); say("end")
"""
    watched = Terminal(live(program(source, go), ledger))
    watched.until_shown(PANEL)
    touch(go)
    watched.until(lambda: watched.rows == [f"full {n}" for n in range(24)])
    touch(go.with_name("quit"))
    watched.until_shown("line 29")
    watched.until_gone(PANEL)
    touch(go.with_name("back"))
    watched.until_shown("back")
    watched.until_shown(PANEL)
    touch(go.with_name("end"))
    assert watched.finish() == 0
    assert watched.lines == [*(f"line {n}" for n in range(30)), "back", "end"]


def test_an_interactive_python_has_the_whole_terminal(ledger: Path) -> None:
    watched = Terminal(live([sys.executable, "-i", "-c", "import readline, time"], ledger), rows=20)
    watched.until_shown(">>>")
    watched.send("time.sleep(1.5)\n")
    watched.until_shown(PANEL)
    watched.until_gone(PANEL)
    watched.send("[print(n) for n in range(40)][:0]\n")
    watched.until_shown("[]")
    watched.send("exit()\n")
    assert watched.finish() == 0
    assert [line for line in watched.lines if line.isdigit()] == [str(n) for n in range(40)]
    assert watched.panels == 0


@pytest.mark.parametrize("size", [(100, 40), (60, 21), (80, 12), (40, 24)])
def test_the_panel_follows_the_size_of_the_terminal(
    size: tuple[int, int], go: Path, ledger: Path
) -> None:
    source = "for n in range(50): say('line', n)\nwait(); say('end')"
    watched = Terminal(live(program(source, go), ledger))
    watched.until_shown(PANEL)
    watched.resize(*size)
    watched.until(lambda: " CPU " in "".join(watched.rows[-6:]) or " W" in watched.rows[-1])
    watched.until(lambda: watched.screen.margins is not None)
    assert watched.panels == (size[1] >= 20)
    touch(go)
    assert watched.finish() == 0
    assert watched.is_whole
    assert watched.panels == 0
    assert watched.lines[-1] == "end"


def test_a_terminal_too_small_for_it_has_no_panel_until_it_has_grown(
    go: Path, ledger: Path
) -> None:
    source = "for n in range(50): say('line', n)\nwait(); say('end')"
    watched = Terminal(live(program(source, go), ledger))
    watched.until_shown(PANEL)
    watched.resize(10, 4)
    watched.until(lambda: watched.rows[:3] == ["line 47", "line 48", "line 49"])
    assert watched.is_whole
    watched.resize(80, 24)
    watched.until_shown(PANEL)
    touch(go)
    assert watched.finish() == 0
    assert watched.lines[-2:] == ["line 49", "end"]
    assert watched.is_whole


@pytest.fixture
def shell() -> Terminal:
    """An interactive bash, in which a job can be stopped and resumed."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    terminal = Terminal([bash, "--norc", "--noediting"], environ={"PS1": "$ "})
    terminal.until_shown("$")
    return terminal


def type_in(shell: Terminal, command: list[Any], ledger: Path, end: str = "") -> None:
    """Have the shell run `command` with the live view by a line that is short."""
    script = ledger.with_name("job.sh")
    script.write_text(f"#!/bin/sh\nexec {shlex.join(live(command, ledger))}\n")
    script.chmod(0o755)
    shell.send(f"{script}{end}\n")


def test_a_stopped_command_leaves_the_terminal_to_the_shell(
    shell: Terminal, go: Path, ledger: Path
) -> None:
    source = "for n in range(30): say('line', n)\nwait(); say('end')"
    type_in(shell, program(source, go), ledger)
    shell.until_shown(PANEL)
    shell.send("\x1a")
    shell.until_shown("Stopped")
    assert shell.panels == 0
    assert shell.is_whole
    shell.send("seq 101 160\n")
    shell.until(lambda: "160" in shell.rows and shell.lines[-1].startswith("$"))
    assert shell.lines[-61:-1] == [str(n) for n in range(101, 161)]
    shell.send("fg\n")
    shell.until_shown(PANEL)
    touch(go)
    shell.until_shown("end")
    shell.until_gone(PANEL)
    shell.send("exit\n")
    assert shell.finish() == 0
    assert shell.is_whole


def test_a_command_in_the_background_draws_nothing_until_it_has_the_terminal(
    shell: Terminal, go: Path, ledger: Path
) -> None:
    type_in(shell, program("wait()", go), ledger, " &")
    # What is drawn at all is drawn after a second: the shell itself is the clock.
    shell.send("sleep 2.5; echo awa''ke\n")
    shell.until_shown("awake")
    assert b"\x1b7" not in shell.output
    shell.send("fg\n")
    shell.until_shown(PANEL)
    touch(go)
    shell.until_gone(PANEL)
    shell.send("exit\n")
    assert shell.finish() == 0


def is_restored(watched: Terminal) -> bool:
    """Tell whether there is nothing of us, and twice as many lines as there are rows all scroll."""
    after = [f"after {n}" for n in range(2 * watched.screen.lines)]
    watched.write("\r\n".join(["", *after]))
    return watched.panels == 0 and watched.lines[-len(after) :] == after


@pytest.mark.parametrize("how", ["ctrl-c", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1"])
def test_the_terminal_is_restored_when_the_command_is_killed(
    how: str, go: Path, ledger: Path
) -> None:
    watched = Terminal(live(["sleep", "60"], ledger))
    watched.until_shown(PANEL)
    if how == "ctrl-c":
        watched.send("\x03")
    else:
        watched.kill(signal.Signals[how])
    number = signal.SIGINT if how == "ctrl-c" else signal.Signals[how]
    assert watched.finish() == -number
    assert is_restored(watched)
    assert only_row(ledger)["exit_status"] == number.name


@pytest.mark.parametrize("method", ["launch.wait.Waiter._look_after_children", "live.Live.state"])
def test_the_terminal_is_restored_after_a_fault_of_ours(
    method: str, go: Path, ledger: Path
) -> None:
    """From the moment on at which the file is there, a method of ours raises."""
    module, owner, name = f"eco2ai_cli.{method}".rsplit(".", 2)
    script = ledger.with_name("faulty.py")
    script.write_text(
        f"""
import importlib, os
owner = importlib.import_module({module!r}).{owner}
whole = owner.{name}
def faulty(*arguments):
    if os.path.exists({str(go)!r}):
        raise RuntimeError("a fault")
    return whole(*arguments)
owner.{name} = faulty
from eco2ai_cli.cli import main
main()
"""
    )
    command = live(program("wait('end'); say('end'); sys.exit(3)", go), ledger)
    watched = Terminal([sys.executable, script, *command[len(ECO2AI) :]])
    watched.until_shown(PANEL)
    touch(go)
    if owner == "Live":
        watched.until_gone(PANEL)
    touch(go.with_name("end"))
    assert watched.finish() == 3
    assert "internal-error" in only_row(ledger)["caveats"]
    assert is_restored(watched)


def test_a_stopped_terminal_holds_up_neither_us_nor_the_command(go: Path, ledger: Path) -> None:
    """Ctrl-S: whoever writes waits."""
    watched = Terminal(live(program("wait()", go), ledger))
    watched.until_shown(PANEL)
    watched.send("\x13")
    time.sleep(2.2)  # in which something is to be drawn, and cannot
    touch(go)
    until_s = time.monotonic() + PATIENCE_S
    while not (ledger.exists() and rows(ledger)) and time.monotonic() < until_s:
        time.sleep(0.02)
    assert only_row(ledger)["exit_status"] == "0"
    watched.finish()


def test_of_two_runs_on_one_terminal_one_is_shown(shell: Terminal, go: Path, ledger: Path) -> None:
    inner = live(program("wait()", go), ledger)
    type_in(shell, inner, ledger)
    shell.until_shown(PANEL)
    shell.until(lambda: shell.output.count(DRAWN) > 3)
    assert shell.panels == 1
    assert any(" 3 processes" in row for row in shell.rows)
    assert b" 1 \x1b[2mprocess" not in shell.output
    touch(go)
    shell.until_gone(PANEL)
    shell.send("exit\n")
    shell.finish()


NOT_SHOWN: dict[str, tuple[dict[str, str], list[str], str]] = {
    "a terminal that cannot move its cursor": ({"TERM": "dumb"}, ["--live"], ""),
    "no TERM": ({"TERM": ""}, ["--live"], ""),
    "continuous integration": ({"CI": "true"}, [], ""),
    "GitHub": ({"GITHUB_ACTIONS": "true"}, [], ""),
    "--no-live": ({}, ["--no-live"], ""),
    "the environment": ({"ECO2AI_RUN_LIVE": "false"}, [], ""),
    "--quiet": ({}, ["-q"], ""),
    "standard error elsewhere": ({}, ["--live"], "2>/dev/null"),
    "both elsewhere": ({}, ["--live"], ">/dev/null 2>&1"),
}
SHOWN: dict[str, tuple[dict[str, str], list[str], str]] = {
    "as a rule": ({}, [], ""),
    "standard output elsewhere": ({}, [], ">/dev/null"),
    "CI, but asked for": ({"CI": "true"}, ["--live"], ""),
    "CI=false": ({"CI": "false"}, [], ""),
    "quiet, but asked for": ({}, ["-q", "--live"], ""),
    "no colour": ({"NO_COLOR": "1"}, [], ""),
    "an old character set": ({"PYTHONIOENCODING": "latin-1"}, ["-q", "--live"], ""),
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What came of commands of 3 s under all these circumstances, run side by side."""
    terminals = {}
    for name, (environ, options, redirection) in (NOT_SHOWN | SHOWN).items():
        folder = tmp_path_factory.mktemp("run")
        words = [*ECO2AI, "run", "-o", str(folder / "l.csv"), *options, "--", "sleep", "3"]
        root = {"PYTHONPATH": str(Path(__file__).parent.parent), "HOME": str(folder)}
        command = ["/bin/sh", "-c", f"{shlex.join(words)} {redirection}"]
        terminals[name] = Terminal(command, environ=root | environ)
    for terminal in terminals.values():
        assert terminal.finish() == 0
    return {name: terminal.output for name, terminal in terminals.items()}


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_nothing_is_drawn_where_it_is_not_wanted(name: str, outputs: dict[str, bytes]) -> None:
    assert b"\x1b7" not in outputs[name]


@pytest.mark.parametrize("name", SHOWN)
def test_the_panel_is_drawn_on_a_terminal(name: str, outputs: dict[str, bytes]) -> None:
    assert b"\x1b7" in outputs[name]
    assert b" eco2ai " in outputs[name]


def test_without_colour_there_is_none(outputs: dict[str, bytes]) -> None:
    assert b"\x1b[36m" in outputs["as a rule"]
    assert b"\x1b[36m" not in outputs["no colour"]


def test_a_terminal_that_is_not_of_unicode_gets_what_it_can_show(
    outputs: dict[str, bytes],
) -> None:
    output = outputs["an old character set"].decode("latin-1")
    assert "[2m--\x1b[0m" in output
    assert set(output) - set(map(chr, range(128))) == {"µ"}


def test_a_short_command_leaves_no_trace(ledger: Path) -> None:
    watched = Terminal(live(["sleep", "0.7"], ledger))
    assert watched.finish() == 0
    assert watched.output == b""
