"""The NVML meter and the process that talks to the driver for it, over the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nvml_rig
import pytest
from nvml_rig import fake_proc, machine

from eco2ai_cli.meters.gpu_meter import GpuMeter
from eco2ai_cli.meters.gpu_worker import Slot, State
from eco2ai_cli.model import Reading, Usage

OURS = 100
PROCESSES = {1: 0, OURS: 1}


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml_rig.build(tmp_path_factory.mktemp("nvml"))


POWERED = {"energy_mj": 0, "power_mw": 250_000, "limit_mw": 400_000, "compute": OURS}

METER = """
import json, os, sys, time
from pathlib import Path
from eco2ai_cli.meters.nvml_meter import NvmlMeter
from eco2ai_cli.model import Usage

proc = os.environ["FAKE_PROC"]
scenario = Path(os.environ["FAKE_NVML"])
def worker(name):
    return Path(f"/proc/{meter._pid}/{name}")

def ends():
    deadline_s = time.monotonic() + 10
    while worker("stat").exists() and b") Z" not in worker("stat").read_bytes():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    return True

living, gone = Usage(0.0, None, None, (100,)), Usage(0.0, None, None, ())
meter = NvmlMeter({}, proc)

def timed(call, *args):
    before_s = time.monotonic()
    result = call(*args)
    return time.monotonic() - before_s, result

def sample(usage=living, later_s=0.0):
    return meter.sample(usage, time.monotonic() + later_s)

def sampled_until(done):
    deadline_s = time.monotonic() + 20
    while not done(readings := sample()):
        assert time.monotonic() < deadline_s, readings
        time.sleep(0.01)
    return readings

def shown(readings):
    return [(r.device, r.energy_j, r.method, sorted(r.caveats)) for r in readings]
"""


@pytest.fixture
def meter(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], list[object]]:
    """Run a program about a meter over a scenario, and return the JSON it printed."""
    monkeypatch.setenv("FAKE_PROC", str(fake_proc(tmp_path / "proc", PROCESSES)))

    def meter(scenario: str, program: str) -> list[object]:
        (tmp_path / "scenario").write_text(scenario)
        return json.loads(nvml_rig.run(METER + program, library, tmp_path / "scenario"))

    return meter


Run = Callable[[str, str], list[object]]

TICKING = machine({"energy_mj": "clock", "power_mw": 200_000, "limit_mw": 400_000, "compute": OURS})


def test_the_last_sample_reaches_to_the_end_of_the_run(meter: Run) -> None:
    least_j, energy_j, most_j = meter(
        TICKING,
        """
began_s = time.monotonic()
meter.start()
sampled_until(lambda readings: readings)
seen_s = time.monotonic()
sampled_until(lambda readings: time.monotonic() > seen_s + 0.7)
ended_s = time.monotonic()
(reading,) = sample(gone)
assert not reading.caveats, reading
meter.close()
print(json.dumps([200 * (ended_s - seen_s), reading.energy_j, 200 * (time.monotonic() - began_s)]))
""",
    )
    step_j = 200 * 0.02  # of the counter
    assert least_j - step_j <= energy_j <= most_j + step_j


def test_a_driver_that_hangs_holds_up_neither_the_sample_nor_the_end(meter: Run) -> None:
    living_s, gone_s, close_s, again_s, known, last = meter(
        TICKING,
        """
meter.start()
sampled_until(lambda readings: readings and readings[0].energy_j)
with scenario.open("a") as file:
    file.write("hang.DeviceGetPowerUsage 300\\n")
gone_s, readings = timed(sample, gone)
living_s, _ = timed(sample)
close_s, _ = timed(meter.close)
again_s, _ = timed(meter.close)
ends()
(reading,) = readings
print(json.dumps([living_s, gone_s, close_s, again_s, reading.energy_j, sorted(reading.caveats)]))
""",
    )
    assert living_s < 0.15
    assert gone_s < 0.5
    assert max(close_s, again_s) <= 0.5
    assert known > 0
    assert last == ["gpu-late"]


def test_a_device_that_stops_answering_in_mid_run_is_told(meter: Run) -> None:
    before, after = meter(
        TICKING,
        """
meter.start()
before = sampled_until(lambda readings: readings and readings[0].energy_j)
with scenario.open("a") as file:
    file.write("hang.DeviceGetPowerUsage 300\\n")
