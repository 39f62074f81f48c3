"""Ask NVML about one device. The module `pynvml` is handed in: its door is `nvml.py`."""

from __future__ import annotations

from typing import Any

from eco2ai_cli.meters.gpus import Gpu, Look

# nvmlReturn_t of nvml.h; by number, because older versions of `pynvml` lack some of the names.
_REFUSALS = frozenset({3, 4, 13})  # not supported, no permission, function not found
_LOSSES = frozenset({15, 16, 28})  # GPU is lost, reset required, GPU not found


class Lost(Exception):
    """The device fell off the bus, or must be reset before it answers again."""


class Device:
    """One device behind its handle; what the driver refuses for good is not asked again."""

    def __init__(self, nvml: Any, handle: Any, index: int) -> None:
        self._nvml = nvml
        self._handle = handle
        self._refused: set[str] = set()
        self._pids: frozenset[int] | None = None
        self._details: dict[str, float] = {}
        uuid = self._ask("UUID") or f"index-{index}"
        limit_mw = self._ask("EnforcedPowerLimit")
        self.gpu = Gpu(uuid, self._ask("Name"), limit_mw / 1e3 if limit_mw else None)

    def _ask(self, what: str, *args: Any) -> Any:
        """Return what `nvmlDeviceGet…` answers, None if nothing; raises Lost."""
        call = getattr(self._nvml, f"nvmlDeviceGet{what}", None)
        if call is None or what in self._refused:
            return None
        try:
            return call(self._handle, *args)
        except self._nvml.NVMLError as error:
            if error.value in _LOSSES:
                raise Lost from error
            if error.value in _REFUSALS:
                self._refused.add(what)
            return None

    def _processes(self, kind: str) -> frozenset[int] | None:
        """Return the PIDs on one list: drivers before 510 know its second version only."""
        for version in ("v3", "v2"):
            listed = self._ask(f"{kind}RunningProcesses_{version}")
            if listed is not None:
                return frozenset(process.pid for process in listed)
        return None

    def _residents(self) -> frozenset[int] | None:
        compute = self._processes("Compute")
        if compute is None:
            return None
        others = (self._processes("Graphics"), self._processes("MPSCompute"))
        return compute.union(*(pids for pids in others if pids))

    def _dashboard(self) -> dict[str, float]:
        """Return what screens show; each value survives the failure of the others."""
        rates = self._ask("UtilizationRates")
        memory = self._ask("MemoryInfo")
        values = {
            "utilisation_percent": rates and rates.gpu,
            "memory_used_bytes": memory and memory.used,
            "temperature_c": self._ask("Temperature", self._nvml.NVML_TEMPERATURE_GPU),
        }
        return {name: float(value) for name, value in values.items() if value is not None}

    def look(self, at_s: float, full: bool) -> Look:
        """Read energy and power, and in a `full` look who is there; raises Lost."""
        counter_mj = self._ask("TotalEnergyConsumption")
        power_mw = self._ask("PowerUsage")
        if full:
            pids = self._residents()
            self._pids = self._pids if pids is None else pids
            self._details = self._dashboard() if self.gpu.used else {}
        return Look(
            at_s,
            None if counter_mj is None else counter_mj / 1e3,
            None if power_mw is None else power_mw / 1e3,
            self._pids,
            self._details,
        )
