"""How long does `eco2ai run` take to start a command, and to end after it?

Measured against a Python that imports click and psutil and does nothing: about the least that any
tool of this kind takes.
"""

from __future__ import annotations

import statistics
import sys

from timing import Cost, eco2ai_run, empty_folder, in_turn, introduce, judge, output_of, run, show

ROUNDS = 40
REFERENCE = [sys.executable, "-c", "import click, psutil"]


def main() -> None:
    introduce("Start and end of `eco2ai run`, against `python -c 'import click, psutil'`")
    with empty_folder():
        reference, wrapped = in_turn(
            ROUNDS, lambda: run(REFERENCE), lambda: run(eco2ai_run("--", "true"))
        )
        walls, wrapped_echo, bare_echo = in_turn(
            ROUNDS,
            lambda: run(REFERENCE).wall_s,
            lambda: output_of(eco2ai_run("--", "echo"))[1],
            lambda: output_of(["echo"])[1],
        )
    show_both("python -c 'import click, psutil'", reference)
    show_both("eco2ai run -q -- true", wrapped)
    compare("wall time, ratio", [c.wall_s for c in wrapped], [c.wall_s for c in reference], 1.3)
    compare("CPU time, ratio", [c.cpu_s for c in wrapped], [c.cpu_s for c in reference], 1.3)
    print()
    show("python -c 'import click, psutil', wall", walls, "ms", 1e3)
    show("eco2ai run -q -- echo, to the first byte", wrapped_echo, "ms", 1e3)
    show("echo, to the first byte", bare_echo, "ms", 1e3)
    # The first byte comes later than the exec by what the command itself takes.
    own_s = statistics.median(bare_echo)
    compare("time to the exec, ratio", [s - own_s for s in wrapped_echo], walls, 1.0)
    print()
    judge("peak resident memory", max(c.peak_bytes for c in wrapped) / 1e6, "MB", at_most=30)


def show_both(name: str, costs: list[Cost]) -> None:
    show(f"{name}, wall", [cost.wall_s for cost in costs], "ms", 1e3)
    show(f"{name}, CPU", [cost.cpu_s for cost in costs], "ms", 1e3)


def compare(name: str, ours: list[float], theirs: list[float], at_most: float) -> None:
    judge(
        f"{name} of medians", statistics.median(ours) / statistics.median(theirs), at_most=at_most
    )
    judge(f"{name} of minima", min(ours) / min(theirs), at_most=at_most)


if __name__ == "__main__":
    main()
