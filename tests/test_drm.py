"""GPUs of AMD and Intel by the kernel's sensors and each process's engine times, on made-up trees.

Truth is arithmetic: watts that a card was made to draw, and how its processes were made to share.
"""

from __future__ import annotations

import errno
import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drm_rig import Machine, amdgpu, i915, write, xe
from hypothesis import given, settings
from hypothesis import strategies as st

from eco2ai_cli.meters import amdsmi, drm_clients, pci_names
from eco2ai_cli.meters.choice import open_meters
from eco2ai_cli.meters.drm import Driver
from eco2ai_cli.meters.drm_cards import cards, is_integrated
from eco2ai_cli.meters.drm_meter import DrmMeter
from eco2ai_cli.meters.gpu_job import others_look
from eco2ai_cli.meters.gpu_meter import GpuMeter
from eco2ai_cli.model import Reading, Usage

OURS, WORKER, THEIRS = 100, 101, 900
AMD = "0000:03:00.0"
ARC = "0000:0a:00.0"
INSIDE = "0000:00:02.0"
GFX_S = 1_000_000_000
CONTAINER = 4026532999


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    for pid, parent in ((OURS, 1), (WORKER, OURS), (THEIRS, 1)):
        made.process(pid, parent)
    return made


class Run:
    """A run on such a machine: its driver, and what that shows."""

    def __init__(
        self, machine: Machine, *tree: int, words: tuple[str, ...] = ("hwmon", "amdsmi")
    ) -> None:
        self.machine = machine
        self.tree = frozenset(tree or (OURS, WORKER))
        root = str(machine.root)
        self.driver = Driver(cards(root), words, lambda: machine.now_s, root)
        self.driver.open()

    def look(self, *, full: bool = True, aligned: bool = True, last: bool = False) -> None:
        self.driver.poll(self.tree, full, aligned=aligned, last=last)

    @property
    def readings(self) -> dict[str, Reading]:
        return {reading.device: reading for _, reading in self.driver.readings()}

    @property
    def only(self) -> Reading:
        (reading,) = self.readings.values()
        return reading


def energy_card(machine: Machine, joules: float = 5000.0, **files: object) -> Path:
    """Add a card with a counter, under a limit of 200 W."""
    sensors = {"energy1_input": int(joules * 1e6), "power1_max": 200_000_000}
    return machine.card(1, ARC, "Intel", hwmon=sensors, files=files, device="0x56a0")


def power_card(machine: Machine, watts: float = 100.0) -> Path:
    """Add a card that shows its power only, under a limit of 240 W."""
    sensors = {"power1_average": int(watts * 1e6), "power1_cap": 240_000_000}
    return machine.card(0, AMD, hwmon={**sensors, "power1_cap_default": 240_000_000})


def draw(card: Path, joules: float) -> None:
    """Have a card with a counter draw some energy."""
    (counter,) = card.glob("hwmon/*/energy1_input")
    counter.write_text(f"{int(counter.read_text()) + int(joules * 1e6)}\n")


def sensor(card: Path, name: str, value: object) -> None:
    (folder,) = card.glob("hwmon/*")
    (folder / name).write_text(f"{value}\n")


# What a card has drawn.


def test_a_counter_is_read_as_a_difference(machine: Machine) -> None:
    card, run = energy_card(machine), Run(machine)
    for second in range(4):
        machine.opens(OURS, 5, i915(7, ARC, render_ns=1 + second))
        run.look()
        machine.now_s += 1
        draw(card, 120)
    assert (run.only.energy_j, run.only.method) == (360, "hwmon-energy")
    assert run.only.caveats == frozenset()
    assert run.driver.power_step_s is None


def test_power_alone_is_integrated(machine: Machine) -> None:
    # From 0 to 200 W in two seconds: a triangle of 200 J.
    card, run = power_card(machine, watts=1e-6), Run(machine)
    machine.opens(OURS, 5, amdgpu(1, AMD, gfx=5))
    for tenth in range(21):
        sensor(card, "power1_average", max(1, int(tenth * 10e6)))
        run.look(full=tenth % 10 == 0)
        machine.now_s += 0.1
    assert run.only.energy_j == pytest.approx(200)
    assert (run.only.method, run.only.power_w) == ("hwmon-power", 200)
    assert run.driver.power_step_s == 0.1


