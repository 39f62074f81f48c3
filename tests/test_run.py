"""What a run leaves: the row, the JSON object, the trace, the summary, and where they go."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from wrapped import ECO2AI, PATIENCE_S, load_json, only_row, rows, run, wrapped

BURN = [sys.executable, "-c", "import time\nwhile time.process_time() < 0.2: pass"]


def test_the_row_adds_up_by_the_papers_formula(ledger: Path) -> None:
    """CF = gamma x PUE x (CPU + GPU + RAM), and the cost is that energy x the price."""
    options = ["--region", "FR", "--pue", "1.4", "--price", "0.25", "--currency", "EUR"]
    run(wrapped(BURN, ledger, *options))
    row = only_row(ledger)
    number = r"\d+(\.\d+)?(e-\d+)?"
    figure = {name: float(cell) for name, cell in row.items() if re.fullmatch(number, cell)}
    components = sum(figure[f"{part}_energy(kWh)"] for part in ("cpu", "gpu", "ram"))
    energy = figure["power_consumption(kWh)"]
    assert energy == pytest.approx(1.4 * components, rel=1e-12)
    assert row["region/country"] == "FR"
    assert figure["CO2_emissions(kg)"] == pytest.approx(energy * 41.45 / 1000, rel=1e-12)
    assert figure["cost"] == pytest.approx(energy * 0.25, rel=1e-12)
    assert row["currency"] == "EUR"


def test_a_given_tdp_is_divided_by_the_threads_and_multiplied_by_the_cpu_time(
    ledger: Path,
) -> None:
    result = ledger.with_name("run.json")
    run(wrapped(BURN, ledger, "--cpu-tdp", "100", "--json", str(result)))
    row, record = only_row(ledger), load_json(result)
    watts = record["cpu_w_per_thread"]
    assert 0 < watts <= 100
    assert (100 / watts) == pytest.approx(round(100 / watts))  # a whole number of threads
    joules = watts * float(row["cpu_time(s)"])
    assert float(row["cpu_energy(kWh)"]) * 3.6e6 == pytest.approx(joules)
    assert row["cpu_tdp(W)"] == "100.0"


def test_memory_costs_what_the_paper_says(ledger: Path) -> None:
    """0.375 W for each 2^30 bytes, for as long as they are held."""
    hold = "import time; b = bytearray(300 << 20); t = time.monotonic()\n"
    hold += "while time.monotonic() < t + 1: time.sleep(0.01)"
    run(wrapped([sys.executable, "-c", hold], ledger, "-i", "0.1"))
    row = only_row(ledger)
    mean_gib = float(row["memory_mean(GB)"]) * 1e9 / 2**30
    joules = 0.375 * mean_gib * float(row["duration(s)"])
    assert float(row["ram_energy(kWh)"]) * 3.6e6 == pytest.approx(joules, rel=0.1)
    assert 300 << 20 <= float(row["memory_peak(GB)"]) * 1e9 <= 330 << 20
    assert float(row["memory_mean(GB)"]) * 1e9 >= 0.8 * (300 << 20)


def test_the_json_object_says_what_the_row_says(ledger: Path) -> None:
    result = ledger.with_name("run.json")
    options = ["--json", str(result), "-p", "name", "--tag", "a=1", "--tag", "b=x=y"]
    run(wrapped(BURN, ledger, *options))
    row, record = only_row(ledger), load_json(result)
    assert record["id"] == row["id"]
    assert record["energy_kwh"] == float(row["power_consumption(kWh)"])
    assert record["emissions_kg"] == float(row["CO2_emissions(kg)"])
    assert record["cpu_time_s"] == float(row["cpu_time(s)"])
    assert record["caveats"] == row["caveats"].split(";")
    assert record["tags"] == json.loads(row["tags"]) == {"a": "1", "b": "x=y"}
    contract = """id project description command exit_status stop_reason start_time end_time
        duration_s cpu_time_s cpu_energy_kwh gpu_energy_kwh ram_energy_kwh energy_kwh emissions_kg
        cost currency pue region region_source carbon_intensity_kg_per_mwh intensity_year
        intensity_source cpu_name cpu_tdp_w cpu_w_per_thread cpu_method gpu_name gpu_method
        ram_method memory_mean_gb memory_peak_gb processes samples overhead_s caveats version"""
    assert set(contract.split()) <= set(record)


def test_the_trace_is_one_json_object_a_sample_and_never_falls(ledger: Path) -> None:
    trace = ledger.with_name("trace.jsonl")
    run(wrapped(BURN, ledger, "-i", "0.05", "--trace", str(trace)))
    samples = [json.loads(line) for line in trace.read_text().splitlines()]
    assert len(samples) >= 3
    for key in ("t_s", "cpu_time_s", "cpu_energy_j", "ram_energy_j"):
        values = [sample[key] for sample in samples]
        assert values == sorted(values)
    assert samples[-1]["cpu_time_s"] == pytest.approx(
        float(only_row(ledger)["cpu_time(s)"]), abs=1e-5
    )


@pytest.mark.parametrize(
    "text", ['comma, "quote"', "line\nbreak\r\n", "🌱 日本", "'=1+1", " spaced ", "\\"]
)
def test_any_text_comes_back_as_it_was_given(text: str, ledger: Path) -> None:
    run(wrapped(["true", text], ledger, "-p", text, "-d", text))
    row = only_row(ledger)
    assert (row["project_name"], row["experiment_description"]) == (text, text)
    assert shlex.split(row["command"]) == ["true", text]


def test_invalid_utf8_is_written_as_escapes(ledger: Path) -> None:
    line = [*wrapped(["true"], ledger), b"bad \xff\xfe"]
    subprocess.run(line, check=True, timeout=PATIENCE_S)
    assert only_row(ledger)["command"] == r"true 'bad \xff\xfe'"


def test_runs_are_appended_to_one_ledger(ledger: Path) -> None:
    for status in (0, 1, 2):
        run(wrapped(["sh", "-c", f"exit {status}"], ledger))
    assert [row["exit_status"] for row in rows(ledger)] == ["0", "1", "2"]
    assert len({row["id"] for row in rows(ledger)}) == 3


def test_a_batch_systems_job_and_rank_are_in_the_row(ledger: Path) -> None:
    environment = os.environ | {"SLURM_JOB_ID": "4711", "SLURM_PROCID": "3"}
    run(wrapped(["true"], ledger), env=environment)
    row = only_row(ledger)
    assert (row["job"], row["rank"]) == ("4711", "3")


def test_a_command_that_sends_its_work_away_is_marked(tmp_path: Path, ledger: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\nsleep 0.3\n")
    ssh.chmod(0o755)
    run(wrapped([ssh], ledger))
    assert "work-elsewhere" in only_row(ledger)["caveats"]


# -- a ledger that cannot take the row any more


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A folder on a file system of 64 KB; mounting it needs a user namespace."""
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


