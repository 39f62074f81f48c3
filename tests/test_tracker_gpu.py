"""A tracker meters the GPUs that its process is on, and starts no process for it."""

from __future__ import annotations

import csv
from pathlib import Path

import nvml_rig
import pytest

PROGRAM = """
import os, sys, threading, time
sys.path.insert(0, {tests!r})
from nvml_rig import machine
device = {{"energy_mj": "clock", "power_mw": 200_000, "compute": os.getpid()}}
open(os.environ["FAKE_NVML"], "w").write(machine(device))
from eco2ai_cli import Tracker
tracker = Tracker(measure_period=0.05)
tracker.start()
began_s = time.monotonic()
assert threading.active_count() == 3  # with the beat and the driver's
children = open(f"/proc/self/task/{{os.getpid()}}/children").read()
time.sleep(0.5)
tracker.new_epoch({{}})
parted_s = time.monotonic()
time.sleep(0.3)
tracker.stop_training()
print(children, 200 * (parted_s - began_s) / 3.6e6, 200 * (time.monotonic() - parted_s) / 3.6e6)
assert threading.active_count() == 1
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml_rig.build(tmp_path_factory.mktemp("library"))


def test_each_epoch_has_the_energy_of_its_gpu_and_no_child_appears(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECO2AI_REGION_CODE", "FR")
    program = PROGRAM.format(tests=str(Path(__file__).parent))
    told = nvml_rig.run(program, library, tmp_path / "scenario").split()
    assert len(told) == 2  # and no pid of a child before them
    with open("emission.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["epoch: 1", "N/A"]
    # What was used before the driver had opened is not seen.
    assert 0 < float(rows[0]["gpu_energy(kWh)"]) <= 1.1 * float(told[0])
    assert float(rows[1]["gpu_energy(kWh)"]) == pytest.approx(float(told[1]), rel=0.3)
    assert all(row["gpu_method"].startswith("nvml-") for row in rows), rows
