"""Read the tables of processors: text, sorted by the key in its first column.

A look-up halves the text until it stands on the row, so that a run pays for no index. No field
holds a comma.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from eco2ai_cli import resources

MODELS = "cpus.csv"
"""key, vendor, model, tdp_w, cores, threads, year, basis, confidence, sources: one row a model."""
HINTS = "cpu_hints.csv"
"""key, rule, vendor, stands_for, tdp_w, cores, threads, sources: what tells no model."""


def first(table: str, keys: Iterable[str]) -> list[str] | None:
    """Return the row of the first of `keys` that `table` has."""
    text = _text(table)
    for key in keys:
        start = _find(text, key.encode("utf-8", "replace"))
        if start is not None:
            return _row_at(text, start)
    return None


def models() -> Iterator[list[str]]:
    """Yield every model's row."""
    for line in _text(MODELS)[1:-1].decode().split("\n"):
        yield line.split(",")


def models_ending(words: str) -> Iterator[list[str]]:
    """Yield the models whose key ends with `words`, after at least one other."""
    text = _text(MODELS)
    needle = b" %b," % words.encode("utf-8", "replace")
    found = text.find(needle)
    while found >= 0:
        start = text.rindex(b"\n", 0, found) + 1
        if text.find(b",", start) == found + len(needle) - 1:
            yield _row_at(text, start)
        found = text.find(needle, found + 1)


@cache
def _text(table: str) -> bytes:
    """Return a table without its header, so that every row stands between two newlines."""
    text = resources.read(table)
    return text[text.index(b"\n") :]


def _find(text: bytes, key: bytes) -> int | None:
    """Return where the row with `key` starts, by halving the rows between `low` and `high`."""
    low, high = 1, len(text)
    while low < high:
        start = text.rindex(b"\n", low - 1, (low + high) // 2) + 1
        found = text[start : text.index(b",", start)]
        if found == key:
            return start
        if found < key:
            low = text.index(b"\n", start) + 1
        else:
            high = start
    return None


def _row_at(text: bytes, start: int) -> list[str]:
    return text[start : text.index(b"\n", start)].decode().split(",")
