"""Memory is what the tree really holds: shared and copy-on-write pages count once."""

from __future__ import annotations

import mmap
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eco2ai_cli.processes.linux import LinuxTree

MB = 10**6
WORKERS = 8


def touch(block: mmap.mmap, start: int = 0, stop: int | None = None) -> None:
    for offset in range(start, len(block) if stop is None else stop, mmap.PAGESIZE):
        block[offset] = 1


def private(size: int) -> mmap.mmap:
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    touch(block)
    return block


def shared(size: int) -> mmap.mmap:
    block = mmap.mmap(-1, size)
    touch(block)
    return block


@contextmanager
def tree_of_workers(
    allocate: Callable[[], mmap.mmap], work: Callable[[mmap.mmap], object]
) -> Iterator[list[int]]:
    """A parent that holds a block, and workers forked from it; yields their pids, parent first."""
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.setpgid(0, 0)
        block = allocate()
        for _ in range(WORKERS):
            if os.fork() == 0:
                kept = work(block)
                os.write(write, b"%d\n" % os.getpid())
                signal.pause()
                del kept
        signal.pause()
    os.close(write)
    with os.fdopen(read, "rb") as pids:
        workers = [int(pids.readline()) for _ in range(WORKERS)]
    try:
        yield [parent, *workers]
    finally:
        os.killpg(parent, signal.SIGKILL)
        os.waitpid(parent, 0)


def pss_bytes(pids: list[int]) -> int:
    """The truth: each page divided by the number of its users, as the kernel adds it up."""
    return 1024 * sum(
        int(line.split()[1])
        for pid in pids
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    )


LAYOUTS: dict[str, tuple[Callable[[], mmap.mmap], Callable[[mmap.mmap], object]]] = {
    "a data set read by all, 256 MB": (lambda: private(256 * MB), lambda block: None),
    "the same overwritten by all, 64 MB": (lambda: private(64 * MB), touch),
    "a quarter of it overwritten by each": (
        lambda: private(256 * MB),
        lambda block: touch(block, 0, 64 * MB),
    ),
    "each allocates 32 MB more": (lambda: private(128 * MB), lambda block: private(32 * MB)),
    "shared memory, 256 MB": (lambda: shared(256 * MB), touch),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_memory_is_within_15_percent_of_pss(layout: str) -> None:
    with tree_of_workers(*LAYOUTS[layout]) as pids:
        tree = LinuxTree(use_perf=False)
        tree.attach(pids[0])
        tree.usage(0.0)
        usage = tree.usage(1.0)
        truth = pss_bytes(pids)
        tree.close()
    assert sorted(usage.pids) == sorted(pids)
    assert usage.memory_bytes == pytest.approx(truth, rel=0.15)
