"""The CPU time of this process and its children, against what the kernel says of each of them."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from eco2ai_cli.processes.own import OwnUsage

ROUNDING_S = 0.03
"""Times of children in `/proc` are in ticks of 10 ms, truncated for user and system time each."""

BURN = """
import os, sys, time
def burn(s):
    until = time.process_time() + s
    while time.process_time() < until: pass
def tell(path):
    with open(path, "a") as file: file.write(f"{time.process_time()}\\n")
"""


def burn(seconds: float) -> float:
    """Use that much CPU in this thread; return what this process has used in all."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return time.process_time()


def now_s() -> float:
    return time.monotonic()


class Look:
    """Looks at this process, and knows what it used itself meanwhile by the kernel's account."""

    def __init__(self) -> None:
        self.usage = OwnUsage()
        self.own_s = time.process_time()
        assert self.usage.usage(now_s()).cpu_s == 0.0

    def children_s(self) -> float:
        """What was counted but for this process itself."""
        used_s = self.usage.usage(now_s()).cpu_s
        return used_s - (time.process_time() - self.own_s)


@pytest.fixture
def look() -> Look:
    return Look()


@pytest.fixture
def told(tmp_path: Path) -> Callable[[], float]:
    """What the workers wrote of themselves, in all."""
    return lambda: sum(map(float, (tmp_path / "told").read_text().split()))


def python(code: str, tmp_path: Path, **options: object) -> subprocess.Popen[bytes]:
    path = str(tmp_path / "told")
    return subprocess.Popen(
        [sys.executable, "-S", "-c", BURN + code, path], stdout=subprocess.PIPE, **options
    )


