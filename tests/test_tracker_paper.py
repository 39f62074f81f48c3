"""The four listings of the eco2AI paper (Budennyy et al. 2022), but for the line of the import.

A logistic regression in plain Python stands in for the paper's networks.
"""

from __future__ import annotations

import csv
import json
import math
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import eco2ai_cli as eco2ai
from eco2ai_cli import Tracker, get_params, set_params, track
from eco2ai_cli.errors import Eco2aiError
from eco2ai_cli.tracker import presence
from eco2ai_cli.tracker.totals import summary
from eco2ai_cli.tracker.warn import Eco2aiWarning


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECO2AI_REGION_LOCATE", "off")
    yield
    assert presence.latest() is None, "a test has left a tracker behind"


def rows(path: str = "emission.csv") -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


class Model:
    """Tells whether the first number of a pair is the greater one."""

    def __init__(self) -> None:
        self.weights = [0.0, 0.0]

    def probability(self, pair: tuple[float, float]) -> float:
        score = sum(w * x for w, x in zip(self.weights, pair, strict=True))
        return 1 / (1 + math.exp(-score))

    def train(self, dataset: list[tuple[float, float]]) -> float:
        """Return the mean loss of one epoch of gradient descent."""
        loss = 0.0
        for pair in dataset:
            label = float(pair[0] > pair[1])
            p = self.probability(pair)
            loss -= math.log(p if label else 1 - p)
            self.weights = [
                w + 0.1 * (label - p) * x for w, x in zip(self.weights, pair, strict=True)
            ]
        return loss / len(dataset)

    def accuracy(self, dataset: list[tuple[float, float]]) -> float:
        return sum((self.probability(p) > 0.5) == (p[0] > p[1]) for p in dataset) / len(dataset)


def data(count: int = 2000) -> list[tuple[float, float]]:
    chance = random.Random(0)
    return [(chance.gauss(0, 1), chance.gauss(0, 1)) for _ in range(count)]


def test_listing_1_start_and_stop() -> None:
    tracker = Tracker(
        project_name="YourProjectName", experiment_description="training the <your model> model"
    )

    tracker.start()

    Model().train(data())

    tracker.stop()
    (row,) = rows()
    assert row["project_name"] == "YourProjectName"
    assert row["experiment_description"] == "training the <your model> model"
    assert list(row)[:13] == [
        "id",
        "project_name",
        "experiment_description",
        "epoch",
        "start_time",
        "duration(s)",
        "power_consumption(kWh)",
        "CO2_emissions(kg)",
        "CPU_name",
        "GPU_name",
        "OS",
        "region/country",
        "cost",
    ]
    assert float(row["power_consumption(kWh)"]) > 0


def test_listing_2_the_decorator() -> None:
    @track
    def train_func(model: Model, dataset: Any, optimizer: None, epochs: int, *args, **kwargs):  # type: ignore[no-untyped-def]
        return [model.train(dataset) for _ in range(epochs)]

    losses = train_func(Model(), data(), None, 2)
    assert losses[1] < losses[0]
    assert len(rows()) == 1


def test_listing_3_a_protected_file() -> None:
    pytest.importorskip("cryptography")
    tracker = Tracker(
        file_name="emissions.csv",
        project_name="Test 1",
        experiment_description="training <your model> model",
        encode_file=True,
    )
    with pytest.warns(Eco2aiWarning, match="wrote the ledger key"):
        tracker.start()
    Model().train(data())
    tracker.stop()

    from eco2ai_cli.ledger import key
    from eco2ai_cli.ledger.sealed import open_sealed

    plain = Path("emissions.csv").read_text()
    sealed = Path("encoded_emissions.csv").read_text()
    assert "Test 1" in plain
    assert "Test 1" not in sealed
    secret = key.load(key.of_user().path)
    (record,) = open_sealed("encoded_emissions.csv", [secret])
    (cells,) = record.rows  # type: ignore[union-attr]
    opened = dict(zip(record.names, cells, strict=True))  # type: ignore[union-attr]
    (row,) = rows("emissions.csv")
    del opened["row_hash"], row["row_hash"]
    assert opened == row


def test_listing_4_epochs() -> None:
    train, test = data(), data()[:200]
    model = Model()
    tracker = Tracker(
        project_name="CIFAR10 for ESG",
        experiment_description="ML tracking",
        file_name="emission.csv",
        emission_level=None,
        alpha_2_code="AU",
        region="Queensland",
    )

    tracker.start_training()

    for _epoch in range(3):
        loss = model.train(train)
        parameters_dict = {
            "loss": loss,
            "train_accuracy": model.accuracy(train),
            "test_accuracy": model.accuracy(test),
        }
        tracker.new_epoch(parameters_dict)

    tracker.stop_training()
    assert [row["epoch"].partition(",")[0] for row in rows()] == [
        "epoch: 1",
        "epoch: 2",
        "epoch: 3",
    ]
    assert rows()[-1]["epoch"].startswith(f"epoch: 3, loss: {loss}, train_accuracy: ")
    assert {row["region/country"] for row in rows()} == {"AU-QLD"}
    assert {row["id"] for row in rows()} == {tracker.id()}
    assert all(float(row["power_consumption(kWh)"]) > 0 for row in rows())


