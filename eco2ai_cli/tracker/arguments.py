"""Turn the arguments of a tracker into a plan, or say what is wrong with them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from eco2ai_cli import config
from eco2ai_cli.config import Config
from eco2ai_cli.config_keys import KEYS
from eco2ai_cli.errors import Eco2aiError, LedgerError, WrongArgument, WrongUsage
from eco2ai_cli.regions import RegionNotFound
from eco2ai_cli.session import Plan, Request, prepare
from eco2ai_cli.tracker.defaults import KEY_OF_PARAMETER, plain, stored

MEASURE_PERIOD_S = 10.0
"""Seconds between samples, as in eco2AI, where neither argument nor configuration says."""


class Arguments(NamedTuple):
    """What a tracker was given, by the names of eco2AI; None: not given."""

    project_name: object = None
    experiment_description: object = None
    file_name: object = None
    measure_period: object = None
    emission_level: object = None
    alpha_2_code: object = None
    region: object = None
    cpu_processes: object = None
    pue: object = None
    encode_file: object = None
    electricity_pricing: object = None
    ignore_warnings: bool = False


class Sealing(NamedTuple):
    """The file in which rows are sealed as well, and the secret for it."""

    path: str
    key: bytes


class Settled(NamedTuple):
    """What a tracker is to do, checked; `notes` are sentences for its user."""

    plan: Plan
    whole_machine: bool
    sealing: Sealing | None
    notes: tuple[str, ...] = ()


def settle(arguments: Arguments, environ: Mapping[str, str] = os.environ) -> Settled:
    """Check all that was given and look everything up; starts nothing.

    Raises WrongArgument, a ValueError, for what cannot be meant, and the Eco2aiError of whatever
    else stands against it: a configuration, a ledger that cannot be written.
    """
    given = _by_key(arguments)
    try:
        whole_machine = _whole_machine(arguments.cpu_processes)
        settings = _configured({key: value for key, (_, value) in given.items()}, environ)
        request = Request(argv=_command_line(), config=settings)
        plan = prepare(request, environ)
        sealing, notes = _sealing(arguments.encode_file, settings, environ)
    except Eco2aiError as error:
        _raise(error, {key: parameter for key, (parameter, _) in given.items()})
    return Settled(plan, whole_machine, sealing, notes)


def _by_key(arguments: Arguments) -> dict[str, tuple[str, object]]:
    """Return what was given by configuration key, each with the parameter that gave it."""
    given: dict[str, tuple[str, object]] = {}
    for parameter, key in KEY_OF_PARAMETER.items():
        value = getattr(arguments, parameter)
        if value is not None:
            given[key] = (parameter, plain(parameter, value))
    country = arguments.alpha_2_code
    if country is not None:
        if not isinstance(country, str):
            raise WrongArgument(f"argument `alpha_2_code` must be text, not `{country}`")
        region = given.get("region.code")
        where = country if region is None else f"{country}/{region[1]}"
        given["region.code"] = ("alpha_2_code" if region is None else "region", where)
    return given


def _whole_machine(cpu_processes: object) -> bool:
    if cpu_processes not in (None, "current", "all"):
        raise WrongArgument(
            f"argument `cpu_processes` must be `current` or `all`, not `{cpu_processes}`"
        )
    return cpu_processes == "all"


def _configured(options: Mapping[str, object], environ: Mapping[str, str]) -> Config:
    """Return the configuration, the defaults that the user has stored just above our own."""
    found = config.load(options, environ=environ)
    kept = {KEY_OF_PARAMETER[name]: value for name, value in stored(environ).items()}
    open_keys = {key: value for key, value in kept.items() if found.origin(key) == "default"}
    if open_keys:
        found = config.load({**open_keys, **options}, environ=environ)
    if found.origin("run.interval") == "default":
        found = found._replace(interval_s=MEASURE_PERIOD_S)
    try:  # the folder that we are in may be another one when the row is written
        return found._replace(output=os.path.abspath(found.output))
    except FileNotFoundError:
        message = f"cannot write the ledger `{found.output}`: the folder that we are in is gone"
        raise LedgerError(message, hint="name it by an absolute path in `--output`") from None


def _command_line() -> tuple[bytes, ...]:
    """Return the command line of this interpreter, as `run` would have seen it."""
    words = sys.orig_argv or [sys.executable or "python"]
    return tuple(os.fsencode(word) for word in words)


def _sealing(
    encode_file: object, settings: Config, environ: Mapping[str, str]
) -> tuple[Sealing | None, tuple[str, ...]]:
    if encode_file is None or encode_file is False:
        return None, ()
    from eco2ai_cli.ledger import key as keys
    from eco2ai_cli.ledger.sealed import check_sealed, sealed_path

    if encode_file is True:
        path = sealed_path(settings.output)
    elif isinstance(encode_file, str | os.PathLike) and os.fspath(encode_file):
        path = os.path.abspath(os.fspath(encode_file))
    else:
        raise WrongArgument(
            f"argument `encode_file` must be `True` or the path of a file, not `{encode_file!r}`"
        )
    if path == settings.output:
        raise WrongArgument(f"argument `encode_file`: `{path}` is the ledger itself")
    notes: tuple[str, ...] = ()
    key_file = settings.ledger_key_file
    if key_file is None:
        own = keys.of_user(environ)
        key_file = own.path
        notes = (own.sentence,) if own.is_new else ()
    sealing = Sealing(path, keys.load(key_file))
    check_sealed(sealing.path, sealing.key)
    return sealing, notes


def _raise(error: Eco2aiError, parameters: Mapping[str, str]) -> NoReturn:
    """Raise `error` as a Python user should read it: by arguments, and with its hint."""
    text = f"{error}; {error.hint}" if error.hint else str(error)
    usual = {key: parameter for parameter, key in KEY_OF_PARAMETER.items()}
    for key, parameter in {**usual, **parameters}.items():
        option = KEYS[key].option or key
        text = text.replace(f"option `{option}`", f"argument `{parameter}`")
        text = text.replace(f"`{option}`", f"`{parameter}`")
    is_wrong = isinstance(error, WrongUsage | RegionNotFound)
    kind = WrongArgument if is_wrong else type(error)
    raise kind(text) from None
