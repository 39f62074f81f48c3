"""Where a machine stands, told by trees recorded on machines of many kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from eco2ai_cli.location import Location, locate
from eco2ai_cli.regions import lookup

TREES = Path(__file__).parent / "data" / "locations"
ASSUMED = frozenset({"region-assumed"})


def located(tree: str, **environ: str) -> Location | None:
    assert (TREES / tree).is_dir()
    return locate(environ=environ, root=str(TREES / tree))


@pytest.mark.parametrize(
    ("tree", "query"),
    [
        ("cloud-init-aws", "aws:eu-west-3"),
        ("cloud-init-gcp", "gcp:europe-west9"),
        ("cloud-init-azure", "azure:westeurope"),
        ("cloud-init-hetzner", "hetzner:fsn1"),
    ],
)
def test_cloud_init_tells_the_region(tree: str, query: str) -> None:
    assert located(tree) == Location(query, "cloud-init")
    assert lookup(query).code == query


@pytest.mark.parametrize(
    ("tree", "query"),
    [
        ("dmi-aws", "aws:ap-southeast-2"),
        ("dmi-aws-xen", "aws:us-east-1"),
        ("dmi-gcp", "gcp:us-central1"),
    ],
)
def test_dmi_tells_the_provider_and_the_search_domain_its_region(tree: str, query: str) -> None:
    assert located(tree) == Location(query, "dmi")


def test_dmi_tells_the_provider_and_a_variable_its_region() -> None:
    assert located("dmi-azure") is None
    assert located("dmi-azure", REGION_NAME="westeurope") == Location("azure:westeurope", "dmi")


def test_the_search_domain_is_believed_over_a_clients_variable() -> None:
    where = located("dmi-aws", AWS_DEFAULT_REGION="us-west-2")
    assert where == Location("aws:ap-southeast-2", "dmi")


def test_a_providers_variable_elsewhere_is_a_clients_and_no_evidence() -> None:
    assert located("desktop", AWS_REGION="us-west-2") == Location("FR", "timezone", ASSUMED)
    assert located("chromebook", CLOUDSDK_COMPUTE_REGION="us-west1") == Location(
        "JP", "timezone", ASSUMED
    )


@pytest.mark.parametrize(
    ("tree", "query"),
    [("desktop", "FR"), ("cloud-init-nocloud", "PL"), ("hyper-v-at-home", "CA-ON")],
)
def test_a_time_zone_that_names_a_place_is_a_guess(tree: str, query: str) -> None:
    assert located(tree) == Location(query, "timezone", ASSUMED)


def test_the_time_zone_is_read_from_the_link(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    link = tmp_path / "etc" / "localtime"
    for target, query in (
        ("/usr/share/zoneinfo/Asia/Kolkata", "IN"),
        ("../usr/share/zoneinfo/posix/Africa/Windhoek", "NA"),
        ("/usr/share/zoneinfo/America/Argentina/Ushuaia", "AR"),
    ):
        link.symlink_to(target)
        assert locate(environ={}, root=str(tmp_path)) == Location(query, "timezone", ASSUMED)
        link.unlink()


def test_a_containers_tz_counts_where_the_system_is_in_utc() -> None:
    assert located("server-utc", TZ="Europe/Berlin") == Location("DE", "timezone", ASSUMED)
    assert located("server-utc", TZ=":Europe/Berlin") == Location("DE", "timezone", ASSUMED)


@pytest.mark.parametrize(
    "zone", ["", "UTC", "Etc/UTC", "GMT", "Etc/GMT+3", "EST5EDT", "CET", "x,y"]
)
def test_a_time_zone_that_names_no_place_is_no_evidence(zone: str) -> None:
    assert located("server-utc", TZ=zone, LANG="fr_FR.UTF-8") is None


def test_an_empty_machine_tells_nothing(tmp_path: Path) -> None:
    assert locate(environ={}, root=str(tmp_path)) is None


@pytest.mark.parametrize(
    ("zone", "query"),
    [
        ("Iceland", "IS"),
        ("Africa/Timbuktu", "ML"),
        ("America/Virgin", "VI"),
        ("America/Coral_Harbour", "CA-NU"),
        ("Pacific/Truk", "FM"),
        ("US/Hawaii", "US-HI"),
        ("Australia/Victoria", "AU-VIC"),
        ("Europe/Simferopol", "UA-43"),
    ],
)
def test_an_old_name_of_a_zone_stands_where_it_is(zone: str, query: str, tmp_path: Path) -> None:
    found = locate(environ={"TZ": zone}, root=str(tmp_path))
    assert found == Location(query, "timezone", ASSUMED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"v1"',
        '{"v1": null}',
        '{"v1": {}}',
        '{"v1": []}',
        '{"v1": {"cloud_name": 7, "region": {}}}',
        '{"v1": {"cloud_name": "aws", "region": "moon-1", "availability_zone": 3}}',
        '{"v1": {"cloud_name": "aws", "region": "FR"}}',
        '{"v1": {"cloud_name": "us", "region": "California"}}',
        "[" * 100_000,
        '{"v1": {"cloud_name": "aws", "region": "eu-w',
        "<html>",
    ],
)
def test_instance_data_that_makes_no_sense_is_no_evidence(text: str, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "cloud-init"
    folder.mkdir(parents=True)
    (folder / "instance-data.json").write_text(text)
    assert locate(environ={}, root=str(tmp_path)) is None
