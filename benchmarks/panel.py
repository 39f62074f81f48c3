"""What does the live panel take of a core, drawing once a second?

Three answers: the CPU time of a drawing, on a terminal that reads at once; that of a look at
whether the terminal is still ours, 5 a second; and `eco2ai run` beside an idle command on a
terminal, with the panel and without it.
"""

from __future__ import annotations

import fcntl
import os
import pty
import resource
import struct
import termios
import threading
import time
from collections.abc import Callable

from timing import eco2ai_run, empty_folder, introduce, judge, show

COLUMNS, ROWS = 120, 40
WATCHED_S = 30.0
DRAWINGS = 200


def main() -> None:
    introduce(f"the live panel on a terminal of {COLUMNS} x {ROWS}, at 1 Hz")
    parts = _in_a_terminal(_parts)
    drawing_s, look_s = map(float, parts.split())
    show("a drawing, CPU", [drawing_s], "ms", 1e3)
    show("a look at the terminal, CPU", [look_s], "ms", 1e3)
    with empty_folder():
        without, with_it = (_of_a_core(option) for option in ("--no-live", "--live"))
    for name, (cpu_s, peak_bytes) in (("--no-live", without), ("--live", with_it)):
        show(f"eco2ai run {name}, share of one core", [100 * cpu_s / WATCHED_S], "%")
        show(f"eco2ai run {name}, peak resident memory", [peak_bytes / 1e6], "MB")
    print()
    judge("a drawing and 5 looks a second", 100 * (drawing_s + 5 * look_s), "%", at_most=0.5)
    difference = 100 * (with_it[0] - without[0]) / WATCHED_S
    judge("the panel by the difference of two runs", difference, "%", at_most=0.5)


def _parts() -> str:
    """Return the CPU seconds of a drawing and of a look, in words; runs on a terminal."""
    from eco2ai_cli.dashboard import Gpu, State, panel
    from eco2ai_cli.screen import open_screen

    gpu = Gpu("NVIDIA H100 80GB HBM3", 312.4, 98.0, 41.2e9, 64.0)
    powers = tuple(float(n % 8) for n in range(48))
    state = State(
        725.0, 42.3, powers, 4431.0, 4.5e-4, 0.31, "EUR", 187.0, 1.2e9, 3, (gpu, gpu), "mnist",
        "Paris, France", 56.0, ("gpu-shared", "region-assumed"),
    )  # fmt: skip
    screen = open_screen({"TERM": "xterm"})
    assert screen is not None
    seconds = []
    for action in (lambda: screen.show(lambda c, r: panel(state, c, r)), screen.keep_out):
        action()
        before_s = _used_s()
        for _ in range(DRAWINGS):
            action()
        seconds.append((_used_s() - before_s) / DRAWINGS)
    screen.give_back()
    return " ".join(map(str, seconds))


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _of_a_core(option: str) -> tuple[float, int]:
    """Return CPU seconds and peak bytes of `eco2ai run` beside a command that sleeps."""

    def run() -> str:
        command = eco2ai_run(option, "--", "sleep", str(WATCHED_S))
        pid = os.posix_spawnp(command[0], command, {**os.environ, "TERM": "xterm"})
        _, _, used = os.wait4(pid, 0)
        return f"{used.ru_utime + used.ru_stime} {used.ru_maxrss * 1024}"

    cpu_s, peak_bytes = _in_a_terminal(run).split()
    return float(cpu_s), int(peak_bytes)


def _in_a_terminal(action: Callable[[], str]) -> str:
    """Return what `action` returns in a process whose terminal is read by us, and by nobody."""
    read, write = os.pipe()
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
        os.write(write, action().encode())
        os._exit(0)
    os.close(write)
    reader = threading.Thread(target=_drain, args=(terminal,), daemon=True)
    reader.start()
    os.waitpid(pid, 0)
    with open(read) as file:
        return file.read()


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 1 << 16):
            time.sleep(0.001)
    except OSError:  # the other side is closed
        return


if __name__ == "__main__":
    main()
