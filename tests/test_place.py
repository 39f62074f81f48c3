"""Where a run takes place: what was given, what the machine shows, the world, and who said so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eco2ai_cli.caveats import sentence
from eco2ai_cli.config import Config
from eco2ai_cli.errors import ConfigError
from eco2ai_cli.place import Place, settle

TREES = Path(__file__).parent / "data" / "locations"


def settled(tree: str, environ: dict[str, str] | None = None, **values: Any) -> Place:
    return settle(Config(**values), environ or {}, root=str(TREES / tree))


def test_a_cloud_region_that_was_found_brings_its_pue() -> None:
    place = settled("cloud-init-aws")
    # Amazon's average of 2025.
    assert (place.region.code, place.region.iso_code, place.pue) == ("aws:eu-west-3", "FR", 1.14)
    assert place.source == "cloud-init"
    assert not any(word.startswith("region-") for word in place.caveats)


def test_a_pue_that_was_given_wins() -> None:
    assert settled("cloud-init-aws", pue=1.5).pue == 1.5
    assert settled("cloud-init-aws", pue=1.0).pue == 1.0


def test_a_cloud_region_without_a_published_pue_has_1() -> None:
    assert settled("cloud-init-hetzner").pue == 1.0


def test_a_guess_by_time_zone_and_the_world_are_told_apart() -> None:
    desktop, server = settled("desktop"), settled("server-utc")
    assert (desktop.region.code, desktop.source) == ("FR", "timezone")
    assert (server.region.code, server.source) == ("WORLD", "default")
    for place in (desktop, server):
        assert "region-assumed" in place.caveats
    assert "was not given" in sentence("region-assumed")


def test_off_looks_at_nothing() -> None:
    for tree in ("desktop", "cloud-init-aws", "dmi-aws"):
        place = settled(tree, {"TZ": "Europe/Berlin", "AWS_REGION": "eu-west-3"}, locate="off")
        assert (place.region.code, place.source, place.may_ask) == ("WORLD", "default", False)
        assert "region-assumed" in place.caveats


@pytest.mark.parametrize(
    ("tree", "may_ask"),
    [("desktop", True), ("server-utc", True), ("cloud-init-aws", False), ("dmi-aws", False)],
)
def test_a_service_is_asked_only_where_no_cloud_tells_the_region(tree: str, may_ask: bool) -> None:
    assert settled(tree, locate="ip").may_ask is may_ask
    assert settled(tree, locate="ip", region="FR").may_ask is False
    assert settled(tree, locate="offline").may_ask is False


def test_a_users_table_that_lacks_the_place_falls_back_to_its_world(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("code,kg_per_mwh\nDE,300\nWORLD,400\n")
    place = settled("desktop", coefficients=str(own))
    assert (place.region.code, place.region.kg_per_mwh) == ("WORLD", 400)
    own.with_name("bare.csv").write_text("code,kg_per_mwh\nDE,300\n")
    with pytest.raises(ConfigError, match="has no row `WORLD`"):
        settled("desktop", coefficients=str(own.with_name("bare.csv")))
