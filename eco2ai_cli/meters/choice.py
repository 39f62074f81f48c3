"""Choose the meter of each component: the first source in the table that is there and allowed."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from eco2ai_cli.cpus import Processor
from eco2ai_cli.meters import Meter, nvml_library
from eco2ai_cli.meters.ram import RamMeter
from eco2ai_cli.meters.tdp import TdpMeter
from eco2ai_cli.meters.unmetered import Unmetered
from eco2ai_cli.model import Reading

_GPU_DEVICES = ("/dev/nvidia0", "/dev/kfd")
"""What the kernel shows of NVIDIA's and AMD's compute devices."""


def open_meters(
    words: Collection[str] | None,
    processor: Processor | None,
    ram_w_per_gb: float,
    environ: Mapping[str, str],
) -> tuple[Meter, ...]:
    """Open one meter a component; `words` (None: all) are the sources allowed.

    `processor` is None where it could not be told: then the CPU is not metered.

    No GPU here: no meter for it, because there is nothing that could use energy.
    """

    def allowed(word: str) -> bool:
        return words is None or word in words

    meters: list[Meter] = [
        TdpMeter(processor.w_per_thread, processor.name, processor.caveats)
        if processor is not None and allowed("tdp")
        else Unmetered("cpu"),
        RamMeter(ram_w_per_gb) if allowed("ram") else Unmetered("ram"),
    ]
    if allowed("nvml") and nvml_library.present():
        from eco2ai_cli.meters.nvml import NvmlMeter  # whoever has no GPU pays nothing for it

        gpu = NvmlMeter(environ=environ)
        try:
            gpu.start()
        except (OSError, RuntimeError):  # no thread left for it
            meters.append(Unmetered("gpu"))
        else:
            meters.append(gpu)
    elif any(map(os.path.exists, _GPU_DEVICES)):
        meters.append(Unmetered("gpu"))
    return tuple(meters)


def gpu_name(readings: Sequence[Reading]) -> str:
    """Name the GPUs that were metered, each model with its count; "" for none."""
    if not readings:
        return ""
    from eco2ai_cli.meters import gpus

    return gpus.gpu_name(readings)
