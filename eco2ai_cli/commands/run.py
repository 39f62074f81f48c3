"""`eco2ai run`: run a command, measure its process tree, append a row to the ledger."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from eco2ai_cli import config, talk
from eco2ai_cli.commands.eager import QuickCommand, help_option
from eco2ai_cli.errors import WrongUsage
from eco2ai_cli.faults import Faults
from eco2ai_cli.launch.ending import end_like
from eco2ai_cli.session import Request, execute, prepare

if TYPE_CHECKING:
    from eco2ai_cli.run_record import Finished
    from eco2ai_cli.session import Plan

_KEY_OF_OPTION = {
    "project": "run.project",
    "description": "run.description",
    "output": "run.output",
    "interval": "run.interval",
    "live": "run.live",
    "tag": "run.tags",
    "region": "region.code",
    "intensity": "region.intensity",
    "coefficients": "region.coefficients",
    "pue": "facility.pue",
    "price": "electricity.price",
    "currency": "electricity.currency",
    "cpu_tdp": "hardware.cpu_tdp",
    "meters": "hardware.meters",
    "max_energy": "budget.energy",
    "max_emissions": "budget.emissions",
    "max_cost": "budget.cost",
    "grace": "budget.grace",
}
"""The configuration key that an option sets. Values are checked there, whatever their origin."""


@click.command(
    cls=QuickCommand,
    add_help_option=False,
    context_settings={"allow_interspersed_args": False},
)
@click.option("-p", "--project", metavar="NAME", help="The project that this run belongs to.")
@click.option("-d", "--description", metavar="TEXT", help="What is special about this run.")
@click.option("-o", "--output", metavar="FILE", help="The ledger.  [default: emission.csv]")
@click.option("-i", "--interval", metavar="SECONDS", help="Time between samples.  [default: 1]")
@click.option("-r", "--region", metavar="QUERY", help="Where the electricity is used: FR, US-CA …")
@click.option("--intensity", metavar="KG_PER_MWH", help="Carbon intensity, over the region's.")
@click.option(
    "--coefficients", metavar="SET", help="`current`, `paper-2022` or a file.  [default: current]"
)
@click.option("--pue", metavar="N", help="Power usage effectiveness, at least 1.  [default: 1]")
@click.option("--price", metavar="PER_KWH", help="Price of a kWh.")
@click.option("--currency", metavar="CODE", help="Currency of the price: EUR, USD …")
@click.option("--cpu-tdp", metavar="WATTS", help="TDP of one processor, over the table's.")
@click.option("--meters", metavar="LIST", help="Sources to use, e.g. `tdp,ram`.")
@click.option("--tag", metavar="KEY=VALUE", multiple=True, help="A label; may be repeated.")
@click.option(
    "--wait",
    type=click.Choice(["child", "tree"]),
    default="child",
    help="Return with CMD, or when its last descendant has ended.  [default: child]",
)
@click.option(
    "--on-death",
    type=click.Choice(["kill", "keep"]),
    default="kill",
    help="What happens to CMD when this process is killed with SIGKILL.  [default: kill]",
)
@click.option("--max-energy", metavar="KWH", help="Stop CMD when it has used so much energy.")
@click.option("--max-emissions", metavar="KG", help="Stop CMD when it has emitted so much CO2.")
@click.option("--max-cost", metavar="AMOUNT", help="Stop CMD when it has cost so much.")
@click.option(
    "--grace", metavar="SECONDS", help="From the signal that stops it to SIGKILL.  [default: 30]"
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many epochs CMD will mark, for a forecast.",
)
@click.option(
    "--live/--no-live",
    default=None,
    help="Show the run on the bottom rows of the terminal meanwhile, or not.  [default: --live]",
)
@click.option(
    "--progress",
    metavar="REGEX",
    help="How `--progress-file` tells of an epoch: `auto`, or a regular expression.",
)
@click.option(
    "--progress-file", metavar="LOG", help="A log that CMD writes, to read its epochs from."
)
@click.option("-q", "--quiet", is_flag=True, help="No live view, no summary at the end.")
@click.option("--json", "json_file", metavar="FILE", help="Write the run as one JSON object.")
@click.option("--trace", "trace_file", metavar="FILE", help="Write each sample as a JSON line.")
@help_option()
@click.argument("command", metavar="[--] CMD [ARG]...", nargs=-1, type=click.UNPROCESSED)
def run(
    command: tuple[str, ...],
    wait: str,
    on_death: str,
    quiet: bool,
    json_file: str | None,
    trace_file: str | None,
    progress: str | None,
    progress_file: str | None,
    epochs: int | None,
    **options: Any,
) -> None:
    """Run CMD as a child, measure its process tree, append a row to the ledger.

    CMD's arguments, streams, signals and exit status are its own. Options end at `--` or at the
    first word that is not an option. Exit status: CMD's own; 127 CMD not found, 126 not
    executable, 125 a failure of eco2ai before CMD started, 2 wrong usage.
    """
    if not command:
        raise WrongUsage("there is no command to run", hint="`eco2ai run -- CMD [ARG]...`")
    if progress is not None and progress_file is None:
        raise WrongUsage(
            "`--progress` says how a log tells of its epochs, but there is no log",
            hint="name it with `--progress-file`",
        )
    effective = config.load(_given(options))
    plan = prepare(
        Request(
            argv=tuple(os.fsencode(word) for word in command),
            config=effective,
            wait_for_tree=wait == "tree",
            keep_on_death=on_death == "keep",
            json_file=json_file,
            trace_file=trace_file,
            progress_file=progress_file,
            progress=progress or "auto",
            epochs=epochs,
            live=effective.live and (options["live"] or not quiet),
        )
    )
    faults = Faults()
    status, finished = execute(plan, faults)
    try:
        faults.show()
        if finished is not None:
            _finish(finished, plan, quiet)
        _recover(quiet)
    except Exception as error:
        Faults(error).show()
    finally:
        end_like(status)


def _finish(finished: Finished, plan: Plan, quiet: bool) -> None:
    from eco2ai_cli import journal
    from eco2ai_cli.saving import save

    saved_to, problems = save(finished, plan.request.json_file, plan.ledger_key)
    if saved_to is not None:
        journal.remove(finished.run.id)
    talk.say(*(f"eco2ai: warning: {problem}" for problem in problems))
    if not quiet:
        _print_summary(finished, saved_to)


def _recover(quiet: bool) -> None:
    """Save the rows of runs that died before; the command has ended and is not held up."""
    from eco2ai_cli import journal

    notes = journal.recover(everywhere=False)
    journal.say(note for note in notes if note.is_trouble or not quiet)


def _print_summary(finished: Finished, saved_to: str | None) -> None:
    """Print the summary on standard error, as wide as its terminal; plain text elsewhere."""
    from eco2ai_cli.receipt import receipt

    terminal = sys.stderr is not None and sys.stderr.isatty()
    columns = _columns()
    headline, *lines = receipt(finished, saved_to, min(columns, 100) if terminal else 100)
    if terminal and not os.environ.get("NO_COLOR"):
        headline = click.style(headline, bold=True)
    if terminal:  # on to the next line where the command has left the cursor within one
        headline = " " * (columns - 1) + "\r" + headline
    talk.say(headline, *lines)


def _columns() -> int:
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80


def _given(options: dict[str, Any]) -> dict[str, object]:
    """Return the options that were given, by configuration key."""
    return {
        _KEY_OF_OPTION[name]: value for name, value in options.items() if value not in (None, ())
    }
