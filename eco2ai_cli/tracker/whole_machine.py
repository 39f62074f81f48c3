"""The load of the whole machine, for `cpu_processes="all"`."""

from __future__ import annotations

from eco2ai_cli.meters.cpu_share import Load, look
from eco2ai_cli.model import Usage
from eco2ai_cli.recorder import UsageSource


class WholeMachine:
    """Counts the busy time of all CPUs; memory and processes are still those of `own`.

    Busy is what was not idle. In a container that is the load of the host, for `/proc/stat` is.
    """

    def __init__(self, own: UsageSource, proc: str = "/proc") -> None:
        self._own = own
        self._proc = proc
        self._first: Load | None = None
        self._highest_s = 0.0

    def usage(self, now_s: float) -> Usage:
        """Look at everybody; `now_s`: seconds on the clock that stops in suspend."""
        usage = self._own.usage(now_s)
        load = look(usage.cpu_s, now_s, self._proc)
        if self._first is None:
            self._first = load
        first = self._first
        passed_s = max(first.cpus, load.cpus) * (load.at_s - first.at_s)
        busy_s = passed_s - (load.spare_s - first.spare_s)
        # Idle time goes by ticks, so it may lag behind what this process alone has used.
        self._highest_s = max(self._highest_s, busy_s, usage.cpu_s)
        return usage._replace(cpu_s=self._highest_s, caveats=usage.caveats | {"cpu-of-machine"})
