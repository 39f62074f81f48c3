"""The defaults of trackers that a user keeps between programs: `set_params` and `get_params`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from eco2ai_cli.config import user_file
from eco2ai_cli.config_keys import KEYS
from eco2ai_cli.config_kinds import Unfit, shown
from eco2ai_cli.errors import ConfigError, WrongArgument

KEY_OF_PARAMETER: Mapping[str, str] = {
    "project_name": "run.project",
    "experiment_description": "run.description",
    "file_name": "run.output",
    "measure_period": "run.interval",
    "emission_level": "region.intensity",
    "region": "region.code",
    "pue": "facility.pue",
    "electricity_pricing": "electricity.tariff",
}
"""The parameters of a tracker, by eco2AI's names, that are keys of the configuration."""

_FILE_NAME = "tracker.json"
_BUILT_IN: Mapping[str, object] = {
    "project_name": "",
    "experiment_description": "",
    "file_name": "emission.csv",
    "measure_period": 10,
    "pue": 1,
}


def set_params(**params: object) -> None:
    """Keep defaults for the trackers of this user, in place of all that were kept before.

    They hold where neither an argument nor the configuration says anything else; without
    arguments nothing is kept any more. The file is `tracker.json` beside the user's own
    configuration. Raises WrongArgument, and ConfigError where it cannot be written.
    """
    for name, value in params.items():
        if name not in KEY_OF_PARAMETER:
            known = ", ".join(f"`{parameter}`" for parameter in KEY_OF_PARAMETER)
            raise WrongArgument(f"`{name}` is no parameter that can be kept; these can: {known}")
        params[name] = value = plain(name, value)
        kind = KEYS[KEY_OF_PARAMETER[name]].kind
        try:
            kind.check(value)
        except Unfit as unfit:
            raise WrongArgument(f"argument `{name}` {unfit}") from None
        except ValueError:
            raise WrongArgument(
                f"argument `{name}` must be {kind.expected}, not {shown(value)}"
            ) from None
    path = _path(os.environ)
    if path is None:
        raise ConfigError("there is no home to keep parameters in", hint="set `HOME`")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        unfinished = f"{path}.{os.getpid()}"
        with open(unfinished, "w", encoding="utf-8") as file:
            file.write(json.dumps(params, indent=2) + "\n")
        os.replace(unfinished, path)
    except OSError as error:
        raise ConfigError(f"cannot write `{path}`: {error.strerror}") from error


def plain(parameter: str, value: object) -> object:
    """Return an argument as the configuration would hold it; raises WrongArgument."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if parameter == "electricity_pricing" and not (isinstance(value, Mapping | list) and value):
        found = shown(value) if value else "empty"
        raise WrongArgument(
            "argument `electricity_pricing` must be a dictionary of the prices of a day such as "
            f'`{{"8:30-19:00": 0.3, "19:00-8:30": 0.15}}`, not {found}'
        )
    return value


def get_params() -> dict[str, Any]:
    """Return the defaults of trackers: those that are kept, and eco2AI's for the others."""
    return {**_BUILT_IN, **stored(os.environ)}


def stored(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the defaults that are kept; raises ConfigError for a file that cannot be used."""
    path = _path(environ)
    if path is None:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"`{path}` cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"`{path}` cannot be read: {error}; remove it") from None
    if not isinstance(found, dict) or not found.keys() <= KEY_OF_PARAMETER.keys():
        raise ConfigError(f"`{path}` holds no parameters of a tracker; remove it")
    return found


def _path(environ: Mapping[str, str]) -> str | None:
    own = user_file(environ)
    return None if own is None else os.path.join(os.path.dirname(own), _FILE_NAME)
