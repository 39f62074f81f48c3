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
from eco2ai_cli.errors import ConfigError, Eco2aiError, WrongUsage
from eco2ai_cli.faults import Faults
from eco2ai_cli.launch.start import child_environment, start
from eco2ai_cli.marks.channel import open_channel
from eco2ai_cli.place import Place
from eco2ai_cli.processes.linux import LinuxTree

if TYPE_CHECKING:
    from eco2ai_cli.marks.logs import Follower
    from eco2ai_cli.rates import Rates
    from eco2ai_cli.run_record import Finished


class Request(NamedTuple):
    """What to run and how; `argv` in bytes, as the system takes it."""

    argv: tuple[bytes, ...]
    config: Config
    wait_for_tree: bool = False
    keep_on_death: bool = False
    json_file: str | None = None
    trace_file: str | None = None
    live: bool = False
    progress_file: str | None = None
    progress: str = "auto"
    epochs: int | None = None


class Plan(NamedTuple):
    """A request that was checked, with all that was looked up for it before the spawn."""

    request: Request
    place: Place
    run_id: str
    environ: Mapping[str, str]
    ledger_key: bytes | None = None
    log: Follower | None = None
    rates: Rates | None = None


def prepare(request: Request, environ: Mapping[str, str] = os.environ) -> Plan:
    """Check the request and look everything up; starts nothing and writes nothing.

    Raises Eco2aiError for whatever stands against the run.
    """
    if not sys.platform.startswith("linux"):
        raise Eco2aiError(f"`eco2ai run` measures on Linux only; this is `{sys.platform}`")
    config = request.config
    _check_budget(config)
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
    for word in ("hwmon", "amdsmi"):
        if config.meters is not None and word in config.meters:
            from eco2ai_cli.meters import drm_survey

            drm_survey.check(word)
    return Plan(
        request=request,
        place=place.settle(config, environ),
        run_id=str(uuid.uuid4()),
        environ=environ,
        ledger_key=ledger_key,
        log=_log(request),
        rates=_rates(config),
    )


def _rates(config: Config) -> Rates | None:
    if config.tariff is None and config.profile is None:
        return None
    from eco2ai_cli import rates  # few have them

    return rates.settle(config)


def _log(request: Request) -> Follower | None:
    if request.progress_file is None:
        return None
    from eco2ai_cli.marks import logs

    return logs.follow(request.progress_file, request.progress)


def _check_budget(config: Config) -> None:
    """Raise WrongUsage or ConfigError where a cost is limited that nobody can compute."""
    if config.max_cost is None or config.price_per_kwh is not None or config.tariff is not None:
        return
    origin = config.origin("budget.cost")
    by_option = origin.startswith("option")
    raise (WrongUsage if by_option else ConfigError)(
        f"{origin if by_option else f'{origin}: `budget.cost`'} needs a price of electricity",
        hint="give `--price PER_KWH`, or `price` or a `tariff` in `[electricity]` of `eco2ai.toml`",
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
) -> tuple[int, Finished | None]:
    """Run the command; return its wait(2) status and the record of the run.

    Nothing is saved but the trace. What goes wrong in us once the command runs is left in
    `faults`, at worst instead of a record. Raises CommandNotFound or CommandNotExecutable where
    there is nothing to start.
    """
    tree = LinuxTree() if tree is None else tree
    clock = Clock() if clock is None else clock
    channel = open_channel(plan.run_id, plan.environ)
    try:
        started = start(
            plan.request.argv,
            child_environment(plan.run_id, None if channel is None else channel.path),
            tree,
            die_with_us=not plan.request.keep_on_death,
            clock=clock,
        )
    except BaseException:
        if channel is not None:
            channel.close()
        raise
    # Many a command is over before the rest is even imported: look at once.
    faults.guard(partial(tree.usage, clock.awake_s()), None)
    left_running = False
    try:
        if channel is not None and plan.request.keep_on_death:
            tree.ignore(channel.keep(started.pid))
        from eco2ai_cli.accounting import watch

        status, finished = watch(plan, started, tree, clock, faults, channel)
        left_running = finished is not None and "left-running" in finished.run.doubts
        return status, finished
    except Exception as error:  # nothing is known of the run, but how it ends
        faults.first = faults.first or error
        if tree.root_status is not None:  # reaped before the fault
            return tree.root_status, None
        return os.waitpid(started.pid, 0)[1], None
    finally:
        if channel is not None:
            faults.guard(partial(channel.close, left_running=left_running), None)


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
