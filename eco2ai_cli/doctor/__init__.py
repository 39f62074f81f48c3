"""Examine a machine: what can be measured here, by what, why not better, and what would cure it.

Each section is a function from the surroundings and the configuration to what it found; nothing is
changed, nothing is asked of the network, and no section can fail another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

from eco2ai_cli.config import Config, load
from eco2ai_cli.doctor import accounts, files, gpu, kernel, processor
from eco2ai_cli.doctor.findings import (
    Examination,
    Fact,
    Grade,
    Section,
    Shortcoming,
    Surroundings,
)
from eco2ai_cli.errors import Eco2aiError
from eco2ai_cli.meters import nvml_survey, rapl_survey
from eco2ai_cli.meters.nvml_survey import NvmlSurvey
from eco2ai_cli.processes.perf import open_task_clock

__all__ = ["Diagnosis", "Fact", "Grade", "Section", "Shortcoming", "examine"]

_EXAMINATIONS: dict[str, Examination] = {
    "processor": processor.examine,
    "rapl": processor.examine_rapl,
    "memory": processor.examine_memory,
    "gpus": gpu.examine,
    "cpu_time": kernel.examine_cpu_time,
    "limits": kernel.examine_limits,
    "region": accounts.examine_region,
    "config": accounts.examine_config,
    "ledger": files.examine_ledger,
    "journal": files.examine_journal,
}


class Diagnosis(NamedTuple):
    """All that was found, section by section."""

    sections: tuple[Section, ...]

    @property
    def grades(self) -> tuple[Grade, ...]:
        """How well each component is known."""
        return tuple(grade for section in self.sections for grade in section.grades)

    @property
    def shortcomings(self) -> tuple[Shortcoming, ...]:
        """All that could be better, those of the figures first."""
        return tuple(short for section in self.sections for short in section.shortcomings)


def _perf_works() -> bool:
    fd = open_task_clock(os.getpid())
    if fd is None:
        return False
    os.close(fd)
    return True


def examine(
    environ: Mapping[str, str] = os.environ,
    *,
    root: str = "",
    cwd: str | None = None,
    perf_works: Callable[[], bool] = _perf_works,
    ask_gpus: Callable[[], NvmlSurvey] = nvml_survey.survey,
    pause: Callable[[float], object] = time.sleep,
) -> Diagnosis:
    """Look at everything that decides how well a run from `cwd` would be measured.

    Never raises: what cannot be found out is said to be so.
    """
    survey_rapl = cache(lambda: rapl_survey.survey(root, pause))
    at = Surroundings(environ, root, cwd, perf_works, ask_gpus, survey_rapl)
    trouble: Section | None = None
    try:
        config = load({}, cwd=cwd, environ=environ, system_file=f"{root}/etc/eco2ai.toml")
    except Eco2aiError as error:
        config = Config()
        trouble = _broken("config", str(error), error.hint)
    sections = [_guarded(name, section, at, config) for name, section in _EXAMINATIONS.items()]
    if trouble is not None:
        sections = [trouble if section.name == "config" else section for section in sections]
    return Diagnosis(tuple(sections))


def _guarded(name: str, section: Examination, at: Surroundings, config: Config) -> Section:
    """Examine one section; whatever stands against it becomes what it found."""
    try:
        return section(at, config)
    except Eco2aiError as error:
        return _broken(name, str(error), error.hint)
    except Exception as error:
        reason = f"this could not be examined: {type(error).__name__}: {error}"
        return _broken(name, reason, "this is a fault of eco2ai: please report it")


def _broken(name: str, reason: str, cure: str | None) -> Section:
    fact = Fact("error", reason, reason)
    return Section(name, (fact,), (), (Shortcoming(name, reason, cure or "mend that"),))
