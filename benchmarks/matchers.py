"""How well do eco2ai-cli, eco2AI and CodeCarbon tell a processor's power from its brand string?

On `tests/data/cpu_strings.csv`; a library that is not installed is left out. Each is asked by the
function with which it asks its own table, and unknown means that it falls back to a constant.
"""

from __future__ import annotations

import csv
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

from timing import introduce

from eco2ai_cli import cpus

ROOT = Path(__file__).resolve().parent.parent
Matcher = Callable[[str], float | None]
"""Return the watts of the processor that a name tells, None where it is not known."""


def main() -> None:
    introduce("Watts of a processor by its brand string")
    warnings.simplefilter("ignore")
    logging.disable()
    with (ROOT / "tests/data/cpu_strings.csv").open(encoding="utf-8", newline="") as file:
        strings = [(row["brand"], row["tdp_w"]) for row in csv.DictReader(file)]
    named = [(brand, float(tdp_w)) for brand, tdp_w in strings if tdp_w]
    nameless = [brand for brand, tdp_w in strings if not tdp_w]
    print(f"  {len(named)} strings that name a model:")
    print("  matcher       exact  within 10 %   wrong  unknown   |  a model for none, of", end=" ")
    print(len(nameless), flush=True)
    for name, find in (("eco2ai-cli", ours), ("eco2AI", eco2ai()), ("CodeCarbon", codecarbon())):
        if find is None:
            print(f"  {name} is not installed: left out")
        else:
            print(f"  {name:<12} {verdict(find, named, nameless)}", flush=True)


def verdict(find: Matcher, named: list[tuple[str, float]], nameless: list[str]) -> str:
    found = [(find(brand), tdp_w) for brand, tdp_w in named]
    told = [(watts, tdp_w) for watts, tdp_w in found if watts is not None]
    exact = sum(watts == tdp_w for watts, tdp_w in told)
    near = sum(abs(watts - tdp_w) <= 0.1 * tdp_w for watts, tdp_w in told)
    invented = sum(find(brand) is not None for brand in nameless)
    return (
        f"{exact / len(named):7.1%} {near / len(named):11.1%} {len(told) - near:9}"
        f" {len(found) - len(told):8}   | {invented:10}"
    )


def ours(brand: str) -> float | None:
    found = cpus.lookup(brand)
    return found.tdp_w if found.model is not None else None


def eco2ai() -> Matcher | None:
    try:
        from eco2ai.tools import tools_cpu
    except ImportError:
        return None
    tools_cpu.CONSTANT_CONSUMPTION = None  # instead of the 100 W that it gives what it lacks
    table = str(Path(tools_cpu.__file__).parent.parent / "data" / "cpu_names.csv")
    return lambda brand: tools_cpu.find_tdp_value(brand, table, None)


def codecarbon() -> Matcher | None:
    try:
        from codecarbon.core.cpu import TDP
    except ImportError:
        return None
    matcher = object.__new__(TDP)  # its constructor looks for this machine's processor
    return matcher._get_cpu_power_from_registry


if __name__ == "__main__":
    main()