after = sample(later_s=10.0)
print(json.dumps([sorted(before[0].caveats), sorted(after[0].caveats)]))
""",
    )
    assert (before, after) == ([], ["gpu-late"])


class Overdue:
    """A driver that has shown one device at its first look, long ago, and nothing since."""

    power_step_s = idle_j = None

    def open(self) -> None: ...

    def poll(self, *_: object, **__: object) -> None: ...

    def readings(self) -> tuple[tuple[float, Reading], ...]:
        return ((float("-inf"), Reading("gpu", "GPU-1", 0.0, "nvml-power", "A100")),)

    def close(self) -> None: ...


def test_a_device_that_is_late_before_it_has_moved_is_unknown_and_not_zero() -> None:
    meter = GpuMeter(Overdue(), "nvml")
    worker = meter.start()
    living, deadline_s = Usage(0.0, None, None, (100,)), time.monotonic() + 10
    while not (readings := meter.sample(living, 0.0)):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    meter.close()
    os.waitpid(worker, 0)
    assert readings == (Reading("gpu", "GPU-1", None, "none", "A100", caveats={"gpu-late"}),)


UNAVAILABLE = [["nvml", None, "none", ["gpu-unavailable"]]]


@pytest.mark.parametrize("error", [4, 9, 18, 999])
def test_a_library_that_cannot_start_leaves_the_energy_unknown(meter: Run, error: int) -> None:
    readings = meter(
        machine(POWERED, error_Init=error),
        """
meter.start()
print(json.dumps(shown(sampled_until(lambda readings: readings))))
meter.close()
""",
    )
    assert readings == UNAVAILABLE


def test_a_machine_whose_devices_are_all_closed_to_us_is_unknown(meter: Run) -> None:
    readings = meter(
        machine(POWERED, error_DeviceGetHandleByIndex=4),
        "meter.start(); print(json.dumps(shown(sampled_until(lambda readings: readings))))",
    )
    assert readings == UNAVAILABLE


@pytest.mark.parametrize("function", ["Init", "DeviceGetComputeRunningProcesses"])
def test_a_driver_that_hangs_from_the_start_is_unknown_and_not_zero(
    meter: Run, function: str
) -> None:
    early, last, close_s = meter(
        machine(POWERED, **{f"hang_{function}": 300}),
        """
meter.start()
early = sample()
began_s = time.monotonic()
sampled_until(lambda readings: time.monotonic() > began_s + 0.5)  # NVML is open by then
last = sample(later_s=10.0) and sample(gone, later_s=10.0)
close_s, _ = timed(meter.close)
print(json.dumps([shown(early), shown(last), close_s]))
""",
    )
    assert early == []
    assert last == UNAVAILABLE
    assert close_s <= 0.5


def test_an_idle_machine_costs_a_run_nothing_and_leaves_no_doubt(meter: Run) -> None:
    wait_s, readings = meter(
        machine({**POWERED, "compute": ""}),
        """
meter.start()
began_s = time.monotonic()
sampled_until(lambda readings: time.monotonic() > began_s + 0.5)
wait_s, readings = timed(sample, gone)
meter.close()
print(json.dumps([wait_s, shown(readings)]))
""",
    )
    assert readings == []
    assert wait_s < 0.2


def test_a_meter_that_was_never_started_can_be_closed(meter: Run) -> None:
    assert meter(machine(), "meter.close(); meter.close(); print('[]')") == []


def test_a_run_over_before_its_first_sample_never_opens_the_driver(meter: Run) -> None:
    assert meter(
        machine(POWERED, hang_Init=300),
        """
meter.start()
readings = sample(gone)
close_s, _ = timed(meter.close)
print(json.dumps([shown(readings), close_s < 0.2, "pynvml" in sys.modules]))
""",
    ) == [[], True, False]


def test_a_fault_in_the_worker_stays_off_the_terminal(meter: Run) -> None:
    # `nvml_rig.run` asserts that standard error is empty.
    readings = meter(
        machine(POWERED),
        """
sys.modules["pynvml"] = None  # as where `nvidia-ml-py` is not installed
meter.start()
print(json.dumps(shown(sampled_until(lambda readings: readings))))
""",
    )
    assert readings == UNAVAILABLE


def test_two_runs_that_look_by_themselves_share_no_more_than_the_device_drew(meter: Run) -> None:
    both_j, seen_s = meter(
        TICKING.replace(f"compute {OURS}", f"compute {OURS} 900"),
        """
began_s = time.monotonic()
other = NvmlMeter({}, proc)
meter.start()
time.sleep(0.3)  # they are not in step
other.start()
theirs = Usage(0.0, None, None, (900,))

def both():
    return [*sample(), *other.sample(theirs, time.monotonic())]

sampled_until(lambda readings: both() and time.monotonic() > began_s + 3.7)
meter.finish(), other.finish()
readings = both()
seen_s = time.monotonic() - began_s
meter.close(), other.close()
print(json.dumps([sum(r.energy_j for r in readings), seen_s]))
""",
    )
    # Each pays its half from the first full second that it sees to the last.
    assert 200 * (seen_s - 3.0) < both_j < 200 * seen_s


def test_the_worker_holds_nothing_of_the_commands(meter: Run) -> None:
    # A driver that hangs may keep it for ever: who reads a pipe must not wait for that.
    names, folder, blocked = meter(
        TICKING,
        """
