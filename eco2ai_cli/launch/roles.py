"""What the waiting needs of others; for the type checker alone, a start does not load it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Children(Protocol):
    """What the waiting needs of a process tree."""

    def reap(self) -> Iterator[tuple[int, int]]:
        """Yield (pid, wait status) of each child that ended or stopped."""
        ...

    def has_children(self) -> bool:
        """Tell whether anyone of the tree is left."""
        ...

    def owns(self, pid: int) -> bool:
        """Tell whether `pid` is a living member of the tree."""
        ...


class View(Protocol):
    """What draws on the terminal while we wait; nothing in it raises."""

    def beat(self) -> float:
        """Do what is due, and return when the next is (monotonic seconds)."""
        ...

    def resized(self) -> None:
        """Adapt to another size of the terminal."""
        ...

    def give_back(self) -> None:
        """Leave the terminal to others, for we are to stop."""
        ...


class Marks(Protocol):
    """What takes the marks of the command in; the kernel sends us SIGIO when there are some."""

    def take(self) -> float:
        """Take what has come, and return when to be called again (monotonic s); never raises."""
        ...
