"""Region -> emission coefficient: code, name, alias or cloud region, and by which rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from eco2ai_cli import coefficients as sets
from eco2ai_cli import gazetteer
from eco2ai_cli.coefficients import CURRENT
from eco2ai_cli.errors import NoAnswer


class Region(NamedTuple):
    """A place and its emission coefficient, with its provenance.

    `code`: ISO 3166-1 alpha-2, ISO 3166-2, `WORLD`, `provider:region`, or a user's own. `iso_code`:
    where that is, for the ledger; equal to `code` unless it is a cloud region. `site` and `pue`
    (None: not published) are a cloud region's. `method`: what the figure counts, `lifecycle` or
    `direct`, and `generation` or `consumption`. `matched_by`: the rule that found it.
    """

    code: str
    iso_code: str
    country: str | None
    subdivision: str | None
    kg_per_mwh: float
    year: int | None
    method: str | None
    source: str | None
    matched_by: str
    pue: float | None = None
    site: str | None = None
    caveats: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The place for people: `Paris, France`, `California, United States`, `World`."""
        parts = dict.fromkeys((self.site or self.subdivision, self.country))
        return ", ".join(part for part in parts if part) or self.code


class RegionNotFound(NoAnswer):
    """A query that is no region we have a coefficient for.

    `kind`: `unknown` (with the nearest names as `suggestions`), `ambiguous` (with the candidates),
    or `no_data` (a place that exists and has no row in the set).
    """

    def __init__(
        self, message: str, hint: str, *, query: str, kind: str, suggestions: tuple[str, ...]
    ) -> None:
        super().__init__(message, hint)
        self.query = query
        self.kind = kind
        self.suggestions = suggestions


def lookup(query: str, coefficients: str = CURRENT) -> Region:
    """Return the region that `query` means, with its coefficient in the set `coefficients`.

    `query`: alpha-2, alpha-3, M49, ISO 3166-2, a name in many languages, `US/California`,
    `US/WA`, or a cloud region (`aws:eu-west-3`, `europe-west9`). `coefficients`: `current`,
    `paper-2022`, or the path of a user's CSV (see `coefficients.user_set`). A subdivision without
    a row of its own gets its country's, caveat `region-coarse`. Raises RegionNotFound, and
    ResourceError when the set cannot be read.
    """
    if coefficients not in sets.SHIPPED:
        own = query.strip()
        # A user's own name for a site comes before any place on earth.
        if own in sets.user_set(coefficients):
            return _resolved(query, own, coefficients, "user-table")
    codes, rule = gazetteer.resolve(query)
    if not codes:
        raise _unknown(query)
    if len(codes) > 1:
        raise _ambiguous(query, codes)
    return _resolved(query, codes[0], coefficients, rule)


def country(query: str) -> str:
    """Return the alpha-2 code of the country that `query` means; raises RegionNotFound."""
    codes = gazetteer.resolve(query)[0]
    if not codes:
        raise _unknown(query)
    countries = [code for code in codes if len(code) == 2]
    if len(countries) != 1:
        raise _ambiguous(query, codes)
    return countries[0]


def world(coefficients: str = CURRENT) -> Region:
    """Return the mean of the world; raises RegionNotFound when a user's set has no row `WORLD`."""
    return _resolved(gazetteer.WORLD, gazetteer.WORLD, coefficients, "world")


def every(coefficients: str = CURRENT) -> Iterator[Region]:
    """Yield the regions that have a row of their own in a set, in the order of its file."""
    for code in sets.codes(coefficients):
        yield _resolved(code, code, coefficients, "code")


def every_cloud(coefficients: str = CURRENT) -> Iterator[Region]:
    """Yield the cloud regions for which a set has a figure, by provider and name."""
    for line in gazetteer.table("cloud_regions.csv").decode().splitlines()[1:]:
        code = line.partition(",")[0]
        try:
            yield _resolved(code, code, coefficients, "code")
        except RegionNotFound:
            continue


def _resolved(query: str, code: str, coefficients: str, rule: str) -> Region:
    """Return the region of a code, with the figure of the smallest place around it that has one."""
    site = gazetteer.cloud(code)
    iso_code = site[2] if site else code
    country = iso_code.partition("-")[0]
    for place in dict.fromkeys((code, iso_code, country)):
        found = sets.find(place, coefficients)
        if found:
            coarse = place == country != iso_code
            caveats = found.caveats | {"region-coarse"} if coarse else found.caveats
            return _region(code if site else place, found._replace(caveats=caveats), rule)
    raise _no_data(query, code, coefficients)


def _region(code: str, found: sets.Coefficient, rule: str) -> Region:
    site = gazetteer.cloud(code)
    iso_code = site[2] if site else code
    cells = gazetteer.known(iso_code)
    return Region(
        code=code,
        iso_code=iso_code,
        country=cells[1] if cells else None,
        subdivision=(cells[2] or None) if cells else None,
        kg_per_mwh=found.kg_per_mwh,
        year=found.year,
        method=found.method,
        source=found.source,
        matched_by=rule,
        pue=float(site[9]) if site and site[9] else None,
        site=site[1] if site else None,
        caveats=found.caveats,
    )


def _unknown(query: str) -> RegionNotFound:
    # Spelling is not on the path of a query that is answered.
    from eco2ai_cli.spelling import suggest

    near = suggest(query)
    return RegionNotFound(
        f"no region is called `{query}`",
        f"did you mean {_either(near)}?" if near else "`eco2ai regions list TEXT` searches them",
        query=query,
        kind="unknown",
        suggestions=near,
    )


def _ambiguous(query: str, codes: tuple[str, ...]) -> RegionNotFound:
    return RegionNotFound(
        f"`{query}` names more than one region",
        f"say {_either(codes)}",
        query=query,
        kind="ambiguous",
        suggestions=codes,
    )


def _no_data(query: str, code: str, coefficients: str) -> RegionNotFound:
    place = f"`{query}`" if query == code else f"`{query}` ({code})"
    is_world = code == gazetteer.WORLD
    return RegionNotFound(
        f"{place} has no row in the coefficients `{coefficients}`",
        "add a row `WORLD` to it" if is_world else "say `WORLD` for the mean of the world",
        query=query,
        kind="no_data",
        suggestions=() if is_world else (gazetteer.WORLD,),
    )


def _either(codes: tuple[str, ...]) -> str:
    """Write `FR`, `FR` or `DE`, and no more than five."""
    *most, last = [f"`{code}`" for code in codes[:5]]
    return f"{', '.join(most)} or {last}" if most else last
