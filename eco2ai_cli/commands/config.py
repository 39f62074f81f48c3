"""`eco2ai config`: show the effective configuration, write a commented `eco2ai.toml`."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Mapping

import click

from eco2ai_cli.config import FILE_NAME, Config, load
from eco2ai_cli.config_keys import ATTRIBUTES, KEYS
from eco2ai_cli.config_kinds import Key
from eco2ai_cli.errors import Eco2aiError
from eco2ai_cli.ledger import key as ledger_key

_PREAMBLE = """\
The configuration of eco2ai: every key, its default behind it or, where there is none, an example.
Remove the `#` in front of a key to set it.

The first place that gives a key wins: the command line; the environment; this file in the folder
of the run, or in the nearest folder above it; eco2ai/config.toml in $XDG_CONFIG_HOME (without it,
in ~/.config); /etc/eco2ai.toml; the default. `eco2ai config show` tells what holds and why.
"""


@click.group()
def config() -> None:
    """Show the configuration, or write one to start from."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object a key.")
def show(as_json: bool) -> None:
    """Show every key, its effective value and where that comes from."""
    effective = load({})
    if as_json:
        click.echo(json.dumps([_record(effective, key) for key in KEYS.values()], indent=2))
        return
    rows = [("KEY", "VALUE", "ORIGIN"), *(_row(effective, key) for key in KEYS.values())]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, origin in rows:
        click.echo(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}")


@config.command()
@click.option("-o", "--output", default=FILE_NAME, show_default=True, help="The file to write.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option(
    "--ledger-key",
    "with_ledger_key",
    is_flag=True,
    help="Make a secret that chains the rows of ledgers so that nobody without it can forge them.",
)
def init(output: str, force: bool, with_ledger_key: bool) -> None:
    """Write a TOML file that explains every key and sets none.

    With `--ledger-key` a secret is made as well, beside the user's own configuration, and the
    file names it. A secret or a file that is there already is kept as it is.
    """
    if not with_ledger_key:
        _write(output, template(), force)
        return
    own = ledger_key.of_user()
    click.echo(own.sentence, err=True)
    setting = f"key = {json.dumps(own.path, ensure_ascii=False)}"
    if os.path.lexists(output) and not force:
        click.echo(f"`{output}` is there already: put this into it, below `[ledger]`", err=True)
        click.echo(setting, err=True)
        return
    example = f"#key = {json.dumps(KEYS['ledger.key'].example)}"
    _write(output, template().replace(example, setting), force)


def _write(output: str, toml: str, force: bool) -> None:
    try:
        with open(output, "w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(toml)
    except FileExistsError:
        raise Eco2aiError(
            f"`{output}` is there already",
            hint="`--force` replaces it, `--output FILE` writes elsewhere",
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Eco2aiError(
            f"`{output}` cannot be written: {reason}", hint="`--output FILE` writes elsewhere"
        ) from None
    click.echo(f"wrote `{output}`", err=True)


def template() -> str:
    """Return a TOML file with a section for every section and a comment for every key."""
    blocks = [textwrap.indent(_PREAMBLE, "# ", lambda line: True).replace("# \n", "#\n")]
    section = ""
    for key in KEYS.values():
        if key.name.partition(".")[0] != section:
            section = key.name.partition(".")[0]
            blocks.append(f"[{section}]\n")
        blocks.append(_commented(key))
    return "\n".join(blocks)


def _commented(key: Key) -> str:
    """Return a key as a comment of TOML: what it means, how else to set it, `#key = value`."""
    about = f"{key.about[:1].upper()}{key.about[1:]}{f' ({key.unit})' if key.unit else ''}."
    if key.unset:
        about += f" Not set: {key.unset}."
    elsewhere = f"{f'{key.option} or ' if key.option else ''}{key.variable}"
    comment = [*textwrap.wrap(about, 96), f"({elsewhere})"]
    default = Config._field_defaults[ATTRIBUTES[key.name]]
    value = _toml(key.example if default is None else default)
    return "".join(f"# {line}\n" for line in comment) + f"#{key.name.partition('.')[2]} = {value}\n"


def _toml(value: object) -> str:
    """Write a value as TOML has it, on one line."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{name} = {_toml(item)}" for name, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)  # text, numbers and booleans are written as in JSON


def _plain(value: object) -> object:
    """Return a value as `json` takes it."""
    return dict(value) if isinstance(value, Mapping) else value


def _record(effective: Config, key: Key) -> dict[str, object]:
    return {
        "key": key.name,
        "value": _plain(getattr(effective, ATTRIBUTES[key.name])),
        "unit": key.unit or None,
        "origin": effective.origin(key.name),
    }


def _row(effective: Config, key: Key) -> tuple[str, str, str]:
    value = getattr(effective, ATTRIBUTES[key.name])
    origin = effective.origin(key.name)
    if value is None:
        return key.name, "-", f"{origin}: {key.unset}"
    return key.name, f"{_words(value)} {key.unit}".rstrip(), origin


def _words(value: object) -> str:
    """Return a value for a table: one line, every character printable."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, Mapping):
        pairs = [f"{_words(name)}={_words(text)}" for name, text in value.items()]
        words = ",".join(pairs) or "-"
        return words if len(words) <= 72 else f"{','.join(pairs[:2])},… ({len(pairs)})"
    words = str(value)
    return words if words and words.isprintable() else json.dumps(words)
