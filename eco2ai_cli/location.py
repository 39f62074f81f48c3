"""Where are we? What the machine itself tells: offline, reading only, everything under one root."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from eco2ai_cli import gazetteer

_INSTANCE_DATA = "run/cloud-init/instance-data.json"
_CLOUD_INIT_NAMES = {
    "aliyun": "alibaba",
    "aws": "aws",
    "azure": "azure",
    "digitalocean": "digitalocean",
    "gce": "gcp",
    "hetzner": "hetzner",
    "ibmcloud": "ibm",
    "akamai": "linode",
    "oracle": "oci",
    "scaleway": "scaleway",
}
"""What cloud-init calls a provider (its datasource's name in lower case) -> what our table does."""

_DMI_FILES = ("sys_vendor", "product_name", "product_version", "bios_vendor", "chassis_asset_tag")
_DMI_WORDS = {
    "amazon": "aws",
    # Not `google` alone: that is also who makes a Chromebook.
    "google compute engine": "gcp",
    # The asset tag by which Azure's own agent knows its machines: other Hyper-V lacks it.
    "7783-7084-3265-9085-8269-3286-77": "azure",
    "alibaba cloud": "alibaba",
    "oraclecloud": "oci",
    "digitalocean": "digitalocean",
    "hetzner": "hetzner",
    "scaleway": "scaleway",
    "akamai": "linode",
    "linode": "linode",
    "ovh": "ovh",
    "yandex": "yandex",
}
_REGION_VARIABLES = {
    "aws": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "gcp": ("GOOGLE_CLOUD_REGION", "CLOUDSDK_COMPUTE_REGION", "CLOUDSDK_COMPUTE_ZONE"),
    "azure": ("AZURE_REGION", "REGION_NAME"),
    "oci": ("OCI_REGION", "OCI_CLI_REGION"),
    "alibaba": ("ALIBABA_CLOUD_REGION_ID", "REGION_ID"),
}


class Location(NamedTuple):
    """Where we seem to be: `query` is for `regions.lookup`, `how` says what told it.

    `how`: `cloud-init`, `dmi` (the provider; its region from DNS or a variable) or `timezone`.
    """

    query: str
    how: str
    caveats: frozenset[str] = frozenset()


def locate(*, environ: Mapping[str, str] = os.environ, root: str = "/") -> Location | None:
    """Return where this machine stands by the best evidence on it; None when there is none.

    Best first: what cloud-init was told by the provider; DMI strings of a provider together with
    its DNS search domain or region variable; the time zone, if it names a place (a server's `UTC`
    does not), with the caveat `region-assumed`. The locale is no evidence. No network is asked.
    """
    return _by_cloud_init(root) or _by_dmi(environ, root) or _by_time_zone(environ, root)


def _by_cloud_init(root: str) -> Location | None:
    text = _read(root, _INSTANCE_DATA)
    if not text:
        return None
    import json

    try:
        instance = json.loads(text)["v1"]
        name = str(instance["cloud_name"]).lower()
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    provider = _CLOUD_INIT_NAMES.get(name, name)
    for key in ("region", "availability_zone"):
        code = _cloud_region(provider, instance.get(key))
        if code:
            return Location(code, "cloud-init")
    return None


def _by_dmi(environ: Mapping[str, str], root: str) -> Location | None:
    strings = " ".join(_read(root, f"sys/class/dmi/id/{name}") for name in _DMI_FILES).lower()
    provider = next((found for word, found in _DMI_WORDS.items() if word in strings), None)
    if provider is None:
        return None
    # The search domain comes from the provider's DHCP; a variable may be a client's setting.
    told = _search_domain_labels(root)
    told += [environ.get(variable, "") for variable in _REGION_VARIABLES.get(provider, ())]
    for region in told:
        code = _cloud_region(provider, region)
        if code:
            return Location(code, "dmi")
    return None


def _search_domain_labels(root: str) -> list[str]:
    """Return what the DNS search domains may name a region by.

    `eu-west-3.compute.internal` (AWS; `ec2.internal` is us-east-1, which was there first), and
    `europe-west9-b.c.PROJECT.internal` (Google).
    """
    labels = []
    for line in _read(root, "etc/resolv.conf").splitlines():
        keyword, *domains = line.split() or [""]
        if keyword in {"search", "domain"}:
            labels += [
                "us-east-1" if domain == "ec2.internal" else domain.partition(".")[0]
                for domain in domains
            ]
    return labels


def _cloud_region(provider: str, region: object) -> str | None:
    """Return the code of a provider's region or zone, if it is one that we know."""
    if not isinstance(region, str) or not region.strip():
        return None
    # Some providers' zones are no letter at the end: `fsn1-dc14`, `fr-par-2`.
    for name in (region.strip(), region.strip().rpartition("-")[0]):
        codes = gazetteer.resolve(f"{provider}:{name}")[0]
        if len(codes) == 1 and codes[0].startswith(f"{provider}:"):
            return codes[0]
    return None


def _by_time_zone(environ: Mapping[str, str], root: str) -> Location | None:
    zones = (_zone_of_link(root), _read(root, "etc/timezone"), environ.get("TZ", "").lstrip(":"))
    for zone in zones:
        cells = gazetteer.row(gazetteer.table("timezones.csv"), zone.strip())
        if cells:
            return Location(cells[1], "timezone", frozenset({"region-assumed"}))
    return None


def _zone_of_link(root: str) -> str:
    try:
        target = os.readlink(f"{root}/etc/localtime")
    except OSError:
        return ""
    zone = target.rpartition("zoneinfo/")[2]
    return zone.removeprefix("posix/").removeprefix("right/")


def _read(root: str, path: str) -> str:
    """Return what stands in a file, or nothing: evidence that cannot be read is none."""
    try:
        with open(f"{root}/{path}", encoding="utf-8", errors="replace") as file:
            return file.read(1_000_000)
    except OSError:
        return ""
