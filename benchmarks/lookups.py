"""What do the tables of processors and regions cost: a start of `eco2ai run`, and many look-ups?

The start: importing the code of both look-ups and asking for this machine's processor and for the
region, in a Python that has click and the configuration already, as `eco2ai run` has them.
"""

from __future__ import annotations

import csv
import itertools
import statistics
import sys
from pathlib import Path

from timing import empty_folder, in_turn, introduce, judge, output_of, run, show

ROUNDS = 25
LOOK_UPS = 1000
ROOT = Path(__file__).resolve().parent.parent
START = """
import click, sys, time
from eco2ai_cli.config import load
config = load({"region.code": sys.argv[1]} if sys.argv[1] else {})
began_s = time.perf_counter()
from eco2ai_cli import place
place.settle(config, {})
region_s = time.perf_counter()
from eco2ai_cli import cpus
from eco2ai_cli.machine import this_machine
cpus.charge(this_machine())
print(region_s - began_s, time.perf_counter() - region_s)
"""
REGIONS = {"by code": "FR", "by a name": "Deutschland", "by what the machine tells": ""}


def main() -> None:
    introduce("What the look-ups of processor and region cost")
    with empty_folder():
        starts = in_turn(ROUNDS, *(lambda query=query: start(query) for query in REGIONS.values()))
        for how, costs in zip(REGIONS, starts, strict=True):
            show(f"region, {how}", [region_s for region_s, _ in costs], "ms", 1e3)
        show("processor", [cpu_s for costs in starts for _, cpu_s in costs], "ms", 1e3)
        for how, costs in zip(REGIONS, starts, strict=True):
            both_s = statistics.median(map(sum, costs))
            judge(f"both at start, region {how}, median", both_s * 1e3, "ms", at_most=10)
        print()
        for what, queries in (("cpus", processors()), ("regions", regions())):
            command = eco2ai(what, "lookup", "--json", *queries)
            walls = in_turn(5, lambda command=command: run(command).wall_s)[0]
            show(f"{LOOK_UPS} in one `{what} lookup`, with its start", walls, "s")
            judge("median", statistics.median(walls), "s", at_most=0.5)


def start(query: str) -> tuple[float, float]:
    """Return the seconds of the region's look-up and of the processor's, imports included."""
    region_s, cpu_s = output_of([sys.executable, "-c", START, query])[0].split()
    return float(region_s), float(cpu_s)


def eco2ai(*words: str) -> list[str]:
    return [sys.executable, "-m", "eco2ai_cli", *words]


def processors() -> list[str]:
    """Return brand strings that tell a model: a name that tells none is an error of the command."""
    with (ROOT / "tests/data/cpu_strings.csv").open(encoding="utf-8", newline="") as file:
        names = [row["brand"] for row in csv.DictReader(file) if row["tdp_w"]]
    return list(itertools.islice(itertools.cycle(names), LOOK_UPS))


def regions() -> list[str]:
    """Return codes of countries and subdivisions, regions of clouds, and names."""
    queries = ["Germany", "Deutschland", "US/California", "Québec", "276", "DEU", "europe-west9"]
    for table in ("regions.csv", "cloud_regions.csv"):
        with (ROOT / "resources" / table).open(encoding="utf-8", newline="") as file:
            queries += [row[0] for row in itertools.islice(csv.reader(file), 1, None)]
    return list(itertools.islice(itertools.cycle(queries), LOOK_UPS))


if __name__ == "__main__":
    main()
