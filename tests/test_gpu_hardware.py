"""On a machine with a real NVIDIA GPU: `pytest -m gpu -s`. A load of known length, made with the
driver alone (`libcuda`, a kernel in PTX), against power that is sampled independently.

What each test saw it prints, with the model and the driver: that belongs into `docs/gpu.md`.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eco2ai_cli.meters import nvml_library
from eco2ai_cli.meters.nvml_meter import NvmlMeter
from eco2ai_cli.model import Reading, Usage

pytestmark = pytest.mark.gpu

FIRST_GPU = {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

LOAD = r"""
import ctypes, sys, time

PTX = b'''
.version 6.0
.target sm_60
.address_size 64
.visible .entry spin(.param .u64 out, .param .u32 rounds)
{
    .reg .pred %p;
    .reg .u32 %r<3>;
    .reg .u64 %rd<2>;
    .reg .f32 %f<3>;
    ld.param.u64 %rd1, [out];
    ld.param.u32 %r1, [rounds];
    mov.u32 %r2, 0;
    mov.f32 %f1, 0f3F800001;
    mov.f32 %f2, 0f3F7FFFFF;
again:
    fma.rn.f32 %f1, %f1, %f2, %f2;
    fma.rn.f32 %f2, %f2, %f1, %f1;
    add.u32 %r2, %r2, 1;
    setp.lt.u32 %p, %r2, %r1;
    @%p bra again;
    st.global.f32 [%rd1], %f1;
    ret;
}
'''
cuda = ctypes.CDLL("libcuda.so.1")

def call(name, *args):
    error = getattr(cuda, name)(*args)
    if error:
        sys.exit(f"{name} failed with {error}")

context, module, kernel, out = (ctypes.c_void_p() for _ in range(4))
rounds, device = ctypes.c_uint(200_000), ctypes.c_int()
until_s = time.monotonic() + float(sys.argv[1])
call("cuInit", 0)
call("cuDeviceGet", ctypes.byref(device), 0)
call("cuCtxCreate_v2", ctypes.byref(context), 0, device)
call("cuModuleLoadData", ctypes.byref(module), PTX)
call("cuModuleGetFunction", ctypes.byref(kernel), module, b"spin")
call("cuMemAlloc_v2", ctypes.byref(out), ctypes.c_size_t(4))
args = (ctypes.c_void_p * 2)(ctypes.addressof(out), ctypes.addressof(rounds))
print("ready", flush=True)
while time.monotonic() < until_s:
    call("cuLaunchKernel", kernel, 2048, 1, 1, 256, 1, 1, 0, None, args, None)
    call("cuCtxSynchronize")
"""


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """Open the real NVML for the test's own look at the first device."""
    if not nvml_library.present():
        pytest.skip("no NVIDIA driver on this machine")
    import pynvml

    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError as error:
        pytest.skip(f"NVML does not start: {error}")
    if not count:
        pytest.skip("no NVIDIA GPU on this machine")
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        pytest.skip("no CUDA driver on this machine")
    yield pynvml
    pynvml.nvmlShutdown()


