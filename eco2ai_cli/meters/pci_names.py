"""Name a GPU as its vendor sells it, by the lists of names that distributions ship."""

from __future__ import annotations

import os

from eco2ai_cli.machine import read_start
from eco2ai_cli.meters.drm_cards import Card

_AMD = ("/usr/share/libdrm/amdgpu.ids", "/opt/amdgpu/share/libdrm/amdgpu.ids")
"""Of libdrm: `73BF,\\tC1,\\tAMD Radeon RX 6800 XT`, by device and revision."""
_PCI = ("/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids")
"""Of pci-ids.ucw.cz: a vendor's line, its devices below, indented by a tab, their boards by two."""


def name(card: Card, root: str = "") -> str:
    """Return the name of a card; where none is known, one of vendor and device number."""
    told = read_start(f"{card.folder}/product_name", 128).strip()
    vendor, device, revision = (
        read_start(f"{card.folder}/{file}", 16).strip().removeprefix("0x")
        for file in ("vendor", "device", "revision")
    )
    found = told or (_amd(device, revision, root) if card.vendor == "AMD" else None)
    found = found or _pci(vendor, device, root) or f"GPU {device}".strip()
    return found if found.startswith(card.vendor) else f"{card.vendor} {found}"


def _amd(device: str, revision: str, root: str) -> str | None:
    wanted = [device.casefold(), revision.casefold()]
    for path in _AMD:
        for line in _text(root + path).splitlines():
            words = [word.strip() for word in line.split(",", 2)]
            if len(words) == 3 and [word.casefold() for word in words[:2]] == wanted:
                return words[2]
    return None


def _pci(vendor: str, device: str, root: str) -> str | None:
    for path in _PCI:
        _, _, rest = _text(root + path).partition(f"\n{vendor}  ")
        for line in rest.split("\n")[1:]:
            if line.startswith(f"\t{device}  "):
                return line[len(device) + 3 :].strip()
            if not line.startswith(("\t", "#")):
                break
    return None


def _text(path: str) -> str:
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
