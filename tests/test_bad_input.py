"""Bad input gets one clear sentence, the right status, and the command is not started."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from wrapped import ECO2AI, run


def refused(tmp_path: Path, *arguments: object, status: int, command: bool = True) -> str:
    """Run `eco2ai run` with `arguments`; return what it said when it refused."""
    witness = tmp_path / "started"
    line = [*ECO2AI, "run", *arguments, *(["--", "touch", witness] if command else [])]
    before = sorted(tmp_path.iterdir())
    result = run(line, cwd=tmp_path)
    assert result.returncode == status, result.stderr.decode()
    assert result.stdout == b""
    said = result.stderr.decode()
    first, *rest = said.splitlines()
    assert first.startswith("eco2ai: error: ")
    assert all(line.startswith("hint: ") for line in rest), said
    assert len(rest) <= 1
    assert sorted(tmp_path.iterdir()) == before  # nothing started, nothing left behind
    return said


def test_no_command(tmp_path: Path) -> None:
    assert "no command" in refused(tmp_path, status=2, command=False)
    assert "no command" in refused(tmp_path, "--", status=2, command=False)


@pytest.mark.parametrize("option", ["-p", "--output", "--region", "--tag", "--json"])
def test_an_option_without_its_value(option: str, tmp_path: Path) -> None:
    assert "requires an argument" in refused(tmp_path, option, status=2, command=False)


def test_an_option_that_does_not_exist(tmp_path: Path) -> None:
    assert "`eco2ai run --help`" in refused(tmp_path, "--no-such-option", status=2)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("--interval", value) for value in ("0", "-1", "nan", "inf", "1e9", "soon", "")],
        *[("--pue", value) for value in ("0.9", "-1", "nan", "inf", "1,2", "1_5", "\u0661")],
        *[("--price", value) for value in ("-0.1", "nan", "inf", "cheap")],
        *[("--intensity", value) for value in ("-1", "nan", "green")],
        *[("--cpu-tdp", value) for value in ("0", "-5", "nan", "hot")],
        ("--currency", "euros"),
        ("--meters", "tdp,guess"),
        ("--tag", "no-equals-sign"),
        ("--wait", "forever"),
        ("--on-death", "cry"),
        ("--region", "Atlantis"),
        ("--region", "Georgia"),
        ("--region", ""),
    ],
)
def test_an_option_with_a_value_that_cannot_be(option: str, value: str, tmp_path: Path) -> None:
    assert option.strip("-") in refused(tmp_path, option, value, status=2)


def test_a_misspelt_region_gets_a_suggestion(tmp_path: Path) -> None:
    assert "`FR`" in refused(tmp_path, "--region", "Frnace", status=2)


def test_a_forced_meter_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eco2ai_cli.meters import nvml_library

    if nvml_library.present():
        pytest.skip("this machine has the NVIDIA driver")
    said = refused(tmp_path, "--meters", "nvml", status=125)
    assert "libnvidia-ml.so.1" in said


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[facility]\npue = \n", ":2:"),
        ("[facility\n", ":1:"),
        ("[facility]\npue = 0.5\n", "facility.pue"),
        ("[facility]\npeu = 1.5\n", "pue"),
        ("[facilty]\npue = 1.5\n", "facility"),
        ("[region]\ncode = 'Atlantis'\n", "Atlantis"),
    ],
)
def test_a_configuration_that_cannot_be_used(text: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "eco2ai.toml").write_text(text)
    said = refused(tmp_path, status=125)
    assert place in said
    assert "eco2ai.toml" in said


def test_an_environment_variable_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECO2AI_FACILITY_PUE", "0.5")
    assert "ECO2AI_FACILITY_PUE" in refused(tmp_path, status=125)


def test_a_table_of_coefficients_that_is_missing(tmp_path: Path) -> None:
    assert "`mine.csv`" in refused(tmp_path, "--coefficients", "mine.csv", status=125)


@pytest.mark.parametrize("kind", ["folder", "fifo", "foreign", "no folder", "binary"])
def test_a_ledger_that_cannot_be_one(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "emission.csv"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "foreign":
        path.write_text("name,score\nAda,1\n")
    elif kind == "binary":
        path.write_bytes(bytes(range(256)))
    else:
        path = tmp_path / "absent" / "emission.csv"
    assert "emission.csv" in refused(tmp_path, "-o", path, status=125)


@pytest.mark.parametrize("option", ["--json", "--trace"])
def test_a_result_file_that_cannot_be_written(option: str, tmp_path: Path) -> None:
    assert "absent" in refused(tmp_path, option, tmp_path / "absent" / "x", status=2)
    assert "folder" in refused(tmp_path, option, tmp_path, status=2)


@pytest.mark.parametrize(
    "command",
    ["regions list", "cpus list", "cpus list --json", "config show", "--help", "run --help"],
)
def test_who_stops_reading_stops_us_as_it_stops_any_filter(command: str, tmp_path: Path) -> None:
    """A shell says 141, and `pipefail` scripts know what that means."""
    reader, writer = os.pipe()
    os.close(reader)
    line = [*ECO2AI, *command.split()]
    done = run(line, cwd=tmp_path, capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


def test_an_error_fits_on_a_closed_standard_error(tmp_path: Path) -> None:
    line = [*ECO2AI, "run", "--pue", "0", "--", "true"]
    result = run(["sh", "-c", '"$@" 2>&-', "sh", *line], cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (2, b"", b"")
