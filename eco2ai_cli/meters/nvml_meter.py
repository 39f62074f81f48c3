"""Meter NVIDIA GPUs, by NVML in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from eco2ai_cli.meters.gpu_meter import GpuMeter
from eco2ai_cli.meters.nvml import Driver


class NvmlMeter(GpuMeter):
    """Meter the NVIDIA GPUs of a process tree. `environ` is the command's environment."""

    def __init__(self, environ: Mapping[str, str] = os.environ, proc: str = "/proc") -> None:
        super().__init__(Driver(environ, proc, time.monotonic), "nvml")
