"""What we see of a machine's processors, on recorded /proc and /sys trees."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from machines import machine, unpack

from eco2ai_cli.machine import Machine, this_machine

# Sockets and threads per socket as the machines' makers have them; of a guest, what it was given.
SEEN = [
    ("epyc-7763-two-sockets", 256, 2, 128, True, None, "server"),
    ("xeon-6248-smt-off", 40, 2, 20, False, None, "server"),
    ("ryzen-5950x-desktop", 32, 1, 32, True, None, "desktop"),
    ("core-i9-12900k-hybrid", 24, 1, 24, True, None, "desktop"),
    ("core-i7-1260p-laptop", 16, 1, 16, True, None, "laptop"),
    ("aws-c6a-metal", 192, 2, 96, True, None, "server"),
    ("altra-q80-one-socket", 80, 1, 80, False, None, "server"),
    ("raspberry-pi-4", 4, 1, 4, None, None, None),
    ("apple-m1-asahi", 8, 1, 8, False, None, None),
    ("container-lxcfs", 2, 1, 32, True, None, None),
    ("sandbox-without-sys", 4, 1, 24, None, None, None),
    ("aws-m5-large", 2, 1, 2, True, "Amazon EC2", None),
    ("gcp-n1-broadwell", 4, 1, 4, True, "Google Compute Engine", None),
    ("azure-d2as-v5", 2, 1, 2, True, "Hyper-V", None),
    ("graviton2-guest", 2, 1, 2, None, "Amazon EC2", None),
    ("openstack-cascadelake", 8, 8, 1, False, "OpenStack", None),
    ("qemu-cpu64", 4, 1, 4, False, "QEMU", None),
    ("vmware-xeon-6254", 8, 8, 1, False, "VMware", None),
    ("kvm-host-epyc-9654", 2, 2, 1, False, "QEMU", None),
    ("xen-hvm", 1, 1, 1, False, "Xen", None),
    ("xen-pv", 2, 2, 1, None, "Xen", None),
    ("wsl2-ryzen", 16, 1, 16, True, "Windows (WSL 2)", None),
    ("docker-quota-v2", 256, 2, 128, True, None, "server"),
    ("kubernetes-quota-v1", 80, 2, 40, True, None, "server"),
    ("slurm-job-nested", 384, 2, 192, True, None, "server"),
    ("docker-cpuset", 32, 1, 32, True, None, "desktop"),
    ("chromebook-celeron", 2, 1, 2, False, None, "laptop"),
    ("chromebook-arm", 8, 1, 8, None, None, None),
    ("orange-pi-5", 8, 1, 8, False, None, None),
    ("power9", 160, 2, 80, True, None, None),
    ("s390x-lpar", 2, 1, 2, False, None, None),
    ("visionfive-2", 4, 1, 4, None, None, None),
]


@pytest.mark.parametrize(
    ("name", "cpus", "sockets", "threads", "smt", "host", "form"), SEEN, ids=[s[0] for s in SEEN]
)
def test_sees_what_the_machine_has(
    tmp_path: Path,
    name: str,
    cpus: int,
    sockets: int,
    threads: int,
    smt: bool | None,
    host: str | None,
    form: str | None,
) -> None:
    seen = machine(name, tmp_path)
    assert (seen.logical_cpus, seen.sockets, seen.threads_per_socket) == (cpus, sockets, threads)
    assert (seen.smt, seen.hypervisor, seen.form) == (smt, host, form)
    assert seen.virtual == (host is not None)


def test_an_x86_processor_has_a_brand_and_numbers(tmp_path: Path) -> None:
    seen = machine("epyc-7763-two-sockets", tmp_path)
    assert seen.brand == "AMD EPYC 7763 64-Core Processor"
    assert (seen.vendor, seen.family, seen.model, seen.stepping) == ("AuthenticAMD", 25, 1, 1)
    assert (seen.implementer, seen.part) == (None, None)


def test_an_arm_server_has_no_brand_but_implementer_and_part(tmp_path: Path) -> None:
    seen = machine("graviton2-guest", tmp_path)
    assert (seen.brand, seen.implementer, seen.part) == (None, 0x41, 0xD0C)


def test_a_board_is_called_what_its_device_tree_says(tmp_path: Path) -> None:
    assert machine("raspberry-pi-4", tmp_path).brand == "Raspberry Pi 4 Model B Rev 1.4"


@pytest.mark.parametrize("name", ["firecracker-epyc", "firecracker-arm", "docker-on-mac"])
def test_a_flag_or_a_board_that_is_none_tells_a_guest_without_firmware(
    tmp_path: Path, name: str
) -> None:
    seen = machine(name, tmp_path)
    assert seen.virtual
    assert seen.hypervisor is None


def test_the_board_of_a_guest_is_no_name_of_a_processor(tmp_path: Path) -> None:
    assert machine("docker-on-mac", tmp_path).brand is None


def test_an_arm_machine_of_metal_is_no_guest_of_its_cloud(tmp_path: Path) -> None:
    unpack("graviton2-guest", tmp_path)
    (tmp_path / "sys/class/dmi/id/product_name").write_text("m6g.metal\n")
    assert not this_machine(f"{tmp_path}/proc", f"{tmp_path}/sys").virtual


def test_an_arm_chromebook_with_firmware_of_google_is_no_guest_of_its_cloud(tmp_path: Path) -> None:
    unpack("chromebook-arm", tmp_path)
    (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
    (tmp_path / "sys/class/dmi/id/sys_vendor").write_text("Google\n")
    (tmp_path / "sys/class/dmi/id/product_name").write_text("Lazor\n")
    assert not this_machine(f"{tmp_path}/proc", f"{tmp_path}/sys").virtual


def test_a_machine_that_shows_nothing_is_still_described(tmp_path: Path) -> None:
    seen = this_machine(str(tmp_path), str(tmp_path))
    assert seen == Machine(
        *(None,) * 7,
        logical_cpus=os.cpu_count() or 1,
        sockets=1,
        threads_per_socket=os.cpu_count() or 1,
        smt=None,
        virtual=False,
        hypervisor=None,
        form=None,
    )


@pytest.mark.parametrize("text", ["", "\0\0", "0-", "garbage", "99999999999999999999", ",,"])
def test_a_broken_topology_falls_back_to_cpuinfo(tmp_path: Path, text: str) -> None:
    unpack("sandbox-without-sys", tmp_path)
    cpus = tmp_path / "sys/devices/system/cpu"
    (cpus / "cpu0/topology").mkdir(parents=True)
    (cpus / "online").write_text(text)
    (cpus / "cpu0/topology/package_cpus_list").write_text(text)
    seen = this_machine(f"{tmp_path}/proc", f"{tmp_path}/sys")
    assert (seen.logical_cpus, seen.threads_per_socket) == (4, 24)


def test_an_older_kernel_calls_a_package_core_siblings(tmp_path: Path) -> None:
    unpack("epyc-7763-two-sockets", tmp_path)
    topology = tmp_path / "sys/devices/system/cpu/cpu0/topology"
    (topology / "package_cpus_list").rename(topology / "core_siblings_list")
    assert this_machine(f"{tmp_path}/proc", f"{tmp_path}/sys").threads_per_socket == 128


def test_a_first_cpu_that_is_offline_is_not_asked(tmp_path: Path) -> None:
    unpack("core-i9-12900k-hybrid", tmp_path)
    cpus = tmp_path / "sys/devices/system/cpu"
    (cpus / "online").write_text("2-23\n")
    (cpus / "cpu0").rename(cpus / "cpu2")
    (cpus / "cpu2/topology/package_cpus_list").write_text("2-23\n")
    seen = this_machine(f"{tmp_path}/proc", f"{tmp_path}/sys")
    assert (seen.logical_cpus, seen.threads_per_socket) == (22, 22)


def test_only_the_first_processor_of_a_large_machine_is_read(tmp_path: Path) -> None:
    unpack("epyc-7763-two-sockets", tmp_path)
    cpuinfo = tmp_path / "proc/cpuinfo"
    first = cpuinfo.read_bytes()
    cpuinfo.unlink()
    os.mkfifo(cpuinfo)
    done = threading.Event()

    def kernel() -> None:
        with cpuinfo.open("wb", buffering=0) as file:
            file.write(first)
            done.wait(timeout=60)  # the other 255 are not written: who asks for them waits

    writer = threading.Thread(target=kernel)
    writer.start()
    try:
        seen = this_machine(f"{tmp_path}/proc", f"{tmp_path}/sys")
        assert writer.is_alive()
    finally:
        done.set()
        writer.join()
    assert seen.brand == "AMD EPYC 7763 64-Core Processor"


def test_this_very_machine_is_described() -> None:
    seen = this_machine()
    assert seen.logical_cpus >= 1
    assert seen.threads_per_socket >= 1
