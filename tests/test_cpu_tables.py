"""The shipped tables of processors: what holds of every row, and that an edit stays small."""

from __future__ import annotations

import csv
import importlib.util
import re
import shutil
import statistics
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from eco2ai_cli import cpus

ROOT = Path(__file__).parent.parent
RESOURCES = ROOT / "resources"
RULES = {"hypervisor", "cpuid"}


def rows(name: str, resources: Path = RESOURCES) -> list[dict[str, str]]:
    with (resources / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def build() -> ModuleType:
    """The script that keys, sorts and checks the tables."""
    spec = importlib.util.spec_from_file_location("build_cpus", ROOT / "tools" / "build_cpus.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A copy of the shipped tables that a test may edit."""
    for name in ("cpus.csv", "cpu_hints.csv"):
        shutil.copy(RESOURCES / name, tmp_path)
    return tmp_path


def test_there_are_more_than_5300_models_with_cores_and_threads() -> None:
    assert sum(bool(row["threads"]) for row in rows("cpus.csv")) > 5300


def test_a_vendors_own_figure_stands_behind_two_in_three() -> None:
    counts = Counter(row["basis"] for row in rows("cpus.csv"))
    assert counts["vendor"] > sum(counts.values()) * 2 / 3


@pytest.mark.parametrize("name", ["cpus.csv", "cpu_hints.csv"])
def test_every_row_is_keyed_once_sorted_and_in_range(name: str) -> None:
    table = rows(name)
    keys = [row["key"] for row in table]
    assert keys == sorted(set(keys))
    for row in table:
        assert 0 < float(row["tdp_w"]) <= 600, row
        assert row["vendor"], row
        assert row["sources"], row
        if row["cores"] or name == "cpu_hints.csv":
            assert 0 < int(row["cores"]) <= int(row["threads"]) <= 4 * int(row["cores"]), row


def test_a_key_holds_every_number_of_its_model() -> None:
    for row in rows("cpus.csv"):
        digits = re.sub(r"\D", "", row["key"])
        assert all(number in digits for number in re.findall(r"\d+", row["model"])), row


@pytest.mark.parametrize("name", ["cpus.csv", "cpu_hints.csv"])
def test_no_field_needs_a_quote(name: str) -> None:
    # A look-up splits a line at its commas, for a run cannot wait for the csv module.
    text = (RESOURCES / name).read_text(encoding="utf-8")
    assert '"' not in text
    assert "\r" not in text
    assert {line.count(",") for line in text.splitlines()} == {text.splitlines()[0].count(",")}


def test_every_hint_says_by_which_rule_it_matches() -> None:
    assert {row["rule"] for row in rows("cpu_hints.csv")} == RULES


def test_a_guest_in_a_hypervisors_words_pays_for_a_slice() -> None:
    for row in rows("cpu_hints.csv"):
        if row["rule"] == "hypervisor":
            assert float(row["tdp_w"]) / int(row["threads"]) < 10, row


def test_every_source_is_attributed() -> None:
    attributed = (RESOURCES / "SOURCES.md").read_text(encoding="utf-8")
    named = {
        source
        for row in rows("cpus.csv")
        if row["basis"] in ("vendor", "majority", "single", "acp")
        for source in row["sources"].split(";")
    }
    assert {source for source in named if f"`{source}`" not in attributed} == set()


def test_the_usual_watts_are_the_tables_medians() -> None:
    def median(pattern: str, cores: int = 1) -> float:
        return statistics.median(
            float(row["tdp_w"]) / int(row["threads"])
            for row in rows("cpus.csv")
            if re.fullmatch(pattern, row["model"])
            and int(row["year"] or 0) >= 2019
            and int(row["cores"] or 0) >= cores
        )

    def usual(form: str, brand: str = "") -> float:
        return cpus.lookup(brand, form=form).w_per_thread

    xeons = r"Xeon (Gold|Platinum|Silver|6\d\d\d[PE]).*"
    desktops = r"Core (i\d-|Ultra \d )\d+(K|KF|F)?|Ryzen \d \d+[XG]?"
    laptops = r"Core (i\d-|Ultra \d )\d+(U|H|HX|HK|V|P|G\d)|Ryzen \d \d+(U|H|HS|HX)"
    assert usual("server", "Intel") == pytest.approx(median(xeons), rel=0.1)
    assert usual("server", "AMD") == pytest.approx(median(r"EPYC [79]\d.*", cores=64), rel=0.1)
    assert usual("desktop") == pytest.approx(median(desktops), rel=0.1)
    assert usual("laptop") == pytest.approx(median(laptops), rel=0.1)


def test_building_again_changes_nothing(build: ModuleType, tables: Path) -> None:
    before = {path.name: path.read_bytes() for path in tables.iterdir()}
    assert build.main([], tables) == 0
    assert {path.name: path.read_bytes() for path in tables.iterdir()} == before


def test_a_processor_is_added_by_one_line(build: ModuleType, tables: Path) -> None:
    with (tables / "cpus.csv").open("a") as file:
        file.write(",Intel,Core Ultra 9 999Z,55,12,24,2027,review,B,the vendor's page\n")
    assert build.main([], tables) == 0
    added = [row for row in rows("cpus.csv", tables) if row["model"] == "Core Ultra 9 999Z"]
    assert [row["key"] for row in added] == ["core ultra 9 999z"]
    keys = [row["key"] for row in rows("cpus.csv", tables)]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (",AMD,EPYC 7763,280,64,128,2021,vendor,A,amd_cc", "`epyc 7763` twice"),
        (",AMD,EPYC 0001,28000,64,128,2021,vendor,A,amd_cc", "`28000` is no TDP"),
        (",AMD,EPYC 0001,280 W,64,128,2021,vendor,A,amd_cc", "`280 W` is no TDP"),
        (",AMD,EPYC 0001,280,64,32,2021,vendor,A,amd_cc", "`64` cores with `32` threads"),
        (",AMD,EPYC 0001,280,64,128,2021,hearsay,A,amd_cc", "unknown basis `hearsay`"),
        (",AMD,EPYC 0001,280,64,128,2021,vendor,A,", "no source"),
        (",AMD,EPYC 0001,280", "has not the columns"),
        (',AMD,EPYC 0001,280,64,128,2021,vendor,A,"a,b"', "a comma"),
    ],
)
def test_a_faulty_row_is_refused_and_nothing_is_written(
    build: ModuleType, tables: Path, capsys: pytest.CaptureFixture[str], line: str, fault: str
) -> None:
    table = tables / "cpus.csv"
    table.write_text(table.read_text() + line + "\n")
    before = table.read_bytes()
    assert build.main([], tables) == 1
    assert fault in capsys.readouterr().out
    assert table.read_bytes() == before


