"""How many CPUs may be used: by affinity and by the quotas of control groups, on recorded trees."""

from __future__ import annotations

from pathlib import Path

import pytest
from machines import machine, unpack

from eco2ai_cli.cpu_limits import Allowance, allowance

# By hand: the set's CPUs; quota over period, the tightest of the groups that are seen.
LIMITS = [
    ("docker-quota-v2", 1.5, "quota"),
    ("kubernetes-quota-v1", 0.5, "quota"),
    ("slurm-job-nested", 8, "quota"),
    ("docker-cpuset", 4, "affinity"),
    ("kvm-host-epyc-9654", 2, None),
    ("container-lxcfs", 2, None),
    ("sandbox-without-sys", 4, None),
    ("epyc-7763-two-sockets", 256, None),
]


@pytest.mark.parametrize(("name", "cpus", "limited_by"), LIMITS, ids=[case[0] for case in LIMITS])
def test_a_limit_is_seen(tmp_path: Path, name: str, cpus: float, limited_by: str | None) -> None:
    seen = machine(name, tmp_path)
    assert allowance(seen.logical_cpus, str(tmp_path)) == Allowance(cpus, limited_by)


def test_the_tighter_of_set_and_quota_holds(tmp_path: Path) -> None:
    unpack("slurm-job-nested", tmp_path)
    status = tmp_path / "proc/self/status"
    status.write_text(status.read_text().replace("0-15", "0-3"))
    assert allowance(384, str(tmp_path)) == Allowance(4, "affinity")


def test_a_group_outside_of_what_is_mounted_is_looked_for_at_the_mount_alone(
    tmp_path: Path,
) -> None:
    unpack("docker-quota-v2", tmp_path)
    (tmp_path / "proc/self/cgroup").write_text("0::/../../another.scope\n")
    assert allowance(256, str(tmp_path)) == Allowance(1.5, "quota")


def test_a_quota_of_more_than_the_machine_limits_nothing(tmp_path: Path) -> None:
    unpack("docker-quota-v2", tmp_path)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("90000000 100000\n")
    assert allowance(256, str(tmp_path)) == Allowance(256, None)


@pytest.mark.parametrize("text", ["", "max 100000", "-1 100000", "0 0", "50000", "\0\0", "a b"])
def test_a_quota_that_is_none_limits_nothing(tmp_path: Path, text: str) -> None:
    unpack("docker-quota-v2", tmp_path)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text(text)
    assert allowance(256, str(tmp_path)) == Allowance(256, None)


@pytest.mark.parametrize("file", ["cgroup", "mountinfo", "status"])
@pytest.mark.parametrize("text", ["", "garbage", "0", ":::", "a b c d e - cgroup2", "\0", "- - -"])
def test_a_broken_file_costs_no_more_than_its_limit(tmp_path: Path, file: str, text: str) -> None:
    unpack("docker-quota-v2", tmp_path)
    (tmp_path / "proc/self" / file).write_text(text)
    assert allowance(256, str(tmp_path)).cpus in (1.5, 256)


def test_a_system_that_shows_nothing_limits_nothing(tmp_path: Path) -> None:
    assert allowance(4, str(tmp_path)) == Allowance(4, None)


def test_this_very_process_may_use_at_least_a_part_of_a_cpu() -> None:
    assert 0 < allowance(4).cpus <= 4