def test_the_power_of_newer_cards_has_another_name(machine: Machine) -> None:
    card, run = power_card(machine), Run(machine)
    sensor(card, "power1_input", 60_000_000)
    os.remove(next(card.glob("hwmon/*/power1_average")))
    machine.opens(OURS, 5, amdgpu(1, AMD, gfx=5))
    run.look()
    machine.now_s += 2
    run.look()
    assert run.only.energy_j == pytest.approx(120)


def test_the_counter_of_the_card_goes_before_that_of_its_chip(machine: Machine) -> None:
    card, run = energy_card(machine), Run(machine)
    sensor(card, "energy2_input", 1)
    machine.opens(OURS, 5, xe(7, ARC, total=10, ccs=1))
    run.look()
    draw(card, 70)
    machine.now_s += 1
    run.look()
    assert run.only.energy_j == 70
    (folder,) = card.glob("hwmon/*")
    (folder / "energy1_input").unlink()
    assert Run(machine).driver._boards[0].sensors.has_energy


def test_half_a_second_by_a_counter_alone_is_better_than_nothing(machine: Machine) -> None:
    card, run = energy_card(machine), Run(machine)
    machine.opens(OURS, 5, i915(7, ARC, render_ns=1))
    run.look()
    machine.now_s += 0.3
    draw(card, 30)
    run.look(full=False, last=True)
    assert (run.only.energy_j, run.only.method) == (30, "hwmon-energy")
    assert run.only.caveats == frozenset()


@pytest.mark.parametrize("back_to", [0, 4000])
def test_a_counter_that_restarts_costs_one_interval(machine: Machine, back_to: int) -> None:
    card, run = energy_card(machine), Run(machine)
    sensor(card, "power1_input", 90_000_000)
    machine.opens(OURS, 5, i915(7, ARC, render_ns=1))
    for second in range(7):
        if second == 3:
            sensor(card, "energy1_input", back_to)
        run.look()
        machine.now_s += 1
        draw(card, 100)
    assert run.only.energy_j == pytest.approx(5 * 100 + 90)
    assert run.only.method == "hwmon-energy"


def test_a_card_without_a_meter_is_not_known_and_not_zero(machine: Machine) -> None:
    machine.card(1, ARC, "Intel", hwmon=None)
    run = Run(machine)
    run.look()
    assert run.readings == {}  # nobody of the tree uses it
    machine.opens(OURS, 5, xe(7, ARC, total=100, ccs=50))
    machine.now_s += 1
    run.look()
    assert (run.only.energy_j, run.only.method) == (None, "none")
    assert run.only.caveats == {"gpu-unknown"}


def test_sensors_that_come_back_under_another_number_are_found(machine: Machine) -> None:
    card, run = energy_card(machine), Run(machine)
    machine.opens(OURS, 5, i915(7, ARC, render_ns=1))
    run.look()
    draw(card, 80)
    (folder,) = card.glob("hwmon/*")
    folder.rename(card / "hwmon/hwmon9")
    machine.now_s += 1
    run.look()
    assert (run.only.energy_j, run.only.caveats) == (80, frozenset())


def test_cards_are_known_by_their_place_and_not_by_their_number(machine: Machine) -> None:
    energy_card(machine)
    power_card(machine)
    before = cards(str(machine.root))
    for old, new in (("card0", "card7"), ("card1", "card0")):
        (machine.root / "sys/class/drm" / old).rename(machine.root / "sys/class/drm" / new)
    assert cards(str(machine.root)) == before
    assert [card.address for card in before] == [AMD, ARC]


