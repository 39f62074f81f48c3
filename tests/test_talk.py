"""What a person is told on standard error, whatever it is that takes it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from wrapped import ECO2AI


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_summary_can_be_read_where_there_is_no_unicode(encoding: str, tmp_path: Path) -> None:
    options = ["-r", "FR", "--pue", "1.5", "-o", tmp_path / "emission.csv"]
    done = subprocess.run(
        [*ECO2AI, "run", *options, "--", "sleep", "0.2"],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        stderr=subprocess.PIPE,
        check=True,
    )
    text = done.stderr.decode("ascii")
    assert "\\" not in text
    assert "eco2ai sleep 0.2 - 2" in text
    assert "PUE 1.5 x (CPU" in text
    assert "uWh" in text
