"""Tell from the lines of a training's log when an epoch has ended.

An epoch is over when the log says so, or when the next begins: so its validation belongs to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from eco2ai_cli.errors import WrongUsage
from eco2ai_cli.marks.line import Mark, printable

_NUMBER = r"[-+]?[\d.]+(?:[eE][-+]?\d+)?|nan|-?inf"
_BAR = re.compile(
    r"\bepoch\s*[:#]?\s*\[?(?P<epoch>\d+)(?:\s*(?:/|of)\s*(?P<total>\d+))?\]?"
    r"[^|%\d][^|%]{0,60}?(?:(?P<percent>\d{1,3})%[|\s]|\|[^|]*\|\s*\d+/\?|\b\d+it \[)"
    r"(?P<rest>[^\]]*)",
    re.IGNORECASE,
)
_BAR_OF_EPOCHS = re.compile(
    r"\bepochs?\s*:\s*\d{1,3}%(?:\|[^|]*\|)?\s*(?P<epoch>\d+)/(?P<total>\d+)(?P<rest>[^\]]*)",
    re.IGNORECASE,
)
_POSTFIX = re.compile(r"([^\s,=\[]+)=\s*([^\s,\]]+)")
_LIGHTNING_STOPPED = "Trainer.fit` stopped"
_KERAS_HEADER = re.compile(r"\s*Epoch (?P<epoch>\d+)/(?P<total>\d+)\s*")
_KERAS_LAST_STEP = re.compile(r"\s*(\d+)/(?:\1|(?P<unknown>Unknown))\s")
_KERAS_VALUE = re.compile(rf" - (\w+): ({_NUMBER})")
_TRAINER_LOG = re.compile(r"\{(?=[^{}]*'epoch':)[^{}]*\}")
_TRAINER_VALUE = re.compile(rf"'([^']+)':\s*'?({_NUMBER})'?")
_TRAINER_EPOCHS = re.compile(r"Num Epochs = (\d+)")
_NOT_OF_THE_MODEL = ("epoch", "v_num", "total_flos", "_runtime", "_per_second")
_NEAR_A_WHOLE = 0.015  # the Trainer rounds to 0.01, and may end an epoch one step short
_LONGEST_VALUE = 200


class Shape(Protocol):
    """What knows the logs of one library."""

    def feed(self, line: str) -> Iterator[Mark]:
        """Take a line and yield the epoch that it ends, if it ends one."""
        ...

    def end(self) -> Iterator[Mark]:
        """Yield the epoch that the end of the run ends: the last, if it was complete."""
        ...


class Pattern:
    """A user's regular expression, which finds the ends of epochs; redrawn lines count once."""

    def __init__(self, expression: str) -> None:
        try:
            self._expression = re.compile(expression)
        except (re.error, OverflowError, RecursionError) as error:
            raise WrongUsage(
                f"`{printable(expression)}` is no regular expression: {error}",
                hint="`--progress 'epoch (?P<epoch>[0-9]+).*loss (?P<loss>[0-9.]+)'`, or `auto`",
            ) from error
        self._last: str | None = None

    def feed(self, line: str) -> Iterator[Mark]:
        """Yield a mark where the expression is found: of its groups, `epoch` is the name."""
        found = self._expression.search(line)
        if found is None:
            return
        groups = {key: value for key, value in found.groupdict().items() if value is not None}
        name, total = groups.pop("epoch", None), groups.pop("total", "")
        if name is None or name != self._last:
            self._last = name
            yield _mark(name, groups, total)

    def end(self) -> Iterator[Mark]:
        """Yield nothing: a line is found or not."""
        return iter(())


class Auto:
    """Whichever of the known shapes is the first to see an epoch end."""

    def __init__(self) -> None:
        self._shapes: tuple[Shape, ...] = (Trainer(), Keras(), BarOfEpochs(), Bars())

    def feed(self, line: str) -> Iterator[Mark]:
        """Yield what the shape yields that fits."""
        for shape in self._shapes:
            marks = list(shape.feed(line))
            if marks:
                self._shapes = (shape,)
                yield from marks
                return

    def end(self) -> Iterator[Mark]:
        """Yield the last epoch, where it was complete."""
        for shape in self._shapes:
            marks = list(shape.end())
            if marks:
                yield from marks
                return


class Bars:
    """One bar of tqdm an epoch: `Epoch 3: 100%|…| 120/120 [00:10<00:00, loss=0.21]` (Lightning)."""

    def __init__(self) -> None:
        self._name = ""
        self._total = ""
        self._values: dict[str, str] = {}
        self._complete = False
        self._ended = ""

    def feed(self, line: str) -> Iterator[Mark]:
        """Yield an epoch when the bar of another comes, or Lightning says that all is over."""
        bar = _BAR.search(line) if "poch" in line else None
        if bar is not None and bar["epoch"] != self._ended:
            if bar["epoch"] != self._name:
                yield from self._finish()
                self._name, self._total = bar["epoch"], bar["total"] or ""
            self._complete |= bar["percent"] in (None, "100")
            self._values.update(_POSTFIX.findall(bar["rest"]))
        if _LIGHTNING_STOPPED in line:
            yield from self.end()

    def end(self) -> Iterator[Mark]:
        """Yield the epoch whose bar is full."""
        if self._complete:
            yield from self._finish()

    def _finish(self) -> Iterator[Mark]:
        if self._name:
            yield _mark(self._name, self._values, self._total)
        self._ended, self._name = self._name, ""
        self._values, self._complete = {}, False


