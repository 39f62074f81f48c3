"""`eco2ai regions`: data on stdout, talk on stderr, one sentence for a mistake."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from click.testing import CliRunner, Result

from eco2ai_cli.commands.regions import regions
from eco2ai_cli.errors import WrongUsage
from eco2ai_cli.regions import RegionNotFound


def call(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(regions, arguments, input=stdin)


def data(result: Result) -> Any:
    return json.loads(result.stdout)


def test_lookup_prints_one_region_in_full() -> None:
    result = call("lookup", "FR")
    assert result.exit_code == 0
    assert result.stderr == ""
    for fact in ("France", "41.45", "2025", "lifecycle;generation", "Ember", "alpha-2"):
        assert fact in result.stdout


def test_lookup_as_json_is_the_contracts_object() -> None:
    result = call("lookup", "--json", "FR")
    assert data(result) == {
        "query": "FR",
        "code": "FR",
        "country": "France",
        "subdivision": None,
        "kg_per_mwh": 41.45,
        "year": 2025,
        "method": "lifecycle;generation",
        "source": "Ember Yearly Electricity Data (June 2026 edition)",
        "matched_by": "alpha-2",
        "caveats": [],
    }


def test_a_cloud_region_as_json_has_its_iso_code_and_pue() -> None:
    found = data(call("lookup", "--json", "aws:us-east-1"))
    assert (found["code"], found["iso_code"], found["pue"]) == ("aws:us-east-1", "US-VA", 1.15)


@pytest.mark.parametrize(
    ("query", "kind", "suggestions"),
    [
        ("Georgia", "ambiguous", ["GE", "US-GA"]),
        ("Germny", "unknown", ["DE"]),
        ("Andorra", "no_data", ["WORLD"]),
    ],
)
def test_what_is_not_found_is_json_too_and_exit_status_1(
    query: str, kind: str, suggestions: list[str]
) -> None:
    result = call("lookup", "--json", query)
    assert result.exit_code == 1
    assert data(result) == {"query": query, "error": kind, "suggestions": suggestions}
    assert result.stderr == ""


def test_several_queries_are_a_list_in_their_order_and_one_failure_is_1() -> None:
    result = call("lookup", "--json", "FR", "Germny", "DE")
    assert result.exit_code == 1
    assert [answer["query"] for answer in data(result)] == ["FR", "Germny", "DE"]
    assert call("lookup", "--json", "FR", "DE").exit_code == 0


def test_queries_are_read_from_standard_input() -> None:
    result = call("lookup", "--json", "-", stdin="Deutschland\r\n\nUS-CA\nQuébec")
    assert [answer["code"] for answer in data(result)] == ["DE", "US-CA", "CA-QC"]
    assert [answer["code"] for answer in data(call("lookup", "--json", "-", stdin="FR\n"))] == [
        "FR"
    ]
    assert data(call("lookup", "--json", "-", stdin="")) == []


def test_input_that_is_not_utf8_is_an_unknown_region() -> None:
    assert call("lookup", "--json", "-", stdin=b"\xff\xfe\n").exit_code == 1
    assert call("lookup", "\udcff\udcfe").exit_code == 1
    assert call("lookup", "--json", "\udcff\udcfe").exit_code == 1


def test_a_failed_lookup_leaves_stdout_alone_and_hints_on_stderr() -> None:
    result = call("lookup", "Georgia")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "eco2ai: error: `Georgia` names more than one region\nhint: say `GE` or `US-GA`\n"
    )


def test_several_lookups_are_a_table_with_their_sources_and_doubts() -> None:
    result = call("lookup", "FR", "Bavaria")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["QUERY", "CODE", "PLACE", "KG/MWH", "YEAR", "METHOD", "RULE"]
    assert lines[2].split()[:3] == ["Bavaria", "DE", "Germany"]
    assert lines[3].startswith("FR DE: Ember")
    assert "`Bavaria`" in result.stderr


def test_the_papers_set_and_a_file_can_be_asked(tmp_path: Any) -> None:
    assert data(call("lookup", "--json", "FR", "--coefficients", "paper-2022"))["kg_per_mwh"] == (
        pytest.approx(67.53, abs=0.005)
    )
    own = tmp_path / "own.csv"
    own.write_text("code,kg_per_mwh\nFR,12\n")
    assert data(call("lookup", "--json", "FR", "--coefficients", str(own)))["kg_per_mwh"] == 12


def test_list_is_sorted_by_coefficient() -> None:
    found = data(call("list", "--json"))
    figures = [region["kg_per_mwh"] for region in found]
    assert len(found) == 514
    assert figures == sorted(figures)


def test_list_is_filtered_by_country_text_and_cloud() -> None:
    codes = {region["code"] for region in data(call("list", "--country", "Canada", "--json"))}
    assert {"CA", "CA-QC"} < codes
    assert all(code.startswith("CA") for code in codes)
    assert [region["code"] for region in data(call("list", "quebec", "--json"))] == ["CA-QC"]
    clouds = data(call("list", "--cloud", "aws", "--country", "IE", "--json"))
    assert [(region["code"], region["iso_code"]) for region in clouds] == [("aws:eu-west-1", "IE")]
    everywhere = {r["code"] for r in data(call("list", "paris", "--cloud", "all", "--json"))}
    assert {"aws:eu-west-3", "gcp:europe-west9", "azure:francecentral"} <= everywhere


def test_list_as_csv_reads_back() -> None:
    found = list(csv.DictReader(io.StringIO(call("list", "--country", "AU", "--csv").stdout)))
    assert {row["code"]: row["kg_per_mwh"] for row in found}["AU-VIC"] == "740.0"


def test_list_without_a_match_is_exit_status_1() -> None:
    result = call("list", "atlantis")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "no region matches\n")
    assert data(call("list", "atlantis", "--json")) == []


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["list", "--cloud", "skynet"], 2),
        (["list", "--json", "--csv"], 2),
        (["list", "--country", "Franc"], 1),
        (["list", "--country", "California"], 1),
        (["compare", "FR", "--energy", "0"], 2),
        (["compare", "FR", "--energy", "-1"], 2),
        (["compare", "FR", "--energy", "nan"], 2),
        (["compare", "FR", "--energy", "inf"], 2),
        (["compare", "FR", "Germny"], 1),
        (["compare", "FR", "--file", "no-such-ledger.csv"], 125),
        (["compare", "FR", "--file", "x.csv", "--energy", "1"], 2),
        (["lookup", "FR", "--coefficients", "no-such-set"], 125),
    ],
)
def test_a_mistake_is_one_error_that_knows_its_exit_status(
    arguments: list[str], status: int
) -> None:
    error = call(*arguments).exception
    assert isinstance(error, WrongUsage | RegionNotFound) or status == 125
    assert getattr(error, "exit_status", None) == status
    assert "\n" not in str(error)


def test_compare_tells_what_the_same_energy_emits() -> None:
    found = data(call("compare", "FR", "DE", "--energy", "29.1", "--json"))
    assert found["energy_kwh"] == 29.1
    france, germany = found["regions"]
    assert france["emissions_kg"] == pytest.approx(29.1 * 41.45 / 1000)
    assert germany["difference_kg"] == pytest.approx(29.1 * (329.65 - 41.45) / 1000)
    assert found["warnings"] == []


def test_compare_warns_where_method_or_year_differ() -> None:
    result = call("compare", "FR", "US-CA")
    assert result.exit_code == 0
    assert "methods differ: lifecycle;generation (FR), direct;generation (US-CA)" in result.stderr
    assert "years differ: 2025 (FR), 2023 (US-CA)" in result.stderr
    assert len(data(call("compare", "FR", "US-CA", "--json"))["warnings"]) == 3
    (warning,) = data(call("compare", "AU-VIC", "BR-SP", "--json"))["warnings"]
    assert warning.startswith("the methods differ: direct;consumption (AU-VIC)")


def test_compare_draws_a_bar_a_difference_and_a_change() -> None:
    lines = call("compare", "FR", "DE", "CH", "--energy", "100").stdout.splitlines()
    assert lines[1].split()[-3:] == ["=", "=", "█"]
    # 329.65 - 41.45 kg/MWh, and 329.65 / 41.45.
    assert lines[2].split()[-5:] == ["+28.8", "kg", "x", "8.0", "█" * 9]
    assert "-5 %" in lines[3]


_HEADER = "id,parent_id,epoch,project_name,duration(s),power_consumption(kWh),CO2_emissions(kg)\n"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Two runs, one of them in two rows and with a third run inside it."""
    path = tmp_path / "emission.csv"
    path.write_text(
        _HEADER + "a,,1,p,10,1.5,0.1\na,,N/A,p,10,2.5,0.2\nb,a,N/A,p,5,1,0.04\nc,,N/A,q,5,25,1\n"
    )
    return path