def test_a_look_that_fails_is_paid_by_the_next(machine: Machine) -> None:
    card, run = energy_card(machine), Run(machine)
    machine.opens(OURS, 5, i915(7, ARC, render_ns=1))
    for second in range(4):
        (folder,) = card.glob("hwmon/*")
        folder.rename(folder.with_name("gone" if second == 2 else "hwmon3"))
        run.look()
        machine.now_s += 1
        (folder,) = card.glob("hwmon/*")
        if second == 2:
            folder.rename(folder.with_name("hwmon3"))
        draw(card, 50)
    assert run.only.energy_j == 150


def test_a_card_that_vanishes_keeps_what_it_drew(machine: Machine) -> None:
    card, run = energy_card(machine), Run(machine)
    machine.opens(OURS, 5, i915(7, ARC, render_ns=1))
    run.look()
    draw(card, 80)
    machine.now_s += 1
    run.look()
    card.rename(card.with_name("gone"))
    machine.now_s += 1
    run.look()
    assert (run.only.energy_j, run.only.caveats) == (80, {"gpu-lost"})
    run.look()
    assert run.only.energy_j == 80


def test_a_card_that_sleeps_draws_nothing_and_is_not_woken(machine: Machine) -> None:
    card, run = power_card(machine), Run(machine)
    write(card, {"power/runtime_status": "suspended"})
    for _ in range(3):
        run.look()
        machine.now_s += 1
    assert run.driver.idle_j == 0
    write(card, {"power/runtime_status": "active"})
    for _ in range(3):
        run.look()
        machine.now_s += 1
    assert run.driver.idle_j == pytest.approx(200 + 100 / 2)  # a slope while it woke


# Whose it is.


def share(machine: Machine, ours: str | None, theirs: str | None, at: int) -> None:
    """Show what two processes have used so far; `at` is the file's number."""
    for pid, text in ((OURS, ours), (THEIRS, theirs)):
        if text is not None:
            machine.opens(pid, at, text)


def test_alone_on_a_card_a_run_pays_all_of_it(machine: Machine) -> None:
    card, run = energy_card(machine), Run(machine)
    share(machine, i915(1, ARC, render_ns=10), i915(2, ARC, render_ns=0), 5)  # it only looked
    run.look()
    draw(card, 90)
    machine.now_s += 1
    run.look()
    assert (run.only.energy_j, run.only.method) == (90, "hwmon-energy")


def test_a_card_that_the_tree_leaves_alone_is_in_no_figure(machine: Machine) -> None:
    card, run = energy_card(machine), Run(machine)
    machine.opens(OURS, 5, i915(1, ARC, render_ns=0))
    machine.opens(THEIRS, 5, i915(2, ARC, render_ns=10))
    for _ in range(3):
        run.look()
        draw(card, 90)
        machine.now_s += 1
    assert run.readings == {}
    assert run.driver.idle_j == 0  # it was busy for somebody


@pytest.mark.parametrize("make", [amdgpu, i915, xe], ids=lambda make: make.__name__)
def test_a_card_that_is_shared_is_split_by_engine_time(
    machine: Machine, make: Callable[..., str]
) -> None:
    # 125 W, of which an eighth of the limit of 200 W is idle power: 25 by heads, 100 as 1 to 3.
    card, run = energy_card(machine), Run(machine)
    for second in range(4):
        for pid, client, part in ((OURS, 1, 1), (THEIRS, 2, 3)):
            used = 1 + second * part * GFX_S // 10
            texts = {
                amdgpu: lambda u, c: amdgpu(c, ARC, gfx=u),
                i915: lambda u, c: i915(c, ARC, render_ns=u),
                xe: lambda u, c: xe(c, ARC, total=10 * GFX_S, ccs=u),
            }
            machine.opens(pid, 5, texts[make](used, client))
        run.look()
        draw(card, 125)
        machine.now_s += 1
    assert run.only.energy_j == pytest.approx(3 * (25 / 2 + 100 / 4))
    assert run.only.method == "hwmon-energy+share"
    assert run.only.caveats == {"gpu-shared"}


def test_an_engine_of_two_counts_half(machine: Machine) -> None:
    # Ours renders for 0.2 s; the other keeps one of two video engines busy for 0.4 s, 0.2 of both.
    card, run = energy_card(machine), Run(machine)
    for second in range(2):
        ns = second * GFX_S // 10
        share(machine, i915(1, ARC, 1 + 2 * ns), i915(2, ARC, 1, video_ns=4 * ns), 5)
        run.look()
        draw(card, 125)
        machine.now_s += 1
    assert run.only.energy_j == pytest.approx(125 / 2)


