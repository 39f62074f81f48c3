"""Looking a region up: what people and systems give, and nothing that was not meant."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pycountry
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco2ai_cli import regions
from eco2ai_cli.errors import ResourceError
from eco2ai_cli.gazetteer import normalise, resolve
from eco2ai_cli.regions import Region, RegionNotFound


def not_found(query: str, coefficients: str = "current") -> RegionNotFound:
    with pytest.raises(RegionNotFound) as caught:
        regions.lookup(query, coefficients)
    assert caught.value.query == query
    assert caught.value.exit_status == 1
    return caught.value


# What is published


@pytest.mark.parametrize(
    ("query", "kg_per_mwh"),
    [("Canada", 120.49), ("FR", 67.53), ("IND", 625.57), ("600", 23.92), ("Zambia", 120.78)],
)
def test_the_papers_table_2_is_reproduced(query: str, kg_per_mwh: float) -> None:
    assert round(regions.lookup(query, "paper-2022").kg_per_mwh, 2) == kg_per_mwh


def test_the_papers_default_and_its_moscow_are_reproduced() -> None:
    assert round(regions.world("paper-2022").kg_per_mwh, 1) == 436.5
    assert regions.lookup("Moscow", "paper-2022").kg_per_mwh == 240.56


def test_the_world_mean_is_embers_of_2025() -> None:
    world = regions.world()
    assert (world.code, world.iso_code, world.kg_per_mwh, world.year) == (
        *("WORLD", "WORLD"),
        *(458.49, 2025),
    )


@pytest.mark.parametrize(
    ("query", "kg_per_mwh"),
    [("CA", 190.73), ("FR", 41.45), ("IN", 670.55), ("PY", 24.70), ("ZM", 125.76)],
)
def test_the_current_figures_are_embers(query: str, kg_per_mwh: float) -> None:
    region = regions.lookup(query)
    assert region.kg_per_mwh == kg_per_mwh
    assert region.source is not None
    assert region.source.startswith("Ember")


def test_a_figure_tells_its_year_method_source_and_the_rule_that_found_it() -> None:
    region = regions.lookup("US-CA")
    assert (region.year, region.method, region.matched_by) == (
        *(2023, "direct;generation"),
        "iso-3166-2",
    )
    assert region.source is not None
    assert "eGRID2023" in region.source
    assert (region.country, region.subdivision) == ("United States", "California")
    assert region.name == "California, United States"


# What people and systems give


@pytest.mark.parametrize(
    ("query", "code", "rule"),
    [
        ("DE", "DE", "alpha-2"),
        ("de", "DE", "alpha-2"),
        (" DE\n", "DE", "alpha-2"),
        ("DEU", "DE", "alpha-3"),
        ("276", "DE", "m49"),
        ("004", "AF", "m49"),
        ("Germany", "DE", "name"),
        ("Deutschland", "DE", "name"),
        ("ドイツ", "DE", "name"),
        ("US-CA", "US-CA", "iso-3166-2"),
        ("us_ca", "US-CA", "iso-3166-2"),
        ("US/California", "US-CA", "name"),
        ("United States/California", "US-CA", "name"),
        ("California, USA", "US-CA", "name"),
        ("US/WA", "US-WA", "iso-3166-2"),
        ("Australia/WA", "AU-WA", "iso-3166-2"),
        ("California", "US-CA", "name"),
        ("Québec", "CA-QC", "name"),
        ("QUEBEC", "CA-QC", "name"),
        ("Cote d'Ivoire", "CI", "name"),
        ("Côte d’Ivoire", "CI", "name"),
        ("Bosnia & Herzegovina", "BA", "name"),
        ("The Gambia", "GM", "name"),
        ("St. Petersburg", "RU-SPE", "name"),
        ("St.Petersburg", "RU-SPE", "name"),
        ("Washington, D.C.", "US-DC", "name"),
        ("Washington State", "US-WA", "name"),
        ("Kyoto Prefecture", "JP-26", "name"),
        ("Türkiye", "TR", "name"),
        ("U.S.", "US", "name"),
        ("the US", "US", "name"),
        ("P.R. China", "CN", "name"),
        ("Łódzkie", "PL", "name"),
        ("CN-HK", "HK", "iso-3166-2"),
        ("US/Puerto Rico", "PR", "name"),
        ("IN-OR", "IN-OD", "iso-3166-2"),
        ("RU/Crimea", "UA-43", "name"),
        ("RU-SEV", "UA-40", "iso-3166-2"),
        ("World", "WORLD", "name"),
        ("aws:eu-west-3", "aws:eu-west-3", "cloud-region"),
        ("AWS:EU-WEST-3", "aws:eu-west-3", "cloud-region"),
        ("europe-west9", "gcp:europe-west9", "cloud-region"),
        ("google:europe-west9", "gcp:europe-west9", "cloud-region"),
        ("europe-west9-b", "gcp:europe-west9", "cloud-zone"),
        ("aws:us-east-1a", "aws:us-east-1", "cloud-zone"),
        ("azure:West Europe", "azure:westeurope", "cloud-region"),
    ],
)
def test_a_region_is_found_by(query: str, code: str, rule: str) -> None:
    region = regions.lookup(query)
    assert (region.code, region.matched_by) == (code, rule)


@pytest.mark.parametrize(
    ("letters", "country"),
    [("NA", "Namibia"), ("CA", "Canada"), ("DE", "Germany"), ("IN", "India"), ("GA", "Gabon")],
)
def test_two_letters_of_a_country_mean_nothing_else(letters: str, country: str) -> None:
    assert regions.lookup(letters).country == country


def test_indic_marks_keep_togo_and_tonga_apart() -> None:
    assert regions.lookup("टोगो").code == "TG"
    assert regions.lookup("टोंगा").code == "TO"


def test_a_name_in_its_country_is_not_ambiguous() -> None:
    assert regions.lookup("US/Georgia").code == "US-GA"
    assert regions.lookup("Georgia State").code == "US-GA"
    assert regions.lookup("Republic of Georgia").code == "GE"
    assert regions.lookup("India/Punjab").code == "IN-PB"


@pytest.mark.parametrize("query", ["DE-BY", "Bavaria", "Bayern", "Germany/Bayern", "Bavaria, DE"])
def test_a_subdivision_without_a_figure_has_its_countrys_and_says_so(query: str) -> None:
    region = regions.lookup(query)
    assert (region.code, region.subdivision) == ("DE", None)
    assert region.kg_per_mwh == regions.lookup("DE").kg_per_mwh
    assert "region-coarse" in region.caveats


def test_a_cloud_region_brings_its_iso_code_and_its_pue() -> None:
    region = regions.lookup("aws:us-east-1")
    assert (region.iso_code, region.subdivision, region.site) == (
        "US-VA",
        "Virginia",
        "N. Virginia",
    )
    assert region.pue == 1.15
    assert regions.lookup("FR").pue is None
    assert regions.lookup("hetzner:fsn1").pue is None


def test_a_cloud_region_without_its_own_figure_has_that_of_its_grid() -> None:
    # Japan's prefectures have figures by utility; a data centre there is on the country's grid.
    for site_code, grid_code in (("aws:eu-west-3", "FR"), ("aws:ap-northeast-1", "JP")):
        site, grid = regions.lookup(site_code), regions.lookup(grid_code)
        assert (site.kg_per_mwh, site.year) == (grid.kg_per_mwh, grid.year)
        assert (site.source, site.caveats) == (grid.source, grid.caveats)


def test_the_papers_set_answers_for_cloud_regions_by_where_they_stand() -> None:
    region = regions.lookup("aws:eu-west-3", "paper-2022")
    assert (region.code, round(region.kg_per_mwh, 2), region.pue) == ("aws:eu-west-3", 67.53, 1.14)
    assert regions.lookup("aws:us-west-2", "paper-2022").kg_per_mwh == 180.59
    tokyo = regions.lookup("aws:ap-northeast-1", "paper-2022")
    assert tokyo.kg_per_mwh == regions.lookup("JP", "paper-2022").kg_per_mwh
    assert "region-coarse" in tokyo.caveats


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ACT", "AU-ACT"),
        ("Krasnoyarskiy", "RU-KYA"),
        ("Stavropol’ Kray", "RU-STA"),
        ("Primorskiy (Maritime) Kray", "RU-PRI"),
        ("United States/Virgin Islands", "VI"),
        ("Voronezj", "RU-VOR"),
        ("Khanty-Mansia", "RU-KHM"),
        ("Transbaikal Territory", "RU-ZAB"),
    ],
)
def test_the_papers_own_spellings_are_found(name: str, code: str) -> None:
    assert regions.lookup(name, "paper-2022").code == code


# What must not be guessed


@pytest.mark.parametrize(
    ("query", "candidates"),
    [
        ("Georgia", ("GE", "US-GA")),
        ("Punjab", ("IN-PB", "PK-PB")),
        ("Congo", ("CD", "CG")),
        ("Korea", ("KP", "KR")),
        ("Virgin Islands", ("VG", "VI")),
        ("WA", ("AU-WA", "US-WA")),
        ("eu-west-1", ("alibaba:eu-west-1", "aws:eu-west-1")),
    ],
)
def test_an_ambiguous_name_is_refused_with_its_candidates(
    query: str, candidates: tuple[str, ...]
) -> None:
    error = not_found(query)
    assert (error.kind, error.suggestions) == ("ambiguous", candidates)
    assert str(error) == f"`{query}` names more than one region"
    assert error.hint == f"say `{candidates[0]}` or `{candidates[1]}`"


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("Germny", "DE"),
        ("Untied States", "US"),
        ("Swtizerland", "CH"),
        ("Nigera", "NG"),
        ("Califronia", "US-CA"),
        ("US/Califronia", "US-CA"),
        ("Frankreihc", "FR"),
        ("aws:eu-wst-3", "aws:eu-west-3"),
        ("google:europe-west99", "gcp:europe-west9"),
        ("United", "US"),
        ("36", "AU"),
        ("DE-ZZ", "DE"),
        ("D.C.", "US-DC"),
        ("Mérida", "VE-L"),
        ("Valencia", "ES-V"),
    ],
)
def test_a_misspelt_name_is_refused_with_what_it_may_have_meant(query: str, meant: str) -> None:
    error = not_found(query)
    assert error.kind == "unknown"
    assert meant in error.suggestions
    assert error.hint is not None
    assert error.hint.startswith("did you mean `")


@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        "nan",
        "None",
        "uk-",
        "us-",
        "XX",
        "EU",
        "xyzzy",
        "999",
        "AAA",
        ":",
        "/",
        "a,b",
        "par",
        "-",
    ],
)
def test_rubbish_is_unknown(query: str) -> None:
    assert not_found(query).kind == "unknown"


@pytest.mark.parametrize("query", ["AD", "AND", "020", "Andorra", "AD-02", "Åland", "FI-01"])
def test_a_place_without_a_figure_is_said_to_have_none(query: str) -> None:
    error = not_found(query)
    assert (error.kind, error.suggestions) == ("no_data", ("WORLD",))


def test_a_name_that_a_larger_city_abroad_has_needs_its_country() -> None:
    assert not_found("Portland").kind == "unknown"
    assert regions.lookup("Jamaica/Portland").code == "JM"


@given(st.text() | st.text(alphabet="ABCUSabcus0123456789-_:/, .'"))
def test_any_text_is_answered_or_refused(query: str) -> None:
    try:
        answer: Region | RegionNotFound = regions.lookup(query)
    except RegionNotFound as error:
        answer = error
    assert isinstance(answer, Region) or answer.kind in {"unknown", "ambiguous", "no_data"}


@given(st.text())
def test_normalising_twice_changes_nothing(name: str) -> None:
    assert normalise(normalise(name)) == normalise(name)


@given(st.text(min_size=1))
def test_case_and_outer_space_do_not_matter(name: str) -> None:
    assert resolve(f"  {name}\t") == resolve(name)
    if name.isascii():
        assert resolve(name.upper()) == resolve(name.lower())


# ISO, as pycountry tells it


def test_every_country_of_iso_3166_is_found_by_its_codes_and_its_name() -> None:
    for country in pycountry.countries:
        for query in (country.alpha_2, country.alpha_3, country.numeric, country.name):
            codes, _ = resolve(query)
            assert country.alpha_2 in codes
            assert len(codes) == 1 or query in {"Georgia", "Congo"}


def test_every_subdivision_of_iso_3166_is_found_by_its_code() -> None:
    for subdivision in pycountry.subdivisions:
        (code,), _ = resolve(subdivision.code)
        # Some are a country of their own too: `CN-HK` is `HK`.
        assert code == subdivision.code or len(code) == 2


# A user's own set


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "own.csv"


def test_a_users_set_answers_by_every_name_of_its_codes(own: Path) -> None:
    own.write_text("\ufeffcode,kg_per_mwh,year,note\nFR,50,2024,x\nGermany,300,,\nWORLD,400,,\n")
    france = regions.lookup("Frankreich", str(own))
    assert (france.code, france.kg_per_mwh, france.year, france.source) == ("FR", 50, 2024, None)
    assert regions.lookup("DE", str(own)).kg_per_mwh == 300
    assert "region-coarse" in regions.lookup("DE-BY", str(own)).caveats
    assert regions.lookup("aws:eu-west-3", str(own)).kg_per_mwh == 50
    assert regions.world(str(own)).kg_per_mwh == 400
    assert [region.code for region in regions.every(str(own))] == ["FR", "DE", "WORLD"]


def test_a_users_set_may_name_sites_of_its_own(own: Path) -> None:
    own.write_text("code,kg_per_mwh,method,source\nour roof,0,lifecycle;generation,meter\n")
    roof = regions.lookup("our roof", str(own))
    assert (roof.code, roof.iso_code, roof.kg_per_mwh, roof.matched_by) == (
        *("our roof", "our roof"),
        *(0, "user-table"),
    )
    assert not_found("FR", str(own)).kind == "no_data"


def test_a_users_set_without_the_world_says_so(own: Path) -> None:
    own.write_text("code,kg_per_mwh\nFR,50\n")
    with pytest.raises(RegionNotFound, match="WORLD") as caught:
        regions.world(str(own))
    assert caught.value.kind == "no_data"
    assert caught.value.hint == "add a row `WORLD` to it"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: no column `code`"),
        ("code,kg\nFR,1\n", "line 1: no column `kg_per_mwh`"),
        ("code,kg_per_mwh\nFR,1\nDE,much\n", "line 3: `much` is no coefficient"),
        ("code,kg_per_mwh\nFR,-1\n", "line 2: `-1` is no coefficient"),
        ("code,kg_per_mwh\nFR,nan\n", "line 2: `nan` is no coefficient"),
        ("code,kg_per_mwh\nFR,inf\n", "line 2: `inf` is no coefficient"),
        ("code,kg_per_mwh\nFR,1_000\n", "line 2: `1_000` is no coefficient"),
        ('code,kg_per_mwh\nFR,"41,5"\n', "line 2: `41,5` is no coefficient"),
        ("code;kg_per_mwh\nFR;41,5\n", "line 1: no column `code`"),
        ('code,kg_per_mwh\nFR,1\n"' + "x" * 200_000 + '",1\n', "line 3: this is not CSV"),
        ("code,kg_per_mwh\nFR\n", "line 2: `` is no coefficient"),
        ("code,kg_per_mwh\n,1\n", "line 2: no code"),
        ("code,kg_per_mwh\nGeorgia,1\n", "line 2: `Georgia` names more than one region"),
        ("code,kg_per_mwh\nFR,1\n\nFrance,2\n", "line 4: `FR` has a row already"),
        ("code,kg_per_mwh,year\nFR,1,last\n", "line 2: `last` is not a year"),
    ],
)
def test_a_faulty_set_is_refused_with_file_and_line(own: Path, text: str, complaint: str) -> None:
    csv.field_size_limit(131_072)  # as Python starts; who reads a ledger lifts it
    own.write_text(text)
    with pytest.raises(ResourceError) as caught:
        regions.lookup("FR", str(own))
    assert f"`{own}`, {complaint}" in str(caught.value)


def test_a_set_that_is_not_utf8_is_refused_with_its_line(own: Path) -> None:
    own.write_bytes(b"code,kg_per_mwh\nFR,1\n\xff\xfe,1\n")
    with pytest.raises(ResourceError, match="line 3: this is not UTF-8"):
        regions.lookup("FR", str(own))


def test_a_set_of_rubbish_finds_nothing(own: Path) -> None:
    own.write_bytes(b"code,kg_per_mwh\n\0,1\n")
    with pytest.raises((ResourceError, RegionNotFound)):
        regions.lookup("FR", str(own))


def test_a_set_with_semicolons_is_told_what_to_do(own: Path) -> None:
    own.write_text("code;kg_per_mwh\nFR;41,5\n")
    with pytest.raises(ResourceError) as caught:
        regions.lookup("FR", str(own))
    assert caught.value.hint is not None
    assert "not semicolons" in caught.value.hint


def test_a_set_that_is_not_there_is_refused_with_what_there_is(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ResourceError, match="cannot read the coefficients") as caught:
            regions.lookup("FR", str(path))
        assert caught.value.hint == "say `current`, `paper-2022` or the path of a CSV"


# On the way to the child


def test_an_exact_query_imports_nothing_heavy() -> None:
    heavy = {"csv", "dataclasses", "difflib", "json", "unicodedata", "pathlib", "click", "rich"}
    code = (
        "import sys; before = set(sys.modules)\n"
        "from eco2ai_cli import regions\n"
        "for query in ('FR', 'Germany', 'US/California', 'aws:eu-west-3'): regions.lookup(query)\n"
        f"print(*({heavy!r} & (set(sys.modules) - before)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