read, write = os.pipe()
os.dup2(write, 90, inheritable=True)
meter.start()
sampled_until(lambda readings: readings)
names = sorted(os.readlink(path).split(":")[0] for path in worker("fd").iterdir())
status = worker("status").read_text()
blocked = status.partition("SigBlk:")[2].split()[0]
print(json.dumps([names, os.readlink(worker("cwd")), blocked]))
meter.close()
""",
    )
    # The driver's own library may have files open: the stand-in has none between its calls.
    assert [name for name in names if not name.startswith("/dev/nvidia")] == [
        *["/dev/null"] * 3,
        "socket",
    ]
    assert folder == "/"
    assert int(blocked, 16) & 0x4003 == 0x4003  # SIGHUP, SIGINT, SIGTERM


def test_the_worker_ends_with_the_meter_and_with_its_parent(meter: Run) -> None:
    closed, killed = meter(
        TICKING,
        """
meter.start()
sampled_until(lambda readings: readings)
meter.close()
closed = ends()
with scenario.open("a") as file:
    file.write("hang.Init 300\\n")
meter = NvmlMeter({}, proc)
read, write = os.pipe()
if os.fork() == 0:
    meter.start()
    sample()
    while "libnvidia-ml" not in worker("maps").read_text():
        time.sleep(0.01)
    os.write(write, str(meter._pid).encode())
    os.kill(os.getpid(), 9)
meter._pid = int(os.read(read, 20))
print(json.dumps([closed, ends()]))
""",
    )
    assert (closed, killed) == (True, True)


def test_a_worker_that_is_killed_leaves_a_late_value(meter: Run) -> None:
    known, caveats, gone_s, close_s = meter(
        TICKING,
        """
meter.start()
sampled_until(lambda readings: readings and readings[0].energy_j)
os.kill(meter._pid, 9)
ends()
gone_s, (reading,) = timed(sample, gone)
close_s, _ = timed(meter.close)
print(json.dumps([reading.energy_j, sorted(reading.caveats), gone_s, close_s]))
""",
    )
    assert known > 0
    assert caveats == ["gpu-late"]
    assert max(gone_s, close_s) < 0.1


def test_the_worker_tells_what_it_has_used_itself(meter: Run) -> None:
    used_s, all_s = meter(
        TICKING,
        """
