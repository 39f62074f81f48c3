"""Who uses a GPU of AMD or Intel, and for how long: what Linux tells of each open device file.

A *client* is one opening of a device, by `drm-client-id`; processes that were forked, or handed
the file, share it. Its `/proc/<pid>/fdinfo/<fd>` counts the time that it kept each engine of the
device busy (Documentation/gpu/drm-usage-stats.rst).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from eco2ai_cli.machine import read_start

_FILES = "/dev/dri/"
_COMPUTE = "/dev/kfd"
"""The device of ROCm, whose work is in no `drm-engine-` time: it goes past the scheduler."""
_MOST_BYTES = 16384
_RESIDENT = ("drm-resident-vram", "drm-resident-local")
"""The device's own memory: amdgpu and xe call it so, i915 the second (`vram0`, `local0`, …)."""
_UNITS = {"KiB": 2**10, "MiB": 2**20}


class Client(NamedTuple):
    """One client. `pid`: the first process that has it; `address`: of the device.

    `engines`: how long it kept each engine busy, as a part of all engines of that kind, in any
    unit, but in one for all clients of a device. `memory_bytes` it holds on the device.
    """

    pid: int
    address: str
    id: str
    engines: Mapping[str, float]
    memory_bytes: float = 0.0
    computes: bool = False

    @property
    def uses(self) -> bool:
        """Whether it has used the device, and not only opened it to see what is there."""
        untold = self.computes or not self.engines
        return any(self.engines.values()) or (untold and self.memory_bytes > 0)


class Sight(NamedTuple):
    """What a look at processes found; `closed`: some did not let us look at all they have."""

    clients: tuple[Client, ...]
    closed: bool


def look(pids: Iterable[int], proc: str = "/proc") -> Sight:
    """Find the clients among `pids`, each once, as its first process has it."""
    found: dict[tuple[str, str], Client] = {}
    closed = False
    for pid in sorted(pids):
        folder = f"{proc}/{pid}"
        try:
            links = dict(_links(f"{folder}/fd"))
        except PermissionError:
            closed = closed or _is_process(folder)
            continue
        except OSError:
            continue  # it has ended
        computes = _COMPUTE in links.values()
        for name, link in links.items():
            if link.startswith(_FILES):
                told = read_start(f"{folder}/fdinfo/{name}", _MOST_BYTES)
                client = parse(told, pid, computes)
                if client is not None:
                    found.setdefault((client.address, client.id), client)
                closed = closed or (not told and os.path.lexists(f"{folder}/fd/{name}"))
    return Sight(tuple(found.values()), closed)


def _links(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the number and the path of each open file; raises OSError where that is not told."""
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            yield name, os.readlink(f"{folder}/{name}")


def everybody(proc: str = "/proc") -> list[int]:
    """Return the PIDs of all processes that are shown."""
    return [int(name) for name in os.listdir(proc) if name.isdecimal()]


def _is_process(folder: str) -> bool:
    """Tell a process from a thread of the kernel, which has no command line and no files."""
    return bool(read_start(f"{folder}/cmdline", 1))


def parse(text: str, pid: int, computes: bool = False) -> Client | None:
    """Read the file of one opening; None where it is none of a PCI device, or tells no client."""
    fields = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields[key.strip()] = value.split()
    address, id = fields.get("drm-pdev"), fields.get("drm-client-id")
    if not address or not id:
        return None
    # Drivers that go by the time of an engine say so; xe counts its cycles.
    engines = _by_engine(fields, "drm-engine-") or _by_engine(fields, "drm-cycles-")
    resident = [value for key, value in fields.items() if key.startswith(_RESIDENT)]
    memory_bytes = sum(map(_bytes, resident or [fields.get("drm-memory-vram", [])]))
    return Client(pid, address[0], id[0], MappingProxyType(engines), memory_bytes, computes)


def _by_engine(fields: Mapping[str, list[str]], start: str) -> dict[str, float]:
    """Return the time of each engine, divided by how many of its kind there are."""
    found = {}
    for key, value in fields.items():
        engine = key.removeprefix(start)
        if engine != key and not engine.startswith("capacity-") and value:
            capacity = fields.get(f"drm-engine-capacity-{engine}") or ["1"]
            found[engine] = _number(value[0]) / max(1.0, _number(capacity[0]))
    return found


def _bytes(value: list[str]) -> float:
    return _number(value[0]) * _UNITS.get(value[-1], 1) if value else 0.0


def _number(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0
