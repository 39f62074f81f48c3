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
        ("cloud-init-oracle", "oci:eu-frankfurt-1"),
        ("cloud-init-oracle-phoenix", "oci:us-phoenix-1"),
        ("cloud-init-alibaba", "alibaba:cn-hangzhou"),
        ("cloud-init-digitalocean", "digitalocean:fra1"),
        ("cloud-init-akamai", "linode:us-ord"),
        ("cloud-init-scaleway", "scaleway:fr-par"),
        ("cloud-init-scaleway-old", "scaleway:nl-ams"),
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
        ("dmi-yandex", "yandex:ru-central1"),
        ("pod-on-eks", "aws:eu-west-3"),
    ],
)
def test_dmi_tells_the_provider_and_the_search_domain_its_region(tree: str, query: str) -> None:
    assert located(tree) == Location(query, "dmi")


@pytest.mark.parametrize(
    ("tree", "query"),
    [
        ("dmi-amazon-linux", "aws:eu-north-1"),
        ("dmi-oracle-linux", "oci:uk-london-1"),
        ("dmi-oracle-old", "oci:us-ashburn-1"),
    ],
)
def test_dmi_tells_the_provider_and_its_mirrors_its_region(tree: str, query: str) -> None:
    assert located(tree) == Location(query, "dmi")


@pytest.mark.parametrize(
    ("tree", "variable", "value", "query"),
    [
        ("dmi-azure", "REGION_NAME", "westeurope", "azure:westeurope"),
        ("dmi-azure", "REGION_NAME", "West Europe", "azure:westeurope"),
        ("dmi-alibaba", "ALIBABA_CLOUD_REGION_ID", "cn-beijing", "alibaba:cn-beijing"),
        ("dmi-ibm", "IBMCLOUD_REGION", "eu-de", "ibm:eu-de"),
        ("dmi-ovh", "OS_REGION_NAME", "GRA11", "ovh:gra"),
        ("dmi-ovh", "OS_REGION_NAME", "DE1", "ovh:de"),
        ("dmi-scaleway", "SCW_DEFAULT_ZONE", "nl-ams-1", "scaleway:nl-ams"),
    ],
)
def test_dmi_tells_the_provider_and_a_variable_its_region(
    tree: str, variable: str, value: str, query: str
) -> None:
    assert located(tree) is None
    assert located(tree, **{variable: value}) == Location(query, "dmi")


@pytest.mark.parametrize(
    "tree",
    [
        *("dmi-hetzner", "dmi-digitalocean", "cloud-init-openstack"),
        *("container-on-a-desktop", "server-utc"),
    ],
)
def test_a_machine_on_which_nothing_names_the_region_tells_nothing(tree: str) -> None:
    assert located(tree, AWS_REGION="us-west-2", OS_REGION_NAME="GRA11", LANG="de_DE") is None


@pytest.mark.parametrize("region", ["GRA11", "moon-1", "-", "1", "FR", "", "x" * 5000, "a,b\n"])
def test_a_variable_that_names_no_region_of_the_provider_is_no_evidence(region: str) -> None:
    assert located("dmi-azure", REGION_NAME=region) is None


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


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", ":Europe/Berlin", ":/usr/share/zoneinfo/Europe/Berlin"]
)
def test_a_containers_tz_counts_where_the_system_is_in_utc(zone: str) -> None:
    assert located("server-utc", TZ=zone) == Location("DE", "timezone", ASSUMED)


@pytest.mark.parametrize(
    "zone",
    [
        *("", ":", "UTC", "Etc/UTC", "GMT", "Etc/GMT+3", "EST5EDT", "EST", "CET", "x,y", "Zulu"),
        *("CET-1CEST,M3.5.0,M10.5.0/3", "<+07>-7", "Factory", "posixrules", "/etc/localtime"),
        *("../../etc/passwd", "Europe", "Europe/", "europe/berlin/mitte", "\0"),
    ],
)
def test_a_time_zone_that_names_no_place_is_no_evidence(zone: str) -> None:
    assert located("server-utc", TZ=zone, LANG="fr_FR.UTF-8") is None


def test_a_copy_of_a_zones_file_names_no_place(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "localtime").write_bytes(b"TZif2" + bytes(39) + b"\nCET-1CEST,M3.5.0\n")
    assert locate(environ={}, root=str(tmp_path)) is None
    (tmp_path / "etc" / "timezone").write_text("Europe/Madrid\n")
    assert locate(environ={}, root=str(tmp_path)) == Location("ES", "timezone", ASSUMED)


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
        ("US/Eastern", "US"),
        ("GB", "GB"),
        ("Asia/Calcutta", "IN"),
        ("Europe/Kiev", "UA"),
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
        '{"v1": {"cloud_name": "scaleway"}, "ds": []}',
        '{"v1": {"cloud_name": "scaleway"}, "ds": {"meta_data": {"location": "fr-par-1"}}}',
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
