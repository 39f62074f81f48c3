"""On a machine with a real NVIDIA GPU: `pytest -m gpu`. A load of known length, made with the
driver alone (`libcuda`, a kernel in PTX), against power that is sampled independently."""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eco2ai_cli.meters import nvml, nvml_library
from eco2ai_cli.meters.gpu_job import own_pid_namespace
from eco2ai_cli.model import Reading, Usage

pytestmark = pytest.mark.gpu

FIRST_GPU = {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

LOAD = r"""
import ctypes, sys

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
rounds = ctypes.c_uint(200_000)
call("cuInit", 0)
call("cuCtxCreate_v2", ctypes.byref(context), 0, 0)
call("cuModuleLoadData", ctypes.byref(module), PTX)
call("cuModuleGetFunction", ctypes.byref(kernel), module, b"spin")
call("cuMemAlloc_v2", ctypes.byref(out), ctypes.c_size_t(4))
args = (ctypes.c_void_p * 2)(ctypes.addressof(out), ctypes.addressof(rounds))
print("ready", flush=True)
while True:
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
    yield pynvml
    pynvml.nvmlShutdown()


@pytest.fixture
def load(driver: Any) -> Iterator[subprocess.Popen[str]]:
    """Keep the first GPU busy until the test ends."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        pytest.skip("no CUDA driver on this machine")
    with subprocess.Popen(
        [sys.executable, "-c", LOAD],
        env={**os.environ, **FIRST_GPU},
        stdout=subprocess.PIPE,
        text=True,
    ) as load:
        assert load.stdout is not None
        assert load.stdout.readline() == "ready\n"
        yield load
        load.kill()


@pytest.fixture
def meter() -> Iterator[nvml.NvmlMeter]:
    meter = nvml.NvmlMeter(FIRST_GPU)
    meter.start()
    yield meter
    meter.close()


def sample(meter: nvml.NvmlMeter, pid: int) -> list[Reading]:
    return list(meter.sample(Usage(0.0, None, None, (pid,)), time.monotonic()))


def watch(seconds: float, look: Callable[[], None], pace_s: float = 0.05) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        look()
        time.sleep(pace_s)


def test_the_energy_of_a_load_is_the_integral_of_its_power(
    driver: Any, load: subprocess.Popen[str], meter: nvml.NvmlMeter
) -> None:
    handle = driver.nvmlDeviceGetHandleByIndex(0)
    watch(3.0, lambda: sample(meter, load.pid) and None)  # power and clocks settle
    seen: list[tuple[float, float]] = []

    def look() -> None:
        seen.append((time.monotonic(), driver.nvmlDeviceGetPowerUsage(handle) / 1e3))
        sample(meter, load.pid)

    meter.finish(2.0)
    (before,) = sample(meter, load.pid)
    watch(10.0, look)
    meter.finish(2.0)
    (after,) = sample(meter, load.pid)
    drawn_j = sum(
        (later_s - sooner_s) * (later_w + sooner_w) / 2
        for (sooner_s, sooner_w), (later_s, later_w) in itertools.pairwise(seen)
    )
    assert before.energy_j is not None
    assert after.energy_j is not None
    assert after.device == driver.nvmlDeviceGetUUID(handle)
    assert after.energy_j - before.energy_j == pytest.approx(drawn_j, rel=0.05)


def test_a_tree_that_leaves_the_gpu_alone_has_no_reading(
    load: subprocess.Popen[str], meter: nvml.NvmlMeter
) -> None:
    if own_pid_namespace():
        pytest.skip("in a PID namespace of its own a machine counts whole devices")
    with subprocess.Popen(["sleep", "60"]) as bystander:
        readings: list[list[Reading]] = []
        watch(3.0, lambda: readings.append(sample(meter, bystander.pid)))
        bystander.kill()
    assert readings[-1] == []


def test_metering_takes_less_than_a_hundredth_of_a_core(
    load: subprocess.Popen[str], meter: nvml.NvmlMeter
) -> None:
    watch(3.0, lambda: sample(meter, load.pid) and None)
    before_s = time.process_time()
    watch(10.0, lambda: sample(meter, load.pid) and None, pace_s=1.0)
    assert time.process_time() - before_s < 0.1
