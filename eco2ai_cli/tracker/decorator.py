"""`track`: measure a function whenever it is called."""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, TypeVar, overload

from eco2ai_cli.errors import WrongArgument
from eco2ai_cli.tracker.api import Tracker

F = TypeVar("F", bound=Callable[..., Any])


@overload
def track(function: F, /) -> F:
    """Return the function as one that is measured."""


@overload
def track(**parameters: Any) -> Callable[[F], F]:
    """Return what makes a function one that is measured by such a tracker."""


def track(function: Any = None, /, **parameters: Any) -> Any:
    """Measure a function whenever it is called: `@track`, or with the parameters of `Tracker`.

    Each call is a row, described by the name of the function unless told otherwise. Calls that
    overlap, by recursion, in threads or in tasks, are one row, from the first start to the last
    end. A generator is measured from its first value to its end, an async function while it is
    awaited. What the function returns, raises, and looks like is unchanged. Raises WrongArgument.
    """
    if function is not None:
        return _tracked(function, parameters)
    Tracker(**parameters)  # a parameter that does not exist is found where it is written
    return lambda function: _tracked(function, parameters)


def _tracked(function: Any, parameters: dict[str, Any]) -> Any:
    if isinstance(function, classmethod | staticmethod):
        return type(function)(_tracked(function.__func__, parameters))
    if not callable(function) or inspect.isclass(function):
        raise WrongArgument(f"`track` measures functions, and `{function!r}` is none")
    name = getattr(function, "__qualname__", type(function).__qualname__)
    calls = _Calls({"experiment_description": name, **parameters})
    return functools.wraps(function)(_wrapper(function, calls))


class _Calls:
    """The calls of a function that go on: the first of them starts a tracker, the last stops it.

    A forked copy of the process begins anew: what goes on in the original is not its own.
    """

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._count = 0
        self._tracker = Tracker(**self._parameters)

    def begin(self) -> None:
        """Note that a call begins; raises what `Tracker.start` raises."""
        if self._pid != os.getpid():
            self._begin_anew()
        with self._lock:
            if self._count == 0:
                self._tracker.start()
            self._count += 1

    def end(self, error: BaseException | None) -> None:
        """Note that a call has ended, by `error` or without one."""
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self._tracker.end(error)


class _Call:
    """One call, as a context."""

    def __init__(self, calls: _Calls) -> None:
        self._calls = calls
        self._pid = os.getpid()

    def __enter__(self) -> None:
        self._calls.begin()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if os.getpid() == self._pid:
            self._calls.end(error)


def _wrapper(function: Callable[..., Any], calls: _Calls) -> Callable[..., Any]:
    """Return a function of the same kind that measures while `function` runs."""
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, calls)
    if inspect.iscoroutinefunction(function):

        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with _Call(calls):
                return await function(*args, **kwargs)

        return coroutine
    if inspect.isgeneratorfunction(function):

        def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with _Call(calls):
                return (yield from function(*args, **kwargs))

        return generator

    def plain(*args: Any, **kwargs: Any) -> Any:
        with _Call(calls):
            return function(*args, **kwargs)

    return plain


def _async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], calls: _Calls
) -> Callable[..., AsyncGenerator[Any, Any]]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with _Call(calls):
            inner = function(*args, **kwargs)
            step = inner.__anext__()
            while True:
                try:
                    value = await step
                except StopAsyncIteration:
                    return
                try:
                    sent = yield value
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:
                    step = inner.athrow(error)
                else:
                    step = inner.asend(sent)

    return wrapper
