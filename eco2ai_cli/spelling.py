"""Suggest the places that a name which is no place may have meant."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from eco2ai_cli import gazetteer

LIMIT = 5
"""As many suggestions as a person reads."""
_CUTOFF = 0.8
Counts = tuple[int, int, int]
"""How many letters of a name are of each third of the alphabet, every third letter a third."""


def suggest(query: str) -> tuple[str, ...]:
    """Return up to five codes, best first, that `query` may have meant; () when nothing is near."""
    text = query.strip()
    if text.isdecimal():
        return gazetteer.resolve(text.zfill(3))[0] if len(text) < 3 else ()
    letters = text.replace(".", "")
    if len(letters) == 2 and letters.isalpha():
        return _subdivisions_called(letters.upper())
    if text[2:3] == "-" and len(text) <= len("XX-YYY") and gazetteer.known(text[:2].upper()):
        return (text[:2].upper(),)
    provider, colon, region = text.casefold().partition(":")
    if colon:
        return _near(region, within=f"{gazetteer.PROVIDERS.get(provider, provider)}:")
    country, slash, part = text.partition("/")
    around = gazetteer.resolve(country)[0] if slash else ()
    if len(around) == 1:
        return _near(part, within=f"{around[0]}-") or around
    return _near(text)


def _subdivisions_called(letters: str) -> tuple[str, ...]:
    """Return the codes with a row of their own whose part after the country is `letters`."""
    lines = gazetteer.table("regions.csv").decode().splitlines()
    return tuple(line[:5] for line in lines if line[2:6] == f"-{letters},")[:LIMIT]


def _near(query: str, within: str = "") -> tuple[str, ...]:
    """Return the codes, starting with `within`, of names spelt like `query` or begun by it."""
    key = gazetteer.normalise(query)
    if len(key) < 3:
        return ()
    from difflib import get_close_matches

    alike = dict(_alike(key))
    found = [alike[name] for name in get_close_matches(key, alike, n=4 * LIMIT, cutoff=_CUTOFF)]
    if not found and len(key) > 3:
        lines = gazetteer.lines(gazetteer.table("region_names.csv"), key)
        found = [cells[1] for cells in sorted(lines, key=lambda cells: len(cells[0]))]
    codes = (code for several in found for code in several.split(" "))
    return tuple(dict.fromkeys(code for code in codes if code.startswith(within)))[:LIMIT]


def _alike(key: str) -> Iterator[tuple[str, str]]:
    """Yield the names, and their codes, that have nearly the same letters as `key`.

    Cheap first: letters that only one of the two has leave the others too few for the cut-off,
    and a name with more than three other letters is no misspelling of this one.
    """
    own_counts, letters = _letters(key)
    filed = _names_by_letters()
    if len(key) > _longest() + 2:
        return
    for counts in _near_counts(own_counts):
        for name, codes, name_letters in filed.get(counts, ()):
            if (letters ^ name_letters).bit_count() <= 3:
                yield name, codes


def _near_counts(counts: Counts) -> Iterator[Counts]:
    """Yield the counts that a name may have whose length is another by two at most."""
    a, b, c = counts
    length = a + b + c
    for size in range(length - 2, length + 3):
        most = (1 - _CUTOFF) * (length + size) + 1e-9
        reach = range(-int(most), int(most) + 1)
        for more_a in reach:
            for more_b in reach:
                more_c = size - length - more_a - more_b
                if abs(more_a) + abs(more_b) + abs(more_c) <= most:
                    yield a + more_a, b + more_b, c + more_c


@cache
def _names_by_letters() -> dict[Counts, list[tuple[str, str, int]]]:
    """Return every name and cloud region as (name, codes, its set of letters), by its counts.

    Also the names of places that are answered only with their country, like `Mérida, Venezuela`.
    """
    names = gazetteer.table("region_names.csv").decode().splitlines()[1:]
    filed = {name: codes for name, codes, _ in (line.split(",") for line in names)}
    for line in gazetteer.table("places.csv").decode().splitlines()[1:]:
        code, _, subdivision = line.split(",")
        filed.setdefault(gazetteer.normalise(subdivision), code)
    named = [(name, codes) for name, codes in filed.items() if name]
    for line in gazetteer.table("cloud_regions.csv").decode().splitlines()[1:]:
        code = line.partition(",")[0]
        named.append((gazetteer.normalise(code.partition(":")[2]), code))
    found: dict[Counts, list[tuple[str, str, int]]] = {}
    for name, codes in named:
        counts, letters = _letters(name)
        found.setdefault(counts, []).append((name, codes, letters))
    return found


@cache
def _longest() -> int:
    return max(map(sum, _names_by_letters()))


def _letters(name: str) -> tuple[Counts, int]:
    """Return how many letters of a name are of each third of the alphabet, and its set of letters.

    The set is bits; scripts share the 64 of them, which is harmless.
    """
    counts = [0, 0, 0]
    bits = 0
    for code in map(ord, name):
        counts[code % 3] += 1
        bits |= 1 << (code & 63)
    return (counts[0], counts[1], counts[2]), bits
