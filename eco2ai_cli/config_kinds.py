"""What a configured value may be: a number, a text, a choice, words, pairs.

The same kinds judge TOML values and the texts of options and environment variables, so that a
value is right or wrong whatever way it came. A boolean is never a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Kind(NamedTuple):
    """What a value may be. `expected` ends the sentence "must be ...".

    `check` returns the value in the form that `Config` holds. It raises ValueError when the value
    is of another kind; the text of the error, if any, is a hint for the user.
    """

    expected: str
    check: Callable[[object], object]


def number(low: float, high: float, unit: str = "") -> Kind:
    """Return the kind of a finite number from `low` to `high`, both allowed."""

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        try:
            result = float(value)
        except OverflowError:
            raise ValueError from None
        except ValueError:
            with_point = str(value).strip().replace(",", ".", 1)
            if with_point.replace(".", "", 1).isdecimal():
                message = f"the decimal sign is a point in every locale: write `{with_point}`"
                raise ValueError(message) from None
            raise ValueError from None
        if not low <= result <= high:  # NaN and infinity neither
            raise ValueError
        return result

    return Kind(f"a number from {low:.12g} to {high:.12g} {unit}".rstrip(), check)


def text(expected: str = "text", *, empty: bool = False) -> Kind:
    """Return the kind of any text; unless `empty`, more than white space."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("text is written in quotes")
        if not empty and not value.strip():
            raise ValueError
        return value

    return Kind(expected, check)


def flag() -> Kind:
    """Return the kind of a yes or no: a boolean, or its name as text."""
    names = {"true": True, "yes": True, "on": True, "1": True}
    names |= {"false": False, "no": False, "off": False, "0": False}

    def check(value: object) -> bool:
        if isinstance(value, bool):
            return value
        if not isinstance(value, str) or value.lower() not in names:
            raise ValueError
        return names[value.lower()]

    return Kind("`true` or `false`", check)


def choice(*words: str) -> Kind:
    """Return the kind of one of `words`."""

    def check(value: object) -> object:
        if value not in words:
            raise ValueError
        return value

    return Kind(" or ".join(f"`{word}`" for word in words), check)


def currency_code() -> Kind:
    """Return the kind of an ISO 4217 code: three letters, kept in capitals."""

    def check(value: object) -> str:
        if not (isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha()):
            raise ValueError
        return value.upper()

    return Kind("a code of three letters, such as `EUR`", check)


def words(*known: str) -> Kind:
    """Return the kind of a list of some of `known`; one text is parted at its commas."""

    def check(value: object) -> tuple[str, ...]:
        if isinstance(value, str):
            value = [word.strip() for word in value.split(",")]
        if not isinstance(value, list | tuple) or not value:
            raise ValueError
        if any(word not in known for word in value):
            raise ValueError
        return tuple(dict.fromkeys(value))

    return Kind("a list of words from " + ", ".join(f"`{word}`" for word in known), check)


def pairs() -> Kind:
    """Return the kind of a mapping of names to texts.

    A TOML table, or `NAME=TEXT` items: a list of them, or one text that is parted at its commas.
    Numbers, dates and booleans of TOML become text.
    """

    def check(value: object) -> dict[str, str]:
        if isinstance(value, str):
            value = value.split(",")
        if isinstance(value, list | tuple):
            if not all(isinstance(item, str) and "=" in item for item in value):
                raise ValueError
            value = dict(item.split("=", 1) for item in value)
        if not isinstance(value, Mapping):
            raise ValueError
        return {_name(name): _scalar_text(scalar) for name, scalar in value.items()}

    return Kind("`NAME=TEXT` pairs", check)


def _name(name: str) -> str:
    if not name.strip():
        raise ValueError("a name is missing before `=`")
    return name.strip()


def _scalar_text(scalar: object) -> str:
    if isinstance(scalar, list | Mapping):
        raise ValueError
    return str(scalar).lower() if isinstance(scalar, bool) else str(scalar)


def quoted(text: str) -> str:
    """Return a text as errors show it: in back-quotes, on one line, every character printable."""
    return f"`{text if text.isprintable() else repr(text)[1:-1]}`"


def shown(value: object) -> str:
    """Return a value of a wrong kind as errors show it: short, on one line."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        if not all(isinstance(item, str) for item in value):
            return "a list"
        value = ",".join(value)
    try:
        words = str(value).lower() if isinstance(value, bool) else str(value)
    except ValueError:  # Python refuses to write integers of more than 4300 digits
        return "a number beyond all bounds"
    return quoted(words if len(words) <= 80 else words[:79] + "…") if words.strip() else "nothing"
