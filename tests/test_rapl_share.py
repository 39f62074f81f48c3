"""Whose measured energy is: the trees of a machine never get more than it used, and get theirs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rapl_machine import Counter, SimulatedMachine

from eco2ai_cli.meters import cpu_share
from eco2ai_cli.meters.rapl import RaplMeter, open_rapl
from eco2ai_cli.meters.rapl_survey import survey
from eco2ai_cli.model import Reading, Usage

IDLE_W, W_PER_CPU, CPUS = 40.0, 10.0, 16
FULL_W = IDLE_W + CPUS * W_PER_CPU
POLICIES = ("allocated", "share", "none")


class Host(NamedTuple):
    """A simulated machine whose power is linear in its load."""

    machine: SimulatedMachine
    package: Counter

    def run(self, span_s: float, busy_cpus: float) -> float:
        """Let `busy_cpus` be busy for a while; return the joules that took."""
        before_j = self.package.used_j
        self.machine.busy_cpus = busy_cpus
        self.package.watts = IDLE_W + W_PER_CPU * busy_cpus
        self.machine.advance(span_s)
        return self.package.used_j - before_j


@contextmanager
def host(*, range_uj: int = 262_143_328_850, start_uj: float = 5e9) -> Iterator[Host]:
    with tempfile.TemporaryDirectory() as folder:
        machine = SimulatedMachine(Path(folder), cpus=CPUS)
        limits = {"constraint_0_max_power_uw": f"{FULL_W * 1e6:.0f}\n"}
        package = machine.zone(
            "intel-rapl:0", "package-0", IDLE_W, range_uj=range_uj, start_uj=start_uj, files=limits
        )
        yield Host(machine, package)


class Tree:
    """A run on such a machine: what it used of the CPUs, what its meter shows, what is true."""

    def __init__(self, host: Host, policy: str, allowed: float = 1.0) -> None:
        machine = host.machine
        zones = survey(str(machine.root), machine.advance).zones
        self.meter = RaplMeter(zones, policy, allowed, proc=f"{machine.root}/proc")
        self.policy, self.allowed = policy, allowed
        self.cpu_s = self.true_j = 0.0
        self.shown: list[Reading] = []

    def use(self, span_s: float, cpus: float, busy_cpus: float, *, at_all: bool = True) -> None:
        """Use `cpus` of all that were busy for a while, with the energy that is due for it."""
        self.cpu_s += cpus * span_s
        if busy_cpus > 0 and at_all:
            share = cpus / busy_cpus
            idle_share = {"allocated": min(share, self.allowed), "share": share, "none": 0.0}
            power_w = W_PER_CPU * cpus + IDLE_W * idle_share[self.policy]
            self.true_j += power_w * span_s

    def look(self, now_s: float) -> None:
        """Take a sample."""
        (reading,) = self.meter.sample(Usage(self.cpu_s, None, None), now_s)
        self.shown.append(reading)

    @property
    def energy_j(self) -> float:
        """What the meter shows."""
        return self.shown[-1].energy_j or 0.0


# The worked example of docs/energy.md: 2 of 16 CPUs are ours, and others use some.


@pytest.mark.parametrize(
    ("policy", "watts"),
    [
        ("allocated", (25.0, 25.0, 25.0, 25.0)),
        ("share", (60.0, 40.0, 30.0, 25.0)),
        ("none", (20.0, 20.0, 20.0, 20.0)),
    ],
)
def test_the_example_of_the_manual_comes_out_so(policy: str, watts: tuple[float, ...]) -> None:
    for others, expected_w in zip((0, 2, 6, 14), watts, strict=True):
        with host() as simulated:
            tree = Tree(simulated, policy, allowed=2 / 16)
            tree.look(simulated.machine.now_s)
            simulated.run(1.0, 0.0)  # a moment of rest, in which idle power is seen
            tree.look(simulated.machine.now_s)
            for _ in range(10):
                simulated.run(1.0, 2.0 + others)
                tree.use(1.0, 2.0, 2.0 + others)
                tree.look(simulated.machine.now_s)
            assert tree.energy_j == pytest.approx(10 * expected_w, rel=1e-6)
            assert tree.shown[-1].caveats == frozenset()


@pytest.mark.parametrize(("others", "method"), [(0.0, "rapl"), (1.0, "rapl+share")])
def test_the_method_says_whether_the_package_was_shared_out(others: float, method: str) -> None:
    with host() as simulated:
        tree = Tree(simulated, "share")
        tree.look(simulated.machine.now_s)
        assert tree.shown[-1].energy_j is None
        simulated.run(5.0, 2.0 + others)
        tree.use(5.0, 2.0, 2.0 + others)
        tree.look(simulated.machine.now_s)
        assert tree.shown[-1].method == method


@pytest.mark.parametrize("policy", ["allocated", "none"])
def test_idle_power_that_was_never_seen_is_assumed_and_said_so(policy: str) -> None:
    with host() as simulated:
        tree = Tree(simulated, policy, allowed=2 / 16)
        tree.look(simulated.machine.now_s)
        for _ in range(10):
            simulated.run(1.0, 8.0)
            tree.use(1.0, 2.0, 8.0)
            tree.look(simulated.machine.now_s)
        assert "idle-assumed" in tree.shown[-1].caveats
        # A fifth of full power is idle here, and a quarter is assumed.
        assert tree.energy_j == pytest.approx(tree.true_j, rel=0.1)
        assert 0 < tree.energy_j < tree.true_j


def test_the_power_of_a_busy_machine_is_not_taken_for_idle() -> None:
    with host() as simulated:
        tree = Tree(simulated, "none")
        tree.look(simulated.machine.now_s)
        simulated.run(10.0, 16.0)
        tree.use(10.0, 16.0, 16.0)
        tree.look(simulated.machine.now_s)
        assert tree.energy_j == pytest.approx(0.75 * FULL_W * 10)


def test_a_tree_that_did_nothing_gets_nothing_and_that_is_known() -> None:
    with host() as simulated:
        tree = Tree(simulated, "share")
        for _ in range(5):
            simulated.run(1.0, 3.0)
            tree.look(simulated.machine.now_s)
        assert tree.shown[-1].energy_j == 0.0


def test_work_in_bursts_that_the_ticks_missed_is_no_more_than_everything() -> None:
    """`/proc/stat` may say idle while a tree used CPU time: the share stays a share."""
    with host() as simulated:
        tree = Tree(simulated, "share")
        tree.look(simulated.machine.now_s)
        used_j = simulated.run(10.0, 0.1)
        tree.cpu_s += 1.5
        tree.look(simulated.machine.now_s)
        assert tree.energy_j == pytest.approx(used_j)


def test_runs_at_rest_below_the_ticks_do_not_each_pay_for_all_of_the_machine() -> None:
    # Three runs of 2 ms each, in a second in which the kernel saw no tick that was not idle.
    before = cpu_share.Load(0.0, 0.0, 100.0, 4)
    after = cpu_share.Load(1.0, 0.002, 104.0, 4)
    assert 3 * cpu_share.between(before, after).of_busy <= 1
    after = cpu_share.Load(1.0, 0.05, 104.0, 4)  # more than rounding hides: bursts were missed
    assert cpu_share.between(before, after).of_busy == 1


def test_a_cpu_that_went_away_leaves_shares_between_zero_and_one() -> None:
    before = cpu_share.Load(0.0, 0.0, 100.0, 4)
    after = cpu_share.Load(10.0, 5.0, 90.0, 2)  # idle time fell with it
    share = cpu_share.between(before, after)
    assert 0 < share.of_busy <= 1
    assert share.busy == 1.0


def test_the_first_cpu_line_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(
        "cpu  549801 28 160275 1716026 7967 0 897 757 0 0\n"
        "cpu0 242153 23 76470 896746 1526 0 148 357 0 0\n"
        "cpu1 307648 4 83805 819280 6440 0 749 400 0 0\n"
        "intr 21 0 9\nctxt 1\n"
    )
    load = cpu_share.look(3.0, 7.0, str(tmp_path))
    assert load == cpu_share.Load(7.0, 3.0, (1716026 + 7967) / 100, 2)


def test_a_part_of_the_machine_is_what_affinity_leaves(tmp_path: Path) -> None:
    machine = SimulatedMachine(tmp_path, cpus=16, allowed="0-3")
    machine.zone("intel-rapl:0", "package-0", FULL_W)
    meter = open_rapl(survey(str(tmp_path), machine.advance).zones, "allocated", root=str(tmp_path))
    meter.sample(Usage(0.0, None, None), machine.now_s)
    for busy, cpus in ((0.0, 0.0), (4.0, 4.0)):
        machine.busy_cpus = busy
        machine.counters["intel-rapl:0"].watts = IDLE_W + W_PER_CPU * busy
        machine.advance(10.0)
        (reading,) = meter.sample(Usage(10 * cpus, None, None), machine.now_s)
    assert reading.energy_j == pytest.approx(10 * (4 * W_PER_CPU + IDLE_W / 4))


# The law: whatever runs, and however it is nested, the parts are never more than the whole.

HUNDREDTHS = st.integers(0, 400).map(lambda n: n / 100)  # of a CPU: whole ticks in whole seconds
SPANS = st.integers(1, 20).map(float)


class Moment(NamedTuple):
    """A span with a steady load: of the trees, of the inner run of the first, of others."""

    span_s: float
    loads: tuple[float, float, float]
    inner: float
    others: float
    reset: bool

    @property
    def busy(self) -> float:
        """All CPUs that are busy."""
        return sum(self.loads) + self.others


MOMENTS = st.lists(
    st.builds(
        Moment,
        SPANS,
        st.tuples(HUNDREDTHS, HUNDREDTHS, HUNDREDTHS),
        st.sampled_from((0.0, 0.25, 0.5, 1.0)),
        HUNDREDTHS,
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(
    moments=MOMENTS,
    policies=st.tuples(*[st.sampled_from(POLICIES)] * 3),
    allowed=st.tuples(*[st.sampled_from((1.0, 0.5, 0.125))] * 3),
    starts=st.tuples(*[st.integers(0, 4)] * 3),
    range_j=st.sampled_from((13_000, 65_533, 262_143)),
    rest=st.booleans(),
)
def test_parallel_and_nested_runs_never_get_more_than_the_package_used(
    moments: list[Moment],
    policies: tuple[str, str, str],
    allowed: tuple[float, float, float],
    starts: tuple[int, int, int],
    range_j: int,
    rest: bool,
) -> None:
    if rest:
        moments = [Moment(1.0, (0.0, 0.0, 0.0), 0.0, 0.0, False), *moments]
    with host(range_uj=range_j * 1_000_000, start_uj=range_j * 0.9e6) as simulated:
        machine, package = simulated
        trees = [Tree(simulated, p, a) for p, a in zip(policies, allowed, strict=True)]
        inner = Tree(simulated, policies[0], allowed[0])
        began_j, resets = package.used_j, False
        for number, moment in enumerate(moments):
            running = [t for t, start in zip(trees, starts, strict=True) if number >= start]
            for tree in (*running, *([inner] if trees[0] in running else [])):
                tree.look(machine.now_s)
            simulated.run(moment.span_s / 2, moment.busy)
            # A fall from the last joules below the top is what a wrap looks like.
            below_top = package.shown_uj / 1e6 < range_j - 3 * FULL_W * (moment.span_s + 1)
            if moment.reset and below_top:
                package.reset()
                resets = True
            simulated.run(moment.span_s / 2, moment.busy)
            for tree, load in zip(trees, moment.loads, strict=True):
                counts = tree in running
                tree.use(moment.span_s, load, moment.busy, at_all=counts)
                if counts:
                    tree.look(machine.now_s)
            inner_load = moment.inner * moment.loads[0]
            inner.use(moment.span_s, inner_load, moment.busy, at_all=trees[0] in running)
            if trees[0] in running:
                inner.look(machine.now_s)
        used_j = package.used_j - began_j
        looked = [tree for tree in trees if tree.shown]
        assert sum(tree.energy_j for tree in looked) <= used_j * (1 + 1e-9) + 1e-4
        if inner.shown:
            assert inner.energy_j <= trees[0].energy_j * (1 + 1e-9) + 1e-9
        for tree in looked:
            shown = [reading.energy_j or 0.0 for reading in tree.shown]
            assert shown == sorted(shown)
            if not resets and not tree.shown[-1].caveats - {"rapl-start"}:
                # Within 5 % of the idle power, of which no more is uncertain where it was seen.
                span_s = sum(moment.span_s for moment in moments)
                doubt_j = 0.0 if tree.policy == "share" else 0.05 * IDLE_W * span_s
                assert tree.energy_j == pytest.approx(tree.true_j, rel=1e-6, abs=1e-3 + doubt_j)


@settings(deadline=None, max_examples=40)
@given(
    moments=MOMENTS,
    beats=st.tuples(*[st.lists(st.integers(20, 100), min_size=1, max_size=7)] * 3),
    policy=st.sampled_from(POLICIES),
)
def test_runs_that_look_when_they_like_are_wrong_by_one_look_a_change_of_load_at_the_most(
    moments: list[Moment], beats: tuple[list[int], ...], policy: str
) -> None:
    """Beats in hundredths of a second, at most one second apart, as the meter asks for."""
    assume(sum(moment.span_s for moment in moments) <= 60)
    with host() as simulated:
        machine, package = simulated
        trees = [Tree(simulated, policy) for _ in beats]
        for tree in trees:
            tree.look(machine.now_s)
        simulated.run(1.0, 0.0)
        for tree in trees:
            tree.look(machine.now_s)
        began_j = package.used_j
        due = [beat[0] for beat in beats]
        turn = [0, 0, 0]
        at = 0
        for moment in moments:
            end = at + round(100 * moment.span_s)
            while at < end:
                step = min(min(due), end) - at
                simulated.run(step / 100, moment.busy)
                at += step
                for n, tree in enumerate(trees):
                    tree.use(step / 100, moment.loads[n], moment.busy)
                    if at >= due[n] or at == round(100 * sum(m.span_s for m in moments)):
                        tree.look(machine.now_s)
                        turn[n] += 1
                        due[n] = at + beats[n][turn[n] % len(beats[n])]
        used_j = package.used_j - began_j
        ticks_j = 0.02 * FULL_W * max(turn)
        margin_j = FULL_W * 1.0 * len(moments) + ticks_j
        assert sum(tree.energy_j for tree in trees) <= used_j + 3 * margin_j
        for tree in trees:
            assert tree.energy_j <= used_j * (1 + 1e-9)
            assert abs(tree.energy_j - tree.true_j) <= margin_j
