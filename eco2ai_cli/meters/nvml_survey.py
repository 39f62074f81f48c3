"""Survey what the NVIDIA driver tells of each GPU, for those who want to know before a run."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from eco2ai_cli.errors import MeterUnavailable
from eco2ai_cli.meters import nvml_library

_NOT_FOUND = 6
"""NVML_ERROR_NOT_FOUND of nvml.h: what ProcessUtilization answers while nobody computes."""


class Device(NamedTuple):
    """One GPU. `supports`: what it tells; None: an error that may pass, in words in `errors`."""

    number: int
    name: str | None
    uuid: str | None
    power_limit_w: float | None
    is_mig: bool
    is_persistent: bool | None
    supports: dict[str, bool | None]
    errors: dict[str, str]


class NvmlSurvey(NamedTuple):
    """What NVML said. `obstacle`: why it said nothing, or no more; None: it answered."""

    is_there: bool
    driver: str | None = None
    devices: tuple[Device, ...] = ()
    obstacle: str | None = None
    timed_out: bool = False


def survey(patience_s: float = 0.6) -> NvmlSurvey:
    """Ask the driver about all GPUs, in a process of its own: a call into a driver may hang for
    ever, and who makes it then cannot even be killed.

    Whoever does not answer within `patience_s` is left behind.
    """
    if not nvml_library.present():
        return NvmlSurvey(False)
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(reading)
        os.close(writing)
        return NvmlSurvey(True, obstacle=f"the driver cannot be asked: {error}")
    if pid == 0:
        _answer(writing)
    os.close(writing)
    try:
        answer = _read_all(reading, time.monotonic() + patience_s)
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, os.WNOHANG)
    if not answer:
        reason = f"the driver did not answer within {patience_s:g} s"
        return NvmlSurvey(True, obstacle=reason, timed_out=True)
    driver, devices, obstacle = json.loads(answer)
    return NvmlSurvey(True, driver, tuple(Device(*device) for device in devices), obstacle)


def check(patience_s: float = 20.0) -> None:
    """See before the spawn that NVML, asked for by name, shows a GPU.

    A driver that must first wake many GPUs takes some seconds. Raises MeterUnavailable with the
    reason and the cure.
    """
    found = survey(patience_s)
    if found.devices:
        return
    if found.is_there:
        reason = found.obstacle or "the driver shows no GPU"
        cure = "see what `nvidia-smi` says"
    else:
        reason = f"the NVIDIA driver's library `{nvml_library.NAME}` cannot be loaded"
        cure = "install the NVIDIA driver, start the container with its GPUs"
    raise MeterUnavailable(
        f"meter `nvml` was asked for, and {reason.rstrip('.')}",
        hint=f"{cure}, or leave `nvml` out of `--meters`",
    )


def _read_all(fd: int, until_s: float) -> bytes:
    """Read to the end; nothing if that does not come in time."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    data = b""
    while (wait_s := until_s - time.monotonic()) > 0 and poll.poll(1000 * wait_s):
        more = os.read(fd, 1 << 16)
        if not more:
            return data
        data += more
    return b""


def _answer(fd: int) -> NoReturn:
    """Be the process that asks: write what the driver says as JSON, and end."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):  # whoever reads our output must not wait for this process
            os.dup2(null, number)
        answer = json.dumps(_ask()).encode()
        while answer:
            answer = answer[os.write(fd, answer) :]
    finally:
        os._exit(0)


def _ask() -> tuple[str | None, list[Device], str | None]:
    """Return the driver's version, its devices, and what stood against more."""
    try:
        import pynvml as nvml  # type: ignore[import-untyped]

        nvml.nvmlInit()
    except Exception as error:
        return None, [], f"NVML cannot be opened: {error}"
    driver, devices, obstacle = None, [], None
    try:
        with contextlib.suppress(nvml.NVMLError):
            driver = nvml_library.text(nvml.nvmlSystemGetDriverVersion())
        for number in range(nvml.nvmlDeviceGetCount()):
            try:
                devices.append(_device(nvml, number, nvml.nvmlDeviceGetHandleByIndex(number)))
            except nvml.NVMLError as error:
                obstacle = f"GPU {number} cannot be opened: {error}"
    except Exception as error:
        obstacle = f"NVML does not answer: {error}"
    return driver, devices, obstacle


def _device(nvml: Any, number: int, handle: Any) -> Device:
    errors: dict[str, str] = {}
    supports: dict[str, bool | None] = {}

    def ask(call: str, *more: Any) -> Any:
        function: Callable[..., Any] | None = getattr(nvml, f"nvmlDeviceGet{call}", None)
        try:
            return None if function is None else function(handle, *more)
        except nvml.NVMLError:
            return None

    def probe(what: str, call: str, *more: Any) -> None:
        try:
            getattr(nvml, f"nvmlDeviceGet{call}")(handle, *more)
            supports[what] = True
        except AttributeError:
            supports[what] = False
        except nvml.NVMLError as error:
            supports[what] = {_NOT_FOUND: True}.get(
                error.value, False if error.value in nvml_library.REFUSALS else None
            )
            if not supports[what]:
                errors[what] = str(error)

    probe("energy_counter", "TotalEnergyConsumption")
    probe("power", "PowerUsage")
    probe("processes", "ComputeRunningProcesses")
    probe("process_utilisation", "ProcessUtilization", 0)
    limit_mw, mig, persistence = (
        ask(call) for call in ("EnforcedPowerLimit", "MigMode", "PersistenceMode")
    )
    name, uuid = ask("Name"), ask("UUID")
    return Device(
        number=number,
        name=name and nvml_library.text(name),
        uuid=uuid and nvml_library.text(uuid),
        power_limit_w=limit_mw / 1e3 if limit_mw else None,
        is_mig=bool(mig and mig[0]),
        is_persistent=None if persistence is None else bool(persistence),
        supports=supports,
        errors=errors,
    )
