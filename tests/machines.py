"""Unpack a recorded machine: one text file in `tests/data/machines` holds its /proc and /sys."""

from __future__ import annotations

from pathlib import Path

from eco2ai_cli.machine import Machine, this_machine

MACHINES = Path(__file__).parent / "data" / "machines"


def unpack(name: str, root: Path) -> None:
    """Write the files of machine `name` under `root`, as the kernel would show them."""
    _note, *parts = (MACHINES / f"{name}.txt").read_text(encoding="utf-8").split("==> ")
    for part in parts:
        path, text = part.split(" <==\n", 1)
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if path == "proc/cpuinfo":
            text += "\n"  # an empty line ends every processor's block
        elif path == "proc/device-tree/model":
            text = text.rstrip("\n") + "\0"
        file.write_text(text, encoding="utf-8")


def machine(name: str, root: Path) -> Machine:
    """Return machine `name` as we see it."""
    unpack(name, root)
    return this_machine(f"{root}/proc", f"{root}/sys")
