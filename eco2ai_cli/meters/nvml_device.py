"""Ask NVML about one device. The module `pynvml` is handed in: its door is not here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eco2ai_cli.meters.gpu_dial import Look
from eco2ai_cli.meters.gpu_job import is_mps_server
from eco2ai_cli.meters.nvml_library import REFUSALS, text

_LOSSES = frozenset({15, 16, 28})
"""GPU is lost, reset required, GPU not found (nvmlReturn_t of nvml.h)."""

_AMPERE = 7
"""Up to it (nvmlDeviceArchitecture_t), sensors may show the power of the moment: all before it,
and the A100 of it. Later ones show the mean of a second (nvmlDeviceGetPowerUsage)."""
_OF_THE_MOMENT_S = 0.1
_OF_A_SECOND_S = 0.5
_MOST_SLICES = ((0x4, 7), (0x3, 4))
"""Profiles of a MIG slice that is the whole device, and the slices in it: most have 7, the A30
and the workstation boards 4."""


class Lost(Exception):
    """The device fell off the bus, or must be reset before it answers again."""


class Handle:
    """One device, or one MIG slice, behind its handle.

    Each value survives the failure of the others; what the driver refuses for good is not asked
    again.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._refused: set[str] = set()
        self._pids: frozenset[int] | None = None

    def ask(self, what: str, *args: Any) -> Any:
        """Return what `nvmlDeviceGet…` answers, None if nothing; raises Lost."""
        call = getattr(self._nvml, f"nvmlDeviceGet{what}", None)
        if call is None or what in self._refused:
            return None
        try:
            return call(self._handle, *args)
        except self._nvml.NVMLError as error:
            if error.value in _LOSSES:
                raise Lost from error
            if error.value in REFUSALS and not args:
                self._refused.add(what)
        except ValueError:
            pass  # a text that is none
        return None

    def residents(self, proc: str) -> frozenset[int] | None:
        """Return the PIDs on it; those of the last time if that fails, None if it always did.

        The server of MPS is left out where its clients are told: it works for them.
        """
        compute = self._processes("Compute")
        if compute is not None:
            clients = self._processes("MPSCompute")
            if clients:
                compute = frozenset(pid for pid in compute if not is_mps_server(pid, proc))
            others = (clients, self._processes("Graphics"))
            self._pids = compute.union(*(pids for pids in others if pids))
        return self._pids

    def _processes(self, kind: str) -> frozenset[int] | None:
        """Return the PIDs on one list: drivers before 510 know its second version only."""
        for version in ("v3", "v2"):
            listed = self.ask(f"{kind}RunningProcesses_{version}")
            if listed is not None:
                return frozenset(process.pid for process in listed)
        return None

    def dashboard(self) -> dict[str, float]:
        """Return what screens show of it."""
        rates = self.ask("UtilizationRates")
        memory = self.ask("MemoryInfo")
        values = {
            "utilisation_percent": rates and rates.gpu,
            "memory_used_bytes": memory and memory.used,
            "temperature_c": self.ask("Temperature", self._nvml.NVML_TEMPERATURE_GPU),
        }
        return {name: float(value) for name, value in values.items() if value is not None}


class Device(Handle):
    """One whole device, known by its UUID, else by its place on the bus, else by a `label`."""

    def __init__(self, nvml: Any, handle: Any, label: str) -> None:
        super().__init__(nvml, handle)
        bus = self.ask("PciInfo")
        self.uuid: str = self.ask("UUID") or (bus and text(bus.busId)) or label
        self.name: str | None = self.ask("Name")
        limit_mw = self.ask("EnforcedPowerLimit")
        default_mw = self.ask("PowerManagementDefaultLimit")
        self.limit_w = limit_mw / 1e3 if limit_mw else None
        self.default_limit_w = default_mw / 1e3 if default_mw else None
        architecture = self.ask("Architecture")
        late = architecture is not None and _AMPERE < architecture < 0xFFFF  # the last: unknown
        self.power_step_s = _OF_A_SECOND_S if late else _OF_THE_MOMENT_S
        self._told_us: int | None = None

    def slices(self) -> Iterator[tuple[str, str, float, Handle]]:
        """Yield the MIG slices, each with its UUID, older name, and part of the device."""
        mode = self.ask("MigMode")
        if not mode or not mode[0]:
            return
        most = self._most_slices()
        for index in range(self.ask("MaxMigDeviceCount") or 0):
            found = self.ask("MigDeviceHandleByIndex", index)
            if found is None:
                continue  # there are fewer than the most that would go
            piece = Handle(self._nvml, found)
            uuid = piece.ask("UUID")
            has = piece.ask("Attributes")
            held = has and (has.computeInstanceSliceCount or has.gpuInstanceSliceCount)
            if uuid and held:
                where = piece.ask("GpuInstanceId"), piece.ask("ComputeInstanceId")
                place = "MIG-{}/{}/{}".format(self.uuid, *where)
                yield uuid, place, min(1.0, held / most), piece

    def _most_slices(self) -> int:
        for profile, slices in _MOST_SLICES:
            if (told := self.ask("GpuInstanceProfileInfo", profile)) is not None:
                return int(told.sliceCount) or slices
        return _MOST_SLICES[0][1]

    def look(self, at_s: float) -> Look:
        """Read energy and power; raises Lost."""
        counter_mj = self.ask("TotalEnergyConsumption")
        power_mw = self.ask("PowerUsage")
        return Look(
            at_s,
            None if counter_mj is None else counter_mj / 1e3,
            None if power_mw is None else power_mw / 1e3,
        )

    def busy(self) -> dict[int, float]:
        """Return how busy each process kept the processors since this was last asked.

        Empty where the driver does not tell (no permission, MIG), where nobody was busy, and the
        first time. Each process counts with the sum of its samples.
        """
        samples = self.ask("ProcessUtilization", self._told_us or 0) or ()
        first = self._told_us is None
        self._told_us = max((s.timeStamp for s in samples), default=self._told_us or 0)
        busy: dict[int, float] = {}
        for sample in samples if not first else ():
            if sample.smUtil <= 100:  # whatever else is no percentage
                busy[sample.pid] = busy.get(sample.pid, 0.0) + sample.smUtil
        return busy
