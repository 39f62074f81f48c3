"""Does `eco2ai run` slow a CPU-bound command down?

The command does a fixed piece of work again and again; its start is left out, that is `startup.py`.
It runs bare, wrapped, and bare again, in turn. How far bare differs from bare says how small a
slow-down this machine can show: cores that are shared with strangers vary by far more than the
target. Their fastest piece varies less, and tells whether anything slows the command all the time;
what slows it now and then is what we take beside it, and that is in `idle.py`.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence
from typing import NamedTuple

from timing import eco2ai_run, empty_folder, in_turn, introduce, judge, output_of, show

ROUNDS = 20
AT_MOST = 1.003
LOOP = """
import time

def work():
    for _ in range(20_000):
        pass

time.sleep(0.3)  # until eco2ai has loaded what it needs later
wall_s, cpu_s = time.perf_counter(), time.process_time()
fastest_s = 1e9
for _ in range(5_000):
    before_s = time.perf_counter()
    work()
    fastest_s = min(fastest_s, time.perf_counter() - before_s)
print(time.perf_counter() - wall_s, time.process_time() - cpu_s, fastest_s)
"""
BARE = [sys.executable, "-c", LOOP]


class Times(NamedTuple):
    """What all pieces took together, and the fastest alone."""

    wall_s: float
    cpu_s: float
    fastest_s: float


def times(command: list[str]) -> Times:
    output, _ = output_of(command)
    return Times(*map(float, output.split()))


def compare(
    name: str, bare: Sequence[float], wrapped: Sequence[float], again: Sequence[float]
) -> None:
    show(f"{name}, bare", [*bare, *again], "s")
    show(f"{name}, wrapped", wrapped, "s")
    # Beside the bare runs of the same round: what drifts over minutes falls out.
    ratios = [2 * w / (b + a) for b, w, a in zip(bare, wrapped, again, strict=True)]
    null = [a / b for b, a in zip(bare, again, strict=True)]
    for what, values in (("bare again / bare", null), ("wrapped / bare", ratios)):
        low, middle, high = statistics.quantiles(values)
        print(f"  {name}, {what}: {middle:.4f}, half of the rounds in {low:.3f} to {high:.3f}")
    ratio = statistics.median(ratios)
    error = 1.25 * statistics.stdev(ratios) / math.sqrt(ROUNDS)  # of a median, if it is normal
    if abs(ratio - AT_MOST) < 2 * error:
        print(f"  target ≤ {AT_MOST}: cannot be told here, the ratio is known to ± {2 * error:.3f}")
    else:
        judge(f"{name}, wrapped / bare", ratio, at_most=AT_MOST)
    print()


def main() -> None:
    introduce("A CPU-bound loop under `eco2ai run`, against the same loop bare")
    with empty_folder():
        runs = in_turn(
            ROUNDS,
            lambda: times(BARE),
            lambda: times(eco2ai_run("--", *BARE)),
            lambda: times(BARE),
        )
    compare("wall", *([t.wall_s for t in series] for series in runs))
    compare("CPU", *([t.cpu_s for t in series] for series in runs))
    # The first quartile: clocks of shared cores have faster and slower steps, each for seconds.
    bare, wrapped, again = (statistics.quantiles([t.fastest_s for t in r])[0] for r in runs)
    print(f"  fastest piece, bare again / bare: {again / bare:.4f}")
    judge("fastest piece, wrapped / bare", 2 * wrapped / (bare + again), at_most=AT_MOST)


if __name__ == "__main__":
    main()
