"""`eco2ai cpus`: look up and list processors and their thermal design power."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from eco2ai_cli import cpus as table
from eco2ai_cli.caveats import sentence
from eco2ai_cli.commands.tables import echo_fields, echo_table, echo_text
from eco2ai_cli.config import load
from eco2ai_cli.cpu_limits import Allowance, allowance
from eco2ai_cli.cpus import Match, Processor
from eco2ai_cli.machine import Machine, this_machine

_NUMBERS = frozenset({"TDP W", "CORES", "THREADS", "W/THREAD"})

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def cpus() -> None:
    """Inspect the table of processors: watts of thermal design power, cores and threads."""


@cpus.command(short_help="Show a processor, or this machine's.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@_json_option
def lookup(names: tuple[str, ...], as_json: bool) -> None:
    """Show the processor of each NAME, and by which rule it was found.

    A NAME is a brand string as systems report it, or a model as people write it. `-` reads names
    from standard input, one a line. Without NAME: this machine's processor, and the watts that a
    hardware thread of it is charged. What your own table has (`hardware.cpus` in the
    configuration) goes before ours. Exit status 1: one NAME at least tells no model.
    """
    if not names:
        _echo_machine(as_json)
        return
    from_stdin = names == ("-",)
    if from_stdin:
        # An empty line is a name too: there are machines whose brand string is empty.
        text = sys.stdin.buffer.read().decode(errors="replace")
        names = tuple(text.removesuffix("\n").split("\n")) if text else ()
    own = load({}).cpu_table
    matches = [table.find(name.encode(errors="replace").decode(), own) for name in names]
    if as_json:
        objects = [match._asdict() for match in matches]
        _echo_json(objects if from_stdin or len(objects) != 1 else objects[0])
    elif len(matches) == 1:
        echo_fields(_match_fields(matches[0]))
    elif matches:
        _echo_matches(matches)
    if any(match.model is None for match in matches):
        if not as_json:
            _echo_unknown([match.query for match in matches if match.model is None])
        click.get_current_context().exit(1)


@cpus.command("list", short_help="List the processors of the table.")
@click.argument("text", required=False, default="")
@click.option("--vendor", metavar="V", help="Only this vendor's: AMD, Intel, Ampere …")
@_json_option
def list_(text: str, vendor: str | None, as_json: bool) -> None:
    """List the processors whose name holds every word of TEXT.

    Exit status 1: there are none.
    """
    found = list(table.models(text, vendor))
    if as_json:
        left_out = ("query", "stands_for")
        _echo_json(
            [{k: v for k, v in match._asdict().items() if k not in left_out} for match in found]
        )
    elif found:
        _echo_models(found)
    if not found:
        click.echo("no processor matches", err=True)
        click.get_current_context().exit(1)


def _echo_machine(as_json: bool) -> None:
    """Print this machine's processor as a run would charge it, with the reasoning."""
    config = load({})
    here = this_machine()
    charged = table.charge(here, config.cpu_tdp_w, config.cpu_table)
    match = table.recognise(here, config.cpu_table)
    allowed = allowance(here.logical_cpus)
    if as_json:
        _echo_json(_machine_json(here, match, charged, allowed))
        return
    echo_fields(_machine_fields(here, match, charged, allowed))
    for word in sorted(charged.caveats):
        echo_text(f"note: {sentence(word)}", err=True)


def _machine_fields(
    here: Machine, match: Match, charged: Processor, allowed: Allowance
) -> list[tuple[str, str]]:
    """Return this machine's processor as lines for people."""
    tdp = "not known" if charged.tdp_w is None else f"{charged.tdp_w:g} W a socket"
    reasoning = [*charged.reasoning, *_limits_reasoning(allowed)]
    return [
        ("processor", charged.name),
        ("model", _model(match) or "not told by the name"),
        ("identity", _identity(here)),
        ("machine", _kind(here)),
        ("threads", _threads(here)),
        ("usable", _usable(here, allowed)),
        ("TDP", tdp),
        ("charged", f"{charged.w_per_thread:.3g} W a hardware thread"),
        ("full load", f"{allowed.cpus * charged.w_per_thread:.3g} W with all that is usable busy"),
        ("rule", _rule(charged.matched_by, charged.quality)),
        *(("because" if not index else "", why) for index, why in enumerate(reasoning)),
    ]


def _usable(here: Machine, allowed: Allowance) -> str:
    if allowed.limited_by is None:
        return "all"
    why = {"affinity": "an affinity or a set of CPUs", "quota": "the quota of a control group"}
    return f"{allowed.cpus:.3g} of {here.logical_cpus} CPUs, by {why[allowed.limited_by]}"


