"""What does the row cost at the end of a run, in a ledger of a million rows against one of one?

By the call alone, first in a process that has made none before, as every run makes its own, and
then as it goes; and by the whole of `eco2ai run -q -- true` in both ledgers.
"""

from __future__ import annotations

import csv
import os
import statistics
import sys
import time
from collections.abc import Callable

from timing import (
    eco2ai_run,
    empty_folder,
    in_turn,
    introduce,
    judge,
    output_of,
    run,
    show,
)

from eco2ai_cli import ledger

ROWS = 1_000_000
ROUNDS = 200
ROUNDS_OF_A_PROCESS = 20
SMALL, LARGE = "emission.csv", "million.csv"
FIRST_CALL = """
import csv, sys, time
from eco2ai_cli import ledger
from eco2ai_cli.ledger import chain, writer  # as a run does while its command still runs
with open("emission.csv", newline="", encoding="utf-8") as file:
    reader = csv.reader(file)
    row = dict(zip(next(reader)[:-1], next(reader)))
began_s = time.perf_counter()
ledger.append(sys.argv[1], [row])
print(time.perf_counter() - began_s)
"""


def main() -> None:
    introduce(f"The row at the end of a run, in a ledger of {ROWS:,} rows against one of one")
    with empty_folder():
        run(eco2ai_run("--", "true"))
        with open(SMALL, newline="", encoding="utf-8") as file:
            names, cells = csv.reader(file)
        row = dict(zip(names[:-1], cells, strict=False))
        make_large()
        small, large = in_turn(ROUNDS, lambda: append(SMALL, row), lambda: append(LARGE, row))
        show("append, one row", small, "ms", 1e3)
        show(f"append, {ROWS:,} rows", large, "ms", 1e3)
        judge("append, a million rows, median", statistics.median(large) * 1e3, "ms", at_most=5)
        judge("ratio of medians", statistics.median(large) / statistics.median(small), at_most=1.5)
        print()
        small, large = in_turn(ROUNDS_OF_A_PROCESS, first_append(SMALL), first_append(LARGE))
        show("first append of a process, one row", small, "ms", 1e3)
        show(f"first append of a process, {ROWS:,} rows", large, "ms", 1e3)
        judge(
            "first append, a million rows, median", statistics.median(large) * 1e3, "ms", at_most=5
        )
        print()
        small, large = in_turn(
            ROUNDS_OF_A_PROCESS,
            lambda: run(eco2ai_run("-o", SMALL, "--", "true")).wall_s,
            lambda: run(eco2ai_run("-o", LARGE, "--", "true")).wall_s,
        )
        show("eco2ai run -q -- true, one row", small, "ms", 1e3)
        show(f"eco2ai run -q -- true, {ROWS:,} rows", large, "ms", 1e3)


def make_large() -> None:
    with open(SMALL, "rb") as small, open(LARGE, "wb") as large:
        large.write(small.readline())
        row = small.readline()
        for _ in range(ROWS // 1000):
            large.write(row * 1000)
    size_mb = os.path.getsize(LARGE) / 1e6
    print(f"  {LARGE}: {size_mb:.0f} MB\n")


def append(path: str, row: ledger.Cells) -> float:
    """Append one row, take it away again, and return the seconds that the first took."""
    size = os.path.getsize(path)
    began_s = time.perf_counter()
    ledger.append(path, [row])
    ended_s = time.perf_counter()
    os.truncate(path, size)
    return ended_s - began_s


def first_append(path: str) -> Callable[[], float]:
    return lambda: float(output_of([sys.executable, "-c", FIRST_CALL, path])[0])


if __name__ == "__main__":
    main()
