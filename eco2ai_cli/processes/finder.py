"""Find the processes that were born into a tree since the last look.

Two ways, each cheap where the other is dear. The `children` files cost by the threads of the tree,
a scan of `/proc` by the processes of the machine. Both name every newborn with its parent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from eco2ai_cli.processes.procfs import parse_stat, read_file

ChildrenOf = Callable[[int, int], list[int]]
"""Gives the children of a process by its pid and the number of its threads."""


class Finder:
    """Yields the newborn members of the tree below the process `root`.

    `proc`: where procfs is mounted. `children_of`: None goes without the `children` files, as on a
    kernel built without CONFIG_PROC_CHILDREN. `ignored`: children of `root` that are not of the
    tree.
    """

    def __init__(self, root: int, proc: str, children_of: ChildrenOf | None) -> None:
        self._root = root
        self._proc = proc
        self._children_of = children_of
        if not os.path.exists(f"{proc}/{root}/task/{root}/children"):
            self._children_of = None
        self._outsiders: dict[str, int] = {}
        self._scanned_last = False
        self.ignored: set[int] = set()

    def newborns(
        self, members: Collection[int], possible_parents: dict[int, int]
    ) -> list[tuple[int, int]]:
        """Return (pid, parent's pid) of the members that `members` lacks, parents before children.

        `possible_parents`: pid -> number of threads of those who may have children that are not
        known yet.
        """
        if self._children_of and self._walk_is_cheaper(possible_parents.values()):
            self._scanned_last = False
            return self._walk(members, possible_parents, self._children_of)
        if not self._scanned_last:
            self._outsiders.clear()  # what was learnt before a pause may have been recycled
        self._scanned_last = True
        return self._scan(members)

    def _walk_is_cheaper(self, threads: Collection[int]) -> bool:
        # Measured: 1 us for a process of one thread, else 20 us a thread; a process that is
        # scanned past takes 5 us.
        if len(threads) < 8:
            return True
        walk_us = sum(1 if count == 1 else 20 * count for count in threads)
        return walk_us < 5 * os.stat(self._proc).st_nlink

    def _walk(
        self,
        members: Collection[int],
        possible_parents: dict[int, int],
        children_of: ChildrenOf,
    ) -> list[tuple[int, int]]:
        born: dict[int, int] = {}
        # Only the first thread of ours forks, and orphans are given to it.
        queue = [(self._root, 1), *possible_parents.items()]
        for pid, threads in queue:
            for child in children_of(pid, threads):
                if child not in members and child not in self.ignored and child not in born:
                    queue.append((child, 2))
                    born[child] = pid
        return list(born.items())

    def _scan(self, members: Collection[int]) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        parents: dict[int, int] = {}
        outsiders: dict[str, int] = {}
        try:
            entries = os.scandir(self._proc)
        except OSError:
            return []  # no procfs: what is reaped counts all the same
        with entries:
            for entry in entries:
                name = entry.name
                if not name.isdigit():
                    continue
                inode = entry.inode()
                # A recycled pid has a new inode, so an outsider is read once in its life.
                if self._outsiders.get(name) == inode:
                    outsiders[name] = inode
                    continue
                pid = int(name)
                if pid in members or pid in self.ignored or pid == self._root:
                    continue
                try:
                    parents[pid] = parse_stat(read_file(f"{self._proc}/{name}/stat")).ppid
                except OSError:
                    continue
                outsiders[name] = inode
        inside = {self._root, *members}
        while born := [pid for pid, ppid in parents.items() if ppid in inside]:
            for pid in born:
                inside.add(pid)
                outsiders.pop(str(pid), None)
                found.append((pid, parents.pop(pid)))
        for pid, ppid in parents.items():
            # Whose parent has ended meanwhile will be given another: perhaps one of the tree.
            if ppid and ppid not in parents and str(ppid) not in outsiders:
                del outsiders[str(pid)]
        self._outsiders = outsiders
        return found
