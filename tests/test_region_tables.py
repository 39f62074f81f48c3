"""The shipped tables of regions: what must hold of every row, and that an edit stays small."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pycountry
import pytest

from eco2ai_cli import regions

ROOT = Path(__file__).parent.parent
RESOURCES = ROOT / "resources"
TABLES = [
    *("regions.csv", "regions_paper_2022.csv", "cloud_regions.csv"),
    *("places.csv", "region_names.csv", "timezones.csv"),
]


def rows(name: str) -> list[dict[str, str]]:
    with (RESOURCES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def build(resources: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "tools/build_regions.py", "--resources", resources, *arguments],
        capture_output=True,
        text=True,
    )


@pytest.fixture
def resources(tmp_path: Path) -> Path:
    """A copy of the tables, to be edited."""
    for name in TABLES:
        shutil.copy(RESOURCES / name, tmp_path)
    return tmp_path


def append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def test_the_tables_are_as_large_as_promised() -> None:
    codes = [row["code"] for row in rows("regions.csv")]
    assert sum(len(code) == 2 for code in codes) >= 220
    assert sum("-" in code for code in codes) >= 290
    clouds = rows("cloud_regions.csv")
    assert len(clouds) >= 300
    assert sum(row["pue"] != "" for row in clouds) >= 150


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_one_row_a_key_in_order_and_needs_no_csv_parser(name: str) -> None:
    keys = [next(iter(row.values())) for row in rows(name)]
    assert len(keys) == len(set(keys))
    assert keys == sorted(keys)
    lines = (RESOURCES / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(keys) + 1
    assert len({line.count(",") for line in lines}) == 1
    assert not any('"' in line for line in lines)


@pytest.mark.parametrize("name", ["regions.csv", "regions_paper_2022.csv"])
def test_every_figure_has_a_year_a_method_a_source_and_a_licence(name: str) -> None:
    for row in rows(name):
        assert 0 <= float(row["kg_per_mwh"]) <= 1400
        assert 2020 <= int(row["year"]) <= 2026
        assert row["method"]
        assert row["source"]
        assert row["licence"]


def test_every_cloud_region_has_a_figure_with_its_provenance() -> None:
    found = list(regions.every_cloud())
    assert len(found) == len(rows("cloud_regions.csv"))
    for region in found:
        assert region.year
        assert region.source
        assert region.method
        assert region.site
        assert region.pue is None or 1 <= region.pue <= 2


@pytest.mark.parametrize(
    ("name", "column"),
    [
        *(("regions.csv", "code"), ("regions_paper_2022.csv", "code"), ("places.csv", "code")),
        *(("cloud_regions.csv", "iso_code"), ("cloud_regions.csv", "grid_code")),
        *(("region_names.csv", "codes"), ("timezones.csv", "code")),
    ],
)
def test_every_code_is_isos(name: str, column: str) -> None:
    iso = {country.alpha_2 for country in pycountry.countries}
    iso |= {subdivision.code for subdivision in pycountry.subdivisions}
    # Kosovo's code is ISO's for users to assign; the world's is ours.
    used = {code for row in rows(name) for code in row[column].split(" ")}
    assert used - iso <= {"XK", "WORLD"}


def test_every_country_and_subdivision_is_under_its_own_country() -> None:
    for region in regions.every():
        if region.code not in {"WORLD", "XK"}:
            country = pycountry.countries.get(alpha_2=region.code[:2])
            assert country is not None
            if region.country not in {"Georgia", "Congo"}:
                assert regions.country(region.country or "") == country.alpha_2


def test_the_shipped_tables_pass_their_own_check() -> None:
    done = build(RESOURCES, "--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_new_region_is_one_row_and_a_run_of_the_script(resources: Path) -> None:
    append(
        resources / "regions.csv",
        "AD,Andorra,,150.5,2026,lifecycle;generation,Ours,CC0-1.0,,",
    )
    append(resources / "region_names.csv", "Principat d'Andorra,AD,name")
    done = build(resources)
    assert (done.returncode, done.stderr) == (0, "")
    assert build(resources, "--check").returncode == 0
    first = (resources / "regions.csv").read_text(encoding="utf-8").splitlines()[1]
    assert first.startswith("AD,Andorra,,150.5,")
    assert "\nprincipat dandorra,AD,name\n" in (resources / "region_names.csv").read_text("utf-8")
    assert "\nAD,Andorra,\n" not in (resources / "places.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "line", "complaint"),
    [
        ("regions.csv", "FR,France,,1,2026,lifecycle;generation,S,L,,", "`FR` stands there twice"),
        ("regions.csv", "QQ,Nowhere,,1,26,lifecycle;generation,S,L,,", "the year `26` cannot be"),
        ("regions.csv", "QQ,Nowhere,,9e9,2026,lifecycle;generation,S,L,,", "`9e9` kg/MWh cannot"),
        ("regions.csv", "QQ,Nowhere,,1,2026,guesswork,S,L,,", "the method `guesswork`"),
        ("regions.csv", "QQ,Nowhere,,1,2026,direct;generation,,L,,", "needs a source"),
        ("region_names.csv", "France,DE,name", "`france` stands there twice"),
        ("region_names.csv", "Nowhere,QQ,name", "names `QQ`, which is no code"),
        ("region_names.csv", "ga,US-GA,name", "`ga` is the code of another place"),
        ("region_names.csv", "Nigera,NE,name", "`nigera` (NE) is how one misspells `nigeria`"),
        ("cloud_regions.csv", "x:y,Z,QQ,FR,,,,,,,,", "iso_code or grid_code is no code"),
        ("cloud_regions.csv", "x:y,Z,FR,FR,,,,,,0.9,2024,S", "a PUE lies between 1 and 2"),
        ("timezones.csv", "Moon/Base,QQ", "stands in `QQ`"),
        ("timezones.csv", "Moon/Base", "not as many cells as columns"),
    ],
)
def test_a_faulty_edit_is_named_and_nothing_is_written(
    resources: Path, name: str, line: str, complaint: str
) -> None:
    append(resources / name, line)
    before = {table: (resources / table).read_bytes() for table in TABLES}
    done = build(resources)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert {table: (resources / table).read_bytes() for table in TABLES} == before


def test_a_years_figures_are_taken_from_a_folder_of_facts(resources: Path, tmp_path: Path) -> None:
    facts = [
        {**row, "flag": "ok", "alternative_names": "", "alpha_3": "", "m49": ""}
        for row in rows("regions.csv")
    ]
    next(fact for fact in facts if fact["code"] == "FR").update(kg_per_mwh="39.5", year="2026")
    facts.append(
        {
            **facts[0],
            "code": "AD",
            "country": "Andorra",
            "subdivision": "",
            "alternative_names": "Land of the Pyrenees",
        }
    )
    folder = tmp_path / "facts"
    folder.mkdir()
    with (folder / "regions_current.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, facts[0])
        writer.writeheader()
        writer.writerows(facts)
    done = build(resources, str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    figures = (resources / "regions.csv").read_text(encoding="utf-8")
    assert "\nFR,France,,39.5,2026," in figures
    assert figures.count("\n") == len(facts) + 1
    assert "\nland of the pyrenees,AD,name\n" in (resources / "region_names.csv").read_text("utf-8")
