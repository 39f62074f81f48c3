"""A user's own table of processors goes before ours, and its faults are found before a run."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from machines import machine

from eco2ai_cli import cpus
from eco2ai_cli.cli import eco2ai
from eco2ai_cli.errors import ResourceError
from eco2ai_cli.machine import this_machine

ROOT = Path(__file__).parent.parent


def table(folder: Path, *lines: str, header: str = "name,tdp_w,cores,threads,vendor") -> str:
    path = folder / "cpus.csv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return str(path)


def test_the_users_figure_goes_before_the_vendors(tmp_path: Path) -> None:
    own = table(tmp_path, "EPYC 7763,240,,,")
    found = cpus.find("AMD EPYC 7763 64-Core Processor", own)
    assert (found.tdp_w, found.matched_by, found.query) == (
        *(240, "user"),
        "AMD EPYC 7763 64-Core Processor",
    )
    assert (found.cores, found.threads, found.w_per_thread) == (64, 128, 240 / 128)


def test_what_the_users_table_lacks_is_looked_up_in_ours(tmp_path: Path) -> None:
    own = table(tmp_path, "EPYC 7763,240,,,")
    assert cpus.find("AMD EPYC 7742 64-Core Processor", own) == cpus.lookup(
        "AMD EPYC 7742 64-Core Processor"
    )


@pytest.mark.parametrize(
    ("name", "brand"),
    [
        ("i7-8550U", "Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz"),
        ("Core Ultra 9 999Z", "Intel(R) Core(TM) Ultra 9 999Z"),  # one that we do not know
        ("AMD EPYC", "AMD EPYC"),  # names that tell no model, as the machine has them
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel(R) Xeon(R)  CPU @ 2.20GHz"),
    ],
)
def test_a_name_is_the_machines_or_the_models(tmp_path: Path, name: str, brand: str) -> None:
    assert cpus.find(brand, table(tmp_path, f"{name},77,4,8,")).tdp_w == 77


@pytest.mark.parametrize(
    ("name", "brand"),
    [
        ("AMD EPYC", "AMD EPYC 7763 64-Core Processor"),
        ("i7-8550U", "Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel(R) Xeon(R) CPU @ 2.30GHz"),
        ("Intel Core Ultra 9 999Z", "AMD Core Ultra 9 999Z"),
    ],
)
def test_a_name_is_that_of_no_other(tmp_path: Path, name: str, brand: str) -> None:
    assert cpus.find(brand, table(tmp_path, f"{name},77,4,8,")).matched_by != "user"


def test_a_guest_pays_for_its_slice_of_what_the_user_says(tmp_path: Path) -> None:
    own = table(tmp_path, "AMD EPYC,320,64,128,")
    charged = cpus.charge(machine("firecracker-epyc", tmp_path), table=own)
    assert (charged.w_per_thread, charged.matched_by) == (320 / 128, "user")
    assert charged.caveats == {"cpu-given"}
    assert "your own table" in charged.reasoning[0]


def test_metal_shares_the_users_watts_by_the_threads_that_it_shows(tmp_path: Path) -> None:
    own = table(tmp_path, "Xeon Gold 6248,100,,,")
    assert cpus.charge(machine("xeon-6248-smt-off", tmp_path), table=own).w_per_thread == 100 / 20


def test_a_guest_whose_threads_nobody_knows_stays_an_estimate(tmp_path: Path) -> None:
    own = table(tmp_path, "QEMU Virtual CPU version 2.5+,100,,,")
    charged = cpus.charge(machine("qemu-cpu64", tmp_path), table=own)
    assert charged.caveats == {"cpu-given", "cpu-estimated"}


def test_an_arm_machine_without_a_name_is_filed_by_its_numbers(tmp_path: Path) -> None:
    own = table(tmp_path, "arm-0x41-0xd0c,120,64,64,AWS")
    assert cpus.charge(machine("graviton2-guest", tmp_path), table=own).w_per_thread == 120 / 64


def test_the_option_goes_before_the_table(tmp_path: Path) -> None:
    own = table(tmp_path, "AMD EPYC,320,64,128,")
    assert cpus.charge(machine("firecracker-epyc", tmp_path), 64, own).tdp_w == 64


def test_columns_may_come_in_any_order_and_others_are_read_past(tmp_path: Path) -> None:
    own = table(tmp_path, "a note,65,i7-8550U", header="note, tdp_w, name")
    assert cpus.find("i7-8550U", own).tdp_w == 65


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["EPYC 7763,280 W,,,"], "line 2: `280 W` is no TDP"),
        (["EPYC 7763,280,,,", "EPYC 7742,-1,,,"], "line 3: `-1` is no TDP"),
        (["EPYC 7763,nan,,,"], "line 2: `nan` is no TDP"),
        (["EPYC 7763,1e9,,,"], "line 2: `1e9` is no TDP"),
        (["EPYC 7763,1_000,,,"], "line 2: `1_000` is no TDP"),
        (["EPYC 7763,\uff12\uff18\uff10,,,"], "is no TDP"),
        (["EPYC 7763,,,,"], "line 2: `` is no TDP"),
        (["EPYC 7763"], "line 2: `` is no TDP"),
        ([",280,,,"], "line 2: no name"),
        (["EPYC 7763,280,64.5,128,"], "line 2: `64.5` is no number of cores"),
        (["EPYC 7763,280,64,0,"], "line 2: `0` is no number of threads"),
        (["EPYC 7763,280,128,64,"], "line 2: 128 cores with 64 threads"),
        (["EPYC 7763,280,,,", "AMD EPYC 7763 64-Core Processor,240,,,"], "line 3: `AMD EPYC 7763"),
    ],
)
def test_a_faulty_row_is_told_with_its_line(tmp_path: Path, lines: list[str], fault: str) -> None:
    with pytest.raises(ResourceError) as raised:
        cpus.find("EPYC 7763", table(tmp_path, *lines))
    assert fault in str(raised.value)


@pytest.mark.parametrize("content", [b"name;tdp_w\n", b"", b"\xff\xfe", b"name,tdp_w\n\xff,1\n"])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cpus.csv"
    path.write_bytes(content)
    with pytest.raises(ResourceError):
        cpus.find("EPYC 7763", str(path))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eco2ai_cli", "run", "-q", "--", *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ECO2AI_HARDWARE_CPUS": "cpus.csv"},
    )


@pytest.mark.parametrize("content", [None, "name,tdp_w\nEPYC 7763,hot\n"])
def test_a_run_with_a_faulty_table_does_not_start(folder: Path, content: str | None) -> None:
    if content is not None:
        (folder / "cpus.csv").write_text(content)
    done = run("touch", "started")
    assert done.returncode == 125
    assert "`cpus.csv`" in done.stderr
    assert not (folder / "started").exists()


def test_the_row_says_that_the_figure_is_the_users(folder: Path) -> None:
    brand = this_machine().brand
    if not brand or "," in brand:
        pytest.skip("this machine's processor has no plain name")
    table(folder, f"{brand},97,1,8,")
    assert run("true").returncode == 0
    with (folder / "emission.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["cpu_tdp(W)"]) == 97
    assert "cpu-given" in row["caveats"].split(";")


def test_lookup_asks_the_users_table_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(folder, "EPYC 7763,240,,,")
    monkeypatch.setenv("ECO2AI_HARDWARE_CPUS", "cpus.csv")
    shown = CliRunner().invoke(eco2ai, ["cpus", "lookup", "EPYC 7763"])
    assert "240 W" in shown.stdout
    assert "user (your own figure)" in shown.stdout


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"name,tdp_w\nEPYC 7763,280\nProzessor f\xfcr,4\n", "line 3: this is not UTF-8"),
        (b"name,tdp_w\nEPYC 7763," + b"2" * 200_000 + b"\n", "line 2: this is not CSV: field"),
    ],
)
def test_what_is_no_csv_in_utf_8_is_told_with_its_line(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    path = tmp_path / "cpus.csv"
    path.write_bytes(content)
    limit = csv.field_size_limit(131_072)  # Python's own; other tests raise it
    try:
        with pytest.raises(ResourceError, match=fault):
            cpus.find("EPYC 7763", str(path))
    finally:
        csv.field_size_limit(limit)


def test_a_table_with_semicolons_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="line 1: no column") as caught:
        cpus.find("EPYC 7763", table(tmp_path, "EPYC 7763;280", header="name;tdp_w"))
    assert "commas between its cells" in (caught.value.hint or "")
