"""Options that cost a start nothing: `--help` and `--version` untranslated, short options at once.

click's own help options load `locale` and search the disk for catalogues: 1.3 ms in every run
before its command. Short options take it 3 ms more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from eco2ai_cli import __version__

F = TypeVar("F", bound=Callable[..., Any])


def help_option() -> Callable[[F], F]:
    """Return the decorator for `-h`, `--help`."""
    return _eager("-h", "--help", help="Show this message and exit.", callback=_show_help)


def version_option() -> Callable[[F], F]:
    """Return the decorator for `--version`."""
    return _eager("--version", help="Show the version and exit.", callback=_show_version)


def _eager(*names: str, **settings: Any) -> Callable[[F], F]:
    return click.option(*names, is_flag=True, is_eager=True, expose_value=False, **settings)


def _show_help(context: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo(context.get_help())
        context.exit()


def _show_version(context: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo(f"eco2ai, version {__version__}")
        context.exit()


class QuickCommand(click.Command):
    """A command whose short options are parsed as fast as its long ones."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments as click does."""
        return super().parse_args(ctx, spelt_out(args, self.params))


def spelt_out(args: list[str], params: Sequence[click.Parameter]) -> list[str]:
    """Return the arguments with `-q` as `--quiet`, up to the first that is no option.

    click looks for a long option first, and when there is none it makes up an error with
    suggestions before it tries the short ones: 3 ms of every start.
    """
    options = {
        name: option
        for option in params
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    }
    spelt: list[str] = []
    rest = list(reversed(args))
    while rest:
        word = rest[-1]
        is_long = word.startswith("--")
        name, equals, _ = word.partition("=") if is_long else (word, "", "")
        option = options.get(name)
        if option is None:
            break
        rest.pop()
        spelt.append(word if is_long else max(option.opts, key=len))
        if rest and not equals and not option.is_flag:
            spelt.append(rest.pop())
    return spelt + rest[::-1]
