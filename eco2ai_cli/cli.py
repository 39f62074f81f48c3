"""The command `eco2ai`: its subcommands, loaded when they are called, and its exit statuses."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from eco2ai_cli.commands.eager import help_option, version_option
from eco2ai_cli.errors import Eco2aiError

_COMMANDS = {
    "config": "show the effective configuration, or write a commented `eco2ai.toml`",
    "cpus": "inspect the table of processors",
    "doctor": "tell what can be measured here, by what, and what would make it better",
    "mark": "inside of a run, end the current epoch and record its values",
    "regions": "inspect the emission coefficients",
    "report": "sum ledgers up, by project and in total",
    "run": "run a command and measure its whole process tree",
    "verify": "recompute every row of ledgers, and check their chain of hashes",
    "watch": "show a run that is under way on this machine, from any terminal",
}
"""Each subcommand with its line in the help; its module and its object have its name."""


@contextmanager
def _as_a_filter() -> Iterator[None]:
    """Die of SIGPIPE where nobody reads on, as every filter does; click would exit with 1."""
    try:
        yield
    except BrokenPipeError:
        _die_of(signal.SIGPIPE)


class _LazyGroup(click.Group):
    """Imports the module of a subcommand when that is called, so that the others cost nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = importlib.import_module(f"eco2ai_cli.commands.{name}")
        command: click.Command = getattr(module, name)
        return command

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        """Parse the command line as click does; `--help` and `--version` are answered here."""
        with _as_a_filter():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the subcommand as click does."""
        with _as_a_filter():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    add_help_option=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@version_option()
@help_option()
@click.pass_context
def eco2ai(context: click.Context) -> None:
    """Measure what a command and all its processes cost: energy, CO2 and money.

    \b
    eco2ai run -- python train.py
    eco2ai report
    """
    # `run` does so when its command has ended, and `mark` is called in loops.
    if context.invoked_subcommand not in ("run", "mark"):
        from eco2ai_cli import journal

        journal.say(journal.recover())


def main() -> None:
    """Run the command line; every error becomes one sentence and an exit status here."""
    try:
        status = eco2ai.main(prog_name="eco2ai", standalone_mode=False)
    except click.ClickException as error:
        status = error.exit_code
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            click.echo(error.format_message(), err=True)
        else:
            message = error.format_message().rstrip(".")
            _say(message[:1].lower() + message[1:], _way_out(error))
    except Eco2aiError as error:
        _say(str(error), error.hint)
        status = error.exit_status
    except (click.Abort, KeyboardInterrupt):
        _die_of(signal.SIGINT)
    except Exception:
        import traceback

        traceback.print_exc()
        _say("this is a fault of eco2ai", "please report it with the lines above")
        status = 125
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _die_of(signal.SIGPIPE)
    except (OSError, AttributeError):
        pass
    sys.exit(status)


def _die_of(number: signal.Signals) -> None:
    from eco2ai_cli.launch.ending import die_of

    die_of(number)


def _say(message: str, hint: str | None) -> None:
    try:
        click.echo(f"eco2ai: error: {message}", err=True)
        if hint:
            click.echo(f"hint: {hint}", err=True)
    except OSError:
        pass  # nobody listens; the exit status still speaks


def _way_out(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    if context is not None and context.command is eco2ai:
        return "a program is run by `eco2ai run -- CMD`"
    return f"`{context.command_path} --help` shows what it takes" if context else None
