"""What a hardware thread is charged: TDP over the threads of the physical socket."""

from __future__ import annotations

from pathlib import Path

import pytest
from machines import MACHINES, machine

from eco2ai_cli import cpus
from eco2ai_cli.machine import Machine

ESTIMATED, UNKNOWN, SURE = {"cpu-estimated"}, {"cpu-unknown"}, set[str]()

# The vendor's TDP over the threads that a socket of the machine has, worked out by hand.
CHARGED = [
    ("epyc-7763-two-sockets", 2, 280, 280 / 128, "name", SURE),
    ("xeon-6248-smt-off", 2, 150, 150 / 20, "name", SURE),
    ("ryzen-5950x-desktop", 1, 105, 105 / 32, "name", SURE),
    ("core-i9-12900k-hybrid", 1, 125, 125 / 24, "name", SURE),
    ("core-i7-1260p-laptop", 1, 28, 28 / 16, "name", SURE),
    ("container-lxcfs", 1, 125, 125 / 32, "name", SURE),
    ("sandbox-without-sys", 1, 120, 120 / 24, "name", SURE),
    ("hidden-kvm-epyc", 1, 280, 280 / 128, "name", SURE),
    ("wsl2-i7-8550u", 1, 15, 15 / 8, "name", SURE),
    ("aws-m5-large", 1, 240, 240 / 48, "cloud-sku", SURE),
    ("aws-c6a-metal", 2, 225, 225 / 96, "cloud-sku", SURE),
    ("azure-d2as-v5", 1, 280, 280 / 128, "name", SURE),
    ("vmware-xeon-6254", 1, 200, 200 / 36, "name", SURE),
    ("gcp-n1-broadwell", 1, 145, 145 / 44, "cpuid", ESTIMATED),
    ("openstack-cascadelake", 1, 210, 210 / 48, "hypervisor", ESTIMATED),
    ("firecracker-epyc", 1, 360, 360 / 192, "cpuid", ESTIMATED),
    ("graviton2-guest", 1, 150, 150 / 64, "cpuid", ESTIMATED),
    ("altra-q80-one-socket", 1, 210, 210 / 80, "cpuid", ESTIMATED),
    ("raspberry-pi-4", 1, 6, 6 / 4, "cpuid", ESTIMATED),
    ("apple-m1-asahi", 1, 20, 20 / 8, "cpuid", ESTIMATED),
    ("qemu-cpu64", 1, None, 2.0, "fallback", UNKNOWN),
    ("kvm-host-epyc-9654", 1, 360, 360 / 192, "name", SURE),
    ("xen-hvm", 1, 120, 120 / 24, "cloud-sku", SURE),
    ("xen-pv", 1, 120, 120 / 24, "cloud-sku", SURE),
    ("wsl2-ryzen", 1, 45, 45 / 16, "name", SURE),
    ("firecracker-arm", 1, 210, 210 / 80, "cpuid", ESTIMATED),
    ("docker-on-mac", 1, 20, 20 / 8, "cpuid", ESTIMATED),
    ("docker-quota-v2", 2, 280, 280 / 128, "name", SURE),
    ("kubernetes-quota-v1", 2, 150, 150 / 40, "name", SURE),
    ("slurm-job-nested", 2, 360, 360 / 192, "name", SURE),
    ("docker-cpuset", 1, 105, 105 / 32, "name", SURE),
    ("chromebook-celeron", 1, 6, 6 / 2, "name", SURE),
    ("chromebook-arm", 1, 10, 10 / 8, "cpuid", ESTIMATED),
    ("orange-pi-5", 1, 10, 10 / 8, "cpuid", ESTIMATED),
    ("power9", 2, None, 3.5, "fallback", UNKNOWN),
    ("s390x-lpar", 1, None, 3.5, "fallback", UNKNOWN),
    ("visionfive-2", 1, None, 3.5, "fallback", UNKNOWN),
]


@pytest.mark.parametrize(
    ("name", "sockets", "tdp_w", "w_per_thread", "rule", "doubts"),
    CHARGED,
    ids=[case[0] for case in CHARGED],
)
def test_a_machine_is_charged_by_its_socket(
    tmp_path: Path,
    name: str,
    sockets: int,
    tdp_w: float | None,
    w_per_thread: float,
    rule: str,
    doubts: set[str],
) -> None:
    charged = cpus.charge(machine(name, tmp_path))
    assert (charged.sockets, charged.tdp_w, charged.matched_by) == (sockets, tdp_w, rule)
    assert charged.w_per_thread == pytest.approx(w_per_thread)
    assert charged.caveats == doubts


def test_every_recorded_machine_is_charged_here() -> None:
    assert {path.stem for path in MACHINES.iterdir()} == {case[0] for case in CHARGED}


