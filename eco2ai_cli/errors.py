"""The errors a user can meet: each class knows its exit status, each instance may carry a hint."""

from __future__ import annotations


class Eco2aiError(Exception):
    """Anything that stops us before the command has started, or stops another command of ours.

    The message is one sentence: what, where. Lower case, names in back-quotes, no full stop.
    """

    exit_status = 125

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class WrongUsage(Eco2aiError):
    """A command line that cannot be meant: exit status 2, as click and GNU tools do."""

    exit_status = 2


class WrongArgument(WrongUsage, ValueError):
    """An argument of the Python API that cannot be meant."""


class ConfigError(Eco2aiError):
    """A configuration file or an `ECO2AI_` variable that cannot be used."""


class LedgerError(Eco2aiError):
    """A ledger that cannot be written or read."""


class MeterUnavailable(Eco2aiError):
    """A meter that was asked for by name and that this machine does not have."""


class ResourceError(Eco2aiError):
    """A table, shipped or the user's, that is missing or cannot be read."""


class CommandNotFound(Eco2aiError):
    """The command to run does not exist: 127, as every shell says."""

    exit_status = 127


class CommandNotExecutable(Eco2aiError):
    """The command to run was found and cannot be executed: 126."""

    exit_status = 126


class NoAnswer(Eco2aiError):
    """A look-up whose answer is no."""

    exit_status = 1
