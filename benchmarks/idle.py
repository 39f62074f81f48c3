"""What does `eco2ai run` take while its command does nothing, at one sample a second?

Measured against a Python that reads CPU time and memory of the same command by psutil once a
second, and against one that only sleeps a second at a time: what a wake-up takes in itself. Three
of each run side by side, so that a second of the machine is a second of all.
"""

from __future__ import annotations

import sys
from statistics import median

from running import psutil_poll, watch
from timing import eco2ai_run, empty_folder, introduce, judge, show

IDLE = ["sleep", "600"]
SLEEPER = [sys.executable, "-c", "import time\nwhile True:\n    time.sleep(1)"]


def main() -> None:
    introduce("`eco2ai run` beside an idle command, against psutil once a second")
    with empty_folder():
        uses = watch(
            {
                "psutil": psutil_poll(IDLE),
                "sleeping Python": SLEEPER,
                "eco2ai run": eco2ai_run("--", *IDLE),
            },
            copies=3,
            starting_s=4,  # by then the samples are a second apart
            watched_s=32,  # one look in eight is a thorough one: four times those eight
        )
    cpu_ms = {name: [60e3 * use.cpu_s / use.seconds for use in uses[name]] for name in uses}
    wakes = {name: [use.wake_ups / use.seconds for use in uses[name]] for name in uses}
    for name in uses:
        show(f"{name}, CPU a minute", cpu_ms[name], "ms")
        show(f"{name}, wake-ups a second", wakes[name], "")
    print()
    judge("eco2ai run, CPU a minute", median(cpu_ms["eco2ai run"]), "ms", at_most=15)
    judge("eco2ai run, wake-ups a second", median(wakes["eco2ai run"]), at_most=1.2)
    judge("sentinel, wake-ups a second", max(wakes["sentinel"]), at_most=0)


if __name__ == "__main__":
    main()