def on_small_disk(folder: Path, script: str) -> subprocess.CompletedProcess[bytes]:
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare is not installed")
    mount = f"mount -t tmpfs -o size=64k none {folder} || exit 99; {script}"
    result = run([unshare, "-rm", "sh", "-c", mount])
    if result.returncode == 99 or result.stderr.startswith(b"unshare:"):
        pytest.skip("no file system can be mounted in a user namespace here")
    return result


def test_a_disk_that_fills_up_costs_the_command_nothing_and_the_row_is_kept(
    small_disk: Path,
) -> None:
    fill = f"head -c 1M /dev/zero > {small_disk}/fill; exit 5"
    line = shlex.join(wrapped(["sh", "-c", fill], small_disk / "emission.csv"))
    result = on_small_disk(small_disk, f"{line}; echo status $?")
    assert b"status 5\n" in result.stdout
    said = result.stderr.decode()
    saved = re.search(r"saved to `([^`]+)`", said)
    assert saved, said
    row = only_row(Path(saved[1]))
    assert row["exit_status"] == "5"


# -- the summary


def test_the_summary_is_plain_text_where_there_is_no_terminal(ledger: Path) -> None:
    line = [*ECO2AI, "run", "-o", ledger, "-r", "FR", "--pue", "1.2", "--price", "2", "--", *BURN]
    said = run(line).stderr.decode()
    assert "\x1b" not in said
    assert "France (FR): 41.45 kg/MWh, 2025, PUE 1.2" in said
    assert str(ledger) in said
    assert "(tdp, " in said
    assert "(model)" in said
    for label in ("energy", "emissions", "cost", "used", "saved"):
        assert re.search(rf"^  {label} ", said, re.M), label


