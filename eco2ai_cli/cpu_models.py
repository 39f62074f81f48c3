"""Find a processor's thermal design power by its name, and say by which rule it was found.

A name is spelled as the tables' keys are and is in them or is not: nothing is scored, no vendor
is crossed, and what names no model gets none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from eco2ai_cli import cpu_names
from eco2ai_cli import cpu_tables as tables
from eco2ai_cli.cpu_names import Name
from eco2ai_cli.cpu_tables import HINTS, MODELS

_LONGEST = 256
"""A brand string has 48 characters by CPUID, and firmware writes no book either."""

_QUALITY = {"vendor": "vendor", "estimate": "derived"}
"""Quality by the table's `basis`; every other basis is a `catalogue`."""
_SERVER_WORDS = {"xeon", "epyc", "opteron", "neoverse", "graviton", "altra", "kunpeng"}
_SAME_FAMILY = {"x2", "x3", "x4", "x6", "64", "neo"}
"""Words that AMD's own price lists leave out of names that its brand strings spell in full."""
_USUAL_W_PER_THREAD = {
    ("server", "Intel"): 3.8,
    ("server", "AMD"): 2.0,
    ("server", "Arm"): 2.6,
    ("desktop", None): 5.4,
    ("laptop", None): 2.3,
}
"""Watts per hardware thread where only the kind of machine is known.

Medians of the table (2026) over the models since 2019: Xeon Gold, Platinum, Silver and 6; Core and
Ryzen of desktops and of laptops; for AMD the EPYC of 64 cores and more, which clouds run. Arm: the
Altra Q80-30.
"""
_UNKNOWN_W_PER_THREAD = 3.5
"""Between a laptop's and a desktop's, and near a server's."""
_SUGGESTIONS = 5


class Match(NamedTuple):
    """What a processor's name tells, and by which rule.

    `model` is None where the name tells no model. The figures are then those of `stands_for`, a
    typical part of the kind, or, by the rule `fallback`, of none: only `w_per_thread` is set.
    `w_per_thread` is the TDP over the hardware threads of one physical socket, and a server's
    usual watts for the few models whose threads are not known.
    """

    query: str
    vendor: str | None
    model: str | None
    tdp_w: float | None
    cores: int | None
    threads: int | None
    w_per_thread: float
    matched_by: str
    quality: str
    stands_for: str | None = None


def lookup(
    name: str,
    *,
    vendor: str | None = None,
    family: int | None = None,
    model: int | None = None,
    stepping: int | None = None,
    implementer: int | None = None,
    part: int | None = None,
    form: str | None = None,
    platform: str | None = None,
) -> Match:
    """Return the model that `name` tells, or else a labelled estimate.

    Where the name tells no model, the CPUID numbers do (Arm: `implementer` and `part`), with the
    `platform` on which a guest runs, and at last `form`: server, desktop or laptop.
    """
    parsed = cpu_names.parse(name[:_LONGEST])
    maker = cpu_names.vendor_of(vendor)
    contradicted = maker is not None and parsed.vendor not in (None, maker)
    hint = tables.first(HINTS, _openings(name[:_LONGEST]))
    if hint is None and not contradicted:
        row = _model_row(parsed, maker)
        if row is not None:
            return _match_model(name, row)
    if hint is None:
        if implementer is None or part is None:
            ids = _identities(maker or parsed.vendor, (family, model, stepping))
        else:
            ids = _identities("arm", (hex(implementer), hex(part)))
        hint = tables.first(HINTS, _placed(ids, parsed.clock, platform))
    if hint is not None:
        return _match_hint(name, hint)
    return _match_nothing(name, parsed, "Arm" if implementer is not None else maker, form)


def models(text: str = "", vendor: str | None = None) -> Iterator[Match]:
    """Yield the models whose key holds every word of `text`, in the table's order."""
    words = cpu_names.key(text).split()
    for row in tables.models():
        if vendor is not None and row[1].casefold() != vendor.casefold():
            continue
        if all(word in row[0] for word in words):
            yield _match_model(row[2], row)


def suggest(name: str) -> tuple[str, ...]:
    """Return up to five models that a `name` with a number in it may have meant."""
    words = cpu_names.parse(name).words
    numbers = [word for word in words if len(word) > 2 and any(c.isdigit() for c in word)]
    if not numbers:
        return ()
    models_by_key = {row[0]: row[2] for row in tables.models()}
    found = [key for key in models_by_key if all(number in key for number in numbers)]
    if not found:
        from difflib import get_close_matches

        whole = {tail: key for key in models_by_key for tail in (key, key.partition(" ")[2])}
        near = get_close_matches(" ".join(words), whole, n=_SUGGESTIONS, cutoff=0.8)
        found = list(dict.fromkeys(whole[tail] for tail in near))
    return tuple(models_by_key[key] for key in found[:_SUGGESTIONS])