FACTS = "vendor,name,tdp_w,cores,threads,base_mhz,launch_year,max_turbo_w,basis,confidence,sources"
ALIASES = (
    "match_type,pattern,vendor,family,model,stepping,microarch,representative,tdp_w,"
    "cores_per_socket,threads_per_socket,w_per_thread,cloud,confidence,source"
)


def collect(folder: Path, facts: list[str], aliases: list[str]) -> str:
    folder.mkdir()
    (folder / "cpu_tdp.csv").write_text("\n".join((FACTS, *facts)) + "\n")
    (folder / "cpu_alias.csv").write_text("\n".join((ALIASES, *aliases)) + "\n")
    return str(folder)


def test_collected_facts_replace_collected_figures_but_not_ours(
    build: ModuleType, tables: Path, tmp_path: Path
) -> None:
    facts = collect(
        tmp_path / "facts",
        [
            "AMD,EPYC 7763,290,64,128,2450,2021,,vendor,A,amd2027;passmark",
            "AMD,EPYC 3251,50,8,16,2500,2018,,majority,B,passmark",
            "AMD,EPYC 0001,100,64,128,2450,2027,,vendor,A,amd2027",
            "Intel,Pentium 4 3.00GHz,89,1,2,3000,2004,,vendor,A,ark2027",
            "Intel,Xeon 2660,95,,,,,,single,C,eit",
        ],
        ["cpuid,AMD-99-1,AMD,99,1,0-1,Zen 9,EPYC 0001,100,64,128,0.8,any,low,nobody"],
    )
    assert build.main([facts], tables) == 0
    found = {row["model"]: row for row in rows("cpus.csv", tables)}
    assert found["EPYC 7763"]["tdp_w"] == "290"
    assert found["EPYC 7763"]["sources"] == "amd2027"
    assert found["EPYC 3251"]["tdp_w"] == "55"  # basis `review`
    assert found["EPYC 0001"]["key"] == "epyc 0001"
    assert "Pentium 4 3.00GHz" not in found  # a clock
    assert "Xeon 2660" not in found  # tools/cpu_review.csv drops it
    hints = {row["key"] for row in rows("cpu_hints.csv", tables)}
    assert {"amd-99-1-0", "amd-99-1-1"} <= hints
