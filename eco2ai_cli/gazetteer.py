"""Turn what people and systems call a place into its code, and say by which rule.

Codes are ISO 3166-1 alpha-2 (`FR`), ISO 3166-2 (`US-CA`), `WORLD`, and `provider:region` for a
cloud region (`aws:eu-west-3`). The tables are UTF-8 text whose first cell is the key and whose
cells hold no comma, so that one `bytes.find` answers in microseconds, without a parser.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from eco2ai_cli import resources

WORLD = "WORLD"

PROVIDERS = {"amazon": "aws", "google": "gcp", "microsoft": "azure", "oracle": "oci"}
"""What people call a cloud provider -> what our table does."""

_KINDS = frozenset({"state", "province", "prefecture", "oblast", "krai", "republic"})
_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ı": "i", "ħ": "h", "æ": "ae", "œ": "oe", "þ": "th"}
    | dict.fromkeys("ʹʺʻʼʽʿʾ", "")
)
"""Letters that Unicode does not decompose and keyboards often lack; the last ones are dropped."""

Match = tuple[tuple[str, ...], str]
"""The codes a query can mean, and the rule that found them; no code: the rule does not apply."""

_NONE: Match = ((), "")


def resolve(query: str) -> Match:
    """Return the codes that `query` can mean, in code order, and the rule that matched.

    One code is the answer, several mean an ambiguous query, none an unknown one. The rules, first
    that matches: `alpha-2`, `iso-3166-2`, then the names (`alpha-3`, `m49`, `iso-3166-2` for codes
    that ISO has withdrawn, `name`), then `cloud-region`, `cloud-zone`, and what stands in a country
    (`US/WA`, `Bavaria, Germany`). Two letters that are a country's code are never anything else.
    """
    text = query.strip()
    for rule in (_by_iso_code, _by_name, _by_cloud_id, _by_country_and_part, _by_kind_and_name):
        match = rule(text)
        if match[0]:
            return match
    return _NONE


def known(code: str) -> list[str] | None:
    """Return the cells `code, country, subdivision, ...` of an ISO code; None if it is none."""
    return row(table("regions.csv"), code) or row(table("places.csv"), code)


def cloud(code: str) -> list[str] | None:
    """Return the cells of the cloud region `provider:region`; None when there is none."""
    return row(table("cloud_regions.csv"), code) if ":" in code else None


@cache
def table(name: str) -> bytes:
    """Return the shipped table `name`, read once; raises ResourceError when it is missing."""
    return resources.read(name)


def row(rows: bytes, key: str) -> list[str] | None:
    """Return the cells of the line of `rows` whose first cell is `key`; None when it has none."""
    if "\n" in key or "," in key:
        return None
    start = rows.find(b"\n" + key.encode(errors="replace") + b",") + 1
    if not start:
        return None
    return rows[start : rows.index(b"\n", start)].decode().split(",")


def lines(rows: bytes, prefix: str) -> Iterator[list[str]]:
    """Yield the cells of the lines whose key starts with `prefix`; the tables are sorted."""
    start = rows.find(b"\n" + prefix.encode()) + 1
    while start and rows.startswith(prefix.encode(), start):
        end = rows.index(b"\n", start)
        yield rows[start:end].decode().split(",")
        start = end + 1


def normalise(name: str) -> str:
    """Return the key under which a name is filed: letters and digits of any script, one space.

    Case-folded and NFKD, and of the combining marks only U+0300-036F are dropped: without its
    Indic marks Togo would equal Tonga. `the` at the start goes, and `St.` becomes `saint`.
    """
    name = name.casefold()
    if not name.isascii():
        name = _plain_letters(name)
    name = name.replace("&", " and ").replace("'", "").replace("`", "")
    # The full stops of `D.C.` hold letters together, that of `St.Petersburg` parts two words.
    name = " ".join(
        word.replace(".", "" if max(map(len, word.split("."))) == 1 else " ")
        for word in name.split()
    )
    words = "".join(c if c.isalnum() or not c.isascii() else " " for c in name).split()
    while len(words) > 1 and words[0] == "the":
        del words[0]
    if len(words) > 1 and words[0] == "st":
        words[0] = "saint"
    return " ".join(words)


def _plain_letters(name: str) -> str:
    """Fold what is not ASCII; marks that belong to a letter stay, other punctuation goes."""
    import unicodedata

    name = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    name = "".join(c for c in name if not "\u0300" <= c <= "\u036f")
    name = unicodedata.normalize("NFC", name).translate(_LETTERS)

    def kept(char: str) -> str:
        if char.isascii() or char.isalnum():
            return char
        category = unicodedata.category(char)
        if category[0] == "M":
            return char
        # A quotation mark or an invisible joiner sits inside a word; a dash stands between two.
        return "" if category in {"Cf", "Cs", "Lm", "Pf", "Pi", "Sk"} else " "

    return "".join(map(kept, name))


def _by_iso_code(text: str) -> Match:
    code = text.upper().replace("_", "-")
    if len(code) == 2 or code[2:3] == "-":
        cells = known(code)
        if cells:
            return (code,), "alpha-2" if len(code) == 2 else "iso-3166-2"
    return _NONE


def _by_name(text: str) -> Match:
    if text.endswith(("-", "_")):
        return _NONE  # `uk-` is half a code, of a variable that was empty
    cells = row(table("region_names.csv"), normalise(text))
    return (tuple(cells[1].split(" ")), cells[2]) if cells else _NONE


def _by_cloud_id(text: str) -> Match:
    provider, colon, region = text.casefold().replace(" ", "").rpartition(":")
    provider = PROVIDERS.get(provider, provider)
    # `eu-west-3a` and `europe-west9-b` are zones of a region.
    for name, rule in ((region, "cloud-region"), (_without_zone(region), "cloud-zone")):
        if colon:
            codes = [f"{provider}:{name}"] if cloud(f"{provider}:{name}") else []
        else:
            # Sites of three letters (`par`, `hil`) are too easily meant as something else.
            codes = list(_clouds_with(name)) if len(name) > 3 else []
        if codes:
            return tuple(sorted(codes)), rule
    return _NONE


def _without_zone(region: str) -> str:
    if region[-1:].isalpha() and region[-2:-1].isdigit():
        return region[:-1]
    return region[:-2] if region[-2:-1] == "-" else ""


def _clouds_with(region: str) -> Iterator[str]:
    """Yield the codes of every provider that has a region of this name."""
    rows, cell = table("cloud_regions.csv"), f":{region},".encode(errors="replace")
    at = rows.find(cell)
    while at >= 0 and region.isprintable():
        start = rows.rindex(b"\n", 0, at) + 1
        if b"," not in rows[start:at]:
            yield rows[start : at + len(cell) - 1].decode()
        at = rows.find(cell, at + 1)


def _by_country_and_part(text: str) -> Match:
    for mark in "/,:":
        first, found, second = text.partition(mark) if mark != "," else text.rpartition(mark)
        if not found:
            continue
        country, part = (second, first) if mark == "," else (first, second)
        codes = _by_iso_code(country.strip())[0] or _by_name(country)[0]
        if len(codes) == 1 and len(codes[0]) == 2:
            return _part_of(codes[0], part.strip())
    return _NONE


def _part_of(country: str, part: str) -> Match:
    """Find `part`, a code or a name, among the subdivisions of `country`."""
    for text in (f"{country}-{part}", f"{country} {part}"):
        match = _by_iso_code(text) if "-" in text else _by_name(text)
        if match[0]:
            return match[0], "iso-3166-2"
    named = _by_name(part)[0]
    codes = {code for code in named if code.startswith(f"{country}-")}
    if not codes:
        # `US-PR` is `PR`: some subdivisions have a code of their own.
        withdrawn = lines(table("region_names.csv"), f"{country.lower()} ")
        codes = {line[1] for line in withdrawn}.intersection(named)
    if not codes:
        name = normalise(part)
        subdivisions = lines(table("places.csv"), f"{country}-")
        codes = {line[0] for line in subdivisions if normalise(line[2]) == name}
    return tuple(sorted(codes)), "name"


def _by_kind_and_name(text: str) -> Match:
    """Find `Georgia State` or `Republic of Georgia`: the kind also tells which of the two."""
    words = normalise(text).split(" ")
    if len(words) > 2 and words[0] in _KINDS and words[1] == "of":
        kind, name = words[0], " ".join(words[2:])
    elif len(words) > 1 and words[-1] in _KINDS:
        kind, name = words[-1], " ".join(words[:-1])
    else:
        return _NONE
    codes, rule = _by_name(name)
    if kind != "republic":
        codes = tuple(code for code in codes if len(code) > 2)
    elif any(len(code) == 2 for code in codes):
        codes = tuple(code for code in codes if len(code) == 2)
    return codes, rule
