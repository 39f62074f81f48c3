"""`@track`: every kind of function stays what it is, and its calls are rows."""

from __future__ import annotations

import asyncio
import csv
import functools
import inspect
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from eco2ai_cli import track
from eco2ai_cli.errors import WrongArgument
from eco2ai_cli.tracker import presence


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECO2AI_REGION_CODE", "FR")
    yield
    assert presence.latest() is None, "a call has left a tracker behind"


def rows() -> list[dict[str, str]]:
    if not Path("emission.csv").exists():
        return []
    with open("emission.csv", newline="") as file:
        return list(csv.DictReader(file))


def burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@track
def double(number: int, *, by: int = 2) -> int:
    """Double a number."""
    burn(0.02)
    return number * by


def test_a_function_keeps_its_name_signature_and_value() -> None:
    assert double(4, by=3) == 12
    assert (double.__name__, double.__doc__) == ("double", "Double a number.")
    assert str(inspect.signature(double)) == "(number: 'int', *, by: 'int' = 2) -> 'int'"
    (row,) = rows()
    assert row["experiment_description"] == "double"
    assert float(row["cpu_time(s)"]) >= 0.02


def test_each_call_is_a_row_with_an_id_of_its_own() -> None:
    double(1)
    double(2)
    assert len({row["id"] for row in rows()}) == 2


def test_the_parameters_of_a_tracker_can_be_given() -> None:
    @track(project_name="p", experiment_description="d", pue=1.25)
    def function() -> None:
        pass

    function()
    (row,) = rows()
    assert (row["project_name"], row["experiment_description"], row["pue"]) == ("p", "d", "1.25")


def test_a_wrong_parameter_is_told_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="projet"):
        track(projet="p")
    with pytest.raises(WrongArgument, match="measures functions"):
        track(3)  # type: ignore[call-overload]


def test_an_exception_is_the_functions_own() -> None:
    error = KeyError("mine")

    @track
    def function() -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        function()
    assert caught.value is error
    assert rows()[0]["exit_status"] == "1"


def test_methods_of_all_kinds_are_measured() -> None:
    class Model:
        rate = 3

        @track
        def train(self) -> int:
            return self.rate

        @classmethod
        @track
        def inside(cls) -> int:
            return cls.rate

        @track
        @classmethod
        def outside(cls) -> int:
            return cls.rate

        @track
        @staticmethod
        def still() -> int:
            return 3

    assert [Model().train(), Model.inside(), Model.outside(), Model.still()] == [3] * 4
    assert len(rows()) == 4
    assert rows()[0]["experiment_description"].endswith("Model.train")


def test_other_callables_are_measured() -> None:
    assert track(functools.partial(int, base=2))("101") == 5  # type: ignore[type-var]
    assert len(rows()) == 1


def test_calls_that_overlap_by_recursion_are_one_row() -> None:
    @track
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(10) == 55
    assert len(rows()) == 1


def test_calls_that_overlap_in_threads_are_one_row_to_the_end_of_the_last() -> None:
    barrier = threading.Barrier(2)

    @track
    def function(seconds: float) -> None:
        barrier.wait()
        burn(seconds)

    threads = [threading.Thread(target=function, args=(s,)) for s in (0.01, 0.1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (row,) = rows()
    assert float(row["cpu_time(s)"]) >= 0.11


def test_one_function_within_another_is_a_row_that_is_part_of_it() -> None:
    @track
    def outer() -> None:
        double(2)

    outer()
    inner, around = rows()
    assert inner["parent_id"] == around["id"]


def test_a_generator_is_measured_from_its_first_value_to_its_end() -> None:
    @track
    def numbers() -> Iterator[int]:
        sent = yield 1
        burn(0.03)
        yield sent
        return "value"

    generator = numbers()
    assert inspect.isgeneratorfunction(numbers)
    assert presence.latest() is None
    assert next(generator) == 1
    assert presence.latest() is not None
    assert generator.send(7) == 7  # type: ignore[attr-defined]
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert stopped.value.value == "value"
    (row,) = rows()
    assert float(row["cpu_time(s)"]) >= 0.03


def test_a_generator_that_is_closed_or_thrown_into_ends_its_row() -> None:
    seen = []

    @track
    def numbers() -> Iterator[int]:
        try:
            yield 1
        except KeyError as error:
            seen.append(error)
            yield 2
        finally:
            seen.append("closed")

    generator = numbers()
    next(generator)
    error = KeyError()
    assert generator.throw(error) == 2  # type: ignore[attr-defined]
    generator.close()  # type: ignore[attr-defined]
    numbers().close()  # type: ignore[attr-defined]  # which never began
    assert seen == [error, "closed"]
    (row,) = rows()
    assert row["exit_status"] == "0"


def test_an_async_function_is_measured_while_it_is_awaited() -> None:
    @track
    async def train(name: str) -> str:
        await asyncio.sleep(0)
        burn(0.02)
        return name

    assert inspect.iscoroutinefunction(train)

    async def both() -> list[str]:
        return list(await asyncio.gather(train("a"), train("b")))

    assert asyncio.run(both()) == ["a", "b"]
    (row,) = rows()  # they overlap
    assert float(row["cpu_time(s)"]) >= 0.04


def test_an_async_function_that_is_cancelled_has_a_row() -> None:
    @track
    async def train() -> None:
        await asyncio.sleep(10)

    async def cancelled() -> None:
        task = asyncio.create_task(train())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert rows()[0]["exit_status"] == "1"


def test_an_async_generator_passes_on_all_that_comes_to_it() -> None:
    seen: list[Any] = []

    @track
    async def numbers() -> AsyncIterator[int]:
        try:
            seen.append((yield 1))
            try:
                yield 2
            except KeyError:
                yield 3
            yield 4
        finally:
            await asyncio.sleep(0)
            seen.append("closed")

    async def use() -> None:
        generator = numbers()
        assert presence.latest() is None
        assert await generator.__anext__() == 1
        assert await generator.asend("sent") == 2  # type: ignore[attr-defined]
        assert await generator.athrow(KeyError()) == 3  # type: ignore[attr-defined]
        assert [number async for number in generator] == [4]
        assert len(rows()) == 1
        other = numbers()
        await other.__anext__()
        await other.aclose()  # type: ignore[attr-defined]
        third = numbers()
        await third.__anext__()
        with pytest.raises(RuntimeError, match="mine"):
            await third.athrow(RuntimeError("mine"))  # type: ignore[attr-defined]

    assert inspect.isasyncgenfunction(numbers)
    asyncio.run(use())
    assert seen == ["sent", "closed", "closed", "closed"]
    assert [row["exit_status"] for row in rows()] == ["0", "0", "1"]