def test_two_clients_of_one_process_count_both(machine: Machine) -> None:
    card, run = energy_card(machine), Run(machine)
    for second in range(2):
        ns = second * GFX_S // 10
        machine.opens(OURS, 5, i915(1, ARC, 1 + ns))
        machine.opens(OURS, 6, i915(3, ARC, 1 + 2 * ns))
        machine.opens(THEIRS, 5, i915(2, ARC, 1 + ns))
        run.look()
        draw(card, 125)
        machine.now_s += 1
    # Two heads and not three; three quarters of the engine time.
    assert run.only.energy_j == pytest.approx(25 / 2 + 100 * 3 / 4)


def test_one_client_of_two_processes_counts_once(machine: Machine) -> None:
    card, run = energy_card(machine), Run(machine)
    for second in range(2):
        ns = second * GFX_S // 10
        for pid, fd in ((OURS, 5), (WORKER, 5), (OURS, 9)):  # a fork, and a dup
            machine.opens(pid, fd, i915(1, ARC, 1 + ns))
        machine.opens(THEIRS, 5, i915(2, ARC, 1 + ns))
        run.look()
        draw(card, 125)
        machine.now_s += 1
    assert run.only.energy_j == pytest.approx(125 / 2)


def test_the_same_number_on_another_card_is_another_client(machine: Machine) -> None:
    energy_card(machine)
    power_card(machine)
    machine.opens(OURS, 5, i915(1, ARC, 1))
    machine.opens(OURS, 6, amdgpu(1, AMD, gfx=1))
    run = Run(machine)
    run.look()
    assert set(run.readings) == {ARC, AMD}


def test_a_time_that_falls_counts_again_where_it_has_caught_up(machine: Machine) -> None:
    card, run = energy_card(machine), Run(machine)
    for ours_ms, theirs_ms in ((100, 100), (200, 200), (50, 300), (250, 400)):
        ours, theirs = (i915(n, ARC, ms * 10**6) for n, ms in ((1, ours_ms), (2, theirs_ms)))
        share(machine, ours, theirs, 5)
        run.look()
        draw(card, 125)
        machine.now_s += 1
    # 1:1 in the first second, 0:1 in the second, 50:100 in the third.
    assert run.only.energy_j == pytest.approx(3 * 25 / 2 + 100 * (1 / 2 + 0 + 1 / 3))


