"""Remember the ids of any number of runs, 8 bytes each, and find those that came twice."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from os import SEEK_END
from tempfile import TemporaryFile
from typing import BinaryIO, cast

_SHARDS = 64
_PENDING = 1 << 16
_KEPT = 1 << 20
"""Hashes that are kept in memory, 8 MiB; more go to a temporary file for each shard."""


class Ids:
    """Ids by a hash of 64 bits: two of a million are taken for one in one of 40 million reports."""

    def __init__(self) -> None:
        self._pending: list[int] = []
        self._shards = [array("q") for _ in range(_SHARDS)]
        self._files: list[BinaryIO] = []
        self._kept = 0

    def add(self, hashes: Iterable[int]) -> None:
        """Remember ids, by the hashes of their bytes."""
        self._pending.extend(hashes)
        if len(self._pending) > _PENDING:
            self._settle()

    def twice(self) -> set[int]:
        """Return the hashes of ids that were added more than once."""
        found: set[int] = set()
        for shard in self._all():
            seen = set(shard)
            if len(seen) < len(shard):
                seen.clear()
                for value in shard:
                    (found if value in seen else seen).add(value)
        return found

    def known(self, ids: Collection[str]) -> set[str]:
        """Return those of `ids` that were added."""
        by_hash = {hash(run_id.encode()): run_id for run_id in ids}
        if not by_hash:
            return set()
        return {by_hash[value] for shard in self._all() for value in by_hash.keys() & set(shard)}

    def close(self) -> None:
        """Forget everything."""
        for file in self._files:
            file.close()

    def _all(self) -> Iterator[array[int]]:
        """Yield all hashes, those that are equal together."""
        self._settle()
        for number, shard in enumerate(self._shards):
            if self._files:
                file = self._files[number]
                file.seek(0)
                shard = array("q", file.read()) + shard
            yield shard

    def _settle(self) -> None:
        shards = self._shards
        for value in self._pending:
            shards[value % _SHARDS].append(value)
        self._kept += len(self._pending)
        self._pending.clear()
        if self._kept > _KEPT:
            self._files = self._files or list(map(_file, range(_SHARDS)))
            for file, shard in zip(self._files, shards, strict=True):
                file.seek(0, SEEK_END)
                file.write(shard.tobytes())
                del shard[:]
            self._kept = 0


def _file(_number: int) -> BinaryIO:
    return cast("BinaryIO", TemporaryFile())  # it goes with us