def test_quiet_says_nothing(ledger: Path) -> None:
    assert run(wrapped(["true"], ledger)).stderr == b""


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_no_line_of_the_summary_is_wider_than_the_terminal(columns: int, ledger: Path) -> None:
    import pexpect

    long = ["sh", "-c", "true # " + "a long command line " * 20]
    terminal = pexpect.spawn(
        sys.executable,
        [*ECO2AI[1:], "run", "-o", str(ledger), "--", *long],
        dimensions=(24, columns),
        timeout=PATIENCE_S,
    )
    terminal.expect(pexpect.EOF)
    terminal.close()
    text = re.sub(r"\x1b\[[\d;]*m", "", terminal.before.decode())
    lines = text.splitlines()
    assert len(lines) > 4
    # A path cannot be broken; all the rest can.
    assert max(len(line) for line in lines if str(ledger) not in line) <= columns


# -- faults of ours


@pytest.mark.parametrize(
    "fault",
    [
        "eco2ai_cli.recorder.Recorder._read",
        "eco2ai_cli.launch.wait.Waiter.wait",
        "eco2ai_cli.accounting.watch",
        "eco2ai_cli.accounting.record",
        "eco2ai_cli.cpus.charge",
        "eco2ai_cli.saving.save",
        "eco2ai_cli.receipt.receipt",
    ],
)
def test_a_fault_of_ours_never_costs_the_command_its_end(fault: str, ledger: Path) -> None:
    module, _, name = fault.rpartition(".")
    owner = f"pydoc.locate({module!r})"
    program = (
        "import pydoc, sys\n"
        "def broken(*arguments, **options): raise RuntimeError('on purpose')\n"
        f"setattr({owner}, {name!r}, broken)\n"
        "from eco2ai_cli.cli import main\n"
        "main()"
    )
    options = ["run", "-o", str(ledger), "--", "sh", "-c", "echo done; exit 7"]
    result = run([sys.executable, "-c", program, *options])
    assert (result.returncode, result.stdout) == (7, b"done\n")
    assert b"on purpose" in result.stderr
    if fault.split(".")[1] in ("recorder", "launch", "cpus"):
        assert "internal-error" in only_row(ledger)["caveats"]


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1"])
def test_standard_output_is_the_commands_alone(path: str, ledger: Path) -> None:
    result = run(wrapped(["true"], ledger, "--json", path))
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"is the command's" in result.stderr


FAULT = """
import sys
from eco2ai_cli import accounting
from eco2ai_cli.__main__ import main

def fail(*arguments):
    while tree_of_the_run.root_status is None:  # so that the command has been reaped
        for _ in tree_of_the_run.reap():
            pass
    raise RuntimeError("a fault of ours")

class Tree(accounting.LinuxTree):
    def __init__(self):
        global tree_of_the_run
        super().__init__()
        tree_of_the_run = self

from eco2ai_cli import session
session.LinuxTree = Tree
accounting._may_have_marks = fail
main()
"""


def test_a_fault_of_ours_after_the_command_was_reaped_keeps_its_status(tmp_path: Path) -> None:
    words = ["run", "-o", str(tmp_path / "l.csv"), "--", "sh", "-c", "exit 7"]
    done = run([sys.executable, "-c", FAULT, *words])
    assert done.returncode == 7, done.stderr
    assert b"a fault of ours" in done.stderr
