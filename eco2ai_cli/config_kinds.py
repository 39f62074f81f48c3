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
    is of another kind; the text of the error, if any, is a hint for the user. It raises Unfit
    when a part of the value is wrong.
    """

    expected: str
    check: Callable[[object], object]


class Key(NamedTuple):
    """One key, `name` being `section.key`.

    `about` says what it means, in the template and as the hint of an error. `option` is the
    option that sets it, if there is one. A key whose default is None says in `unset` what holds
    then, and has an `example` for the template.
    """

    name: str
    kind: Kind
    about: str
    option: str | None = None
    unit: str = ""
    unset: str = ""
    example: object = None

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "ECO2AI_" + self.name.replace(".", "_").upper()


class Unfit(ValueError):
    """What is wrong in a value of many parts, as the end of a sentence: "has no value from …".

    `within`: the keys and the places, from 0 on, that lead to the part that is wrong.
    """

    def __init__(
        self, complaint: str, hint: str | None = None, within: tuple[str | int, ...] = ()
    ) -> None:
        super().__init__(complaint)
        self.hint = hint
        self.within = within


def number(low: float, high: float, unit: str = "") -> Kind:
    """Return the kind of a finite number from `low` to `high`, both allowed."""

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        if isinstance(value, str) and (not value.isascii() or "_" in value):
            raise ValueError  # `1_000` and other scripts' digits: numbers to Python alone
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


_STOP_SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")
"""What ends a program that does not handle it, and what it can handle (signal(7))."""


def signal_name() -> Kind:
    """Return the kind of the name of one signal that a program can handle, kept as `SIGTERM`."""

    def check(value: object) -> str:
        if isinstance(value, list | tuple) or (isinstance(value, str) and "," in value):
            raise ValueError("one signal is sent, then SIGKILL after the time of grace")
        name = value.upper() if isinstance(value, str) else ""
        name = name if name.startswith("SIG") else f"SIG{name}"
        if name not in _STOP_SIGNALS:
            raise ValueError
        return name

    return Kind("the name of one signal: " + ", ".join(_STOP_SIGNALS), check)


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


def prices() -> Kind:
    """Return the kind of the prices of a week by the time of day."""

    def check(value: object) -> object:
        from eco2ai_cli import tariff  # few have one

        return tariff.read(value)

    return Kind("tables with `from`, `to` and `price`", check)


def intensities() -> Kind:
    """Return the kind of the carbon intensities of a week by the time of day."""

    def check(value: object) -> object:
        from eco2ai_cli import profile  # few have one

        return profile.read(value)

    return Kind(
        "24 or 168 numbers, tables with `from`, `to` and `intensity`, or the path of a file", check
    )


def time_zone() -> Kind:
    """Return the kind of the IANA name of a time zone that this machine knows."""

    def check(value: object) -> object:
        if not isinstance(value, str) or not value.strip():
            raise ValueError
        from eco2ai_cli import timezones  # few name one

        timezones.named(value)
        return value

    return Kind("the IANA name of a time zone, such as `Europe/Berlin`", check)


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
