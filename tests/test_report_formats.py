"""`eco2ai report --format`: what papers, model cards, programs and browsers are given."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ledger_rows import LEDGERS, ROOT, a_row

from eco2ai_cli import ledger
from eco2ai_cli.report.page import over_time

ENERGY, MASS = "power_consumption(kWh)", "CO2_emissions(kg)"
FAR = "Пекин 北京 🎨"
NASTY = 'a_b & c|d <i>"x"</i> $y$ 50 % \\ {z}\n# ~^'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = str(tmp_path / "emission.csv")
    of_run = {"region/country": "FR", "CPU_name": "EPYC", "GPU_name": "A100", "cost": 2.5}
    parts = {"cpu_energy(kWh)": 8.0, "gpu_energy(kWh)": 10.0, "ram_energy(kWh)": 2.0}
    for number, name in enumerate((NASTY, "plain", "plain")):
        row = a_row(id=str(number), project_name=name, currency="EUR", caveats="region-assumed")
        ledger.append(path, [row | of_run | parts | {ENERGY: 24.5, MASS: 5.89}])
    return tmp_path


def eco2ai(folder: Path, *args: str, python: str = "") -> subprocess.CompletedProcess[str]:
    start = f"{python}\nimport sys; sys.argv[0] = 'eco2ai'\nfrom eco2ai_cli.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", start, "report", *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def printed(folder: Path, *args: str) -> str:
    done = eco2ai(folder, *args)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_model_card_has_grams_and_the_keys_that_are_documented(folder: Path) -> None:
    # https://huggingface.co/docs/hub/model-cards-co2
    lines = printed(folder, "--format", "hf").splitlines()
    assert lines[0] == "co2_eq_emissions:"
    found = dict(line.strip().split(": ", 1) for line in lines[1:] if "#" not in line)
    assert found.keys() == {"emissions", "source", "geographical_location", "hardware_used"}
    assert float(found["emissions"]) == 17670
    assert json.loads(found["geographical_location"]) == "FR"
    assert json.loads(found["hardware_used"]) == "A100; EPYC"
    assert any(line.strip().startswith("# training_type") for line in lines)


def test_model_card_names_no_gpu_where_eco2ai_found_none(tmp_path: Path) -> None:
    card = printed(tmp_path, "--format", "hf", str(LEDGERS / "eco2ai-0.3.12.csv"))
    assert "AMD EPYC" in card
    assert "0 device(s)" not in card


def test_model_card_of_little_has_no_exponent_and_of_the_unknown_no_number(tmp_path: Path) -> None:
    path = str(tmp_path / "emission.csv")
    ledger.append(path, [a_row(id="1") | {MASS: 1.23e-10}])
    assert "  emissions: 0.000000123\n" in printed(tmp_path, "--format", "hf")
    (tmp_path / "emission.csv").unlink()
    ledger.append(path, [a_row(id="1") | {MASS: None}])
    assert not re.search(r"^ +emissions:", printed(tmp_path, "--format", "hf"), re.M)


def test_csv_is_read_back_with_the_figures_of_json(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(folder, "--format", "csv", "--by", "project"))))
    groups = json.loads(printed(folder, "--json"))["groups"]
    assert [row["project"] for row in rows] == ["plain", NASTY]
    for row, group in zip(rows, groups, strict=True):
        assert float(row[ENERGY]) == group["energy_kwh"]
        assert float(row["cost(EUR)"]) == group["cost"]["EUR"]


def test_markdown_has_a_sentence_a_table_and_what_is_to_be_known(folder: Path) -> None:
    text = printed(folder, "--format", "md")
    assert text.startswith("3 runs took 1 d 05 h and used 73.5 kWh of electricity")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert len(table) == 5
    assert "* region-assumed, 3 of 3 runs" in text


def test_latex_escapes_what_a_project_is_called(folder: Path) -> None:
    text = printed(folder, "--format", "latex")
    (row,) = [line for line in text.splitlines() if "textless" in line]
    assert r"a\_b \& c|d \textless{}i\textgreater{}" in row
    assert r"\$y\$ 50 \% \textbackslash{} \{z\} \# \textasciitilde{}\textasciicircum{}" in row
    assert len(re.findall(r"(?<!\\)&", row)) == 6
    assert text.count(r"\begin{tabular}{lrrrrrr}") == text.count(r"\end{tabular}") == 1


class _Page(HTMLParser):
    """The texts of the cells, and what the page would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.headings: list[str] = []
        self.loaded: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action") and not (value or "").startswith(
                "#"
            ):
                self.loaded.append(value or "")
        if tag == "td":
            self.cells.append("")
        if tag == "h2":
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += data
        elif "h2" in self.open:
            self.headings[-1] += data


def test_page_loads_nothing_and_a_name_stays_a_text(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    trace = folder / "trace.jsonl"
    samples = [
        {"t_s": second, "cpu_energy_j": 100 * second, "gpu_energy_j": None, "ram_energy_j": second}
        for second in range(5)
    ]
    trace.write_text("".join(json.dumps(sample) + "\n" for sample in samples) + '{"torn')
    text = printed(folder, "--format", "html", "--trace", "trace.jsonl")
    page = _Page(text)
    assert page.loaded == []
    assert "url(http" not in text
    assert "default-src 'none'" in text
    assert page.headings == [
        "Energy by day", "Energy by project", "Energy by component, before PUE", "Power",
        "By project", "To be known",
    ]  # fmt: skip
    assert NASTY in page.cells
    assert "49.0\xa0kWh" in page.cells
    assert "<i>" not in text
    charts = re.findall(r"<svg.*?</svg>", text, re.S)
    assert len(charts) == 4
    for chart in charts:
        ET.fromstring(chart)
    assert "24.0 kWh" in charts[2]
    assert "30.0 kWh" in charts[2]
    assert "currentColor" in charts[0]


def test_names_that_the_font_of_matplotlib_lacks_are_left_to_the_page(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    ledger.append(str(tmp_path / "emission.csv"), [a_row(id="1", project_name=FAR)])
    assert printed(tmp_path, "--format", "html").count(FAR) >= 2


def test_time_without_runs_has_its_place_in_the_chart() -> None:
    assert over_time({"2026-03-03": 2.0, "2026-02-27": 1.0}) == (
        "day",
        {"2026-02-27": 1.0, "2026-02-28": 0, "2026-03-01": 0, "2026-03-02": 0, "2026-03-03": 2.0},
    )
    period, kwh = over_time({"2025-12-30": 1.0, "2026-01-01": 2.0, "2026-12-31": 4.0})
    assert (period, len(kwh), sum(kwh.values())) == ("week", 53, 7.0)
    assert list(kwh.items())[:2] == [("2026-W01", 3.0), ("2026-W02", 0.0)]
    assert over_time({"2020-01-01": 1.0, "2026-01-01": 1.0})[0] == "month"
    assert over_time({"0001-01-01": 1.0, "2026-01-01": 1.0})[0] == "day"


def test_page_without_matplotlib_is_one_sentence_that_says_what_to_install(folder: Path) -> None:
    absent = "import sys; sys.modules['matplotlib'] = sys.modules['matplotlib.figure'] = None"
    done = eco2ai(folder, "--format", "html", python=absent)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.splitlines() == [
        "eco2ai: error: the page needs matplotlib for its charts",
        "hint: pip install 'eco2ai-cli[html]'",
    ]


def test_trace_that_is_none_is_one_sentence(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    done = eco2ai(folder, "--format", "html", "--trace", "emission.csv")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == "eco2ai: error: `emission.csv` is no trace of `eco2ai run --trace`\n"
