"""Spell a processor's name the one way in which the tables are keyed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_MARKS = ("(r)", "(tm)", "(c)", "®", "™", "©", "\0", "_", "-")
"""What parts words and means nothing; a hyphen too, for `i7-8550U` is the `i7 8550U`."""
_ENDS = ("@", " with ", " w/", ",", "(", "radeon")
"""Where a name ends: its clock, its graphics and its remarks follow."""
_NOISE = {
    *("processor", "processors", "cpu", "cpus", "apu", "apu+amd", "+", "soc", "genuine", "gen"),
    *("generation", "technology", "embedded", "edition", "creator", "desktop", "kit", "dualcore"),
    *("kaixian", "kaisheng", "oryon"),
}
_COUNTS = {"single", "dual", "triple", "quad", "six", "eight", "twelve", "sixteen"}
_RESPELLED = {"coret": "core", "core2": "core 2"}
_VENDORS = {
    "intel": "Intel",
    "genuineintel": "Intel",
    "amd": "AMD",
    "authenticamd": "AMD",
    "hygon": "Hygon",
    "hygongenuine": "Hygon",
    "apple": "Apple",
    "aws": "AWS",
    "ampere": "Ampere",
    "qualcomm": "Qualcomm",
    "via": "VIA",
    "zhaoxin": "Zhaoxin",
    "huawei": "HiSilicon",
    "hisilicon": "HiSilicon",
    "phytium": "Phytium",
    "loongson": "Loongson",
    "nvidia": "NVIDIA",
    "rockchip": "Rockchip",
}
_FAMILY_EXTRAS = {
    "athlon": {"mobile"},
    "atom": {"x3", "x5", "x7"},
    "celeron": {"gold", "silver", "dual"},
    "pentium": {"gold", "silver", "dual", "0"},
    "turion": {"64", "x2", "ii", "ultra", "neo", "mobile"},
}
"""Words that some brand strings of a family carry and that do not tell its models apart."""
_SMALL_LETTERS = set("ekmlqsux")


class Name(NamedTuple):  # a quarter of a dataclass's time to make, and `run` starts with it
    """A processor's name taken apart: its vendor, its words, and the clock behind the `@`."""

    vendor: str | None
    words: tuple[str, ...]
    clock: str | None


def vendor_of(text: str | None) -> str | None:
    """Return the vendor as the tables write it, from a vendor's name or a CPUID vendor string."""
    return _VENDORS.get((text or "").strip().casefold())


def parse(text: str) -> Name:
    """Take a brand string apart; noise, marks, clocks and core counts are dropped."""
    text = text.casefold()
    for mark in _MARKS:
        text = text.replace(mark, " ")
    clock = text.partition("@")[2].replace(" ", "") or None
    for end in _ENDS:
        if text.find(end) > 0:
            text = text.partition(end)[0]
    vendor: str | None = None
    words: list[str] = []
    for word in text.split():
        word = word.strip(".:;{[")
        if word in _VENDORS:
            vendor = vendor or _VENDORS[word]
        elif word in ("core", "cores") and words and _counts_cores(words[-1]):
            words.pop()
        elif word == "series":
            if words and len(words[-1]) == 1:  # AMD's G-Series
                words.pop()
        elif not _says_nothing(word):
            words += _RESPELLED.get(word, word).split()
    if len(words) == 1 and "genuine" in text:
        words.insert(0, "genuine")
    return Name(vendor, _in_order(words), clock)


def _counts_cores(word: str) -> bool:
    return word in _COUNTS or word.isdecimal()


def _says_nothing(word: str) -> bool:
    """Recognise noise, `13th` (Gen), `15w`, and the `r7` of a Radeon."""
    start, end = word[:-2], word[-2:]
    return (
        not word
        or word in _NOISE
        or (len(start) <= 2 and start.isdecimal() and end in ("st", "nd", "rd", "th"))
        or (word[-1] == "w" and word[:-1].isdecimal() and len(word) <= 4)
        or (start == "" and end[0] == "r" and end[1:].isdecimal())
    )


def _in_order(words: list[str]) -> tuple[str, ...]:
    """Drop what a family's models share, put `pro` last, split `tl50` as its makers do."""
    extras = _FAMILY_EXTRAS.get(words[0], set()) if words else set()
    words = [word for word in words[:-1] if word not in extras] + words[-1:]
    if words and words[-1] == "0":  # `Xeon E5-2670 0`: the first of its name
        words.pop()
    if "pro" in words:
        words.remove("pro")
        words.append("pro")
    if words and words[0] in ("turion", "athlon"):
        last = words[-1]
        if len(last) == 4 and last[:2].isalpha() and last[2:].isdecimal():
            words[-1:] = [last[:2], last[2:]]
    return tuple(words)


def key(text: str) -> str:
    """Return the key of a model's name in the table, e.g. `xeon e5 2680 v4`."""
    return " ".join(parse(text).words)


def spellings(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield `words`, then the ways in which old machines write the same model.

    `core i7 q 720` is the i7-720QM, `core 2 6600` the Core 2 Duo E6600, `core 2 extreme q9300`
    the QX9300, `core 2 duo p9400` the SP9400, `xeon e31230` the E3-1230, `xeon e7 l8867` the
    E7-8867L, and `genuine t2350` the Core Duo, for a Pentium or a Celeron says that it is one.
    """
    yield words
    if len(words) < 2:
        return
    *start, before, last = words
    if before == "genuine":
        if last[0] in "tlu":  # laptops alone
            yield from (("core", "duo", last), ("core", "solo", last))
        yield (last,)
        return
    if last.endswith("hz"):
        yield words[:-1]
    if before in _SMALL_LETTERS and last.isdecimal():
        yield (*start, last + before)
        yield (*start, last + before + "m")
    elif words[0] == "xeon" and last[:2] in ("e3", "e5", "e7") and last[2:6].isdecimal():
        yield (*start, before, last[:2], last[2:])
    elif words[:2] == ("core", "2") and last[0] in "qx":
        yield (*start, before, "qx" + last[1:])
    elif words[:2] == ("core", "2") and last[0] in "lpu" and last[1:].isdecimal():
        yield (*start, before, "s" + last)
    elif last[0] in _SMALL_LETTERS and last[1:].isdecimal():
        yield (*start, before, last[1:] + last[0])
        yield (*start, before, last[1:] + last[0] + "m")
    elif words == ("core", "2", last) and len(last) == 4 and last.isdecimal():
        yield ("core", "2", "duo", "e" + last)