@pytest.fixture
def say(driver: Any, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Print what was seen, with the model and the driver."""
    name = driver.nvmlDeviceGetName(driver.nvmlDeviceGetHandleByIndex(0))
    version = driver.nvmlSystemGetDriverVersion()

    def say(**figures: object) -> None:
        with capsys.disabled():
            print(f"\n{name}, driver {version}:", json.dumps(figures, default=str))

    return say


@contextlib.contextmanager
def load(seconds: float) -> Iterator[int]:
    """Keep the first GPU busy for `seconds`, or until left; the PID of who does."""
    command = [sys.executable, "-c", LOAD, str(seconds)]
    environ = {**os.environ, **FIRST_GPU}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.kill()


class Watch:
    """Sample the power of the first device 20 times a second, in a thread, until left."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._handle = driver.nvmlDeviceGetHandleByIndex(0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._seen: list[tuple[float, float]] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            power_w = self._driver.nvmlDeviceGetPowerUsage(self._handle) / 1e3
            self._seen.append((time.monotonic(), power_w))

    def drawn_j(self, since_s: float, until_s: float) -> float:
        """Integrate the power from one moment to another."""
        seen = [(at_s, w) for at_s, w in self._seen if since_s <= at_s <= until_s]
        covered_s = seen[-1][0] - seen[0][0]
        inside_j = sum(
            (later_s - sooner_s) * (later_w + sooner_w) / 2
            for (sooner_s, sooner_w), (later_s, later_w) in itertools.pairwise(seen)
        )
        return inside_j * (until_s - since_s) / covered_s


class Metered:
    """A meter of the tree of one process, started and looked at like the recorder does."""

    def __init__(self, pid: int) -> None:
        self._usage = Usage(0.0, None, None, (pid,))
        self.meter = NvmlMeter(FIRST_GPU)

    def __enter__(self) -> Metered:
        self.meter.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.meter.close()

    def look(self) -> list[Reading]:
        """Take what the worker has left."""
        return list(self.meter.sample(self._usage, time.monotonic()))

    def fresh(self) -> tuple[float, Reading]:
        """Take the values of now; when, and the one reading there has to be.

        Just after a full second, for of a shared device what is left of one is not settled.
        """
        time.sleep(1.1 - time.monotonic() % 1)
        self.meter.finish()
        (reading,) = self.look()
        return time.monotonic(), reading


def keep_looking(seconds: float, *metered: Metered) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for one in metered:
            one.look()
        time.sleep(0.2)


def needs_pids(reading: Reading) -> None:
    if "gpu-by-device" in reading.caveats:
        pytest.skip("the driver does not tell processes apart here: whole devices count")


def energy_j(reading: Reading) -> float:
    assert reading.energy_j is not None
    return reading.energy_j


def test_the_energy_of_a_load_is_the_integral_of_its_power(
    driver: Any, say: Callable[..., None]
) -> None:
    with load(60) as pid, Metered(pid) as metered, Watch(driver) as watch:
        keep_looking(4.0, metered)  # power and clocks settle
        began_s, before = metered.fresh()
        keep_looking(15.0, metered)
        ended_s, after = metered.fresh()
    used_j = energy_j(after) - energy_j(before)
    drawn_j = watch.drawn_j(began_s, ended_s)
    say(test="energy", used_j=used_j, drawn_j=drawn_j, method=after.method, **after.details)
    assert after.device == driver.nvmlDeviceGetUUID(driver.nvmlDeviceGetHandleByIndex(0))
    assert used_j == pytest.approx(drawn_j, rel=0.05)


def test_a_run_from_the_command_line_has_the_energy_of_its_load(
    driver: Any, say: Callable[..., None], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", LOAD, "20"]
    with Watch(driver) as watch:
        began_s = time.monotonic()
        options = ["--no-live", "-q", "-r", "FR", "--json", "run.json"]
        done = subprocess.run(
            [sys.executable, "-m", "eco2ai_cli", "run", *options, "--", *command],
            cwd=tmp_path,
            env={**os.environ, **FIRST_GPU, "PYTHONPATH": str(Path(__file__).parent.parent)},
            stdout=subprocess.DEVNULL,
            timeout=60,
        )
        ended_s = time.monotonic()
    assert done.returncode == 0
    run = json.loads((tmp_path / "run.json").read_text())
    drawn_j = watch.drawn_j(began_s, ended_s)
    used_j, idle_j = (3.6e6 * (run[f"gpu_{key}_kwh"] or 0.0) for key in ("energy", "idle_energy"))
    say(test="run", used_j=used_j, idle_j=idle_j, drawn_j=drawn_j, caveats=run["caveats"])
    # Until CUDA has its context, seconds on some machines, nobody is on the device.
    assert used_j + idle_j == pytest.approx(drawn_j, rel=0.05)
    assert idle_j < 0.1 * drawn_j


def test_two_processes_on_one_gpu_share_what_it_draws(
    driver: Any, say: Callable[..., None]
) -> None:
    with (
        load(60) as first,
        load(60) as second,
        Metered(first) as one,
        Metered(second) as other,
        Watch(driver) as watch,
    ):
        keep_looking(5.0, one, other)
        needs_pids(one.fresh()[1])
        began_s, before = one.fresh()
        began_j = energy_j(before) + energy_j(other.fresh()[1])
        keep_looking(20.0, one, other)
        ended_s, after = one.fresh()
        others = other.fresh()[1]
    drawn_j = watch.drawn_j(began_s, ended_s)
    ours_j = energy_j(after) - energy_j(before)
    both_j = energy_j(after) + energy_j(others) - began_j
    say(test="shared", share=ours_j / drawn_j, both=both_j / drawn_j, method=after.method)
    assert "gpu-shared" in after.caveats
    assert after.method.endswith("+share")
    assert 0.3 < ours_j / drawn_j < 0.7  # they are equal, and take turns
    assert both_j == pytest.approx(drawn_j, rel=0.05)


def test_a_tree_that_leaves_the_gpu_alone_has_no_reading(
    driver: Any, say: Callable[..., None]
) -> None:
    with load(30), subprocess.Popen(["sleep", "60"]) as bystander:
        with Metered(bystander.pid) as metered:
            keep_looking(3.0, metered)
            readings = metered.look()
            idle_j = metered.meter.idle_j
        bystander.kill()
    if readings:
        needs_pids(readings[0])
    say(test="bystander", idle_j=idle_j)
    assert readings == []
    assert idle_j == 0  # the device is busy, with another's work


def test_metering_takes_less_than_a_hundredth_of_a_core(
    driver: Any, say: Callable[..., None]
) -> None:
    with load(60) as pid, Metered(pid) as metered:
        keep_looking(4.0, metered)  # the library is loaded, the first looks are closer together
        metered.fresh()
        began_s, before_s = metered.meter.overhead_s, time.process_time()
        keep_looking(15.0, metered)
        metered.fresh()
        worker_s = metered.meter.overhead_s - began_s
        ours_s = time.process_time() - before_s
    say(test="overhead", worker_of_a_core=worker_s / 15, caller_of_a_core=ours_s / 15)
    assert worker_s / 15 < 0.01
    assert ours_s / 15 < 0.01
