"""Open a table that ships with eco2ai, whether it runs from a wheel or from a checkout."""

from __future__ import annotations

import os

from eco2ai_cli.errors import ResourceError

_HERE = os.path.dirname(os.path.abspath(__file__))
_PLACES = (os.path.join(_HERE, "data"), os.path.join(os.path.dirname(_HERE), "resources"))


def path(name: str) -> str:
    """Return the path of the shipped file `name`.

    Raises ResourceError when the installation lacks it.
    """
    for place in _PLACES:
        candidate = os.path.join(place, name)
        if os.path.exists(candidate):
            return candidate
    raise ResourceError(
        f"the table `{name}` is missing from this installation",
        hint="install eco2ai-cli again",
    )


def read(name: str) -> bytes:
    """Return the bytes of the shipped file `name`; raises ResourceError when it is missing."""
    with open(path(name), "rb") as file:
        return file.read()