began_s = time.monotonic()
meter.start()
sampled_until(lambda readings: readings and meter.overhead_s > 0)
print(json.dumps([meter.overhead_s, time.monotonic() - began_s]))
meter.close()
""",
    )
    assert 0 < used_s < all_s


def test_a_state_that_is_read_while_it_is_written_is_not_taken() -> None:
    slot = Slot()
    assert slot.read() is None
    state = State(((1.5, Reading("gpu", "GPU-1", 2.0, "nvml-energy")),), idle_j=3.0)
    slot.publish(state)
    assert slot.read() == state
    slot._memory[20] ^= 1
    assert slot.read() is None


# All of it, from the command line.

WORK = """
import os, sys, time
from pathlib import Path
scenario = Path(os.environ["FAKE_NVML"])
scenario.write_text(scenario.read_text() + sys.argv[1].replace("PID", str(os.getpid())) + "\\n")
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def wrapped(library: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run a command that adds a line to the scenario, and return what `--json` says of it."""

    def wrapped(state: str, line: str, seconds: float, *more: str) -> dict[str, Any]:
        (tmp_path / "scenario").write_text(state)
        options = ["--no-live", "-q", "-r", "FR", "--json", "run.json", "--wait", "tree", *more]
        command = [sys.executable, "-c", WORK, line, str(seconds)]
        subprocess.run(
            [sys.executable, "-m", "eco2ai_cli", "run", *options, "--", *command],
            cwd=tmp_path,
            env=nvml_rig.environment(library, tmp_path / "scenario"),
            check=True,
            timeout=30,
        )
        return json.loads((tmp_path / "run.json").read_text())

    return wrapped


Wrapped = Callable[..., dict[str, Any]]
WAITING = machine({"energy_mj": "clock", "power_mw": 200_000, "limit_mw": 400_000})


def test_a_run_has_the_energy_of_the_gpu_its_command_was_on(wrapped: Wrapped) -> None:
    run = wrapped(WAITING, "0.compute PID", 2.5)
    drawn_kwh = 200 * run["duration_s"] / 3.6e6
    idle_kwh = run["gpu_idle_energy_kwh"]
    # Beside other runs that are measured, what comes before a full second is nobody's.
    assert drawn_kwh - 200 * 1.5 / 3.6e6 < run["gpu_energy_kwh"] < 1.02 * drawn_kwh
    assert run["gpu_energy_kwh"] + idle_kwh < 1.02 * drawn_kwh
    assert (run["gpu_method"], run["gpu_name"]) == ("nvml-energy", "NVIDIA Stand-in 1 device(s)")
    assert run["processes"] == 1  # the worker is not of the tree
    assert not [word for word in run["caveats"] if word.startswith("gpu")]


def test_a_run_that_leaves_the_gpu_alone_has_its_idle_energy_apart(wrapped: Wrapped) -> None:
    run = wrapped(WAITING, "", 2.0)
    assert (run["gpu_energy_kwh"], run["gpu_method"], run["gpu_name"]) == (0, "none", None)
    assert run["gpu_idle_energy_kwh"] > 0.4 * 200 * run["duration_s"] / 3.6e6


def test_a_run_whose_driver_hangs_ends_when_its_command_does(wrapped: Wrapped) -> None:
    run = wrapped(WAITING, "0.compute PID\nhang.DeviceGetTotalEnergyConsumption 300", 1.5)
    assert run["duration_s"] < 3
    assert {"gpu-late", "gpu-unavailable"} & set(run["caveats"])


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (machine(POWERED, error_Init=18), "NVML cannot be opened: "),  # the module's is another
        (machine(POWERED, error_DeviceGetHandleByIndex=4), "GPU 0 cannot be opened: "),
        (machine(), "the driver shows no GPU"),
        (machine(POWERED, hang_Init=300), "the driver did not answer within 2 s"),
    ],
)
def test_a_driver_that_is_asked_for_and_does_not_work_is_refused(
    library: Path, tmp_path: Path, state: str, reason: str
) -> None:
    (tmp_path / "scenario").write_text(state)
    code = """
from eco2ai_cli.errors import MeterUnavailable
from eco2ai_cli.meters import nvml_survey
try:
    nvml_survey.check(patience_s=2.0)
except MeterUnavailable as error:
    print(error, error.hint)
"""
    said = nvml_rig.run(code, library, tmp_path / "scenario")
    assert f"meter `nvml` was asked for, and {reason}" in said
    assert "leave `nvml` out" in said


def test_a_command_whose_gpu_may_not_be_measured_is_not_started(
    library: Path, tmp_path: Path
) -> None:
    (tmp_path / "scenario").write_text(machine(POWERED, error_Init=18))
    child = [sys.executable, "-c", "open('started', 'w')"]
    done = subprocess.run(
        [sys.executable, "-m", "eco2ai_cli", "run", "--meters", "nvml,tdp", "--", *child],
        cwd=tmp_path,
        env=nvml_rig.environment(library, tmp_path / "scenario"),
        capture_output=True,
        timeout=30,
    )
    assert (done.returncode, (tmp_path / "started").exists()) == (125, False)


def test_a_driver_that_is_asked_for_and_works_costs_the_run_nothing(wrapped: Wrapped) -> None:
    """What asks before the start is a child of ours, and none of the run's tree."""
    run = wrapped(WAITING, "0.compute PID", 1.5, "--meters", "nvml,tdp")
    assert run["gpu_energy_kwh"] > 0
    assert run["processes"] == 1


def test_a_gpu_that_may_not_be_asked_is_unknown_and_not_zero(wrapped: Wrapped) -> None:
    run = wrapped(WAITING, "0.compute PID", 0.3, "--meters", "tdp,ram")
    assert run["gpu_energy_kwh"] is None
    assert "gpu-unmetered" in run["caveats"]


def test_the_library_is_found_without_importing_pynvml(library: Path, tmp_path: Path) -> None:
    code = "import sys; from eco2ai_cli.meters import nvml_library; print(nvml_library.present())"
    code += "; assert 'pynvml' not in sys.modules"
    assert nvml_rig.run(code, library, tmp_path / "none") == "True\n"
    (tmp_path / "libnvidia-ml.so.1").write_text("")
    assert nvml_rig.run(code, tmp_path, tmp_path / "none") == "False\n"


def test_without_a_compiler_the_stand_in_is_missed_aloud_in_ci(tmp_path: Path) -> None:
    code = "import nvml_rig, pathlib; nvml_rig.build(pathlib.Path('.'))"
    done = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PATH": "", "PYTHONPATH": f"{nvml_rig.ROOT}:{nvml_rig.ROOT}/tests", **ci},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        for ci in ({}, {"CI": "true"})
    ]
    assert ["Skipped: no C compiler" in run.stderr for run in done] == [True, False]
    assert "Failed: no C compiler" in done[1].stderr
