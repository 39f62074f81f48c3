"""What turns energy into emissions and cost: the region, and the configuration."""

from __future__ import annotations

import time

from eco2ai_cli import place, uncertainty
from eco2ai_cli.config import Config
from eco2ai_cli.config_keys import ATTRIBUTES, KEYS
from eco2ai_cli.doctor.findings import (
    Fact,
    Grade,
    Section,
    Shortcoming,
    Surroundings,
    doubted,
)


def examine_region(at: Surroundings, config: Config) -> Section:
    """Tell where the electricity is taken to be used, how that was found, and what it emits."""
    found = place.settle(config, at.environ, root=at.root or "/")
    region = found.region
    is_given = config.intensity_kg_per_mwh is not None
    facts = (
        Fact("code", region.code, f"{region.name} ({region.code})"),
        Fact("source", found.source, found.source, "told by"),
        Fact(
            "carbon_intensity_kg_per_mwh",
            region.kg_per_mwh,
            f"{region.kg_per_mwh:g} kg/MWh" + (f", {region.year}" if region.year else ""),
            "intensity",
        ),
        Fact("intensity_year", region.year),
        Fact("intensity_source", region.source, region.source, "by"),
        Fact("pue", found.pue, f"{found.pue:g}", "PUE"),
        Fact("asks_the_network", found.may_ask),
        Fact("caveats", sorted(found.caveats)),
    )
    band = uncertainty.intensity_factors(
        found.caveats,
        region.year and time.gmtime().tm_year - region.year,
        is_given=is_given,
        is_world=region.code == "WORLD",
    )
    why = "your own figure" if is_given else doubted("the grid's annual mean", found.caveats)
    assumed = "region-assumed" in found.caveats and not is_given
    grade = Grade("intensity", "guessed" if assumed else "modelled", found.source, why, band)
    return Section("region", facts, (grade,), (_unknown_region(),) if assumed else ())


def _unknown_region() -> Shortcoming:
    return Shortcoming(
        "region",
        "the region is a guess",
        "say where the electricity is used, by `--region`, `ECO2AI_REGION_CODE` or in "
        "`eco2ai.toml`; `eco2ai regions list` has the codes",
        ("[region]", 'code = "FR"'),
    )


def examine_config(at: Surroundings, config: Config) -> Section:
    """Tell what is configured, and where."""
    origins = {name: config.origin(name) for name in KEYS}
    given = [name for name, origin in origins.items() if origin != "default"]
    words = [f"{name} by {origins[name]}" for name in given]
    keys = [
        {"key": name, "value": _plain(getattr(config, ATTRIBUTES[name])), "origin": origins[name]}
        for name in given
    ]
    return Section("config", (Fact("given", keys, "\n".join(words) or "nothing: defaults hold"),))


def _plain(value: object) -> object:
    """Return a value as JSON has it."""
    return dict(value) if hasattr(value, "items") else value  # type: ignore[call-overload]