def test_all_threads_count_also_those_that_have_ended(look: Look) -> None:
    threads = [threading.Thread(target=burn, args=(0.1,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used_s = look.usage.usage(now_s()).cpu_s
    assert used_s == pytest.approx(time.process_time() - look.own_s, abs=0.005)
    assert used_s >= 0.3


def test_what_ran_before_the_first_look_does_not_count(tmp_path: Path) -> None:
    with python("burn(0.2); print(flush=True); sys.stdin.read()", tmp_path, stdin=-1) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        look = Look()
        alive_s = look.children_s()
        child.stdin.close()
        child.wait()
        assert alive_s < ROUNDING_S
        assert look.children_s() < ROUNDING_S  # nor when it comes to us in one piece


def test_a_child_counts_alive_dead_and_waited_for_and_each_time_once(
    look: Look, tmp_path: Path, told: Callable[[], float]
) -> None:
    code = "burn(0.2); tell(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with python(code, tmp_path, stdin=-1) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        alive_s = look.children_s()
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        dead_s = look.children_s()
        child.wait()
        waited_s = look.children_s()
    truth_s = told()
    assert alive_s == pytest.approx(truth_s, abs=ROUNDING_S)
    assert alive_s <= dead_s <= waited_s <= dead_s + 0.005
    assert waited_s == pytest.approx(truth_s, abs=ROUNDING_S)


def test_children_that_live_and_die_between_two_looks_count(look: Look, tmp_path: Path) -> None:
    truth_s = 0.0
    for _ in range(4):
        child = python("burn(0.05)", tmp_path)
        _, _, used = os.wait4(child.pid, 0)
        child.returncode = 0
        child.communicate()
        truth_s += used.ru_utime + used.ru_stime
    # What we use ourselves between the two looks of `children_s` is in the difference.
    assert look.children_s() == pytest.approx(truth_s, abs=0.005)


GRANDCHILDREN = """
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        burn(0.1); tell(sys.argv[1]); os._exit(0)
    if {wait}: os.waitpid(pid, 0)
burn(0.05); tell(sys.argv[1])
print(flush=True); sys.stdin.read()
"""


@pytest.mark.parametrize("wait", [True, False])
def test_grandchildren_count_waited_for_or_not(
    wait: bool, look: Look, tmp_path: Path, told: Callable[[], float]
) -> None:
    with python(GRANDCHILDREN.format(wait=wait), tmp_path, stdin=-1) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        until_s = now_s() + 5
        while len((tmp_path / "told").read_text().split()) < 3 and now_s() < until_s:
            look.children_s()
        alive_s = look.children_s()
        assert alive_s == pytest.approx(told(), abs=2 * ROUNDING_S)
        child.stdin.close()
        child.wait()
    # Of grandchildren for whom nobody waits, what was seen of them last stays.
    assert look.children_s() == pytest.approx(told(), abs=2 * ROUNDING_S)


def test_a_child_and_its_child_that_end_between_two_looks_count_once(
    look: Look, tmp_path: Path
) -> None:
    code = (
        "pid = os.fork()\n"
        "if not pid: burn(0.15); print(flush=True); sys.stdin.read(); os._exit(0)\n"
        "os.waitpid(pid, 0)"
    )
    child = python(code, tmp_path, stdin=-1)
    assert child.stdout is not None
    assert child.stdin is not None
    child.stdout.readline()
    assert look.children_s() >= 0.15 - ROUNDING_S
    child.stdin.close()
    _, _, used = os.wait4(child.pid, 0)
    child.returncode = 0
    child.stdout.close()
    truth_s = used.ru_utime + used.ru_stime
    assert look.children_s() == pytest.approx(truth_s, abs=0.005)
    assert not look.usage.usage(now_s()).caveats


def test_looks_at_any_moment_never_fall_and_end_at_the_truth(
    look: Look, tmp_path: Path, told: Callable[[], float]
) -> None:
    seen: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(look.usage.usage(now_s()).cpu_s)
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = (
        "for n in range(3):\n"
        "    pid = os.fork()\n"
        "    if not pid: burn(0.03); tell(sys.argv[1]); os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "burn(0.05); tell(sys.argv[1])"
    )
    for _ in range(3):
        python(code, tmp_path).communicate()
    done.set()
    watcher.join()
    assert seen == sorted(seen)
    assert look.children_s() == pytest.approx(told(), abs=0.05)


@pytest.fixture
def _no_resource_tracker() -> Iterator[None]:
    """That of multiprocessing outlives the pools; other tests count on having no children."""
    resource_tracker._resource_tracker._stop()
    yield
    resource_tracker._resource_tracker._stop()


@pytest.mark.usefixtures("_no_resource_tracker")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_of_workers_counts_alive_and_closed(method: str, look: Look) -> None:
    others = look.usage.usage(now_s()).pids
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    before_s = children.ru_utime + children.ru_stime
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(burn, [0.1] * 4))
        workers = look.usage.usage(now_s()).pids[1:]
        alive_s = look.children_s()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    truth_s = children.ru_utime + children.ru_stime - before_s
    for pid in set(look.usage.usage(now_s()).pids).difference(others):  # the resource tracker
        truth_s += time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    assert len(workers) >= 2
    assert 0.4 <= alive_s <= truth_s + ROUNDING_S
    assert look.children_s() == pytest.approx(truth_s, abs=0.005)


def test_a_child_that_another_thread_started_counts(look: Look, tmp_path: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []
    hold = threading.Event()

    def start() -> None:
        started.append(python("burn(0.1); print(flush=True); sys.stdin.read()", tmp_path, stdin=-1))
        hold.wait()

    thread = threading.Thread(target=start)
    thread.start()
    try:
        while not started:
            time.sleep(0.001)
        (child,) = started
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in look.usage.usage(now_s()).pids
        assert look.children_s() >= 0.1 - ROUNDING_S
    finally:
        hold.set()
        thread.join()
        child.communicate()


def test_who_loses_its_parent_counts_as_far_as_it_was_seen_and_the_doubt_is_told(
    look: Look, tmp_path: Path
) -> None:
    code = (
        "import signal\n"
        "if os.fork(): signal.pause()\n"
        "burn(0.1); print(os.getpid(), flush=True); sys.stdin.read()"
    )
    with python(code, tmp_path, stdin=-1) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        orphan = int(child.stdout.readline())
        look.children_s()  # while its parent lives
        child.terminate()
        child.wait()
        usage = look.usage.usage(now_s())
        assert orphan in usage.pids
        assert "orphan-unseen" not in usage.caveats
        seen_s = look.children_s()
        assert seen_s >= 0.1 - ROUNDING_S
        child.stdin.close()
        until_s = now_s() + 3
        while os.path.exists(f"/proc/{orphan}") and now_s() < until_s:
            time.sleep(0.005)
    usage = look.usage.usage(now_s())
    if not os.path.exists(f"/proc/{orphan}"):  # init may be one that waits for nobody
        assert orphan not in usage.pids
        assert usage.caveats == {"orphan-unseen"}
    assert look.children_s() >= seen_s - 0.001


def test_where_sigchld_is_ignored_what_was_seen_counts_and_the_doubt_is_told(
    look: Look, tmp_path: Path, told: Callable[[], float]
) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        pid = os.fork()
        if pid == 0:
            burn(0.15)
            (tmp_path / "told").write_text(f"{time.process_time()}\n")
            os._exit(0)
        while os.path.exists(f"/proc/{pid}/stat"):
            look.children_s()
            time.sleep(0.01)
        usage = look.usage.usage(now_s())
        assert "tree-escaped" in usage.caveats
        burn(0.2)  # what was seen stays, whatever else is used
        assert look.children_s() == pytest.approx(told(), abs=0.05)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_memory_is_that_of_the_process_and_its_children_shared_pages_once(look: Look) -> None:
    before = look.usage.usage(now_s())
    assert before.memory_bytes is not None
    block = bytearray(b"x") * 40_000_000
    grown = look.usage.usage(now_s())
    assert grown.memory_bytes is not None
    assert grown.memory_bytes - before.memory_bytes == pytest.approx(40e6, rel=0.1)
    pid = os.fork()
    if pid == 0:
        time.sleep(20)
        os._exit(0)
    try:
        forked = look.usage.usage(now_s())
        assert forked.memory_bytes is not None
        assert pid in forked.pids
        assert forked.memory_bytes - grown.memory_bytes < 10e6  # its copy is the same pages
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    del block


def test_without_our_own_proc_children_count_when_they_are_waited_for(tmp_path: Path) -> None:
    usage = OwnUsage(proc=str(tmp_path))
    assert usage.usage(now_s()).cpu_s == 0.0
    own_s = time.process_time()
    python("burn(0.1)", tmp_path).communicate()
    used = usage.usage(now_s())
    assert used.cpu_s - (time.process_time() - own_s) >= 0.1 - 0.005
    assert used.memory_bytes is None
    assert used.pids == (os.getpid(),)


def test_nothing_of_the_process_is_changed() -> None:
    def state() -> Iterator[object]:
        yield from (signal.getsignal(n) for n in signal.valid_signals())
        yield resource.getrlimit(resource.RLIMIT_NOFILE)
        yield sorted(os.listdir("/proc/self/fd"))
        yield threading.active_count()

    before = list(state())
    usage = OwnUsage()
    for _ in range(3):
        usage.usage(now_s())
    assert list(state()) == before
