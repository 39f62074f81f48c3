"""Prepare a run and start it: everything that can fail does so here, by an exception.

What is not needed before the command has started is imported after it: see `accounting`.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from eco2ai_cli import ledger, place
from eco2ai_cli.clock import Clock
from eco2ai_cli.config import Config
from eco2ai_cli.errors import Eco2aiError, WrongUsage
from eco2ai_cli.faults import Faults
from eco2ai_cli.launch.start import child_environment, start
from eco2ai_cli.place import Place
from eco2ai_cli.processes.linux import LinuxTree

if TYPE_CHECKING:
    from eco2ai_cli.run_record import Run


class Request(NamedTuple):
    """What to run and how; `argv` in bytes, as the system takes it."""

    argv: tuple[bytes, ...]
    config: Config
    wait_for_tree: bool = False
    keep_on_death: bool = False
    json_file: str | None = None
    trace_file: str | None = None
    live: bool = False


class Plan(NamedTuple):
    """A request that was checked, with all that was looked up for it before the spawn."""

    request: Request
    place: Place
    run_id: str
    environ: Mapping[str, str]
    ledger_key: bytes | None = None


def prepare(request: Request, environ: Mapping[str, str] = os.environ) -> Plan:
    """Check the request and look everything up; starts nothing and writes nothing.

    Raises Eco2aiError for whatever stands against the run.
    """
    if not sys.platform.startswith("linux"):
        raise Eco2aiError(f"`eco2ai run` measures on Linux only; this is `{sys.platform}`")
    config = request.config
    ledger.check(config.output)
    ledger_key = _ledger_key(config)
    _check_results(request)
    if config.cpu_table is not None:
        from eco2ai_cli import cpu_user  # which is not needed by those who have no table

        cpu_user.load(config.cpu_table)
    if config.meters is not None and "nvml" in config.meters:
        from eco2ai_cli.meters import nvml_survey

        nvml_survey.check()
    if config.meters is not None and "rapl" in config.meters:
        from eco2ai_cli.meters import rapl_survey

        rapl_survey.check()
    return Plan(
        request=request,
        place=place.settle(config, environ),
        run_id=str(uuid.uuid4()),
        environ=environ,
        ledger_key=ledger_key,
    )


def _ledger_key(config: Config) -> bytes | None:
    if config.ledger_key_file is None:
        return None
    from eco2ai_cli.ledger import key

    return key.load(config.ledger_key_file)


def execute(
    plan: Plan,
    faults: Faults,
    *,
    tree: LinuxTree | None = None,
    clock: Clock | None = None,
) -> tuple[int, Run | None]:
    """Run the command; return its wait(2) status and the record of the run.

    Nothing is saved but the trace. What goes wrong in us once the command runs is left in
    `faults`, at worst instead of a record. Raises CommandNotFound or CommandNotExecutable where
    there is nothing to start.
    """
    tree = LinuxTree() if tree is None else tree
    clock = Clock() if clock is None else clock
    started = start(
        plan.request.argv,
        child_environment(plan.run_id),
        tree,
        die_with_us=not plan.request.keep_on_death,
        clock=clock,
    )
    # Many a command is over before the rest is even imported: look at once.
    faults.guard(partial(tree.usage, clock.awake_s()), None)
    try:
        from eco2ai_cli.accounting import record, watch

        watched = watch(plan, started, tree, clock, faults)
    except Exception as error:  # nothing is known of the run, but how it ends
        faults.first = faults.first or error
        return os.waitpid(started.pid, 0)[1], None
    return watched.status, faults.guard(partial(record, plan, watched, faults), None)


def _check_results(request: Request) -> None:
    """Raise WrongUsage where `--json` or `--trace` names what cannot become a file of its own."""
    taken = {_real_path(request.config.output): "ledger"}
    for option, path in (("--json", request.json_file), ("--trace", request.trace_file)):
        if path is None:
            continue
        _check_writable(path)
        use = taken.setdefault(_real_path(path), f"file of `{option}`")
        if use != f"file of `{option}`":
            raise WrongUsage(f"`{path}` is the {use} already", hint=f"name another for `{option}`")


def _real_path(path: str) -> str:
    try:
        return os.path.realpath(path)
    except OSError as error:  # the folder that we are in was removed
        raise WrongUsage(f"`{path}` leads nowhere: {error.strerror}", hint="`cd` first") from error


def _check_writable(path: str) -> None:
    """Raise WrongUsage where `path` cannot become a file of ours; creates nothing."""
    folder = os.path.dirname(path) or "."
    if path.startswith(("/dev/fd/", "/dev/stdin", "/dev/stdout", "/proc/self/fd/")):
        raise WrongUsage(f"`{path}` is the command's, not ours", hint="name a file")
    if os.path.exists(path) and not os.path.isfile(path) and path != os.devnull:
        kind = "a folder" if os.path.isdir(path) else "no regular file"
        raise WrongUsage(f"`{path}` is {kind}", hint="name a file")
    if not os.path.isdir(folder):
        raise WrongUsage(f"there is no folder `{folder}` for `{path}`", hint="make it first")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise WrongUsage(f"`{path}` cannot be written", hint="name a file that you may write")
    if _is_ledger(path):
        raise WrongUsage(f"`{path}` is a ledger, and would be lost", hint="name another file")


def _is_ledger(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(64).startswith(b"id,project_name,experiment_description,")
