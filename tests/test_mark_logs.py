"""Logs as the libraries write them: an epoch ends once, with its values; garbage does no harm."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eco2ai_cli.errors import WrongUsage
from eco2ai_cli.marks.line import label
from eco2ai_cli.marks.logs import Follower, follow

Feed = Callable[[str], list[str]]


def labels(follower: Follower, *, last: bool = False) -> list[str]:
    return [label(mark, 0) for mark in follower.read(last=last)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "train.log"


@pytest.fixture
def auto(log: Path) -> Feed:
    """Append to a log that is followed, and return the epochs that are over then."""
    follower = follow(str(log))

    def feed(text: str) -> list[str]:
        with log.open("a", encoding="utf-8", newline="") as file:
            file.write(text)
        return labels(follower)

    feed.follower = follower  # type: ignore[attr-defined]
    return feed


def bar(epoch: int, step: int, of: int = 120, postfix: str = "") -> str:
    percent = 100 * step // of
    return (
        f"\rEpoch {epoch}: {percent:3d}%|{'█' * (percent // 10):10}| {step}/{of} "
        f"[00:10<00:00, 11.52it/s, v_num=0{postfix}]"
    )


def test_an_epoch_of_lightning_ends_after_its_validation(auto: Feed) -> None:
    assert auto("\rSanity Checking DataLoader 0: 100%|██| 2/2 [00:00<00:00, 9.1it/s]\n") == []
    assert auto(bar(0, 0) + bar(0, 60, postfix=", loss=0.9")) == []
    assert auto(bar(0, 120, postfix=", loss=0.52")) == []
    assert auto("\n\rValidation DataLoader 0:  50%|█    | 5/10 [00:00<00:00, 99it/s]\x1b[A") == []
    assert auto(bar(0, 120, postfix=", loss=0.52, val_loss=0.61")) == []
    assert auto(bar(0, 0, postfix=", loss=0.52, val_loss=0.61")) == []
    assert auto(bar(1, 0, postfix=", loss=0.52, val_loss=0.61")) == [
        "epoch: 0, loss: 0.52, val_loss: 0.61"
    ]
    assert auto(bar(1, 120, postfix=", loss=0.40, val_loss=0.50")) == []
    assert auto("\n`Trainer.fit` stopped: `max_epochs=2` reached.\n") == [
        "epoch: 1, loss: 0.40, val_loss: 0.50"
    ]
    assert (
        auto(bar(1, 120, postfix=", loss=0.40, val_loss=0.50") + "\n") == []
    )  # redrawn at its end
    assert labels(auto.follower, last=True) == []  # type: ignore[attr-defined]


def test_lightning_may_say_that_it_stopped_on_the_line_of_its_last_bar(auto: Feed) -> None:
    line = bar(0, 120, postfix=", loss=0.4") + "`Trainer.fit` stopped: `max_epochs=1` reached.\n"
    assert auto(bar(0, 0) + line + bar(0, 120, postfix=", loss=0.4")) == ["epoch: 0, loss: 0.4"]


def test_a_bar_without_room_for_its_blocks_is_a_bar(auto: Feed) -> None:
    assert auto("\rEpoch 0: 100% 2/2 [00:00<00:00, 12.3it/s, loss=2.29]\n") == []
    assert auto("\rEpoch 1:   0% 0/2 [00:00<?, ?it/s]") == ["epoch: 0, loss: 2.29"]


def test_a_data_loader_of_unknown_length_has_epochs(auto: Feed) -> None:
    assert auto("\rEpoch 0: |          | 60/? [00:05<00:00, 11it/s, loss=0.3]") == []
    assert auto("\rEpoch 1: |          | 1/? [00:05<00:00, 11it/s]") == ["epoch: 0, loss: 0.3"]
    assert auto("\rEpoch 2: 1it [00:00, 9it/s]") == ["epoch: 1"]


def test_bars_with_a_total_tell_it(auto: Feed, log: Path) -> None:
    auto("Epoch 1/3 train:  50%|#####     | 60/120 [00:05<00:05, 11.5it/s, loss=0.7]\r")
    auto("Epoch 1/3 train: 100%|##########| 120/120 [00:10<00:00, 11.5it/s, loss=0.5]\n")
    auto("Epoch 1/3 valid: 100%|##########| 10/10 [00:01<00:00, 9it/s, acc=0.8]\n")
    with log.open("a") as file:
        file.write("Epoch 2/3 train:   0%|          | 0/120 [00:00<?, ?it/s]\r")
    (mark,) = auto.follower.read()  # type: ignore[attr-defined]
    assert (mark.name, mark.total) == ("1", 3)
    assert mark.values == (("loss", "0.5"), ("acc", "0.8"))


def test_an_epoch_that_was_broken_off_is_none(auto: Feed) -> None:
    auto(bar(0, 120) + bar(1, 60))
    assert labels(auto.follower, last=True) == []  # type: ignore[attr-defined]


def test_the_last_epoch_ends_with_the_run_at_the_latest(auto: Feed) -> None:
    auto(bar(0, 120) + bar(1, 60) + bar(1, 120))
    assert labels(auto.follower, last=True) == ["epoch: 1"]  # type: ignore[attr-defined]


KERAS = """Epoch {n}/3
{at}  1/120 ━━━━━━━━━━━━━━━━━ 4:51 2s/step - loss: 2.3{at} 60/120 ━━━━━━━━━ 0s 4ms/step - loss: 1.1\
{at}120/120 ━━━━━━━━━━━━━━━━━━━━ 0s 40ms/step - loss: 0.4"""
KERAS_END = "{at}120/120 ━━━━━━━━━━━━━━━━━━━━ 5s 41ms/step - loss: 4.0e-01 - val_loss: 0.5\n"


@pytest.mark.parametrize("at", ["\n", "\b" * 70 + "\r\x1b[1m"])
def test_an_epoch_of_keras_ends_with_its_validation_or_at_the_next_header(
    auto: Feed, at: str
) -> None:
    assert auto(KERAS.format(n=1, at=at)) == []
    assert auto(KERAS_END.format(at=at)) == []
    assert auto(KERAS.format(n=2, at=at)) == ["epoch: 1, loss: 4.0e-01, val_loss: 0.5"]
    assert auto(KERAS_END.format(at=at)) == ["epoch: 2, loss: 4.0e-01, val_loss: 0.5"]
    assert auto(KERAS.format(n=3, at=at)) == []
    assert auto(KERAS_END.format(at=at)) == ["epoch: 3, loss: 4.0e-01, val_loss: 0.5"]
    assert auto("\n40/40 ━━━━━━━━━━━━━━━━━━━━ 0s 2ms/step - loss: 0.9\n") == []  # evaluate()
    assert labels(auto.follower, last=True) == []  # type: ignore[attr-defined]


def test_an_evaluation_after_the_only_epoch_of_keras_is_not_of_it(auto: Feed) -> None:
    auto("Epoch 1/1\n8/8 - 0s - 8ms/step - loss: 0.2 - val_loss: 0.3\n")
    auto("10/10 - 0s - 2ms/step - loss: 0.9\n")
    assert labels(auto.follower, last=True) == [  # type: ignore[attr-defined]
        "epoch: 1, loss: 0.2, val_loss: 0.3"
    ]


def test_keras_with_one_line_an_epoch(auto: Feed) -> None:
    assert auto("Epoch 1/20\n1079/1079 - 21s - loss: 0.2431 - 21s/epoch - 19ms/step\n") == []
    assert auto("Epoch 2/20\n") == ["epoch: 1, loss: 0.2431"]
    assert auto("1079/1079 - 10s - loss: 0.2135 - 10s/epoch - 10ms/step\n") == [
        "epoch: 2, loss: 0.2135"
    ]


def test_an_epoch_of_the_trainer_ends_once_though_its_evaluation_is_logged_as_well(
    auto: Feed,
) -> None:
    train = (
        " 33%|███   | 100/300 [00:10<00:20]{{'loss': {}, 'learning_rate': 4e-05, 'epoch': {}}}\n"
    )
    evaluation = "{{'eval_loss': {}, 'eval_runtime': 1.2, 'epoch': {}}}\n"
    assert auto("***** Running training *****\n  Num Epochs = 3\n") == []
    assert auto(train.format(0.9, 0.5)) == []
    assert auto(train.format(0.8, 1.0)) == ["epoch: 1, loss: 0.8, learning_rate: 4e-05"]
    assert auto(evaluation.format(0.7, 1.0)) == []
    assert auto(train.format(0.6, 1.5) + train.format(0.5, 2.0)) == []
    assert auto(evaluation.format(0.4, 2.0)) == [
        "epoch: 2, loss: 0.5, learning_rate: 4e-05, eval_loss: 0.4"
    ]
    assert auto(train.format(0.3, 3.0)) == []
    assert auto("{'train_runtime': 30.0, 'train_loss': 0.5, 'epoch': 3.0}\n") == [
        "epoch: 3, loss: 0.3, learning_rate: 4e-05, train_loss: 0.5"
    ]


def test_the_trainer_may_log_past_the_end_of_an_epoch_and_write_its_numbers_as_text(
    auto: Feed,
) -> None:
    assert auto("{'loss': '0.9', 'epoch': '0.96'}\n") == []
    assert auto("{'loss': '0.8', 'epoch': '1.28'}\n") == ["epoch: 1, loss: 0.9"]


def test_a_bar_over_all_epochs_ends_one_at_each_step(auto: Feed, log: Path) -> None:
    assert auto("\repochs:   0%|          | 0/10 [00:00<?, ?it/s]") == []
    assert auto("\repochs:  10%|█         | 1/10 [00:30<04:30, 30s/it, lo") == []
    assert auto("ss=0.4]") == ["epoch: 1, loss: 0.4"]
    assert auto("\rEpoch 2:  50%|█████     | 60/120 [00:05<00:05]\r") == []  # within it
    assert auto("\repochs:  10%|█         | 1/10 [00:31<04:30, 30s/it, loss=0.4]\r") == []
    assert auto("\repochs:  20%|██        | 2/10 [01:00<04:00, 30s/it, loss=0.3]\r") == [
        "epoch: 2, loss: 0.3"
    ]


def test_a_regular_expression_names_what_becomes_of_its_groups(log: Path) -> None:
    follower = follow(str(log), r"ep (?P<epoch>\d+)/(?P<total>\d+).*?loss (?P<loss>\S+)")
    log.write_text("ep 1/9 loss 0.5\nep 1/9 loss 0.5\nnothing\nep 2/9 loss 0.4\n")
    marks = follower.read()
    assert [(m.name, m.total, m.values) for m in marks] == [
        ("1", 9, (("loss", "0.5"),)),
        ("2", 9, (("loss", "0.4"),)),
    ]


def test_a_regular_expression_without_groups_counts(log: Path) -> None:
    follower = follow(str(log), "epoch done")
    log.write_text("epoch done\nepoch done\n")
    assert [mark.name for mark in follower.read()] == [None, None]


@pytest.mark.parametrize("expression", ["(", "(?P<epoch", "*", "a{99999999999}"])
def test_a_bad_expression_is_wrong_usage(log: Path, expression: str) -> None:
    with pytest.raises(WrongUsage, match="is no regular expression"):
        follow(str(log), expression)


def test_what_is_no_file_is_not_read_from(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path(os.devnull)):
        with pytest.raises(WrongUsage, match="no regular file"):
            follow(str(path))


def test_what_an_earlier_run_has_written_is_passed_over(log: Path) -> None:
    log.write_text("epoch 1\n")
    follower = follow(str(log), r"epoch (?P<epoch>\d+)")
    with log.open("a") as file:
        file.write("epoch 2\n")
    assert labels(follower) == ["epoch: 2"]


def test_a_log_that_is_written_anew_is_read_from_its_start_whatever_its_length(log: Path) -> None:
    log.write_text("epoch 1\nepoch 2\n")
    follower = follow(str(log), r"epoch (?P<epoch>\d+)")
    log.write_text("epoch 3\nand a line that is longer than all there was\n")
    assert labels(follower) == ["epoch: 3"]
    log.write_text("epoch 4\n")
    assert labels(follower) == ["epoch: 4"]


def test_a_log_that_is_rotated_is_read_to_its_end_and_then_the_new_one(log: Path) -> None:
    follower = follow(str(log), r"epoch (?P<epoch>\d+)")
    log.write_text("epoch 1\n")
    assert labels(follower) == ["epoch: 1"]
    with log.open("a") as file:
        file.write("epoch 2\n")
    log.rename(log.with_suffix(".1"))
    assert labels(follower) == ["epoch: 2"]
    assert labels(follower) == []  # between the two
    log.write_text("epoch 3\n")
    assert labels(follower) == ["epoch: 3"]
    log.unlink()
    assert labels(follower) == []
    follower.close()


def test_a_line_counts_when_it_is_whole(log: Path) -> None:
    follower = follow(str(log), r"epoch (?P<epoch>\d+)")
    log.write_text("epoch 1")
    assert labels(follower) == []
    with log.open("a") as file:
        file.write("2\nepoch 13")
    assert labels(follower) == ["epoch: 12"]
    assert labels(follower, last=True) == ["epoch: 13"]


def test_a_look_does_a_bounded_piece_of_work_and_says_what_it_passed_over(log: Path) -> None:
    follower = follow(str(log), r"epoch (?P<epoch>\d+)")
    with log.open("wb") as file:
        file.truncate(100 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b"\nepoch 7\n")
    began_s = time.process_time()
    assert labels(follower) == ["epoch: 7"]
    assert time.process_time() - began_s < 1
    assert follower.skipped_bytes == pytest.approx(99 << 20, abs=10)


@pytest.mark.parametrize(
    "flood",
    [
        "\rEpoch 3:  51%|█████     | 61/120 [00:05<00:05, 11.5it/s, loss=0.7]",
        "Epoch 3" * 1000 + "\n",
        "{'epoch':" * 900 + "\n",
        "1/1 " + "- loss: " * 900 + "\n",
        "epochs: 1%|" * 700 + "\n",
        "\x00\xff",
    ],
    ids=["bars", "headers", "braces", "values", "pipes", "binary"],
)
def test_whatever_is_written_a_look_takes_less_than_a_second(log: Path, flood: str) -> None:
    follower = follow(str(log))
    log.write_bytes(flood.encode("latin-1", "replace") * ((1 << 20) // len(flood)))
    began_s = time.process_time()
    follower.read()
    assert time.process_time() - began_s < 1


def test_binary_garbage_holds_no_epoch(log: Path) -> None:
    follower = follow(str(log))
    log.write_bytes(bytes(range(256)) * 4000)
    assert follower.read(last=True) == []
