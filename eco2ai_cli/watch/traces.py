"""Read the trace of a run that is under way, where it keeps one: its power so far, its GPUs now."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from eco2ai_cli.dashboard import Gpu
from eco2ai_cli.model import COMPONENTS, Energy
from eco2ai_cli.watch.power import LEAST_S, Stretch

_POINTS = 1024
"""How many lines of a trace are read for the past. Its joules are those since the start, so what
lies between two of them is in their difference."""
_TAIL_BYTES = 1 << 16
"""Holds the last line, with 200 GPUs on it."""
_FOREIGN = (OSError, ValueError, TypeError, KeyError, AttributeError)
"""What comes of a file that is not what it seems to be."""


def find(pid: int | None, run_id: str, proc: str = "/proc") -> str | None:
    """Return the path, below `proc`, of the file into which the process `pid` traces a run.

    None where it does not trace, or into a pipe, or hides its files from us.
    """
    begin = f'{{"id": "{run_id}"'.encode()
    with suppress(OSError):
        for number in os.listdir(f"{proc}/{pid}/fd"):
            path = f"{proc}/{pid}/fd/{number}"
            with suppress(OSError), _opened(path) as file:
                if file.read(len(begin)) == begin:
                    return path
    return None


def past(path: str, pue: float) -> tuple[Stretch, ...]:
    """Return the power of a run since its start, by its trace, at the facility's socket."""
    stretches: list[Stretch] = []
    with suppress(*_FOREIGN), _opened(path) as file:
        from_s, from_j = 0.0, 0.0
        for point in _points(file):
            to_s = float(point["t_s"])
            energy = Energy(*(point[f"{component}_energy_j"] for component in COMPONENTS))
            if to_s - from_s >= LEAST_S and energy.total_j is not None:
                power_w = pue * (energy.total_j - from_j) / (to_s - from_s)
                stretches.append(Stretch(from_s, to_s, power_w))
                from_s, from_j = to_s, energy.total_j
    return tuple(stretches)


def gpus(path: str) -> tuple[Gpu, ...] | None:
    """Return the GPUs as of the last sample in a trace; None where that cannot be read."""
    with suppress(*_FOREIGN), _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _TAIL_BYTES))
        last = file.read(_TAIL_BYTES).rpartition(b"\n")[0].rpartition(b"\n")[2]
        return tuple(_gpu(device) for device in json.loads(last)["devices"])
    return None


def _opened(path: str) -> BinaryIO:
    """Open a file that is one; raises OSError. Whoever opens a pipe disturbs those at its ends."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("it is no regular file")
    return open(path, "rb")


def _points(file: BinaryIO) -> Iterator[Any]:
    """Yield lines of a trace about equally far from each other in the file; raises ValueError."""
    size = os.fstat(file.fileno()).st_size
    step, at = max(1, size // _POINTS), 0
    while at < size:
        if at:
            file.seek(at - 1)
            file.readline()  # the rest of a line, if only its end
        yield json.loads(file.readline())
        at = max(at + step, file.tell())


def _gpu(device: dict[str, Any]) -> Gpu:
    return Gpu(
        name=device["name"],
        power_w=device["power_w"],
        utilisation_percent=device.get("utilisation_percent"),
        memory_used_bytes=device.get("memory_used_bytes"),
        temperature_c=device.get("temperature_c"),
    )
