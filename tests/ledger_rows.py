"""Rows for the tests of the ledger, and what a stranger with `docs/ledger.md` makes of a file."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEDGERS = Path(__file__).with_name("data") / "ledgers"


def a_row(**cells: str | int | float | None) -> dict[str, str | int | float | None]:
    """Return a row as `run` gives it; `cells` are columns whose names are identifiers."""
    return {
        "id": "5f1d",
        "project_name": "kandinsky",
        "epoch": "N/A",
        "start_time": "2022-07-01 12:00:00+00:00",
        "duration(s)": 35100.5,
        "power_consumption(kWh)": 24.5,
        "CO2_emissions(kg)": 5.89,
        "command": "python train.py",
        "exit_status": 0,
        "stop_reason": "exit",
        "version": "0.1.0",
        **cells,
    }


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file by the csv module alone."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, restkey="surplus", restval="MISSING"))


def _netstring(text: str) -> bytes:
    data = text.encode()
    return str(len(data)).encode() + b":" + data + b","


def first_broken_row(path: Path) -> int | None:
    """Return the number of the first row whose hash does not follow from the one before."""
    previous = ""
    for number, row in enumerate(rows_of(path)):
        found = row["row_hash"].replace("MISSING", "")  # of a line that is torn
        if found:
            parts = _netstring(previous) + b"".join(
                _netstring(name) + _netstring(cell)
                for name, cell in row.items()
                if name != "row_hash" and cell != ""
            )
            if found != hashlib.sha256(parts).hexdigest():
                return number
        previous = found
    return None


def as_csv(rows: list[list[str]], line_end: str = "\n") -> bytes:
    """Write rows as pandas and every other user of the csv module do."""
    out = io.StringIO()
    csv.writer(out, lineterminator=line_end).writerows(rows)
    return out.getvalue().encode()


def run_python(script: str, *args: object, **options: object) -> str:
    """Run `script` in a process of its own, so that limits and forks are its own; return stdout."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, args)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def in_tiny_file_system(script: str, folder: Path, options: str) -> str:
    """Run `script` with a tmpfs mounted on `folder`; skip where a user may not mount one."""
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mounted = f'mount -t tmpfs -o "$0" none "$1" && shift && cd {ROOT} && exec "$@"'
    prepared = [*mount, mounted, options, str(folder)]
    try:
        subprocess.run([*prepared, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a file system in a namespace of its own")
    done = subprocess.run(
        [*prepared, sys.executable, "-c", script, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fork_writers(count: int, path: Path, before: str = "") -> list[tuple[int, float, float]]:
    """Append one row each from `count` processes that start at the same moment.

    Each runs `before` first, in which it is `number`. Return the number of each, and the seconds
    at which it began and ended.
    """
    told = run_python(_FORK_WRITERS, count, path, before).splitlines()
    return [(int(n), float(began), float(ended)) for n, began, ended in map(str.split, told)]


_FORK_WRITERS = """
import os, sys, time
sys.path.insert(0, "tests")
from ledger_rows import a_row
from eco2ai_cli import ledger
from eco2ai_cli.ledger import extension, writer  # before we are another who cannot read our folder
count, path = int(sys.argv[1]), sys.argv[2]
gate, starter = os.pipe()
for number in range(count):
    if os.fork() == 0:
        os.close(starter)
        os.read(gate, 1)
        exec(sys.argv[3])
        began_s = time.monotonic()
        ledger.append(path, [a_row(id=str(number), command="a 'b'\\n" * 300)])
        os.write(1, f"{number} {began_s} {time.monotonic()}\\n".encode())
        os._exit(0)
os.close(gate)
os.close(starter)
statuses = [os.wait()[1] for _ in range(count)]
assert statuses == [0] * count, statuses
"""


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder with its bytes."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