def test_work_by_rocm_has_no_engine_times_and_goes_by_heads(machine: Machine) -> None:
    card, run = power_card(machine, watts=100), Run(machine)
    for second in range(3):
        for pid, client in ((OURS, 1), (THEIRS, 2)):
            machine.opens(pid, 4, "", path="/dev/kfd")
            machine.opens(pid, 5, amdgpu(client, AMD, vram_kib=4096, gfx=0))
        machine.opens(THEIRS, 6, amdgpu(3, AMD, gfx=1 + second * GFX_S // 2))
        run.look()
        machine.now_s += 1
    assert run.only.energy_j == pytest.approx(100)
    assert run.only.caveats == {"gpu-shared"}
    assert card.is_dir()


def test_who_opened_all_devices_of_rocm_and_uses_one_is_on_one(machine: Machine) -> None:
    power_card(machine)
    machine.card(1, "0000:43:00.0", hwmon={"power1_input": 10**8})
    machine.opens(OURS, 4, "", path="/dev/kfd")
    machine.opens(OURS, 5, amdgpu(1, AMD, vram_kib=4096))
    machine.opens(OURS, 6, amdgpu(2, "0000:43:00.0"))
    run = Run(machine)
    run.look()
    assert set(run.readings) == {AMD}


def rocm(machine: Machine, *pids: int) -> None:
    """Show those processes as the ones that hold memory on the card, by the list for everybody."""
    kfd = machine.root / "sys/class/kfd/kfd"
    # bus 3: 0x0300
    write(kfd, {"topology/nodes/0/gpu_id": 0, "topology/nodes/1/gpu_id": 51234})
    write(kfd, {"topology/nodes/1/properties": "cpu_cores_count 0\nlocation_id 768\ndomain 0"})
    for pid in pids:
        write(kfd, {f"proc/{pid}/vram_51234": 1 << 20})


def refuse(monkeypatch: pytest.MonkeyPatch, *pids: int) -> None:
    """Have the kernel refuse to show the files of some; as root it shows all."""
    listdir = os.listdir

    def refusing(path: str) -> list[str]:
        if str(path).endswith(tuple(f"/{pid}/fd" for pid in pids)):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refusing)


def test_who_may_not_be_looked_at_is_a_doubt_and_the_rest_is_shared_out(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, run = energy_card(machine), Run(machine)
    refuse(monkeypatch, THEIRS)
    machine.opens(OURS, 5, i915(1, ARC, 1))
    run.look()
    draw(card, 90)
    machine.now_s += 1
    run.look()
    assert (run.only.energy_j, run.only.caveats) == (90, {"gpu-unseen"})
    assert run.driver.idle_j is None


def test_an_open_file_that_does_not_say_what_it_did_is_a_doubt(machine: Machine) -> None:
    energy_card(machine)
    machine.opens(OURS, 5, i915(1, ARC, 1))
    machine.opens(THEIRS, 6, i915(2, ARC, 1))
    run = Run(machine)
    run.look()
    assert "gpu-unseen" not in run.only.caveats
    (machine.root / "proc" / str(THEIRS) / "fdinfo" / "6").unlink()
    machine.now_s += 1
    run.look()
    assert "gpu-unseen" in run.only.caveats


def test_threads_of_the_kernel_are_no_doubt(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    energy_card(machine)
    refuse(monkeypatch, THEIRS)
    (machine.root / "proc" / str(THEIRS) / "cmdline").write_text("")
    machine.opens(OURS, 5, i915(1, ARC, 1))
    run = Run(machine)
    run.look()
    assert "gpu-unseen" not in run.only.caveats


def test_others_who_compute_are_known_though_their_files_are_closed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    power_card(machine)
    run = Run(machine)
    refuse(monkeypatch, THEIRS)
    rocm(machine, OURS, THEIRS)
    machine.opens(OURS, 4, "", path="/dev/kfd")
    machine.opens(OURS, 5, amdgpu(1, AMD, vram_kib=4096))
    for _ in range(3):
        run.look()
        machine.now_s += 1
    assert run.only.energy_j == pytest.approx(100)
    assert run.only.caveats == {"gpu-shared", "gpu-unseen"}


@pytest.mark.parametrize("hidden", ["a namespace of its own", "hidepid"])
def test_where_others_do_not_show_at_all_that_is_a_doubt(tmp_path: Path, hidden: str) -> None:
    machine = Machine(tmp_path, *([CONTAINER] if hidden != "hidepid" else []))
    machine.process(OURS)
    if hidden == "hidepid":
        machine.end(1)
    power_card(machine)
    rocm(machine, 70001)  # of the machine: it is nobody here
    machine.opens(OURS, 5, amdgpu(1, AMD, gfx=1))
    run = Run(machine, OURS)
    run.look()
    machine.now_s += 1
    run.look()
    assert run.only.energy_j == pytest.approx(100)
    assert run.only.caveats == {"gpu-unseen"}


def test_what_nobody_uses_is_told_apart(machine: Machine) -> None:
    card, run = energy_card(machine), Run(machine)
    for _ in range(3):
        run.look()
        draw(card, 15)
        machine.now_s += 1
    assert (run.readings, run.driver.idle_j) == ({}, 30)


RUNS = ((10, 11), (20,), (30, 31))
USERS = sorted({5}.union(*RUNS))
SECONDS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(USERS), st.integers(0, 10**9)),
        st.integers(1, 190),
        st.frozensets(st.sampled_from(USERS), max_size=2),
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(SECONDS)
def test_runs_that_share_a_card_never_sum_to_more_than_it_drew(
    tmp_path_factory: pytest.TempPathFactory,
    seconds: list[tuple[dict[int, int], int, frozenset[int]]],
) -> None:
    """Processes come, work, close their files and come back; each run looks at full seconds."""
    machine = Machine(tmp_path_factory.mktemp("shared"))
    for pid in USERS:
        machine.process(pid)
    card = energy_card(machine)
    runs = [Run(machine, *tree) for tree in RUNS]
    used = dict.fromkeys(USERS, 0)
    drawn_j = 0.0
    for second, (busy, watts, leaving) in enumerate(seconds):
        for pid, ns in busy.items():
            used[pid] += ns
            machine.opens(pid, 5, i915(pid, ARC, used[pid]))
        for pid in leaving - busy.keys():
            machine.end(pid)
            machine.process(pid)
        for run in runs:
            run.look()
        if second < len(seconds) - 1:
            draw(card, watts)
            machine.now_s += 1
            drawn_j += watts
    shared_j = sum(r.energy_j or 0.0 for run in runs for r in run.readings.values())
    idle_j = {run.driver.idle_j for run in runs}
    assert len(idle_j) == 1
    assert shared_j + (idle_j.pop() or 0.0) <= drawn_j * (1 + 1e-9)


# What is inside a processor is the processor's.


@pytest.mark.parametrize("vendor", ["Intel", "AMD"])
def test_a_gpu_inside_the_processor_is_the_packages_and_not_zero(
    machine: Machine, vendor: str
) -> None:
    address = INSIDE if vendor == "Intel" else "0000:04:00.0"
    sensors = {"power1_input": 15_000_000, "in1_label": "vddnb"} if vendor == "AMD" else None
    card = machine.card(0, address, vendor, hwmon=sensors)
    write(card, {"power/runtime_status": "suspended"})
    run = Run(machine)
    run.look()
    assert run.readings == {}
    text = i915(1, address, 5) if vendor == "Intel" else amdgpu(1, address, gfx=5)
    machine.opens(OURS, 5, text)
    machine.now_s += 1
    run.look()
    machine.now_s += 1
    run.look()
    assert (run.only.energy_j, run.only.power_w, run.only.method) == (None, None, "package")
    assert run.only.caveats == {"gpu-in-package"}
    assert run.driver.power_step_s is None
    assert run.driver.idle_j is None


def test_a_card_in_a_slot_is_not_inside_the_processor(machine: Machine) -> None:
    energy_card(machine)
    power_card(machine)
    passed_through = {"energy1_input": 5}  # to a virtual machine, on its first bus
    machine.card(2, "0000:00:05.0", "Intel", hwmon=passed_through)
    assert not any(map(is_integrated, cards(str(machine.root))))


# Names, screens, and what is not ours to read.


def test_a_card_has_the_name_under_which_it_is_sold(machine: Machine) -> None:
    power_card(machine)
    energy_card(machine)
    amd, arc = cards(str(machine.root))
    root = str(machine.root)
    assert pci_names.name(amd, root) == "AMD GPU 73bf"
    ids = "# of libdrm\n1.0.0\n73BF,\tC0,\tAMD Radeon RX 6900 XT\n73BF,\tC1,\tAMD Radeon RX 6800\n"
    write(machine.root / "usr/share/libdrm", {"amdgpu.ids": ids})
    assert pci_names.name(amd, root) == "AMD Radeon RX 6800"
    ids = ["1002  AMD", "\t56a0  Wrong", "8086  Intel Corporation", "\t56a0  DG2 [Arc A770]"]
    write(machine.root / "usr/share/hwdata", {"pci.ids": "\n".join([*ids, "\t\t8086 1020  A"])})
    assert pci_names.name(arc, root) == "Intel DG2 [Arc A770]"
    write(Path(amd.folder), {"product_name": "AMD Instinct MI210"})
    assert pci_names.name(amd, root) == "AMD Instinct MI210"


def test_the_dashboard_gets_what_is_there(machine: Machine) -> None:
    card, run = power_card(machine), Run(machine)
    machine.opens(OURS, 5, amdgpu(1, AMD, gfx=1))
    write(card, {"gpu_busy_percent": 87, "mem_info_vram_used": 5 * 10**9})
    sensor(card, "temp1_input", 61_000)
    run.look()
    assert run.only.name == "AMD GPU 73bf"
    assert run.only.details == {
        "utilisation_percent": 87,
        "memory_used_bytes": 5e9,
        "temperature_c": 61,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pos:\t0\nflags:\t0100002\n",
        "drm-driver:\tpanfrost\ndrm-client-id:\t3\ndrm-engine-fragment:\t5 ns\n",  # not on PCI
        f"drm-pdev:\t{AMD}\n",
        "drm-pdev:\ndrm-client-id:\n",
    ],
)
def test_a_file_that_tells_no_client_is_none(text: str) -> None:
    assert drm_clients.parse(text, 1) is None


@given(st.text(alphabet="drm-engcapity:\n\t 0129KMiB", max_size=200))
def test_no_text_of_a_driver_is_a_fault(noise: str) -> None:
    text = f"drm-pdev:\t{AMD}\ndrm-client-id:\t1\n{noise}"
    client = drm_clients.parse(text, 1)
    assert client is None or all(used >= 0 for used in client.engines.values())


def test_other_displays_are_not_ours(machine: Machine) -> None:
    machine.card(0, "0000:65:00.0", "NVIDIA")
    (machine.root / "sys/class/drm/renderD128").mkdir()
    assert cards(str(machine.root)) == ()
    assert cards(str(machine.root / "nowhere")) == ()


# AMD's library, by a stand-in with its functions.


class Refused(Exception):
    """What the library raises."""


def library(address: str, counts: dict[str, Any] | None, power: dict[str, Any]) -> Any:
    smi = types.ModuleType("amdsmi")

    def energy(handle: str) -> dict[str, Any]:
        if counts is None:
            raise Refused
        return counts

    functions = {
        "AmdSmiException": Refused,
        "amdsmi_init": lambda: None,
        "amdsmi_shut_down": lambda: None,
        "amdsmi_get_processor_handles": lambda: ["handle"],
        "amdsmi_get_gpu_device_bdf": lambda handle: address.upper(),
        "amdsmi_get_energy_count": energy,
        "amdsmi_get_power_info": lambda handle: power,
    }
    for name, function in functions.items():
        setattr(smi, name, function)
    return smi


@pytest.mark.parametrize("count", ["energy_accumulator", "power"])
def test_amds_counter_is_used_where_hwmon_has_none(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    power_card(machine)
    counts = {count: 10**9, "counter_resolution": 15.3, "timestamp": 1}
    monkeypatch.setitem(sys.modules, "amdsmi", library(AMD, counts, {}))
    machine.opens(OURS, 5, amdgpu(1, AMD, gfx=1))
    run = Run(machine)
    run.look()
    counts[count] += 10_000_000
    machine.now_s += 1
    run.look()
    assert (run.only.energy_j, run.only.method) == (pytest.approx(153), "amdsmi-energy")
    run.driver.close()


def test_without_a_counter_amds_library_has_nothing_that_hwmon_lacks(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    power_card(machine)
    told = {"current_socket_power": "N/A", "average_socket_power": 70}
    monkeypatch.setitem(sys.modules, "amdsmi", library(AMD, None, told))
    machine.opens(OURS, 5, amdgpu(1, AMD, gfx=1))
    by_both, by_library = Run(machine), Run(machine, words=("amdsmi",))
    for run in (by_both, by_library):
        run.look()
    machine.now_s += 1
    for run in (by_both, by_library):
        run.look()
    assert (by_both.only.energy_j, by_both.only.method) == (100, "hwmon-power")
    assert (by_library.only.energy_j, by_library.only.method) == (70, "amdsmi-power")


def test_what_the_library_does_not_know_is_not_read_by_hwmon_unasked(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    energy_card(machine)
    power_card(machine)
    monkeypatch.setitem(sys.modules, "amdsmi", library("0000:43:00.0", None, {}))
    machine.opens(OURS, 5, amdgpu(1, AMD, gfx=1))
    machine.opens(OURS, 6, i915(1, ARC, 1))
    run = Run(machine, words=("amdsmi",))
    run.look()
    assert [reading.method for reading in run.readings.values()] == ["none", "none"]


def test_a_library_that_is_not_there_or_fails_is_done_without(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    assert amdsmi.sources()[0] == {}
    broken = library(AMD, None, {})
    broken.amdsmi_init = lambda: 1 / 0
    monkeypatch.setitem(sys.modules, "amdsmi", broken)
    assert amdsmi.sources()[0] == {}
    power_card(machine)
    machine.opens(OURS, 5, amdgpu(1, AMD, gfx=1))
    run = Run(machine)
    run.look()
    machine.now_s += 1
    run.look()
    assert run.only.method == "hwmon-power"


# Which meter a machine gets.


def gpu_meters(machine: Machine, *words: str) -> list[object]:
    meters = open_meters(words or None, None, 0.4, {}, root=str(machine.root), pause=lambda s: None)
    for meter in meters:
        meter.close()
    return [meter for meter in meters if meter.component == "gpu"]


def test_a_machine_without_such_a_card_gets_no_meter(machine: Machine) -> None:
    assert gpu_meters(machine) == []
    machine.card(0, "0000:65:00.0", "NVIDIA")
    assert gpu_meters(machine) == []


def test_a_card_that_may_not_be_read_is_unmetered_and_one_inside_is_not(machine: Machine) -> None:
    machine.card(0, INSIDE, "Intel")
    assert gpu_meters(machine, "tdp", "ram") == []
    energy_card(machine)
    (unmetered,) = gpu_meters(machine, "tdp", "ram")
    (reading,) = unmetered.sample(Usage(0.0, None, None), 0.0)
    assert reading.caveats == {"gpu-unmetered"}


def test_the_meter_looks_from_a_process_of_its_own(machine: Machine) -> None:
    energy_card(machine)
    me = os.getpid()
    machine.process(me)
    machine.opens(me, 5, i915(1, ARC, 1))
    meters = open_meters(("hwmon",), None, 0.4, {}, root=str(machine.root))
    (meter,) = [meter for meter in meters if isinstance(meter, GpuMeter)]
    now_s = time.monotonic
    until_s = now_s() + 10
    try:
        while not (readings := meter.sample(Usage(0.0, None, None, (me,)), now_s())):
            assert now_s() < until_s
        assert [(r.device, r.name) for r in readings] == [(ARC, "Intel GPU 56a0")]
    finally:
        meter.close()
        os.waitpid(meter._pid, 0)


def test_a_silent_driver_leaves_unknown_only_what_has_an_energy_of_its_own(
    machine: Machine,
) -> None:
    machine.card(0, INSIDE, "Intel")
    for caveats in ([], [{"gpu-unavailable"}]):
        meter = DrmMeter(cards(str(machine.root)), ("hwmon",), str(machine.root))
        meter.sample(Usage(0.0, None, None, (OURS,)), 0.0)  # it was never started: no answer
        readings = meter.sample(Usage(0.0, None, None, (OURS,)), 10.0)
        assert [reading.caveats for reading in readings] == caveats
        if not caveats:
            energy_card(machine)


def test_the_looks_of_other_runs_are_seen_and_those_of_ours_are_no_others(
    machine: Machine,
) -> None:
    proc = str(machine.root / "proc")
    assert not others_look(proc, parent=50)
    for pid, parent in ((200, 50), (201, 50), (202, 1)):  # one a driver, and one left behind
        machine.process(pid, parent)
        write(machine.root / "proc" / str(pid), {"comm": "eco2ai-gpu"})
    assert not others_look(proc, parent=50)
    assert others_look(proc, parent=60)
    for pid in (200, 201):  # ended, and not buried yet
        write(machine.root / "proc" / str(pid), {"stat": f"{pid} (eco2ai-gpu) Z 50 " + "0 " * 48})
    assert not others_look(proc, parent=60)
