"""How much of a core does `eco2ai run` take beside a tree of 500 processes that all run?

Measured against a Python that reads CPU time and memory of as large a tree by psutil once a second,
side by side. The interval of ours grows until looking takes no more than 0.5 % of one core.
"""

from __future__ import annotations

import sys

from running import psutil_poll, watch
from timing import eco2ai_run, empty_folder, introduce, judge, show

CROWD = """
import os, time
for _ in range(499):
    if os.fork() == 0:
        break
while True:
    time.sleep(0.25)
"""


def main() -> None:
    introduce("`eco2ai run` beside a tree of 500 that all run, against psutil once a second")
    crowd = [sys.executable, "-c", CROWD]
    with empty_folder():
        uses = watch(
            {"psutil": psutil_poll(crowd), "eco2ai run": eco2ai_run("--", *crowd)},
            copies=1,
            starting_s=10,
            watched_s=60,
        )
    share = {name: [100 * use.cpu_s / use.seconds for use in uses[name]] for name in uses}
    for name in uses:
        show(f"{name}, share of one core", share[name], "%")
        show(f"{name}, wake-ups a second", [use.wake_ups / use.seconds for use in uses[name]], "")
    print()
    judge("eco2ai run, share of one core", share["eco2ai run"][0], "%", at_most=0.5)


if __name__ == "__main__":
    main()
