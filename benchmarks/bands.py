"""How often does the band of a run hold the truth? Machines of our own making know it.

Every machine is drawn from ranges that literature and data sheets give (named beside each), by
none of the constants of `eco2ai_cli.uncertainty`; what eco2ai would say of a run on it is
computed from what eco2ai could know. Target: the truth is inside in nine runs of ten or more.

The truth of a run is the power that its work draws, and the idle power of the CPUs that it keeps
busy, as `docs/uncertainty.md` defines it.
"""

from __future__ import annotations

import csv
import math
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from eco2ai_cli import uncertainty  # noqa: E402
from eco2ai_cli.uncertainty import Band  # noqa: E402

Draw = Callable[[random.Random], tuple[float, float, Band | None]]
"""Draws a run: what eco2ai says in joules, the truth, and the factors of the band."""

RUNS = 4000


def log_uniform(draw: random.Random, low: float, high: float) -> float:
    """Draw a number whose logarithm is spread evenly."""
    return math.exp(draw.uniform(math.log(low), math.log(high)))


class Processor:
    """One socket: its threads, and its power by how many of them are busy.

    Full load against the TDP: servers stay at it or below, with code that waits for memory well
    below; boards for desktops and laptops let turbo run for long (i9-12900K: 125 W of TDP, 241 W
    of turbo; Ryzen: a limit of 1.35 TDP). Idle: a quarter of full load for the servers of 2024
    (Tröpgen et al. 2024), more for chiplets; a tenth or so for clients. Between them power rises
    faster than load: turbo is highest, and cores have no second thread, while few are busy.
    """

    def __init__(self, draw: random.Random, kind: str | None = None) -> None:
        kind = kind or draw.choice(["server", "server", "desktop", "laptop"])
        threads, tdp_w, full, idle = {
            "server": ((16, 32, 48, 64, 96, 128, 192, 256), (85, 400), (0.55, 1.1), (0.12, 0.4)),
            "desktop": ((4, 8, 12, 16, 24, 32), (35, 170), (0.6, 1.9), (0.05, 0.25)),
            "laptop": ((4, 8, 12, 16, 20), (9, 55), (0.6, 1.8), (0.05, 0.25)),
        }[kind]
        self.threads = draw.choice(threads)
        self.tdp_w = draw.uniform(*tdp_w)
        self.full_w = self.tdp_w * draw.uniform(*full)
        self.idle_w = self.full_w * draw.uniform(*idle)
        self.bend = draw.uniform(0.6, 1.0)

    def dynamic_w(self, load: float) -> float:
        """Return the power beyond the idle one when `load` of the threads are busy."""
        return (self.full_w - self.idle_w) * math.pow(load, self.bend)

    def of_ours_w(self, ours: float, others: float) -> float:
        """Return what is of those who keep `ours` of the threads busy, all code being alike."""
        load = ours + others
        return self.dynamic_w(load) * ours / load + self.idle_w * ours


def loads(draw: random.Random, threads: int) -> tuple[float, float]:
    """Draw which part of the threads we keep busy, and which others do: from one thread to all."""
    ours = log_uniform(draw, 1 / threads, 1.0)
    return ours, draw.choice([0.0, draw.uniform(0, 1 - ours)])


def by_tdp(quality: str, error: Callable[[random.Random], float]) -> Draw:
    """Charge CPU seconds with a TDP that is wrong by the factor `error`."""

    def run(draw: random.Random) -> tuple[float, float, Band | None]:
        socket = Processor(draw)
        ours, others = loads(draw, socket.threads)
        stated_w = socket.tdp_w * error(draw) * ours
        factors = uncertainty.energy_factors("cpu", "tdp", (), quality)
        return stated_w, socket.of_ours_w(ours, others), factors

    return run


def by_rapl(draw: random.Random) -> tuple[float, float, Band | None]:
    """Measure a socket that is ours alone: the counter errs by some per cent.

    Khan et al. 2018 saw 3 to 6 % on Intel's; AMD's are a model (Schöne et al. 2021).
    """
    truth_w = Processor(draw).full_w
    gain = draw.choice([draw.gauss(1, 0.03), draw.gauss(0.98, 0.06)])
    return truth_w * gain, truth_w, uncertainty.energy_factors("cpu", "rapl", (), None)


