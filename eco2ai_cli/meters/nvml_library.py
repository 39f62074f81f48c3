"""Tell whether the NVIDIA driver's library is here, for next to nothing."""

from __future__ import annotations

from eco2ai_cli.errors import MeterUnavailable

NAME = "libnvidia-ml.so.1"


def present() -> bool:
    """Tell whether the driver's library can be loaded; it is not started by that."""
    import ctypes

    try:
        ctypes.CDLL(NAME)
    except OSError:
        return False
    return True


def check() -> None:
    """See before the spawn that a meter that was asked for by name is there.

    Raises MeterUnavailable with the reason and the cure.
    """
    if not present():
        raise MeterUnavailable(
            f"meter `nvml` was asked for, and the NVIDIA driver's library `{NAME}` cannot be "
            "loaded",
            hint="install the NVIDIA driver, start the container with its GPUs, or leave "
            "`nvml` out of `--meters`",
        )
