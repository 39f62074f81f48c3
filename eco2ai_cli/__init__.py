"""Measure what a command and all its processes cost in energy, carbon emissions and money."""

__version__ = "0.2.0"
__all__ = ["Tracker", "__version__", "get_params", "mark", "set_params", "summary", "track"]

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a start may
if TYPE_CHECKING:
    from eco2ai_cli.tracker.api import Tracker
    from eco2ai_cli.tracker.decorator import track
    from eco2ai_cli.tracker.defaults import get_params, set_params
    from eco2ai_cli.tracker.marking import mark
    from eco2ai_cli.tracker.totals import summary

_HOMES = {
    "Tracker": "api",
    "track": "decorator",
    "mark": "marking",
    "set_params": "defaults",
    "get_params": "defaults",
    "summary": "totals",
}
"""Where the public names live; they are imported when they are asked for."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.tracker.{_HOMES[name]}"), name)