def by_shared_rapl(draw: random.Random) -> tuple[float, float, Band | None]:
    """Share a measured socket out by CPU time, as `allocated` does, with code that differs.

    The same threads draw 0.6 to 1.5 of the mean with scalar, memory-bound or vector code
    (Hackenberg et al. 2013 and 2015 show such spreads); idle power is known from a quiet moment,
    or taken for a quarter of full load.
    """
    socket = Processor(draw)
    ours = draw.uniform(0.02, 0.9)
    others = draw.uniform(0.02, 1 - ours)
    load = ours + others
    dynamic_w = socket.dynamic_w(load)
    ours_hot, others_hot = (log_uniform(draw, 0.6, 1.5) for _ in range(2))
    part = ours * ours_hot / (ours * ours_hot + others * others_hot)
    truth_w = dynamic_w * part + socket.idle_w * ours
    package_w = (dynamic_w + socket.idle_w) * draw.gauss(0.99, 0.045)
    caveats: tuple[str, ...] = ()
    idle_w = socket.idle_w
    if draw.random() < 0.5:
        idle_w = package_w * 0.25 / (0.25 + 0.75 * load)
        caveats = ("idle-assumed",)
    stated_w = (package_w - idle_w) * ours / load + idle_w * min(ours / load, ours)
    return stated_w, truth_w, uncertainty.energy_factors("cpu", "rapl+share", caveats, None)


def by_memory_model(draw: random.Random) -> tuple[float, float, Band | None]:
    """Charge 0.375 W/GB for what is held of memory that draws what data sheets say.

    Registered modules of 32 to 128 GB: 3 to 12 W each; of 8 and 16 GB: 1.5 to 4.5 W; LPDDR: 0.04
    to 0.12 W/GB, from standby to full traffic.
    """
    w_per_gb = {
        "large": lambda: draw.uniform(3, 12) / draw.choice([32, 64, 64, 128]),
        "small": lambda: draw.uniform(1.5, 4.5) / draw.choice([8, 16, 16]),
        "laptop": lambda: log_uniform(draw, 0.04, 0.12),
    }[draw.choice(["large", "small", "small", "laptop"])]()
    return 0.375, w_per_gb, uncertainty.energy_factors("ram", "model", (), None)


def by_memory_counter(draw: random.Random) -> tuple[float, float, Band | None]:
    """Read a DRAM counter: within 20 % of a meter (Desrochers et al. 2016)."""
    factors = uncertainty.energy_factors("ram", "rapl", (), None)
    return draw.gauss(1, 0.09), 1.0, factors


def by_shared_memory(draw: random.Random) -> tuple[float, float, Band | None]:
    """Share a DRAM counter out by CPU time, with code whose traffic a second differs tenfold.

    Idle power, 0.3 to 0.7 of all, is shared out by CPU time on purpose.
    """
    ours, idle = draw.uniform(0.05, 0.95), draw.uniform(0.3, 0.7)
    ours_traffic, others_traffic = (log_uniform(draw, 0.3, 3) for _ in range(2))
    part = ours * ours_traffic / (ours * ours_traffic + (1 - ours) * others_traffic)
    truth_w = idle * ours + (1 - idle) * part
    factors = uncertainty.energy_factors("ram", "rapl+share", (), None)
    return draw.gauss(1, 0.09) * ours, truth_w, factors


def by_nvml(method: str) -> Draw:
    """Read a GPU's sensor: gain within 5 %, some watts of offset; polled power misses bursts.

    Yang et al. 2023 (arXiv:2312.02741): sensors that see a quarter of the time err by tens of per
    cent on short kernels, and less the more of them there are.
    """

    def run(draw: random.Random) -> tuple[float, float, Band | None]:
        truth_w = log_uniform(draw, 60, 700)
        stated_w = truth_w * draw.uniform(0.95, 1.05) + draw.gauss(0, 2)
        if method == "nvml-power":
            stated_w *= 1 + draw.gauss(0, 0.1)
        return stated_w, truth_w, uncertainty.energy_factors("gpu", method, (), None)

    return run


def by_slice(draw: random.Random) -> tuple[float, float, Band | None]:
    """Pay a MIG slice by its part of what the GPU draws; idle power is 0.1 to 0.35 of its limit."""
    part, idle = draw.choice([1, 2, 3, 4]) / 7, draw.uniform(0.1, 0.35)
    ours = draw.uniform(0.2, 1)
    others = draw.choice([0, draw.uniform(0, 1), draw.uniform(0, 1)])
    stated_w = part * (idle + (1 - idle) * (part * ours + (1 - part) * others))
    truth_w = part * (idle + (1 - idle) * ours)
    factors = uncertainty.energy_factors("gpu", "nvml-energy+share", ("gpu-sliced",), None)
    return stated_w * draw.uniform(0.95, 1.05), truth_w, factors


def one_component(draw: Draw) -> Callable[[random.Random], tuple[float, Band | None]]:
    """Make whole runs of one component: the truth, and the band of the energy."""

    def run(source: random.Random) -> tuple[float, Band | None]:
        stated_j, truth_j, factors = draw(source)
        return truth_j, uncertainty.total([(stated_j, factors)], ())

    return run


