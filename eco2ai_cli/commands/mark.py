"""`eco2ai mark`: inside of a run, end the current epoch and record its values."""

from __future__ import annotations

import os

import click

from eco2ai_cli import talk
from eco2ai_cli.commands.eager import help_option
from eco2ai_cli.errors import NoAnswer, WrongUsage
from eco2ai_cli.marks.send import VARIABLE, send


@click.command(add_help_option=False)
@click.option("--if-running", is_flag=True, help="Outside of a run, do nothing and return 0.")
@help_option()
@click.argument("words", metavar="[NAME] [KEY=VALUE]...", nargs=-1)
def mark(words: tuple[str, ...], if_running: bool) -> None:
    """Inside of a run, end the current epoch: it becomes a row of its own in the ledger.

    \b
    eco2ai mark                          the next number
    eco2ai mark 3/10 loss=0.21 acc=0.9   the third of ten, with values
    eco2ai mark warmup

    Exit status: 0; 1 outside of a run; 2 wrong usage. A run that takes no marks any more, since it
    was killed, is warned of: no script shall fail for that.
    """
    name, values = _read(words)
    if send(name, values):
        return
    if os.environ.get(VARIABLE):
        talk.say("eco2ai: warning: the run around takes no marks any more, and this one is lost")
    elif not if_running:
        raise NoAnswer(
            "there is no run around to mark",
            hint="`eco2ai run -- CMD` makes one around CMD; `--if-running` marks only if there is",
        )


def _read(words: tuple[str, ...]) -> tuple[str | None, dict[str, str]]:
    """Return the name, None for the next number, and the values; raises WrongUsage."""
    first_value = next((at for at, word in enumerate(words) if "=" in word), len(words))
    values = {}
    for word in words[first_value:]:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise WrongUsage(f"`{word}` is no KEY=VALUE", hint="NAME comes first")
        values[key] = value
    return _name(words[:first_value]), values


def _name(words: tuple[str, ...]) -> str | None:
    if len(words) < 2:
        return words[0] if words else None
    from eco2ai_cli.marks.line import NotAMark, parse

    name = " ".join(words)
    try:
        parse(os.fsencode(name))  # `epoch 3`, `fold 2`: as in a line
    except NotAMark as error:
        raise WrongUsage(f"`{name}` is more than one name", hint=f"`'{name}'` is one") from error
    return name
