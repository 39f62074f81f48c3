"""Describe the processors of the machine on which we run, as the kernel shows them."""

from __future__ import annotations

import os
from typing import NamedTuple

_FIRST_BLOCK_BYTES = 65536
"""More than any first processor's block in /proc/cpuinfo; a 256-thread machine writes 1 MB."""

_MOST_CPUS = 65535
"""Eight times what any kernel is built for (NR_CPUS is 8192): a list that says more is broken."""

_GUESTS = {
    "amazon ec2": "Amazon EC2",
    "google google compute engine": "Google Compute Engine",
    "qemu": "QEMU",
    "vmware": "VMware",
    "innotek": "VirtualBox",
    "xen": "Xen",
    "alibaba cloud": "Alibaba Cloud",
    "tencent cloud": "Tencent Cloud",
    "openstack": "OpenStack",
    "digitalocean": "DigitalOcean",
    "hetzner": "Hetzner",
    "scaleway": "Scaleway",
    "parallels": "Parallels",
    "nutanix": "Nutanix",
    "microsoft corporation virtual machine": "Hyper-V",
    "apple inc. apple virtualization": "Apple Virtualization",
    "red hat kvm": "KVM",
}
"""How firmware written by a hypervisor or a cloud begins its vendor's and product's name."""

_VIRTUAL_BOARD = "linux,dummy-virt"
"""What QEMU, Firecracker and Apple's hypervisor call the board of a guest with a device tree."""

_FORMS = {
    "desktop": (3, 4, 5, 6, 7, 13, 15, 16, 24, 34, 35, 36),
    "laptop": (8, 9, 10, 11, 14, 30, 31, 32),
    "server": (17, 23, 25, 28, 29),
}
"""Chassis types of the DMTF's SMBIOS specification 3.7 (2023), table 17."""


class Machine(NamedTuple):
    """The processors of a machine; None where it does not tell.

    `threads_per_socket` and `sockets` are the kernel's: true on bare metal, a hypervisor's choice
    in a guest. `smt`: two threads of one core are online. x86 has `vendor`, `family`, `model` and
    `stepping`, Arm `implementer` and `part`. `form`: server, desktop or laptop; None in a guest.
    """

    brand: str | None
    vendor: str | None
    family: int | None
    model: int | None
    stepping: int | None
    implementer: int | None
    part: int | None
    logical_cpus: int
    sockets: int
    threads_per_socket: int
    smt: bool | None
    virtual: bool
    hypervisor: str | None
    form: str | None


def this_machine(proc: str = "/proc", sys: str = "/sys") -> Machine:
    """Describe this machine from `proc` and `sys`; what cannot be read is None."""
    cpu = _first_processor(f"{proc}/cpuinfo")
    arm = "cpu implementer" in cpu
    logical_cpus, threads = _threads(proc, sys, cpu)
    board = read_start(f"{proc}/device-tree/model").strip("\0 \n")
    if dummy := board == _VIRTUAL_BOARD:
        board = ""
    brand = board if arm else cpu.get("model name") or cpu.get("cpu") or board
    firmware = _firmware(sys)
    hypervisor = _hypervisor(firmware)
    if "flags" in cpu:
        virtual = "hypervisor" in cpu["flags"].split()
    else:
        virtual = dummy or hypervisor is not None or bool(read_start(f"{sys}/hypervisor/type"))
    if virtual and hypervisor is None:
        hypervisor = _hypervisor_by_kernel(proc, sys)
    return Machine(
        brand=" ".join(brand.split()) or None,
        vendor=cpu.get("vendor_id"),
        family=_number(cpu.get("cpu family")),
        model=_number(cpu.get("model")),
        stepping=_number(cpu.get("stepping")),
        implementer=_number(cpu.get("cpu implementer")),
        part=_number(cpu.get("cpu part")),
        logical_cpus=logical_cpus,
        sockets=max(1, round(logical_cpus / threads)),
        threads_per_socket=threads,
        smt={"1": True, "0": False}.get(read_start(f"{sys}/devices/system/cpu/smt/active").strip()),
        virtual=virtual,
        hypervisor=hypervisor if virtual else None,
        form=None if virtual else _form(sys),
    )


def read_start(path: str, size: int = 4096) -> str:
    """Return the first `size` bytes of a file as text, or nothing where there is none to read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return (file.read(size) or b"").decode("utf-8", "replace")
    except OSError:
        return ""


def _first_processor(path: str) -> dict[str, str]:
    """Return the fields of the first block of a cpuinfo file, names in lower case."""
    text = ""
    try:
        with open(path, "rb", buffering=0) as file:
            while "\n\n" not in text and len(text) < _FIRST_BLOCK_BYTES:
                more = file.read(4096)
                if not more:
                    break
                text += more.decode("utf-8", "replace")
    except OSError:
        return {}
    fields: dict[str, str] = {}
    for line in text.partition("\n\n")[0].splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    return fields


def _number(text: str | None) -> int | None:
    try:
        return int(text or "", 0)
    except ValueError:
        return None


def _threads(proc: str, sys: str, cpu: dict[str, str]) -> tuple[int, int]:
    """Return the logical CPUs online and how many of them the first one's socket has.

    From the topology in `sys`; where that is hidden, from cpuinfo, read to its end. Boards
    without ACPI have one socket: some kernels show their clusters of cores as packages.
    """
    cpus = f"{sys}/devices/system/cpu"
    online = cpu_list(read_start(f"{cpus}/online"))
    first = online[0] if online else 0
    package = cpu_list(
        read_start(f"{cpus}/cpu{first}/topology/package_cpus_list")
        or read_start(f"{cpus}/cpu{first}/topology/core_siblings_list")
    )
    logical = len(online) or _count_processors(f"{proc}/cpuinfo") or os.cpu_count() or 1
    if "cpu implementer" in cpu and not os.access(f"{sys}/firmware/acpi", os.F_OK):
        return logical, logical
    return logical, len(package) or _number(cpu.get("siblings")) or logical


def cpu_list(text: str) -> list[int]:
    """Expand the kernel's `0-3,8`; nothing for what is no such list."""
    cpus: list[int] = []
    try:
        for span in text.strip().split(","):
            first, dash, last = span.partition("-")
            cpus += range(int(first), min(int(last) if dash else int(first), _MOST_CPUS) + 1)
    except ValueError:
        return []
    return cpus


def _count_processors(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return sum(line.startswith(b"processor") for line in file)
    except OSError:
        return 0


def _firmware(sys: str) -> str:
    """Return the machine's vendor and product as its firmware has them, in lower case."""
    parts = (read_start(f"{sys}/class/dmi/id/{field}") for field in ("sys_vendor", "product_name"))
    return " ".join(part.strip().casefold() for part in parts)


def _hypervisor(firmware: str) -> str | None:
    """Return whose guest has such firmware; None for a machine of metal, an EC2 `.metal` too."""
    if ".metal" in firmware:
        return None
    return next((name for start, name in _GUESTS.items() if firmware.startswith(start)), None)


def _hypervisor_by_kernel(proc: str, sys: str) -> str | None:
    """Return whose guest the kernel is, by its release or by what Xen shows."""
    if "microsoft" in read_start(f"{proc}/sys/kernel/osrelease").casefold():
        return "Windows (WSL 2)"
    return {"xen": "Xen", "kvm": "KVM"}.get(read_start(f"{sys}/hypervisor/type").strip())


def _form(sys: str) -> str | None:
    chassis = _number(read_start(f"{sys}/class/dmi/id/chassis_type").strip())
    return next((form for form, types in _FORMS.items() if chassis in types), None)