def test_compare_takes_the_energy_of_a_ledger_and_each_run_once(ledger: Path) -> None:
    found = data(call("compare", "FR", "DE", "--file", str(ledger), "--json"))
    assert found["energy_kwh"] == 29
    assert found["recorded"] == {
        "files": [str(ledger)],
        "runs": 2,
        "nested_runs": 1,
        "rows": 4,
        "skipped_rows": 0,
        "runs_without_energy": 0,
        "energy_kwh": 29,
        "emissions_kg": 1.3,
    }
    assert found["regions"][1]["emissions_kg"] == pytest.approx(29 * 329.65 / 1000)
    assert found["warnings"] == []


def test_compare_says_which_rows_it_took(ledger: Path) -> None:
    result = call("compare", "FR", "DE", "--file", str(ledger))
    assert "29 kWh at the facility's socket" in result.stdout
    assert f"2 runs in 4 rows of {ledger}; 1 run inside these: not added again" in result.stdout
    assert "recorded where it was used: 1.30 kg" in result.stdout


def test_compare_adds_ledgers_up_and_one_that_is_named_twice_once(
    ledger: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text(_HEADER + "d,,N/A,q,5,10,1\n")
    for files in ([ledger, other], [ledger, other, ledger]):
        options = [option for file in files for option in ("--file", str(file))]
        assert data(call("compare", "FR", *options, "--json"))["energy_kwh"] == 39


def test_compare_warns_of_what_the_energy_lacks(ledger: Path) -> None:
    with ledger.open("a") as file:
        file.write("d,,N/A,q,5,,\ne,,N/A,q,5,much,1\n")
    result = call("compare", "FR", "--file", str(ledger))
    assert "warning: 1 row cannot be read" in result.stderr
    assert "warning: the energy of 1 run is not known" in result.stderr
    assert len(data(call("compare", "FR", "--file", str(ledger), "--json"))["warnings"]) == 2


@pytest.mark.parametrize("rows", ["", "a,,1,p,10,,\n", "a,,1,p,10,0,0\n"])
def test_compare_refuses_a_ledger_without_energy(rows: str, tmp_path: Path) -> None:
    path = tmp_path / "emission.csv"
    path.write_text(_HEADER + rows)
    error = call("compare", "FR", "--file", str(path)).exception
    assert str(error) == f"no energy is recorded in `{path}`"
    assert getattr(error, "exit_status", None) == 1


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        (["compare", "FR", "DE", "US-CA", "aws:us-east-1"], 80),
        (["compare", "FR", "DE", "US-CA", "aws:us-east-1"], 60),
        (["compare", "FR", "DE", "US-CA", "aws:us-east-1"], 40),
        (["lookup", "FR", "aws:us-east-1", "US/California", "Bavaria"], 80),
        (["lookup", "FR", "aws:us-east-1", "US/California", "Bavaria"], 50),
        (["list", "--cloud", "aws"], 80),
        (["list", "--cloud", "aws"], 50),
    ],
)
def test_a_table_fits_the_terminal_and_no_figure_is_cut(arguments: list[str], columns: int) -> None:
    screen, _ = pexpect.run(
        f"{sys.executable} -m eco2ai_cli regions {' '.join(arguments)}",
        withexitstatus=True,
        encoding="utf-8",
        env={"TERM": "dumb", "LANG": "C.UTF-8", "COLUMNS": str(columns)},
    )
    assert "CODE" in screen
    assert max(map(len, screen.split("note:")[0].splitlines())) <= columns
    assert "aws:us-east-1  " in screen
    # France emits 41.45 kg/MWh, N. Virginia 270.49.
    assert ("270 g" if arguments[0] == "compare" else "270.49") in screen