def whole_run(draw: random.Random) -> tuple[float, Band | None]:
    """Draw a run of CPU, memory and often a GPU, by whatever meters, and add them up."""
    draws = [draw.choice([TDP_KNOWN, TDP_ESTIMATED, by_rapl, by_shared_rapl])]
    draws.append(draw.choice([by_memory_model, by_memory_counter]))
    if draw.random() < 0.5:
        draws.append(by_nvml(draw.choice(["nvml-energy", "nvml-power"])))
    truth_j, parts = 0.0, []
    for component in draws:
        stated_w, truth_w, factors = component(draw)
        weight = log_uniform(draw, 0.05, 1.0) / truth_w
        truth_j += truth_w * weight
        parts.append((stated_w * weight, factors))
    return truth_j, uncertainty.total(parts, ())


def fallback_error(draw: random.Random) -> float:
    """Draw how wrong a usual figure is: watts a thread in our table, against the usual 3.5."""
    return math.exp(draw.gauss(-0.1, 0.6))


TDP_KNOWN = by_tdp("vendor", lambda draw: 1.0)
TDP_CATALOGUE = by_tdp("catalogue", lambda draw: draw.choice([1, 1, 1, draw.uniform(0.75, 1.35)]))
TDP_ESTIMATED = by_tdp("derived", lambda draw: math.exp(draw.gauss(0, 0.3)))
TDP_UNKNOWN = by_tdp("fallback", fallback_error)

SCENARIOS: dict[str, Callable[[random.Random], tuple[float, Band | None]]] = {
    "CPU by tdp, the vendor's": one_component(TDP_KNOWN),
    "CPU by tdp, catalogue": one_component(TDP_CATALOGUE),
    "CPU by tdp, estimated": one_component(TDP_ESTIMATED),
    "CPU by tdp, unknown": one_component(TDP_UNKNOWN),
    "CPU by rapl": one_component(by_rapl),
    "CPU by rapl+share": one_component(by_shared_rapl),
    "RAM by its model": one_component(by_memory_model),
    "RAM by rapl": one_component(by_memory_counter),
    "RAM by rapl+share": one_component(by_shared_memory),
    "GPU by nvml-energy": one_component(by_nvml("nvml-energy")),
    "GPU by nvml-power": one_component(by_nvml("nvml-power")),
    "GPU, a MIG slice": one_component(by_slice),
    "a whole run": whole_run,
}


def rate(scenario: str, seed: int = 0, runs: int = RUNS) -> float:
    """Return in which part of the runs the band holds the truth."""
    source = random.Random(seed)
    inside = 0
    for _ in range(runs):
        truth_j, band = SCENARIOS[scenario](source)
        inside += band is not None and band.low <= truth_j <= band.high
    return inside / runs


def _figures(table: str) -> dict[str, tuple[float, int]]:
    with (ROOT / "resources" / table).open(encoding="utf-8", newline="") as file:
        return {
            row["code"]: (float(row["kg_per_mwh"]), int(row["year"] or 0))
            for row in csv.DictReader(file)
        }


def _grids() -> Iterator[tuple[str, list[bool]]]:
    """Yield what is inside of which band, among the grids of our own tables."""
    now, then = _figures("regions.csv"), _figures("regions_paper_2022.csv")
    countries = [code for code in now if len(code) == 2]
    moved = [
        (now[code][0] / then[code][0], now[code][1] - 2021)
        for code in countries
        if code in then and then[code][0] > 0
    ]
    yield (
        "a country, years later",
        [_holds(uncertainty.intensity_factors((), age), ratio) for ratio, age in moved],
    )
    coarse = uncertainty.intensity_factors(("region-coarse",), 0)
    yield (
        "a subdivision, by its country",
        [
            _holds(coarse, now[code][0] / now[code[:2]][0])
            for code in now
            if code[2:3] == "-" and code[:2] in now
        ],
    )
    world = uncertainty.intensity_factors(("region-assumed",), 0, is_world=True)
    yield (
        "a country, by the world",
        [_holds(world, now[code][0] / now["WORLD"][0]) for code in countries],
    )


def _holds(band: Band | None, ratio: float) -> bool:
    return band is not None and band.low <= ratio <= band.high


def grid_rates() -> dict[str, float]:
    """Return in which part of the grids of our tables the band holds the truth."""
    return {name: sum(inside) / len(inside) for name, inside in _grids()}


if __name__ == "__main__":
    print(f"truth inside the band, of {RUNS} runs each (target: 90 %)")
    for name in SCENARIOS:
        print(f"  {name:<30} {rate(name):6.1%}")
    print("carbon intensity, over the grids of our tables")
    for name, share in grid_rates().items():
        print(f"  {name:<30} {share:6.1%}")
