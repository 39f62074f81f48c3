"""Say what a second of one hardware thread costs on a machine, and why."""

from __future__ import annotations

from typing import NamedTuple

from eco2ai_cli.cpu_models import Match, lookup, models, suggest
from eco2ai_cli.machine import Machine

__all__ = ["Match", "Processor", "charge", "find", "lookup", "models", "recognise", "suggest"]

_WHOSE_TDP = {
    "vendor": "by its vendor",
    "catalogue": "by published catalogues",
    "derived": "by an estimate, for no vendor's figure is published",
}


class Processor(NamedTuple):
    """A machine's processor as it is charged.

    `tdp_w` is that of one socket: of the model, of the typical part that stands for it, or None.
    `reasoning`: how `w_per_thread` came about, a few clauses in words.
    """

    name: str
    sockets: int
    tdp_w: float | None
    w_per_thread: float
    matched_by: str
    quality: str
    caveats: frozenset[str]
    reasoning: tuple[str, ...]


def charge(machine: Machine, tdp_w: float | None = None, table: str | None = None) -> Processor:
    """Return what `machine` is charged for a hardware thread.

    The user's `tdp_w`, of one socket, goes before their `table`, and that before ours.

    Watts per thread are the TDP over the hardware threads of the physical socket. A machine of
    metal shows them, and SMT switched off stays right; a guest shows what it was given, so that
    the table is asked, and the guest pays for its slice. Raises ResourceError for a `table` that
    cannot be read.
    """
    match = recognise(machine, table)
    threads, counted = _threads_of_socket(machine, match)
    charged = Processor(
        name=machine.brand or _anonymous(match),
        sockets=1 if machine.virtual else machine.sockets,
        tdp_w=match.tdp_w,
        w_per_thread=match.w_per_thread,
        matched_by=match.matched_by,
        quality=match.quality,
        caveats=_doubts(match, threads),
        reasoning=(_told(machine, match),),
    )
    if tdp_w is not None:
        match = match._replace(matched_by="user", quality="vendor")
        shared_by = threads or machine.threads_per_socket
        return charged._replace(
            tdp_w=tdp_w,
            w_per_thread=tdp_w / shared_by,
            matched_by="user",
            quality="vendor",
            caveats=_doubts(match, threads),
            reasoning=("the TDP of a socket is given", counted, _division(tdp_w, shared_by)),
        )
    if match.model is None or match.tdp_w is None:
        return charged
    if threads is None:
        usual = f"how many threads it has is not known: {match.w_per_thread:g} W each, as is usual"
        return charged._replace(reasoning=(*charged.reasoning, usual))
    return charged._replace(
        w_per_thread=match.tdp_w / threads,
        reasoning=(*charged.reasoning, counted, _division(match.tdp_w, threads)),
    )


def _anonymous(match: Match) -> str:
    return f"unknown, like {match.stands_for}" if match.stands_for else "unknown"


def find(name: str, table: str | None = None) -> Match:
    """Return what the user's `table` says of the processor `name`, or else what ours does.

    Raises ResourceError for a table that cannot be read.
    """
    return (_in_users_table(name, table) if table is not None else None) or lookup(name)


def recognise(machine: Machine, table: str | None = None) -> Match:
    """Look the machine's processor up by all that it shows of it, first in the user's `table`.

    Where Arm shows no name, the table may have `arm-0x41-0xd0c`: its implementer and part.
    """
    identity = f"arm-{machine.implementer or 0:#x}-{machine.part or 0:#x}"
    name = machine.brand or (identity if machine.implementer is not None else "")
    own = _in_users_table(name, table) if table is not None else None
    return own or lookup(
        machine.brand or "",
        vendor=machine.vendor,
        family=machine.family,
        model=machine.model,
        stepping=machine.stepping,
        implementer=machine.implementer,
        part=machine.part,
        form="server" if machine.virtual else machine.form,
        platform=machine.hypervisor,
    )


def _in_users_table(name: str, table: str) -> Match | None:
    from eco2ai_cli import cpu_user  # few have a table of their own

    return cpu_user.find(table, name)


def _threads_of_socket(machine: Machine, match: Match) -> tuple[int | None, str]:
    """Return the hardware threads of the physical socket, and in words whence."""
    shown = machine.threads_per_socket
    if machine.virtual:
        where = f"a guest of {machine.hypervisor}" if machine.hypervisor else "a guest"
        socket = f"the physical socket has {match.threads} threads, whatever is shown here"
        if match.threads is None:
            socket = f"the threads of the physical socket are not known, {shown} are shown"
        return match.threads, f"{where}: {socket}"
    if match.model is not None and match.cores is not None and shown < match.cores:
        # Fewer threads than cores are a slice that somebody cut without a hypervisor's mark.
        return match.threads, f"{shown} of the socket's {match.threads} threads are shown here"
    smt = {True: ", SMT on", False: ", SMT off", None: ""}[machine.smt]
    return shown, f"the kernel shows {machine.sockets} x {shown} threads{smt}"


def _told(machine: Machine, match: Match) -> str:
    """Say what the processor is, and by which rule."""
    what = f"`{machine.brand}`" if machine.brand else "a processor without a name"
    if match.matched_by == "user":
        return f"{what} is in your own table: {match.tdp_w:g} W a socket"
    if match.model is not None:
        tdp = f"{match.tdp_w:g} W {_WHOSE_TDP[match.quality]}"
        return f"{what} is {match.vendor} {match.model}: {tdp}"
    if match.stands_for is not None:
        rule = "hypervisor's name" if match.matched_by == "hypervisor" else "identity"
        part = f"{match.tdp_w:g} W / {match.threads} threads = {match.w_per_thread:.3g} W a thread"
        return f"{what} names no model; by its {rule} it is charged like {match.stands_for}: {part}"
    return f"{what} is not known: {match.w_per_thread:g} W a thread, as is usual for its kind"


def _division(tdp_w: float, threads: int) -> str:
    return f"{tdp_w:g} W / {threads} threads = {tdp_w / threads:.3g} W a thread"


def _doubts(match: Match, threads: int | None) -> frozenset[str]:
    """Return the caveat words: whose figure it is if not ours, and what is estimated or unknown."""
    if match.quality == "fallback":
        return frozenset({"cpu-unknown"})
    estimated = {"cpu-estimated"} if match.quality == "derived" or threads is None else set[str]()
    return frozenset(estimated | ({"cpu-given"} if match.matched_by == "user" else set[str]()))
