"""What a doctor finds: facts by section, a grade for each component, shortcomings with cures."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import Literal, NamedTuple

from eco2ai_cli.config import Config
from eco2ai_cli.meters.nvml_survey import NvmlSurvey
from eco2ai_cli.meters.rapl_survey import Survey
from eco2ai_cli.uncertainty import Band

GradeWord = Literal["measured", "attributed", "modelled", "guessed", "not metered", "none here"]


class Surroundings(NamedTuple):
    """Where to look. `root` holds /proc, /sys, /dev and /etc; `cwd` None: the current folder.

    `perf_works` tries a perf event, `ask_gpus` asks the NVIDIA driver, `survey_rapl` looks for
    energy counters.
    """

    environ: Mapping[str, str]
    root: str
    cwd: str | None
    perf_works: Callable[[], bool]
    ask_gpus: Callable[[], NvmlSurvey]
    survey_rapl: Callable[[], Survey]

    @property
    def proc(self) -> str:
        """Where procfs is."""
        return f"{self.root}/proc"

    @property
    def sys(self) -> str:
        """Where sysfs is."""
        return f"{self.root}/sys"


class Fact(NamedTuple):
    """One thing that was found: `value` for `--json`, `words` for people.

    None: not for them. Several lines are several of a kind. `label`: what stands before them; None:
    the key.
    """

    key: str
    value: object
    words: str | None = None
    label: str | None = None


class Shortcoming(NamedTuple):
    """What could be better, and how: a sentence, and lines of shell or of `eco2ai.toml` to copy.

    `about`: the section. Nothing of it is ever done by us.
    """

    about: str
    lacking: str
    cure: str
    lines: tuple[str, ...] = ()


class Grade(NamedTuple):
    """How well a component can be known here, and by which source.

    `measured`: by a meter that is the run's alone. `attributed`: by a meter that others share, and
    shared out by use. `modelled`: from figures that are known. `guessed`: from typical figures.
    `band`: factors of the figure between which the truth lies in nine runs of ten.
    """

    component: str
    grade: GradeWord
    source: str
    why: str
    band: Band | None = None


class Section(NamedTuple):
    """What one part of the examination found."""

    name: str
    facts: tuple[Fact, ...] = ()
    grades: tuple[Grade, ...] = ()
    shortcomings: tuple[Shortcoming, ...] = ()


Examination = Callable[[Surroundings, Config], Section]


def doubted(how: str, caveats: Collection[str]) -> str:
    """Return how a figure comes about, with the caveat words that a row would have."""
    return f"{how} [{', '.join(sorted(caveats))}]" if caveats else how


def is_forced(word: str, config: Config) -> bool:
    """Tell whether the configuration asks for a meter by name: then no run starts without it."""
    return config.meters is not None and word in config.meters


def without(word: str) -> str:
    """Say what a meter that is asked for and is not there means for every run."""
    return f"`hardware.meters` asks for `{word}`, which cannot be had: no run starts"


def names_in(folder: str) -> list[str]:
    """Return what is in a folder, sorted; nothing where it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
