"""The NVIDIA driver's library: whether it is here, for next to nothing, and how it answers."""

from __future__ import annotations

NAME = "libnvidia-ml.so.1"
REFUSALS = frozenset({3, 4, 13})
"""Not supported, no permission, function not found: for good. nvmlReturn_t of nvml.h, by number,
because older versions of `pynvml` lack some of the names."""


def present() -> bool:
    """Tell whether the driver's library can be loaded; it is not started by that."""
    import ctypes

    try:
        ctypes.CDLL(NAME)
    except OSError:
        return False
    return True


def text(answer: str | bytes) -> str:
    """Return a text of the driver's, which old versions of `pynvml` hand out in bytes."""
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer
