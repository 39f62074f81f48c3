"""Tell whether the NVIDIA driver's library is here, for next to nothing."""

from __future__ import annotations

NAME = "libnvidia-ml.so.1"


def present() -> bool:
    """Tell whether the driver's library can be loaded; it is not started by that."""
    import ctypes

    try:
        ctypes.CDLL(NAME)
    except OSError:
        return False
    return True
