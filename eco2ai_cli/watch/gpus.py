"""Look at the GPUs of a run that keeps no trace, as the run itself does: by meters of our own."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress

from eco2ai_cli.dashboard import Gpu
from eco2ai_cli.meters import Meter
from eco2ai_cli.meters.choice import open_meters
from eco2ai_cli.model import Usage
from eco2ai_cli.processes.procfs import read_file
from eco2ai_cli.watch.runs import LiveRun

_SOURCES = ("nvml", "hwmon", "amdsmi")
"""The sources of `--meters` that are of GPUs."""


class Gpus:
    """The GPUs of one run at a time. Drivers are asked in processes of their own: they may hang."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._run_id = ""
        self._meters: tuple[Meter, ...] = ()

    def look(self, run: LiveRun, pids: Collection[int]) -> tuple[Gpu, ...] | None:
        """Return the GPUs that `run` uses, `pids` being its processes; None: not known (yet).

        The drivers are let alone until the run has used a GPU.
        """
        if run.id != self._run_id:
            self.close()
        if not pids or str(run.cells.get("gpu_method") or "none") == "none":
            return None
        if not self._run_id:
            self._run_id = run.id
            self._open(min(pids))
        usage, now_s = Usage(0.0, None, None, pids=tuple(pids)), time.monotonic()
        readings = [reading for meter in self._meters for reading in meter.sample(usage, now_s)]
        gpus = tuple(
            Gpu(
                reading.name,
                reading.power_w,
                reading.details.get("utilisation_percent"),
                reading.details.get("memory_used_bytes"),
                reading.details.get("temperature_c"),
            )
            for reading in readings
            if reading.name
        )
        return gpus or None

    def close(self) -> None:
        """Let go of the drivers."""
        for meter in self._meters:
            meter.close()
        self._meters = ()
        self._run_id = ""

    def _open(self, pid: int) -> None:
        """Open meters for a process and its like; the environment says which GPUs it was given."""
        words: list[bytes] = []
        with suppress(OSError):
            words = read_file(f"{self._proc}/{pid}/environ").split(b"\0")
        named = (word.decode("utf-8", "replace").partition("=") for word in words)
        environ = {name: value for name, _, value in named}
        meters = open_meters(_SOURCES, None, 0.0, environ)
        self._meters = tuple(meter for meter in meters if meter.component == "gpu")
