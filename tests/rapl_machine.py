"""Machines of our own making, as powercap and `/proc/stat` show them, on a simulated clock."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Counter:
    """One energy counter in a file, in microjoules, that wraps around as the kernel's do."""

    def __init__(self, file: Path, watts: float, range_uj: int, start_uj: float) -> None:
        self.file = file
        self.watts = watts
        self.range_uj = range_uj
        self.shown_uj = start_uj % range_uj
        self.used_j = 0.0
        self.write()

    def use(self, joules: float) -> None:
        """Count what was used."""
        self.used_j += joules
        self.shown_uj = (self.shown_uj + joules * 1e6) % self.range_uj
        self.write()

    def reset(self) -> None:
        """Start over at zero, as after a suspend to disk."""
        self.shown_uj = 0.0
        self.write()

    def write(self) -> None:
        """Show it."""
        self.file.write_text(f"{int(self.shown_uj)}\n")


class SimulatedMachine:
    """CPUs that are busy or not, and counters that move; everything under `root`."""

    def __init__(self, root: Path, cpus: int = 4, allowed: str | None = None) -> None:
        self.root = root
        self.cpus = cpus
        self.now_s = 1000.0
        self.busy_cpus = 0.0
        self.spare_s = 50_000.0
        self.counters: dict[str, Counter] = {}
        for folder in ("proc/self", "sys/class/powercap", "sys/devices/system/cpu"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "proc/self/mountinfo").write_text("22 1 0:21 / /proc rw - proc proc rw\n")
        (root / "proc/self/status").write_text(
            f"Cpus_allowed_list:\t{allowed or f'0-{cpus - 1}'}\n"
        )
        (root / "sys/devices/system/cpu/online").write_text(f"0-{cpus - 1}\n")
        self.write_stat()

    def zone(
        self,
        id: str,
        name: str,
        watts: float = 0.0,
        *,
        range_uj: int = 262_143_328_850,
        start_uj: float = 5e9,
        files: Mapping[str, str] | None = None,
    ) -> Counter:
        """Add a zone, flat in the class folder as the kernel's symbolic links are."""
        folder = self.root / "sys/class/powercap" / id
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
        for file, content in (files or {}).items():
            (folder / file).write_text(content)
        counter = Counter(folder / "energy_uj", watts, range_uj, start_uj)
        self.counters[id] = counter
        return counter

    def advance(self, step_s: float) -> None:
        """Let time pass at the powers and the load as they are."""
        self.now_s += step_s
        self.spare_s += (self.cpus - self.busy_cpus) * step_s
        for counter in self.counters.values():
            counter.use(counter.watts * step_s)
        self.write_stat()

    def write_stat(self) -> None:
        """Show the load: what is spare is idle, and a fifth of it waits for a disk."""
        ticks = int(self.spare_s * TICKS_PER_S + 1e-3)
        times = f"7 8 9 {ticks - ticks // 5} {ticks // 5} 1 2 3 0 0"
        lines = [f"cpu  {times}", *(f"cpu{n} {times}" for n in range(self.cpus)), "intr 5 4", ""]
        (self.root / "proc/stat").write_text("\n".join(lines))
