"""How long does a report on a ledger of a million rows take, against pandas on the same file?

Both read the file and sum the figures up by project; what pandas takes to be imported is not
counted for it, and what eco2ai takes to start is for us. Once with all processors, of which eco2ai
takes as many as four for processes of its own, and once with one.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from contextlib import suppress

from timing import empty_folder, in_turn, introduce, judge, output_of, run, show, start

from eco2ai_cli.ledger.columns import COLUMNS, line

ROWS = 1_000_000
ROUNDS = 3
SAMPLE_S = 0.02
LEDGER = "million.csv"
PANDAS = """
import sys, time
import pandas
began_s = time.perf_counter()
figures = ["duration(s)", "power_consumption(kWh)", "CO2_emissions(kg)", "cost"]
pandas.read_csv(sys.argv[1]).groupby("project_name")[figures].sum()
print(time.perf_counter() - began_s)
"""
REPORT = [sys.executable, "-m", "eco2ai_cli", "report", LEDGER, "--json"]


def main() -> None:
    introduce(f"A report on a ledger of {ROWS:,} rows, against pandas")
    with empty_folder():
        make_ledger()
        print(f"  the ledger has {os.path.getsize(LEDGER) / 1e6:,.0f} MB")
        processors = os.sched_getaffinity(0)
        for allowed in [processors, {min(processors)}] if len(processors) > 1 else [processors]:
            print(f"\n  on {len(allowed)} of the processors")
            os.sched_setaffinity(0, allowed)
            compare()
        os.sched_setaffinity(0, processors)
        judge("eco2ai, peak memory of all its processes", peak_pss_bytes() / 1e6, "MB", at_most=60)


def compare() -> None:
    ours, pandas = in_turn(
        ROUNDS,
        lambda: run(REPORT),
        lambda: (run([sys.executable, "-c", PANDAS, LEDGER]), float(output_of_pandas())),
    )
    show("eco2ai report, wall", [cost.wall_s for cost in ours], "s")
    show("eco2ai report, CPU", [cost.cpu_s for cost in ours], "s")
    show("pandas, read_csv and groupby, wall", [seconds for _, seconds in pandas], "s")
    ratio = statistics.median(cost.wall_s for cost in ours)
    ratio /= statistics.median(seconds for _, seconds in pandas)
    judge("eco2ai / pandas, wall", ratio, at_most=0.8)
    show("eco2ai, peak memory of its greatest process", [c.peak_bytes / 1e6 for c in ours], "MB")
    show("pandas, peak memory", [cost.peak_bytes / 1e6 for cost, _ in pandas], "MB")


def peak_pss_bytes() -> int:
    """Return the most memory that the processes of a report held together, each page once."""
    pid = start(REPORT)
    peak = 0
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        with suppress(OSError):  # one has just ended
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                pids = [pid, *map(int, file.read().split())]
            peak = max(peak, sum(map(pss_bytes, pids)))
        time.sleep(SAMPLE_S)
    return peak


def pss_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))


def output_of_pandas() -> str:
    return output_of([sys.executable, "-c", PANDAS, LEDGER])[0]


def make_ledger() -> None:
    """Write rows as `run` does: every column filled, texts with commas and quotes among them."""
    rng = random.Random(1)
    fixed = {
        "epoch": "N/A", "CPU_name": "AMD EPYC 7742 64-Core Processor/1 device(s), TDP:225.0",
        "GPU_name": "NVIDIA A100-SXM4-80GB 2 device(s)", "OS": "Linux", "region/country": "FR",
        "stop_reason": "exit", "user": "anna", "cpu_method": "tdp", "gpu_method": "nvml-energy",
        "ram_method": "model", "cpu_tdp(W)": "225.0", "processes": "3", "pue": "1.2",
        "carbon_intensity(kg/MWh)": "300.0", "intensity_year": "2024", "intensity_source": "Ember",
        "region_source": "option", "price_per_kwh": "0.2", "currency": "EUR", "samples": "12",
        "overhead(s)": "0.01", "version": "0.1.0",
    }  # fmt: skip
    with open(LEDGER, "wb") as file:
        file.write(line(COLUMNS))
        for number in range(ROWS):
            began = time.strftime("%Y-%m-%d %H:%M:%S+00:00", time.gmtime(1.7e9 + 60 * number))
            parts_kwh = [rng.random() for _ in range(3)]
            kwh = 1.2 * sum(parts_kwh)
            cells = {
                **fixed,
                "id": f"{rng.getrandbits(128):032x}",
                "project_name": f"project {rng.randrange(20)}",
                "start_time": began,
                "end_time": began,
                "duration(s)": repr(rng.random() * 5000),
                "power_consumption(kWh)": repr(kwh),
                "CO2_emissions(kg)": repr(kwh * 0.3),
                "cost": repr(kwh * 0.2),
                "command": f"python train.py --lr 0.1 --seed {number}",
                "exit_status": str(int(rng.random() < 0.1)),
                "host": f"node{rng.randrange(9)}",
                "job": str(number // 9),
                "tags": '{"lr": "0.1"}' if number % 2 else "",
                "cpu_energy(kWh)": repr(parts_kwh[0]),
                "gpu_energy(kWh)": repr(parts_kwh[1]),
                "ram_energy(kWh)": repr(parts_kwh[2]),
                "caveats": "" if number % 3 else "gpu-shared;region-assumed",
                "row_hash": f"{rng.getrandbits(256):064x}",
            }
            file.write(line(cells.get(name, "") for name in COLUMNS))


if __name__ == "__main__":
    main()
