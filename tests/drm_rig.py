"""Machines with GPUs of AMD and Intel, as sysfs and `/proc/<pid>/fdinfo` show them.

The texts are as the drivers write them: amdgpu_fdinfo.c, xe_drm_client.c and i915_drm_client.c of
Linux 6.16, and the files of their hwmon devices.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

HOST_PIDS = 4026531836
IDS = {"AMD": "0x1002", "Intel": "0x8086", "NVIDIA": "0x10de"}


class Machine:
    """Cards and processes under `root`, on a clock of its own."""

    def __init__(self, root: Path, namespace: int = HOST_PIDS) -> None:
        self.root = root
        self.now_s = 1000.0
        (root / "proc/self/ns").mkdir(parents=True)
        (root / "proc/self/ns/pid").symlink_to(f"pid:[{namespace}]")
        (root / "sys/class/drm").mkdir(parents=True)
        (root / "sys/class/drm/version").write_text("drm 1.1.0 20060810\n")
        self.process(1, 0)

    def card(
        self,
        number: int,
        address: str,
        vendor: str = "AMD",
        *,
        hwmon: Mapping[str, object] | None = None,
        files: Mapping[str, object] | None = None,
        device: str = "0x73bf",
    ) -> Path:
        """Add a card, with the files of its device and of its sensors; return its folder."""
        folder = self.root / "sys/bus/pci/devices" / address
        fixed = {"vendor": IDS[vendor], "device": device, "revision": "0xc1", "class": "0x030000"}
        write(folder, {**fixed, **(files or {})})
        place = self.root / "sys/class/drm" / f"card{number}"
        place.mkdir()
        (place / "device").symlink_to(folder)
        (self.root / "sys/class/drm" / f"card{number}-DP-1").mkdir()
        if hwmon is not None:
            names = {"AMD": "amdgpu", "Intel": "xe"}
            write(folder / "hwmon" / f"hwmon{number + 2}", {"name": names[vendor], **hwmon})
        return folder

    def process(self, pid: int, parent: int = 1) -> None:
        """Start a process."""
        folder = self.root / "proc" / str(pid)
        write(folder, {"stat": f"{pid} (a) b) S {parent} " + "0 " * 48, "cmdline": "python\0"})
        (folder / "fd").mkdir()
        (folder / "fdinfo").mkdir()

    def end(self, pid: int) -> None:
        """End a process."""
        shutil.rmtree(self.root / "proc" / str(pid))

    def opens(self, pid: int, fd: int, text: str, path: str = "/dev/dri/renderD128") -> None:
        """Have a process hold a file open, or show anew what its fdinfo says."""
        folder = self.root / "proc" / str(pid)
        if not (folder / "fd" / str(fd)).is_symlink():
            os.symlink(path, folder / "fd" / str(fd))
        (folder / "fdinfo" / str(fd)).write_text(text)


def write(folder: Path, files: Mapping[str, object]) -> None:
    """Write files of one line each."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{content}\n")


def amdgpu(client: int, address: str, vram_kib: int = 0, **engines_ns: int) -> str:
    """Return what amdgpu shows of a client; `gfx`, `compute`, … in nanoseconds."""
    lines = [
        *("pos:\t0", "flags:\t02100002", "mnt_id:\t26", "ino:\t620", "drm-driver:\tamdgpu"),
        *(f"drm-client-id:\t{client}", f"drm-pdev:\t{address}", "pasid:\t32771"),
        *("drm-total-vram:\t8 KiB", f"drm-resident-vram:\t{vram_kib} KiB"),
        *(f"drm-memory-vram:\t{vram_kib} KiB", "drm-memory-gtt: \t64 KiB"),
        *(f"drm-engine-{engine}:\t{ns} ns" for engine, ns in engines_ns.items()),
    ]
    return "\n".join(lines) + "\n"


def xe(client: int, address: str, total: int, ccs: int, capacity: int = 1, **cycles: int) -> str:
    """Return what xe shows of a client: cycles of each engine, and of the device's clock."""
    lines = [
        *("pos:\t0", "flags:\t0100002", "mnt_id:\t26", "ino:\t551", "drm-driver:\txe"),
        *(f"drm-client-id:\t{client}", f"drm-pdev:\t{address}"),
        *("drm-total-system:\t0", "drm-resident-vram0:\t4 MiB"),
    ]
    for engine, used in {"rcs": 0, "ccs": ccs, **cycles}.items():
        lines += [f"drm-cycles-{engine}:\t{used}", f"drm-total-cycles-{engine}:\t{total}"]
    if capacity > 1:
        lines.append(f"drm-engine-capacity-ccs:\t{capacity}")
    return "\n".join(lines) + "\n"


def i915(client: int, address: str, render_ns: int, video_ns: int = 0) -> str:
    """Return what i915 shows of a client, of a device with two engines for video."""
    lines = [
        *("pos:\t0", "flags:\t02100002", "mnt_id:\t26", "ino:\t473", "drm-driver:\ti915"),
        *(f"drm-pdev:\t{address}", f"drm-client-id:\t{client}"),
        *("drm-total-system0:\t2 MiB", f"drm-engine-render:\t{render_ns} ns"),
        *("drm-engine-copy:\t0 ns", f"drm-engine-video:\t{video_ns} ns"),
        *("drm-engine-capacity-video:\t2", "drm-engine-video-enhance:\t0 ns"),
    ]
    return "\n".join(lines) + "\n"
