"""What all tests share: a clean place and a clean environment."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest

# A busy machine is no defect; speed is measured in `benchmarks/`.
hypothesis.settings.register_profile("eco2ai", deadline=None)
hypothesis.settings.load_profile("eco2ai")

ROOT = Path(__file__).parent.parent

# Under nohup(1), or behind a `&` in a script, what the tests start would ignore these.
for _number, _action in (
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGINT, signal.default_int_handler),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _action)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger that does not exist yet."""
    return tmp_path / "emission.csv"


@pytest.fixture(autouse=True)
def _clean_environment(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the user's configuration or of an outer run reaches a test, nor the other way."""
    for name in [name for name in os.environ if name.startswith("ECO2AI_")]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    for name, folder in (
        ("HOME", home),
        ("XDG_CONFIG_HOME", home / "config"),
        ("XDG_STATE_HOME", home / "state"),
        ("XDG_CACHE_HOME", home / "cache"),
    ):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