def _limits_reasoning(allowed: Allowance) -> list[str]:
    if allowed.limited_by is None:
        return []
    return [f"the {allowed.limited_by} limits how much CPU time there is, not what a second costs"]


def _model(match: Match) -> str:
    """Return vendor and model, nothing for no model; users write the vendor in the name or not."""
    model = match.model or ""
    if not model or not match.vendor or model.casefold().startswith(match.vendor.casefold()):
        return model
    return f"{match.vendor} {model}"


def _rule(matched_by: str, quality: str) -> str:
    return "user (your own figure)" if matched_by == "user" else f"{matched_by} ({quality})"


def _identity(here: Machine) -> str:
    if here.implementer is not None:
        return f"Arm implementer {here.implementer:#04x}, part {here.part or 0:#05x}"
    known = (("family", here.family), ("model", here.model), ("stepping", here.stepping))
    numbers = (f"{name} {number}" for name, number in known if number is not None)
    return ", ".join((here.vendor or "no vendor told", *numbers))


def _kind(here: Machine) -> str:
    if here.virtual:
        return f"a guest of {here.hypervisor}" if here.hypervisor else "a guest of a hypervisor"
    return f"bare metal, {here.form}" if here.form else "bare metal"


def _threads(here: Machine) -> str:
    smt = {True: ", SMT on", False: ", SMT off", None: ""}[here.smt]
    sockets = "1 socket" if here.sockets == 1 else f"{here.sockets} sockets"
    return f"{here.logical_cpus} shown, {sockets} of {here.threads_per_socket}{smt}"


def _machine_json(
    here: Machine, match: Match, charged: Processor, allowed: Allowance
) -> dict[str, Any]:
    """Return the object of this machine: a look-up's keys, what is charged, what was seen."""
    return {
        **match._asdict(),
        "tdp_w": charged.tdp_w,
        "w_per_thread": charged.w_per_thread,
        "matched_by": charged.matched_by,
        "quality": charged.quality,
        "usable_cpus": allowed.cpus,
        "limited_by": allowed.limited_by,
        "full_load_w": allowed.cpus * charged.w_per_thread,
        "caveats": sorted(charged.caveats),
        "reasoning": list(charged.reasoning),
        "machine": here._asdict(),
    }


def _match_fields(match: Match) -> list[tuple[str, str]]:
    """Return one look-up as lines for people: what it is, its figures, the rule."""
    if match.model is not None:
        fields = [("processor", _model(match))]
    else:
        fields = [("processor", "no model named")]
        if match.stands_for is not None:
            fields.append(("charged like", f"{match.vendor} {match.stands_for}"))
    if match.tdp_w is not None:
        fields.append(("TDP", f"{match.tdp_w:g} W"))
    if match.threads is not None:
        fields.append(("cores", f"{match.cores}, {match.threads} threads"))
    return [
        *fields,
        ("a thread", f"{match.w_per_thread:.3g} W"),
        ("rule", _rule(match.matched_by, match.quality)),
    ]


def _watts(watts: float | None) -> str:
    return "" if watts is None else f"{watts:g}"


def _echo_models(found: Sequence[Match]) -> None:
    rows = [
        (
            str(match.vendor),
            str(match.model),
            _watts(match.tdp_w),
            str(match.cores or ""),
            str(match.threads or ""),
            f"{match.w_per_thread:.2f}",
            match.quality,
        )
        for match in found
    ]
    header = ("VENDOR", "MODEL", "TDP W", "CORES", "THREADS", "W/THREAD", "QUALITY")
    echo_table(header, rows, right=_NUMBERS, fold="MODEL", spare=("QUALITY", "CORES"))


def _stand_in(match: Match) -> str:
    return f"like {match.stands_for}" if match.stands_for else "-"


def _echo_matches(matches: Sequence[Match]) -> None:
    rows = [
        (
            " ".join(match.query.split()),
            _model(match) or _stand_in(match),
            _watts(match.tdp_w),
            f"{match.w_per_thread:.2f}",
            match.matched_by,
            match.quality,
        )
        for match in matches
    ]
    header = ("NAME", "PROCESSOR", "TDP W", "W/THREAD", "RULE", "QUALITY")
    echo_table(header, rows, right=_NUMBERS, fold="NAME", spare=("QUALITY", "RULE", "TDP W"))


def _echo_unknown(names: Sequence[str]) -> None:
    for name in names:
        click.echo(f"eco2ai: error: `{' '.join(name.split())}` names no known model", err=True)
        near = table.suggest(name)
        if near:
            click.echo(f"hint: did you mean {', '.join(f'`{model}`' for model in near)}", err=True)


def _echo_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
