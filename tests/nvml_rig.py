"""The real `pynvml` over a stand-in for the driver's library, in a process of its own.

`pynvml` keeps the library that it has once loaded, so each scenario gets a fresh process: this
file is also the program that plays one.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from eco2ai_cli.model import Reading

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path(__file__).with_name("fakenvml") / "nvml.c"


def build(folder: Path, *flags: str) -> Path:
    """Compile the stand-in into `folder`, for `LD_LIBRARY_PATH`; no compiler: skip, fail in CI."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        if os.environ.get("CI"):
            pytest.fail("no C compiler to build the NVML stand-in with")
        pytest.skip("no C compiler to build the NVML stand-in with")
    output = folder / "libnvidia-ml.so.1"
    options = ["-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1", "-o", str(output), *flags]
    subprocess.run([compiler, *options, str(SOURCE)], check=True)
    return folder


def machine(*devices: Mapping[str, object], **keys: object) -> str:
    """Write a scenario: a mapping a device, and what concerns all; `_` in a keyword reads `.`."""
    lines = [f"count {len(devices)}"]
    lines += [f"{name.replace('_', '.')} {value}" for name, value in keys.items()]
    for index, device in enumerate(devices):
        lines += [f"{index}.{name} {value}" for name, value in device.items()]
    return "\n".join(lines) + "\n"


def fake_proc(
    folder: Path,
    parents: Mapping[int, int],
    namespace: int = 4026531836,
    commands: Mapping[int, str] = MappingProxyType({}),
) -> Path:
    """Lay out a /proc with these processes, in the PID namespace of that inode.

    Each has the files open that its command names: `python /dev/nvidia0`.
    """
    (folder / "self" / "ns").mkdir(parents=True)
    (folder / "self" / "ns" / "pid").symlink_to(f"pid:[{namespace}]")
    for pid, parent in parents.items():
        (folder / str(pid)).mkdir()
        name, *files = commands.get(pid, "python").split()
        (folder / str(pid) / "comm").write_text(name + "\n")
        (folder / str(pid) / "fd").mkdir()
        for number, file in enumerate(files):
            (folder / str(pid) / "fd" / str(number)).symlink_to(file)
        (folder / str(pid) / "stat").write_text(f"{pid} (a) b) S {parent} " + "0 " * 48)
    return folder


def environment(library: Path, scenario: Path) -> dict[str, str]:
    """Return the environment in which `libnvidia-ml.so.1` is the stand-in."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        "LD_LIBRARY_PATH": str(library),
        "FAKE_NVML": str(scenario),
        "PYTHONPATH": path,
    }


def run(code: str | Path, library: Path, scenario: Path, stdin: str = "") -> str:
    """Run a Python program over the stand-in and return what it printed."""
    program = [str(code)] if isinstance(code, Path) else ["-c", code]
    done = subprocess.run(
        [sys.executable, *program],
        env=environment(library, scenario),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert not done.stderr, done.stderr
    assert done.returncode == 0
    return done.stdout


@dataclass(frozen=True)
class Step:
    """A poll at `at_s` of a machine in the state `scenario`, on behalf of a `tree` of PIDs.

    `aligned`, `last`: as of `Driver.poll`.
    """

    at_s: float
    scenario: str
    tree: tuple[int, ...]
    full: bool = True
    aligned: bool = True
    last: bool = False


class Played(list[list[Reading]]):
    """The readings after each step, and what nobody used in the end."""

    idle_j: float | None = None


def play(
    library: Path, folder: Path, steps: Sequence[Step], proc: Path, environ: Mapping[str, str]
) -> Played:
    """Open the driver in the first step's state, poll it step by step, return all readings."""
    scenario = folder / "scenario"
    orders = {
        "steps": [asdict(step) for step in steps],
        "proc": str(proc),
        "environ": dict(environ),
        "scenario": str(scenario),
    }
    answer = json.loads(run(Path(__file__), library, scenario, json.dumps(orders)))
    played = Played(
        [r._replace(caveats=frozenset(r.caveats)) for r in itertools.starmap(Reading, readings)]
        for readings in answer["readings"]
    )
    played.idle_j = answer["idle_j"]
    return played


def _main() -> None:
    from eco2ai_cli.meters.nvml import Driver

    orders = json.load(sys.stdin)
    steps = [Step(**step) for step in orders["steps"]]
    now = steps[0]
    driver = Driver(orders["environ"], orders["proc"], lambda: now.at_s)
    answers = []
    for now in steps:
        Path(orders["scenario"]).write_text(now.scenario)
        if not answers:
            driver.open()
        driver.poll(frozenset(now.tree), now.full, aligned=now.aligned, last=now.last)
        readings = (reading for _, reading in driver.readings())
        answers.append(
            [r._replace(caveats=sorted(r.caveats), details=dict(r.details)) for r in readings]
        )
    driver.close()
    print(json.dumps({"readings": answers, "idle_j": driver.idle_j}))


if __name__ == "__main__":
    _main()
