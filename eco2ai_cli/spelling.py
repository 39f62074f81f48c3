"""Suggest the places that a name which is no place may have meant."""

from __future__ import annotations

from functools import cache

from eco2ai_cli import gazetteer

LIMIT = 5
"""As many suggestions as a person reads."""


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

    letters = _letters(key)
    # Cheap first: a name with more than three other letters is no misspelling of this one.
    alike = {
        name: codes
        for size in range(len(key) - 2, len(key) + 3)
        for name, codes, name_letters in _names_by_length().get(size, ())
        if (letters ^ name_letters).bit_count() <= 3
    }
    found = [alike[name] for name in get_close_matches(key, alike, n=4 * LIMIT, cutoff=0.8)]
    if not found and len(key) > 3:
        lines = gazetteer.lines(gazetteer.table("region_names.csv"), key)
        found = [cells[1] for cells in sorted(lines, key=lambda cells: len(cells[0]))]
    codes = (code for several in found for code in several.split(" "))
    return tuple(dict.fromkeys(code for code in codes if code.startswith(within)))[:LIMIT]


@cache
def _names_by_length() -> dict[int, list[tuple[str, str, int]]]:
    """Return every name and cloud region as (name, codes, its letters as bits), by length.

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
    found: dict[int, list[tuple[str, str, int]]] = {}
    for name, codes in named:
        found.setdefault(len(name), []).append((name, codes, _letters(name)))
    return found


def _letters(name: str) -> int:
    """Return the set of letters of a name as bits; scripts share the 64 bits, which is harmless."""
    bits = 0
    for char in name:
        bits |= 1 << (ord(char) & 63)
    return bits