def _openings(name: str) -> Iterator[str]:
    """Yield the first words of a hypervisor's or a board's name, the longest opening first.

    `Intel Xeon Processor (Skylake, IBRS)` gives `intel xeon processor skylake ibrs`, and so on.
    """
    plain = name.casefold().translate({ord(mark): " " for mark in "()-_,/"})
    words = plain.split()[:8]
    for count in range(len(words), 0, -1):
        yield " ".join(words[:count])


def _identities(maker: str | None, numbers: tuple[int | str | None, ...]) -> list[str]:
    """Return the keys of a processor's numbers, the most telling first.

    `intel-6-85-7`, `intel-6-85`; `arm-0x41-0xd0c`.
    """
    known = [str(number) for number in numbers if number is not None]
    if maker is None:
        return []
    return ["-".join((maker.lower(), *known[:count])) for count in range(len(known), 1, -1)]


def _placed(ids: list[str], clock: str | None, platform: str | None) -> Iterator[str]:
    """Yield the keys with the clock or the platform that tells more, then without.

    Google's guests are called `Intel(R) Xeon(R) CPU @ 2.20GHz`, and the clock is the platform's.
    """
    for where in (clock, platform and platform.casefold()):
        if where:
            yield from (f"{key}@{where}" for key in ids)
    yield from ids


def _model_row(name: Name, maker: str | None) -> list[str] | None:
    """Return the model that a name tells: by its key, or by a number that only one model has."""
    vendor = name.vendor or maker
    for words in cpu_names.spellings(name.words):
        key = " ".join(words)
        row = tables.first(MODELS, (key,)) if vendor or _speaks_for_itself(key) else None
        if row is not None and vendor in (None, row[1]):
            return row
    for words in cpu_names.spellings(name.words):
        row = _row_by_number(words, vendor)
        if row is not None:
            return row
    return None


def _speaks_for_itself(key: str) -> bool:
    """Tell whether a key needs no vendor beside it, as `300`, `c 50` and `m1` do."""
    return len(key.replace(" ", "")) >= 4 and not key.isdecimal()


def _row_by_number(words: tuple[str, ...], vendor: str | None) -> list[str] | None:
    """Return the only model whose key ends as `words` do, and whose family `words` do not deny.

    `Genuine Intel CPU T2300` is the Core Duo T2300, `Athlon X4 740` the Athlon 740.
    """
    if not any(tables.models_ending(words[-1] if words else "")):
        return None  # what most names without a model come to, at one look
    for start in range(len(words)):
        head, tail = set(words[:start]), " ".join(words[start:])
        if len(tail) < 3 or not any(c.isdigit() for c in words[start]):
            continue
        if not head and not _speaks_for_itself(tail):
            continue
        rows = [
            row
            for row in tables.models_ending(tail)
            if vendor in (None, row[1]) and _akin(head, set(row[0].split()))
        ]
        if len(rows) == 1:
            return rows[0]
    return None


def _akin(head: set[str], row: set[str]) -> bool:
    extra = head - row
    return not extra or (extra <= _SAME_FAMILY and not row & _SAME_FAMILY)


def _match_model(query: str, row: list[str]) -> Match:
    _, vendor, model, tdp_w, cores, threads, _, basis, _, _ = row
    return Match(
        query=query,
        vendor=vendor,
        model=model,
        tdp_w=float(tdp_w),
        cores=int(cores) if cores else None,
        threads=int(threads) if threads else None,
        w_per_thread=float(tdp_w) / int(threads) if threads else _usual("server", vendor),
        matched_by="cloud-sku" if basis.startswith("cloud") else "name",
        quality=_QUALITY.get(basis.removeprefix("cloud-"), "catalogue"),
    )


def _match_hint(query: str, row: list[str]) -> Match:
    _, rule, vendor, stands_for, tdp_w, cores, threads, _ = row
    return Match(
        query=query,
        vendor=vendor,
        model=None,
        tdp_w=float(tdp_w),
        cores=int(cores),
        threads=int(threads),
        w_per_thread=float(tdp_w) / int(threads),
        matched_by=rule,
        quality="derived",
        stands_for=stands_for,
    )


def _match_nothing(query: str, name: Name, maker: str | None, form: str | None) -> Match:
    vendor = maker or name.vendor
    if _SERVER_WORDS.intersection(name.words):
        form = "server"
    return Match(
        query, vendor, None, None, None, None, _usual(form, vendor), "fallback", "fallback"
    )


def _usual(form: str | None, vendor: str | None) -> float:
    """Return watts per hardware thread by the kind of machine alone."""
    kind = (form or "", vendor if form == "server" else None)
    return _USUAL_W_PER_THREAD.get(kind, _UNKNOWN_W_PER_THREAD)
