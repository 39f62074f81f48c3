"""What the energy of processor and memory is known by: RAPL counters, or models of them."""

from __future__ import annotations

import re

from eco2ai_cli import cpus, uncertainty
from eco2ai_cli.config import Config
from eco2ai_cli.doctor.findings import (
    Fact,
    Grade,
    GradeWord,
    Section,
    Shortcoming,
    Surroundings,
    doubted,
    is_forced,
    names_in,
    without,
)
from eco2ai_cli.doctor.kernel import container
from eco2ai_cli.machine import Machine, this_machine
from eco2ai_cli.meters.powercap import ZONES
from eco2ai_cli.meters.rapl_survey import Obstacle, Survey
from eco2ai_cli.model import Component

_QUALITY: dict[str, GradeWord] = {
    "vendor": "modelled",
    "catalogue": "modelled",
    "derived": "guessed",
    "fallback": "guessed",
}
_FORBIDDEN = "`hardware.meters` leaves no source for it"


def examine(at: Surroundings, config: Config) -> Section:
    """Tell which processor this is, how it was recognised, and what its energy is known by."""
    here = this_machine(at.proc, at.sys)
    charged = cpus.charge(here, config.cpu_tdp_w, config.cpu_table)
    match = cpus.recognise(here, config.cpu_table)
    tdp = None if charged.tdp_w is None else f"{charged.tdp_w:g} W a socket"
    facts = (
        Fact("name", charged.name, charged.name),
        Fact("model", match.model, match.model or "not told by the name"),
        Fact("matched_by", charged.matched_by, f"{charged.matched_by} ({charged.quality})"),
        Fact("quality", charged.quality),
        Fact("tdp_w", charged.tdp_w, tdp, "TDP"),
        Fact("w_per_thread", charged.w_per_thread, f"{charged.w_per_thread:.3g} W", "a thread"),
        Fact("machine", "guest" if here.virtual else "bare metal", _kind(here)),
        Fact("hypervisor", here.hypervisor),
        Fact("sockets", charged.sockets, None if here.virtual else str(charged.sockets)),
        Fact("logical_cpus", here.logical_cpus, str(here.logical_cpus)),
        Fact("reasoning", list(charged.reasoning), "\n".join(charged.reasoning), "because"),
        Fact("caveats", sorted(charged.caveats)),
    )
    survey = _rapl(at, config)
    if _measures(survey, "cpu"):
        return Section("processor", facts, (_attributed("cpu"),))
    if survey is not None and is_forced("rapl", config):
        return Section("processor", facts, (Grade("cpu", "not metered", "none", without("rapl")),))
    if not _allowed("tdp", config):
        return Section("processor", facts, (Grade("cpu", "not metered", "none", _FORBIDDEN),))
    band = uncertainty.energy_factors("cpu", "tdp", charged.caveats, charged.quality)
    why = doubted("CPU seconds × the watts of a thread", charged.caveats)
    grade = Grade("cpu", _QUALITY[charged.quality], "tdp", why, band)
    return Section("processor", facts, (grade,), _unknown_processor(charged.quality))


def _kind(here: Machine) -> str:
    if here.virtual:
        return f"a guest of {here.hypervisor}" if here.hypervisor else "a guest of a hypervisor"
    return f"bare metal, {here.form}" if here.form else "bare metal"


def _unknown_processor(quality: str) -> tuple[Shortcoming, ...]:
    if _QUALITY[quality] == "modelled":
        return ()
    cure = Shortcoming(
        "processor",
        "the processor's power is an estimate",
        "give the watts (TDP) of a socket by `--cpu-tdp`, `ECO2AI_HARDWARE_CPU_TDP` or in "
        "`eco2ai.toml`; `eco2ai cpus list` helps to find them",
        ("[hardware]", "cpu_tdp = WATTS"),
    )
    return (cure,)


