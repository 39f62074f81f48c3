"""`docs/regions.md` is true: its commands run, its table is read, its words are ours."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from eco2ai_cli import regions
from eco2ai_cli.caveats import SENTENCES
from eco2ai_cli.commands.regions import regions as command
from eco2ai_cli.config_keys import KEYS
from eco2ai_cli.geolocation import PATIENCE_S
from eco2ai_cli.geoservice import LIMIT_S, SERVICE

TEXT = (Path(__file__).parent.parent / "docs" / "regions.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ eco2ai regions (.+)$", TEXT, re.M)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_document_runs(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("emission.csv").write_text(
        "project_name,duration(s),power_consumption(kWh),CO2_emissions(kg)\np,1,2,0.1\n"
    )
    assert CliRunner().invoke(command, shlex.split(line)).exit_code == 0


def test_the_table_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(TEXT.split("```csv\n")[1].split("```")[0])
    assert regions.lookup("France", str(path)).kg_per_mwh == 38.5
    assert regions.lookup("Bayern", str(path)).kg_per_mwh == 310
    assert regions.lookup("our roof", str(path)).kg_per_mwh == 0
    assert regions.world(str(path)).kg_per_mwh == 458.49


def test_the_numbers_are_those_of_the_tables() -> None:
    codes = [region.code for region in regions.every()]
    countries = sum(len(code) == 2 for code in codes)
    subdivisions = sum("-" in code for code in codes)
    clouds = len(list(regions.every_cloud()))
    assert f"{countries} countries and territories, {subdivisions} states" in TEXT
    assert f"{clouds} cloud regions" in TEXT


def test_the_words_are_those_of_the_program() -> None:
    words = re.findall(r"`((?:region|locate)-[a-z-]+)`", TEXT)
    assert set(words) == {word for word in SENTENCES if word.startswith(("region-", "locate-"))}
    for word in ("offline", "off", "ip"):
        assert f"* `{word}`" in TEXT
        assert KEYS["region.locate"].kind.check(word) == word
    assert f"for {LIMIT_S:g} s at the most" in TEXT
    assert f"at most {PATIENCE_S:g} s" in TEXT
    assert SERVICE.split("/")[2] in TEXT
