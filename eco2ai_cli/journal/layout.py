"""What a journal looks like: a head, two slots for the figures in turn, the facts of the run.

A sample overwrites the older slot, so a write that a power cut tears costs one sample, not both.
Every part has a checksum. All integers are little-endian; the facts are a JSON object in ASCII.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from typing import Any, NamedTuple

VERSION = 1
SLOT_BYTES = 4096
"""A page: a disk writes it, or a part of it, without its neighbours."""
SLOTS_AT = (SLOT_BYTES, 2 * SLOT_BYTES)
_FACTS_AT = 3 * SLOT_BYTES
LONGEST_BYTES = 64 * 2**20
"""A command line has 6 MiB at most; a byte of it takes 6 in JSON (`\\udcff`)."""

_HEAD = struct.Struct("<16sIII")  # magic, version, length and checksum of the facts
_MAGIC = b"eco2ai journal\n\0"
_CHECKSUM = struct.Struct("<I")
_FIGURES = struct.Struct("<QQQ10dH")  # and then the words, as many bytes as the last field says
LONGEST_WORDS_BYTES = SLOT_BYTES - _CHECKSUM.size - _FIGURES.size


class Damaged(Exception):
    """A file that is no journal, or not a whole one; the message says what is wrong with it."""


class Newer(Exception):
    """A journal of a newer version of ours, which that version will read."""


class Figures(NamedTuple):
    """What changes from sample to sample. None: not known.

    `number` counts the writes, `wall_s` is Unix time, `duration_s` counts suspend and `awake_s`
    does not; `memory_byte_s` is the integral of the memory over time. `words` is a JSON object of
    the cells that are text: methods, names, caveats.
    """

    number: int
    samples: int
    processes: int
    wall_s: float
    duration_s: float
    awake_s: float
    cpu_s: float
    cpu_j: float | None
    gpu_j: float | None
    ram_j: float | None
    memory_byte_s: float | None
    memory_peak_bytes: float | None
    overhead_s: float
    words: bytes


def slot(figures: Figures) -> bytes:
    """Return the figures as they stand in a slot."""
    *numbers, words = figures
    try:
        data = _FIGURES.pack(*numbers, len(words)) + words
    except struct.error:
        values = [math.nan if value is None else value for value in numbers]
        data = _FIGURES.pack(*values, len(words)) + words
    return _CHECKSUM.pack(zlib.crc32(data)) + data


def whole(facts: dict[str, Any], first: Figures) -> bytes:
    """Return a new journal as the content of a file, its size the one that it keeps."""
    text = json.dumps(facts).encode("ascii")
    head = _HEAD.pack(_MAGIC, VERSION, len(text), zlib.crc32(text))
    head += _CHECKSUM.pack(zlib.crc32(head))
    slots = slot(first).ljust(2 * SLOT_BYTES, b"\0")
    return head.ljust(SLOT_BYTES, b"\0") + slots + text


def parse(data: bytes) -> tuple[dict[str, Any], Figures]:
    """Return the facts and the last figures of a journal; raises Damaged or Newer."""
    if len(data) < _HEAD.size + _CHECKSUM.size:
        raise Damaged("it is too short" if data else "it is empty")
    magic, version, length, checksum = _HEAD.unpack_from(data)
    if magic != _MAGIC or not _holds(data[: _HEAD.size], data, _HEAD.size):
        raise Damaged("its head does not hold")
    if version != VERSION:
        raise Newer
    text = data[_FACTS_AT : _FACTS_AT + length]
    if len(text) != length or zlib.crc32(text) != checksum:
        raise Damaged("its facts do not hold")
    held = samples(data)
    if not held:
        raise Damaged("neither of its samples holds")
    return json.loads(text), held[-1]


def samples(data: bytes) -> list[Figures]:
    """Return the samples of a whole journal that hold, two at the most, the later one last."""
    held = [figures for at in SLOTS_AT if (figures := _figures(data, at)) is not None]
    return sorted(held, key=lambda figures: figures.number)


def _figures(data: bytes, at: int) -> Figures | None:
    start = at + _CHECKSUM.size
    *numbers, length = _FIGURES.unpack_from(data, start)
    end = start + _FIGURES.size + length
    if not _holds(data[start:end], data, at):
        return None
    values = [None if math.isnan(value) else value for value in numbers]
    return Figures._make((*values, data[end - length : end]))


def _holds(part: bytes, data: bytes, at: int) -> bool:
    """Tell whether `part` has the checksum that stands at `at`."""
    return bool(zlib.crc32(part) == _CHECKSUM.unpack_from(data, at)[0])