def test_sealed_rows_of_epochs_are_those_of_the_ledger() -> None:
    pytest.importorskip("cryptography")
    tracker = Tracker(encode_file="safe.csv", ignore_warnings=True)
    tracker.start_training()
    tracker.new_epoch({"loss": 1})
    tracker.new_epoch({"loss": 0.5})
    tracker.stop_training()

    from eco2ai_cli.ledger import key
    from eco2ai_cli.ledger.sealed import open_sealed

    sealed = open_sealed("safe.csv", [key.load(key.of_user().path)])
    epochs = [cells[3] for record in sealed for cells in record.rows]  # type: ignore[union-attr]
    assert (
        epochs == [row["epoch"] for row in rows()] == ["epoch: 1, loss: 1", "epoch: 2, loss: 0.5"]
    )


def test_a_tariff_bills_by_the_time_of_day() -> None:
    every_hour = {f"{hour}:00-{(hour + 1) % 24}:00": 0.25 for hour in range(24)}
    tracker = Tracker(electricity_pricing=every_hour)
    tracker.start()
    Model().train(data())
    tracker.stop()
    (row,) = rows()
    assert float(row["cost"]) == pytest.approx(0.25 * float(row["power_consumption(kWh)"]))
    assert tracker.price() == float(row["cost"])


def test_without_a_price_the_cost_is_not_known() -> None:
    with Tracker() as tracker:
        pass
    assert math.isnan(tracker.price())
    assert rows()[0]["cost"] == ""


def test_parameters_are_kept_between_programs_below_all_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert get_params() == {
        "project_name": "",
        "experiment_description": "",
        "file_name": "emission.csv",
        "measure_period": 10,
        "pue": 1,
    }
    set_params(project_name="kept", pue=1.4, measure_period=7)
    assert get_params()["project_name"] == "kept"
    tracker = Tracker(project_name="given")
    monkeypatch.setenv("ECO2AI_FACILITY_PUE", "1.1")
    tracker.start()
    tracker.stop()
    (row,) = rows()
    assert (row["project_name"], row["pue"], tracker.measure_period()) == ("given", "1.1", 7.0)
    folder = Path(os.environ["XDG_CONFIG_HOME"], "eco2ai")
    assert json.loads((folder / "tracker.json").read_text())["pue"] == 1.4
    set_params()
    assert get_params()["pue"] == 1


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"pue": 0}, "`pue` must be a number from 1"),
        ({"nonsense": 1}, "`nonsense` is no parameter"),
        ({"electricity_pricing": {"8:30-19:00": 1}}, "has no value from 19:00 to 8:30"),
        ({"electricity_pricing": 3}, "must be a dictionary"),
    ],
)
def test_parameters_that_cannot_be_meant_are_not_kept(
    params: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        set_params(**params)
    assert get_params()["pue"] == 1


def test_a_path_is_kept_as_its_text() -> None:
    set_params(file_name=Path("mine.csv"))
    assert get_params()["file_name"] == "mine.csv"


@pytest.mark.parametrize("content", ["[1]", "{", '{"x": 1}'])
def test_a_file_of_parameters_that_is_none_is_told(content: str) -> None:
    set_params(pue=2)
    Path(os.environ["XDG_CONFIG_HOME"], "eco2ai", "tracker.json").write_text(content)
    with pytest.raises(Eco2aiError, match=r"tracker\.json"):
        get_params()


LEDGER = """\
id,project_name,experiment_description,epoch,start_time,duration(s),power_consumption(kWh),\
CO2_emissions(kg),CPU_name,GPU_name,OS,region/country,cost
1,b,,N/A,2022-07-01 12:00:00,10.0,0.5,0.25,c,g,Linux,FR,1.5
2,a,,N/A,2022-07-01 12:00:00,20.0,0.25,0.125,c,g,Linux,FR,0.5
3,b,,N/A,2022-07-01 12:00:00,30.0,0.125,0.0625,c,g,Linux,FR,0.25
"""
TOTALS = [
    ("a", 20.0, 0.25, 0.125, 0.5),
    ("b", 40.0, 0.625, 0.3125, 1.75),
    ("All the projects", 60.0, 0.875, 0.4375, 2.25),
]
COLUMNS = [
    "project_name",
    "total duration(s)",
    "total power_consumption(kWh)",
    "total CO2_emissions(kg)",
    "total electricity cost",
]


def test_the_summary_is_that_of_eco2ai_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("emission.csv").write_text(LEDGER)
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    lines = summary("emission.csv", write_to_file="totals.csv")
    assert [list(line) for line in lines] == [COLUMNS] * 3
    assert [tuple(line.values()) for line in lines] == TOTALS
    assert Path("totals.csv").read_text().splitlines()[1] == "a,20.0,0.25,0.125,0.5"


def test_the_summary_is_a_data_frame_where_pandas_is() -> None:
    pytest.importorskip("pandas")
    Path("emission.csv").write_text(LEDGER)
    frame = summary()
    assert list(frame.columns) == COLUMNS
    assert [tuple(row) for row in frame.itertuples(index=False)] == TOTALS


def test_a_summary_of_nothing_is_an_error() -> None:
    with pytest.raises(Eco2aiError, match="no ledger"):
        summary("nowhere.csv")
    Path("emission.csv").write_text(LEDGER.splitlines()[0] + "\n")
    with pytest.raises(Eco2aiError, match="no rows"):
        summary()


def test_only_public_names_are_there() -> None:
    assert all(hasattr(eco2ai, name) for name in eco2ai.__all__)
    with pytest.raises(AttributeError, match="has no attribute `track_`"):
        eco2ai.track_  # noqa: B018