def examine_rapl(at: Surroundings, config: Config) -> Section:
    """Tell which energy counters there are, which are read, and why not the others."""
    survey = _rapl(at, config)
    if survey is None:
        unasked = Fact("used", False, "not asked for: `hardware.meters` leaves it out")
        return Section("rapl", (unasked,))
    read = [f"{zone.id} ({zone.name})" for zone in survey.zones]
    passed = [f"{zone.id} ({zone.name}): {zone.why}" for zone in survey.passed]
    obstacle = survey.obstacle
    found = (
        Fact("used", obstacle is None, "yes" if obstacle is None else f"no: {obstacle.reason}"),
        Fact("obstacle", None if obstacle is None else obstacle.reason),
        Fact("zones", [zone._asdict() for zone in survey.zones], "\n".join(read), "zones"),
        Fact(
            "zones_passed",
            [zone._asdict() for zone in survey.passed],
            "\n".join(passed),
            "not read",
        ),
        Fact("idle_policy", config.idle, config.idle if survey.zones else None),
    )
    here = this_machine(at.proc, at.sys)
    forced = is_forced("rapl", config)
    lacks_what_it_could_have = not here.virtual or bool(names_in(at.root + ZONES))
    if obstacle is None or not (forced or lacks_what_it_could_have):
        return Section("rapl", found)
    cured = _cured(obstacle, container(at) is not None)
    if forced:
        cured = cured._replace(cure=f"{cured.cure}, or leave `rapl` out of `hardware.meters`")
    return Section("rapl", found, (), (cured,))


def _cured(obstacle: Obstacle, inside: bool) -> Shortcoming:
    """Write an obstacle down, with the commands of its cure to copy; `inside` a container."""
    lines = re.findall(r"`(sudo [^`]+)`", obstacle.cure)
    where = "on the host, " if inside and lines else ""
    lines += [f"docker run {it} …" for it in re.findall(r"`(--security-opt [^`]+)`", obstacle.cure)]
    rule = re.search(r"`(z \S+ 0440 root )GROUP -`", obstacle.cure)
    if rule:
        lines.append(f'echo "{rule[1]}$(id -gn) -" | sudo tee /etc/tmpfiles.d/rapl.conf')
        cure = "let your group read the counters, now and at every start (root could read them)"
        if inside:
            cure += "; start the container in that group"
            lines.append("docker run --group-add $(id -g) …")
    else:
        cure = obstacle.cure
    return Shortcoming("rapl", obstacle.reason, f"{where}{cure}", tuple(lines))


def examine_memory(at: Surroundings, config: Config) -> Section:
    """Tell what the energy of the memory is known by."""
    if _measures(_rapl(at, config), "ram"):
        return Section("memory", (Fact("source", "rapl"),), (_attributed("ram"),))
    if not _allowed("ram", config):
        grade = Grade("ram", "not metered", "none", _FORBIDDEN)
        return Section("memory", (Fact("source", None),), (grade,))
    watts = config.ram_w_per_gb
    band = uncertainty.energy_factors("ram", "model", (), None)
    why = f"{watts:g} W for each GB (2^30 bytes) that the run holds"
    facts = (Fact("source", "model"), Fact("w_per_gb", watts, f"{watts:g} W/GB", "model"))
    return Section("memory", facts, (Grade("ram", "modelled", "model", why, band),))


def _allowed(word: str, config: Config) -> bool:
    return config.meters is None or word in config.meters


def _rapl(at: Surroundings, config: Config) -> Survey | None:
    return at.survey_rapl() if _allowed("rapl", config) else None


def _measures(survey: Survey | None, component: str) -> bool:
    return survey is not None and any(zone.component == component for zone in survey.zones)


def _attributed(component: Component) -> Grade:
    band = uncertainty.energy_factors(component, "rapl+share", (), None)
    why = "RAPL counters, shared out by busy CPU time; `rapl` where the run has the machine alone"
    return Grade(component, "attributed", "rapl", why, band)
