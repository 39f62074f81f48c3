"""Who computes by ROCm, AMD's way past the graphics scheduler: its work has no engine times.

The kernel lists those processes for everybody, by the PIDs of the machine, with the memory that
each has on each device (amdkfd, `kfd_process.c`).
"""

from __future__ import annotations

import os

from eco2ai_cli.machine import read_start

_KFD = "/sys/class/kfd/kfd"


def computing(root: str = "") -> dict[str, frozenset[int]]:
    """Return the PIDs that hold memory on each device, by its PCI address."""
    found: dict[str, set[int]] = {}
    addresses = None
    for pid in filter(str.isdecimal, _names(f"{root}{_KFD}/proc")):
        addresses = _addresses(root) if addresses is None else addresses
        for gpu, address in addresses.items():
            if _number(read_start(f"{root}{_KFD}/proc/{pid}/vram_{gpu}", 32)):
                found.setdefault(address, set()).add(int(pid))
    return {address: frozenset(pids) for address, pids in found.items()}


def _addresses(root: str) -> dict[int, str]:
    """Return the PCI address of each device that amdkfd numbers; processors are 0."""
    found = {}
    nodes = f"{root}{_KFD}/topology/nodes"
    for node in _names(nodes):
        gpu = _number(read_start(f"{nodes}/{node}/gpu_id", 32))
        told = dict(
            line.split()[:2]
            for line in read_start(f"{nodes}/{node}/properties").splitlines()
            if len(line.split()) >= 2
        )
        place = _number(told.get("location_id", ""))
        if gpu and place:
            domain = _number(told.get("domain", ""))
            found[gpu] = f"{domain:04x}:{place >> 8 & 255:02x}:{place >> 3 & 31:02x}.{place & 7}"
    return found


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0
