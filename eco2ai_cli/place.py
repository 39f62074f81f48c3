"""Settle where the run takes place: its region, carbon intensity and PUE, each with its origin."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from eco2ai_cli import location, regions
from eco2ai_cli.config import Config
from eco2ai_cli.errors import ConfigError, WrongUsage
from eco2ai_cli.regions import Region, RegionNotFound


class Place(NamedTuple):
    """A region and how it was found, with the PUE to use there (>= 1).

    `source`: `option`, `environment`, `config`, `cloud-init`, `dmi`, `timezone`, `default` (the
    world), or `ip` with the name of the service. `may_ask`: the user lets us ask such a service,
    and nothing on this machine tells as much.
    """

    region: Region
    source: str
    pue: float
    caveats: frozenset[str]
    may_ask: bool = False


def settle(config: Config, environ: Mapping[str, str] = os.environ, *, root: str = "/") -> Place:
    """Return the place that the configuration names, else the one this machine gives away, else
    the world; nothing is asked of the network.

    Raises WrongUsage (an option) or ConfigError (a file, the environment) for a region that does
    not exist, and what `regions.lookup` raises for a table that cannot be read.
    """
    if config.region is not None:
        return _named(config.region, config)
    where = location.locate(environ=environ, root=root) if config.locate != "off" else None
    # What a cloud says of its own machine is better than what its address tells.
    may_ask = config.locate == "ip" and (where is None or where.how == "timezone")
    if where is not None:
        try:
            region = regions.lookup(where.query, config.coefficients)
        except RegionNotFound:
            pass  # a table of the user's own need not hold it
        else:
            region = region._replace(caveats=region.caveats | where.caveats)
            return at(region, config, source=where.how)._replace(may_ask=may_ask)
    try:
        world = regions.world(config.coefficients)
    except RegionNotFound:
        raise ConfigError(
            f"no region is given, and the table `{config.coefficients}` has no row `WORLD`",
            hint="say where the electricity is used with `--region`",
        ) from None
    world = world._replace(caveats=world.caveats | {"region-assumed"})
    return at(world, config, source="default")._replace(may_ask=may_ask)


def _named(query: str, config: Config) -> Place:
    origin = config.origin("region.code")
    try:
        region = regions.lookup(query, config.coefficients)
    except RegionNotFound as error:
        kind = WrongUsage if origin.startswith("option") else ConfigError
        raise kind(f"{error} (from {origin})", hint=error.hint) from None
    return at(region, config, source=_short(origin))


def at(region: Region, config: Config, source: str) -> Place:
    """Return `region` as a place, with what the configuration says of it."""
    caveats = region.caveats
    given = config.intensity_kg_per_mwh
    if given is not None or config.profile is not None:
        key = "region.profile" if given is None else "region.intensity"
        region = region._replace(
            kg_per_mwh=region.kg_per_mwh if given is None else given,
            year=None,
            source=_short(config.origin(key)),
        )
        caveats = frozenset(word for word in caveats if not word.startswith("coefficient-"))
    pue = config.pue if config.pue is not None else region.pue
    return Place(region, source, 1.0 if pue is None else pue, caveats)


def _short(origin: str) -> str:
    """Return the kind of an origin: `option`, `environment` or `config`."""
    word = origin.split(" ", 1)[0]
    return word if word in ("option", "environment") else "config"