def test_smt_off_keeps_the_socket_and_doubles_the_thread(tmp_path: Path) -> None:
    off = machine("xeon-6248-smt-off", tmp_path)
    on = off._replace(logical_cpus=80, threads_per_socket=40, smt=True)
    assert cpus.charge(off).w_per_thread == 2 * cpus.charge(on).w_per_thread


def test_a_guest_pays_the_same_however_its_threads_are_dealt_to_sockets(tmp_path: Path) -> None:
    one = machine("vmware-xeon-6254", tmp_path)
    others = [
        one._replace(sockets=sockets, threads_per_socket=8 // sockets) for sockets in (1, 2, 4)
    ]
    assert {cpus.charge(guest).w_per_thread for guest in (one, *others)} == {200 / 36}


@pytest.mark.parametrize("name", ["epyc-7763-two-sockets", "firecracker-epyc"])
def test_the_users_tdp_wins_and_says_so(tmp_path: Path, name: str) -> None:
    charged = cpus.charge(machine(name, tmp_path), tdp_w=192)
    assert (charged.tdp_w, charged.matched_by, charged.caveats) == (192, "user", {"cpu-given"})


def test_the_users_tdp_over_the_threads_of_an_unknown_guest_is_an_estimate(tmp_path: Path) -> None:
    charged = cpus.charge(machine("qemu-cpu64", tmp_path), tdp_w=192)
    assert charged.caveats == {"cpu-given", "cpu-estimated"}


def test_two_of_a_96_core_parts_192_threads_are_single_digit_watts(tmp_path: Path) -> None:
    guest = machine("kvm-host-epyc-9654", tmp_path)
    assert guest.logical_cpus * cpus.charge(guest).w_per_thread == 3.75


def test_a_machine_of_metal_at_full_load_draws_the_tdp_of_both_sockets(tmp_path: Path) -> None:
    metal = machine("epyc-7763-two-sockets", tmp_path)
    assert metal.logical_cpus * cpus.charge(metal).w_per_thread == 2 * 280


@pytest.mark.parametrize(
    ("container", "metal"),
    [("docker-quota-v2", "epyc-7763-two-sockets"), ("docker-cpuset", "ryzen-5950x-desktop")],
)
def test_a_limited_container_is_charged_the_same_for_a_second(
    tmp_path: Path, container: str, metal: str
) -> None:
    limited = cpus.charge(machine(container, tmp_path / "a"))
    assert limited.w_per_thread == cpus.charge(machine(metal, tmp_path / "b")).w_per_thread


@pytest.mark.parametrize(
    ("name", "threads"),
    [
        ("epyc-7763-two-sockets", 128),  # metal: what the kernel shows
        ("xeon-6248-smt-off", 20),
        ("azure-d2as-v5", 128),  # a guest: the physical socket's, by the table
        ("firecracker-epyc", 192),  # by the part that stands for it
        ("qemu-cpu64", 4),  # nothing is known: the guest's own
    ],
)
def test_the_users_tdp_is_shared_by_the_threads_of_a_socket(
    tmp_path: Path, name: str, threads: int
) -> None:
    charged = cpus.charge(machine(name, tmp_path), tdp_w=100)
    assert charged.w_per_thread == pytest.approx(100 / threads)


def test_a_guest_of_a_part_with_unknown_threads_is_an_estimate(tmp_path: Path) -> None:
    guest = machine("azure-d2as-v5", tmp_path)._replace(
        brand="Intel(R) Xeon(R) Gold 6149 CPU @ 3.10GHz", vendor="GenuineIntel"
    )
    charged = cpus.charge(guest)
    assert (charged.tdp_w, charged.w_per_thread) == (205, 3.8)
    assert charged.caveats == ESTIMATED


def test_a_machine_that_tells_nothing_is_charged_and_doubted() -> None:
    nothing = Machine(*(None,) * 7, 4, 1, 4, None, False, None, None)
    charged = cpus.charge(nothing)
    assert (charged.name, charged.tdp_w, charged.w_per_thread) == ("unknown", None, 3.5)
    assert charged.caveats == UNKNOWN


def test_an_arm_guest_without_a_name_is_called_by_what_it_is_charged_like(tmp_path: Path) -> None:
    charged = cpus.charge(machine("graviton2-guest", tmp_path))
    assert charged.name == "unknown, like Graviton2"


def test_the_reasoning_tells_the_figure_the_threads_and_the_division(tmp_path: Path) -> None:
    told = " ".join(cpus.charge(machine("azure-d2as-v5", tmp_path)).reasoning)
    for word in ("EPYC 7763", "280 W", "guest of Hyper-V", "128 threads", "2.19 W a thread"):
        assert word in told