class BarOfEpochs:
    """One bar of tqdm over all epochs: `epochs: 30%|…| 3/10 [00:30<01:10, loss=0.21]`."""

    def __init__(self) -> None:
        self._done: int | None = None

    def feed(self, line: str) -> Iterator[Mark]:
        """Yield an epoch when the bar goes on."""
        bar = _BAR_OF_EPOCHS.search(line) if "poch" in line else None
        if bar is None:
            return
        done = int(bar["epoch"])
        if self._done is not None and done > self._done:
            yield _mark(bar["epoch"], dict(_POSTFIX.findall(bar["rest"])), bar["total"])
        self._done = done

    def end(self) -> Iterator[Mark]:
        """Yield nothing: the bar has told."""
        return iter(())


class Keras:
    """`Epoch 3/10`, then lines of steps, the last ones with ` - loss: 0.2 - val_loss: 0.3`.

    The last step is written with and without what the validation gave. Which values the end of an
    epoch has is learned from the first, which lasts until the next header.
    """

    def __init__(self) -> None:
        self._name = ""
        self._total = ""
        self._steps = ""
        self._values: dict[str, str] = {}
        self._complete = False
        self._all: frozenset[str] = frozenset()

    def feed(self, line: str) -> Iterator[Mark]:
        """Yield an epoch at its last line, or at the next header."""
        header = _KERAS_HEADER.fullmatch(line)
        if header is not None:
            yield from self._finish()
            self._name, self._total = header["epoch"], header["total"]
            return
        step = _KERAS_LAST_STEP.match(line) if self._name else None
        if step is None or step[1] != (self._steps or step[1]):
            return  # of another number of steps is an evaluation after the last epoch
        self._steps = "" if step["unknown"] else step[1]
        self._complete = True
        self._values.update(_KERAS_VALUE.findall(line))
        if self._all and self._all <= self._values.keys() and not step["unknown"]:
            yield from self._finish()

    def end(self) -> Iterator[Mark]:
        """Yield the epoch whose last step was seen."""
        if self._complete:
            yield from self._finish()

    def _finish(self) -> Iterator[Mark]:
        if self._name:
            self._all = frozenset(self._values)
            yield _mark(self._name, self._values, self._total)
        self._name, self._steps, self._values, self._complete = "", "", {}, False


class Trainer:
    """`{'loss': 0.52, 'learning_rate': 4e-05, 'epoch': 3.0}`: the Trainer of transformers.

    An evaluation at the end of an epoch is logged after it. That there are any is learned from the
    first, which comes too late for the first epoch.
    """

    def __init__(self) -> None:
        self._number = 0
        self._total = ""
        self._values: dict[str, str] = {}
        self._ended = 0
        self._evaluates = False

    def feed(self, line: str) -> Iterator[Mark]:
        """Yield an epoch at its last line, or at the first of the next."""
        epochs = _TRAINER_EPOCHS.search(line)
        if epochs is not None:
            self._total = epochs[1]
        found = _TRAINER_LOG.search(line) if "'epoch'" in line else None
        values = dict(_TRAINER_VALUE.findall(found[0])) if found else {}
        try:
            epoch = float(values["epoch"])
            number, is_whole = _epoch_of(epoch)
        except (KeyError, ValueError, OverflowError):
            return
        evaluates = any(key.startswith("eval_") for key in values)
        if number <= self._ended:
            self._evaluates |= evaluates
        else:
            if self._number and number > self._number:
                yield from self._finish()
            self._number = number
            self._values.update(values)
            if "train_runtime" in values or (is_whole and (evaluates or not self._evaluates)):
                yield from self._finish()
        if "train_runtime" in values:
            self._ended = 0  # the next training of the same program begins anew

    def end(self) -> Iterator[Mark]:
        """Yield nothing: an epoch that was not logged to its end is none."""
        return iter(())

    def _finish(self) -> Iterator[Mark]:
        yield _mark(str(self._number), self._values, self._total)
        self._ended, self._number, self._values = self._number, 0, {}


def _epoch_of(epoch: float) -> tuple[int, bool]:
    """Return which epoch a log line of the Trainer belongs to, and whether it ends that."""
    nearest = round(epoch)
    if nearest > 0 and abs(epoch - nearest) < _NEAR_A_WHOLE:
        return nearest, True
    return int(epoch) + 1, False


def _mark(name: str | None, values: dict[str, str], total: str) -> Mark:
    kept = tuple(
        (key, printable(value.strip()[:_LONGEST_VALUE]))
        for key, value in values.items()
        if not key.endswith(_NOT_OF_THE_MODEL)
    )
    number = int(total) if total.isdecimal() and len(total) < 10 else 0
    return Mark(name and printable(name[:_LONGEST_VALUE]), kept, number or None)
