"""Where are we? What the machine itself tells: offline, reading only, everything under one root."""

from __future__ import annotations

import contextlib
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
    "ibmcloud": "ibm",
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
    "ibm": ("IBMCLOUD_REGION", "IC_REGION"),
    "ovh": ("OS_REGION_NAME",),
    "scaleway": ("SCW_DEFAULT_REGION", "SCW_DEFAULT_ZONE"),
}
_REGION_FILES = {
    "aws": ("etc/dnf/vars/awsregion", "etc/yum/vars/awsregion"),
    "oci": ("etc/dnf/vars/ociregion", "etc/yum/vars/ociregion"),
}
"""Where Amazon Linux and Oracle Linux keep the region whose mirrors they use."""

_OLD_NAMES = {
    "oci:iad": "oci:us-ashburn-1",
    "oci:us-ashburn": "oci:us-ashburn-1",
    "oci:phx": "oci:us-phoenix-1",
    "oci:fra": "oci:eu-frankfurt-1",
    "oci:lhr": "oci:uk-london-1",
    "scaleway:ams1": "scaleway:nl-ams",
    "scaleway:par1": "scaleway:fr-par",
    "scaleway:waw1": "scaleway:pl-waw",
}
"""What the providers' own machines still call some regions and zones."""


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
        data = json.loads(text)
        name = str(data["v1"]["cloud_name"]).lower()
        told = [data["v1"].get("region"), data["v1"].get("availability_zone")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    # Scaleway's datasource passes neither on, but keeps what it was told.
    with contextlib.suppress(KeyError, TypeError):
        told.append(data["ds"]["meta_data"]["location"]["zone_id"])
    provider = _CLOUD_INIT_NAMES.get(name, name)
    for region in told:
        code = _cloud_region(provider, region)
        if code:
            return Location(code, "cloud-init")
    return None


def _by_dmi(environ: Mapping[str, str], root: str) -> Location | None:
    strings = " ".join(_read(root, f"sys/class/dmi/id/{name}") for name in _DMI_FILES).lower()
    provider = next((found for word, found in _DMI_WORDS.items() if word in strings), None)
    if provider is None:
        return None
    # The search domain and the mirrors come from the provider; a variable may be a client's.
    told = _search_domain_labels(root)
    told += [_read(root, path).strip().lstrip(".-") for path in _REGION_FILES.get(provider, ())]
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
    name = region.strip().lower()
    if provider == "oci":  # `EMIr:EU-FRANKFURT-1-AD-2`, an availability domain
        name = name.rpartition(":")[2].partition("-ad-")[0]
    names = [name, name.rpartition("-")[0]]  # zones that are no letter: `fsn1-dc14`, `fr-par-2`
    if provider == "ovh":
        names.append(name.rstrip("0123456789"))  # `GRA11`
    for name in names:
        code = f"{provider}:{name}"
        codes = gazetteer.resolve(_OLD_NAMES.get(code, code))[0]
        if len(codes) == 1 and codes[0].startswith(f"{provider}:"):
            return codes[0]
    return None


def _by_time_zone(environ: Mapping[str, str], root: str) -> Location | None:
    # A copy of a zone's file has no name in it, and the same rules hold in many countries.
    zones = (_link(f"{root}/etc/localtime"), _read(root, "etc/timezone"), environ.get("TZ", ""))
    for zone in zones:
        cells = gazetteer.row(gazetteer.table("timezones.csv"), _zone_name(zone))
        if cells:
            return Location(cells[1], "timezone", frozenset({"region-assumed"}))
    return None


def _zone_name(told: str) -> str:
    """Return `Europe/Paris` of `:Europe/Paris`, a path below `zoneinfo/` or the name itself."""
    zone = told.strip().lstrip(":").rpartition("zoneinfo/")[2]
    return zone.removeprefix("posix/").removeprefix("right/")


def _link(path: str) -> str:
    """Return what a symbolic link points at, or nothing."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _read(root: str, path: str) -> str:
    """Return what stands in a file, or nothing: evidence that cannot be read is none."""
    try:
        with open(f"{root}/{path}", encoding="utf-8", errors="replace") as file:
            return file.read(1_000_000)
    except OSError:
        return ""
