"""Load the configuration: options, environment, TOML files and defaults, each with its origin."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from eco2ai_cli.config_keys import ATTRIBUTES, KEYS, Config
from eco2ai_cli.config_kinds import Unfit, quoted, shown
from eco2ai_cli.config_supply import BOUND, RIVALS
from eco2ai_cli.errors import ConfigError, Eco2aiError, WrongUsage

__all__ = ["FILE_NAME", "Config", "load"]

FILE_NAME = "eco2ai.toml"
_SECTIONS = tuple(dict.fromkeys(name.partition(".")[0] for name in KEYS))
_NOT_CONFIG = ("ECO2AI_RUN_ID",)
"""What a run tells its child under a name that a key could have."""


class _Given(NamedTuple):
    """The value of a key as some place gave it; `toml` is the text of that place if a file."""

    name: str
    value: object
    place: str
    toml: str | None = None
    error: type[Eco2aiError] = ConfigError

    def origin(self, *within: str | int) -> str:
        """Return the place in words, with the line in a file; `within`, that of a part of it."""
        if self.toml is None:
            return self.place
        return _line(self.place, self.toml, [*self.name.split("."), *within])

    def subject(self, *within: str | int) -> str:
        """Return what an error begins with."""
        return self.place if self.toml is None else f"{self.origin(*within)}: `{self.name}`"

    def is_beside(self, other: _Given) -> bool:
        """Tell whether both are from places of the same strength."""
        if self.toml is None and other.toml is None:
            return self.error is other.error
        return (self.toml is None) == (other.toml is None) and self.place == other.place

    def checked(self) -> object:
        """Return the value as `Config` holds it; raises `error` when it cannot be one."""
        key = KEYS[self.name]
        try:
            return key.kind.check(self.value)
        except Unfit as unfit:
            complaint = f"{self.subject(*unfit.within)} {unfit}"
            raise self.error(complaint, hint=unfit.hint) from None
        except ValueError as error:
            raise self.error(
                f"{self.subject()} must be {key.kind.expected}, not {shown(self.value)}",
                hint=str(error) or f"`{key.name}`: {key.about}",
            ) from None


def load(
    options: Mapping[str, object],
    *,
    cwd: str | None = None,
    environ: Mapping[str, str] = os.environ,
    system_file: str = "/etc/eco2ai.toml",
) -> Config:
    """Return the effective configuration; whatever was given is checked, used or not.

    `options`: what the command line gave, by key name. Options go before the environment, that
    before `eco2ai.toml` in `cwd` or the nearest folder above it, that before the user's own file,
    and that before `system_file`.

    Raises WrongUsage for an option, ConfigError for a variable or a file.
    """
    values: dict[str, Any] = {}
    strongest: dict[str, _Given] = {}
    for given in _all_given(options, cwd, environ, system_file):
        value = given.checked()
        if given.name not in strongest:
            strongest[given.name] = given
            values[ATTRIBUTES[given.name]] = value
    for name in _overruled(strongest):
        del strongest[name], values[ATTRIBUTES[name]]
    origins: dict[str, Callable[[], str]] = {name: g.origin for name, g in strongest.items()}
    return Config(**values, origins=origins)


def _overruled(given: Mapping[str, _Given]) -> set[str]:
    """Return the keys that do not hold because of another; `given` has the strongest first.

    Raises the error of a place that gives two keys of which only one can hold.
    """
    order = list(given)
    overruled = set()
    for pair in RIVALS:
        if given.keys() >= set(pair):
            strong, weak = sorted(pair, key=order.index)
            if given[strong].is_beside(given[weak]):
                raise given[weak].error(
                    f"{given[weak].subject()} cannot hold beside `{strong}`",
                    hint="both say the same: keep one of them",
                )
            overruled.add(weak)
    for bound, to in BOUND:
        if (
            given.keys() >= {bound, to}
            and order.index(to) < order.index(bound)
            and not given[bound].is_beside(given[to])
        ):
            overruled.add(bound)
    return overruled


def _all_given(
    options: Mapping[str, object], cwd: str | None, environ: Mapping[str, str], system_file: str
) -> Iterator[_Given]:
    """Yield all that was given, the strongest place first."""
    for name, value in options.items():
        yield _Given(name, value, f"option `{KEYS[name].option or name}`", error=WrongUsage)
    yield from _in_environment(environ)
    for path in (_project_file(cwd), user_file(environ), system_file):
        if path and os.path.exists(path):
            yield from _in_file(path)


def _in_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    """Yield the keys that variables give; an empty variable counts as unset, as in click."""
    for variable in environ:
        if not variable.startswith("ECO2AI_") or variable in _NOT_CONFIG:
            continue
        section, _, key = variable[len("ECO2AI_") :].lower().partition("_")
        if section not in _SECTIONS:
            continue
        name = f"{section}.{key}"
        if name not in KEYS:
            raise ConfigError(
                f"environment variable {quoted(variable)} names no known key",
                hint=f"the nearest known one is `{KEYS[_nearest(name, KEYS)].variable}`",
            )
        if environ[variable]:
            yield _Given(name, environ[variable], f"environment variable `{variable}`")


def _project_file(cwd: str | None) -> str | None:
    """Return `eco2ai.toml` of `cwd` or of the nearest folder above it, up to the root."""
    path = os.path.join(cwd or "", FILE_NAME)
    try:
        folder = os.path.abspath(cwd or os.curdir)
    except FileNotFoundError:  # the current folder was removed: nothing is above it
        return None
    while not os.path.exists(path):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
        path = os.path.join(folder, FILE_NAME)
    return path


def user_file(environ: Mapping[str, str]) -> str | None:
    """Return the user's own file, where the XDG Base Directory Specification (0.8) has it."""
    folder = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):  # "consider the path invalid and ignore it"
        home = environ.get("HOME")
        if not home:
            return None
        folder = os.path.join(home, ".config")
    return os.path.join(folder, "eco2ai", "config.toml")


