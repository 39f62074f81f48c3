"""Does `eco2ai run` slow a CPU-bound command down?

The command is a loop of fixed work that tells its own wall and CPU time, start-up left out: that is
`startup.py`. It runs bare, wrapped, and bare again: how far bare differs from bare is how small a
slow-down this machine can show.
"""

from __future__ import annotations

import statistics
import sys
from typing import NamedTuple

from timing import eco2ai_run, empty_folder, in_turn, introduce, judge, output_of, show

ROUNDS = 16
COMMAND = [
    sys.executable,
    "-c",
    """
import time
wall_s, cpu_s = time.perf_counter(), time.process_time()
for _ in range(60_000_000):
    pass
print(time.perf_counter() - wall_s, time.process_time() - cpu_s)
""",
]


class Times(NamedTuple):
    """What the loop took."""

    wall_s: float
    cpu_s: float


def times(command: list[str]) -> Times:
    return Times(*map(float, output_of(command)[0].split()))


def compare(name: str, bare: list[float], wrapped: list[float], again: list[float]) -> None:
    show(f"{name}, bare", bare, "s")
    show(f"{name}, bare again", again, "s")
    show(f"{name}, wrapped", wrapped, "s")
    # Each beside the bare runs of its own round: what drifts over minutes falls out.
    pairs = [w / ((b + a) / 2) for b, w, a in zip(bare, wrapped, again, strict=True)]
    noise = [abs(a / b - 1) for b, a in zip(bare, again, strict=True)]
    judge(f"{name}, wrapped / bare, median of rounds", statistics.median(pairs), at_most=1.003)
    judge(f"{name}, wrapped / bare, ratio of minima", min(wrapped) / min(*bare, *again), at_most=1.003)
    print(f"  bare differs from bare by {statistics.median(noise):.3f} (median), {max(noise):.3f} (most)\n")


def main() -> None:
    introduce("A CPU-bound loop under `eco2ai run`, against the same loop bare")
    with empty_folder():
        bare, wrapped, again = in_turn(
            ROUNDS,
            lambda: times(COMMAND),
            lambda: times(eco2ai_run("--", *COMMAND)),
            lambda: times(COMMAND),
        )
    for name, field in (("wall", 0), ("CPU", 1)):
        compare(name, *([t[field] for t in runs] for runs in (bare, wrapped, again)))


if __name__ == "__main__":
    main()
