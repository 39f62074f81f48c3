"""Follow the runs under way from look to look: what each does now, and what has ended."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from eco2ai_cli.clock import Clock
from eco2ai_cli.dashboard import Gpu
from eco2ai_cli.watch import traces
from eco2ai_cli.watch.frame import MOST_MEMBERS, Watched
from eco2ai_cli.watch.gpus import Gpus
from eco2ai_cli.watch.members import Look, Member, busiest, look
from eco2ai_cli.watch.outcome import outcome
from eco2ai_cli.watch.plot import zoomed
from eco2ai_cli.watch.power import History, Stretch, follow
from eco2ai_cli.watch.runs import LiveRun, live_runs, matching


class Watcher:
    """Looks at the runs that match `wanted`, the beginning of an id or a project; "" is all.

    `chosen` is the number of the run whose processes are looked at; `window_s` is how far back its
    power is shown, None: as far as is known. `outcomes` are sentences on those that have ended.
    """

    def __init__(
        self,
        wanted: str = "",
        *,
        environ: Mapping[str, str] = os.environ,
        proc: str = "/proc",
        clock: Clock | None = None,
    ) -> None:
        self._wanted = wanted
        self._environ = environ
        self._proc = proc
        self._clock = clock or Clock()
        self._runs: list[LiveRun] = []
        self._histories: dict[str, History] = {}
        self._chosen_id = ""
        self._looks: dict[str, Look] = {}
        self._members: tuple[Member, ...] = ()
        self._traces: dict[str, str | None] = {}
        self._meter = Gpus(proc)
        self._gpus: tuple[Gpu, ...] | None = None
        self.window_s: float | None = None
        self.outcomes: list[str] = []

    def look(self) -> bool:
        """Read every journal, and look closer at the chosen run; return whether there is one."""
        runs = live_runs(self._environ, self._proc)
        runs = matching(runs, self._wanted) if self._wanted else runs
        ids = {run.id for run in runs}
        self.outcomes += [outcome(run) for run in self._runs if run.id not in ids]
        self._runs = runs
        self._traces = {run.id: self._trace(run) for run in runs}
        self._histories = {
            run.id: follow(self._histories.get(run.id), run, partial(self._past, run))
            for run in runs
        }
        self._look_closer()
        return bool(runs)

    def close(self) -> None:
        """Let go of what was opened for looking."""
        self._meter.close()

    def choose(self, step: int) -> None:
        """Choose the run that stands so many places further down, from the end on to the start."""
        if self._runs:
            self._chosen_id = self._runs[(self.chosen + step) % len(self._runs)].id
            self._look_closer()

    def zoom(self, step: int) -> None:
        """Show a longer time (shorter: negative), by so many steps."""
        if self._runs:
            stretches = self._histories[self._runs[self.chosen].id].stretches
            self.window_s = zoomed(self.window_s, stretches, step)

    @property
    def chosen(self) -> int:
        """The number of the chosen run; the first one where there was no choice, or it ended."""
        ids = [run.id for run in self._runs]
        return ids.index(self._chosen_id) if self._chosen_id in ids else 0

    @property
    def watched(self) -> list[Watched]:
        """The runs as of the last look, the latest first."""
        chosen = self.chosen
        return [
            Watched(
                run,
                self._histories[run.id],
                run.elapsed_s(self._clock),
                run.idle_s(self._clock),
                self._members if number == chosen else (),
                len(self._looks[run.id].seen) if run.id in self._looks else 0,
                self._gpus if number == chosen else None,
                *run.outlook,
            )
            for number, run in enumerate(self._runs)
        ]

    def _trace(self, run: LiveRun) -> str | None:
        """Return the trace of a run, which is looked for once."""
        if run.id in self._traces:
            return self._traces[run.id]
        return traces.find(run.pid, run.id, self._proc)

    def _past(self, run: LiveRun) -> tuple[Stretch, ...]:
        path, pue = self._traces[run.id], run.cells.get("pue")
        return traces.past(path, float(pue) if pue is not None else 1.0) if path else ()

    def _look_closer(self) -> None:
        """Look at processes and GPUs of the chosen run; what was seen of another is forgotten."""
        self._members, self._gpus = (), None
        chosen = self._runs[self.chosen] if self._runs else None
        if chosen is None or chosen.pid is None:
            self._looks = {}
            return
        now = look(chosen.pid, self._proc)
        self._members = busiest(self._looks.get(chosen.id), now, MOST_MEMBERS, self._proc)
        self._looks = {chosen.id: now}
        path = self._traces[chosen.id]
        self._gpus = traces.gpus(path) if path else self._meter.look(chosen, now.seen)