def _in_file(path: str) -> Iterator[_Given]:
    """Yield the keys that a TOML file gives."""
    place = quoted(path)
    toml = _read(path)
    for section, content in _tables(path, toml).items():
        if not isinstance(content, Mapping):
            raise _outside_a_section(_line(place, toml, [section]), section)
        if section not in _SECTIONS:
            raise ConfigError(
                f"{_line(place, toml, [section])}: section {quoted(section)} is not known",
                hint=f"the nearest known one is `[{_nearest(section, _SECTIONS)}]`",
            )
        for key, value in content.items():
            name = f"{section}.{key}"
            if name not in KEYS:
                raise ConfigError(
                    f"{_line(place, toml, [section, key])}: key {quoted(name)} is not known",
                    hint=f"the nearest known one is `{_nearest(name, KEYS)}`",
                )
            yield _Given(name, value, place, toml)


def _outside_a_section(line: str, name: str) -> ConfigError:
    """Return the error for a value above the first section, where no key of ours is."""
    if name in _SECTIONS:
        return ConfigError(
            f"{line}: `{name}` is a section, not a key",
            hint=f"write `[{name}]` on a line of its own, and its keys below",
        )
    section, _, key = _nearest(name, KEYS).partition(".")
    return ConfigError(
        f"{line}: key {quoted(name)} is in no section",
        hint=f"the nearest known one is `{key}` below `[{section}]`",
    )


def _read(path: str) -> str:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a FIFO could wait for ever
            raise ConfigError(f"{quoted(path)} is not a regular file", hint="move it away")
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"the configuration {quoted(path)} cannot be read: {reason.lower()}",
            hint="make it readable, as UTF-8 text, or move it away",
        ) from None


def _parsed(toml: str) -> dict[str, Any]:
    """Return the tables of a TOML text; raises ValueError for all that cannot be parsed."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(toml)
    except RecursionError:
        raise ValueError("nested too deeply (at end of document)") from None


def _tables(path: str, toml: str) -> dict[str, Any]:
    """Return the tables of the TOML file `path`; ConfigError says where it is malformed."""
    try:
        return _parsed(toml)
    except ValueError as error:
        # "Invalid value (at line 3, column 7)": the parser tells the position in words alone
        reason, _, position = str(error).removesuffix(")").partition(" (at ")
        if position == "end of document":
            position = f"{toml.count(chr(10)) + 1} {len(toml) - toml.rfind(chr(10))}"
        numbers = [word.strip(",") for word in position.split() if word.strip(",").isdigit()]
        raise ConfigError(
            f"{quoted(':'.join([path, *numbers]))} is not TOML: {reason[:1].lower()}{reason[1:]}",
            hint="text is written in quotes"
            if reason == "Invalid value"
            else "`eco2ai config init --output example.toml` writes an example",
        ) from None


def _line(place: str, toml: str, keys: Sequence[str | int]) -> str:
    """Return `place` with the line on which `keys`, from the outermost in, come to be.

    A number is a place in a list or in a table, from 0 on.

    The parser tells no lines, so this looks for the shortest beginning of the text that parses
    and has them, from the first line on that has the last of them. A value of several lines begins
    where the beginning before it ended.
    """
    lines = toml.split("\n")
    last = [key for key in keys if isinstance(key, str)][-1]
    number = next((n for n, line in enumerate(lines, 1) if last in line), 1)
    for count in range(number, len(lines) + 1):
        try:
            found: object = _parsed("\n".join(lines[:count]))
        except ValueError:
            continue
        for key in keys:
            found = _member(found, key)
        if found is not None:
            return f"{place} line {number}"
        number = count + 1
    return place


def _member(container: object, key: str | int) -> object:
    """Return what a list or a table holds at `key`; None where it holds nothing there."""
    if isinstance(key, str):
        return container.get(key) if isinstance(container, Mapping) else None
    members = list(container.values()) if isinstance(container, Mapping) else container
    return members[key] if isinstance(members, list) and key < len(members) else None


def _nearest(name: str, known: Collection[str]) -> str:
    """Return the one of `known` most like `name`; the last part of dotted names comes first."""
    from difflib import SequenceMatcher

    def likeness(candidate: str) -> list[float]:
        parts = zip(name.split(".")[::-1], candidate.split(".")[::-1], strict=False)
        return [SequenceMatcher(None, *pair).ratio() for pair in parts]

    return max(known, key=likeness)
