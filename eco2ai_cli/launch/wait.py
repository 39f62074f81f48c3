"""Wait for the command: pass on what is done to us, show what is done to it, keep the beat."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from eco2ai_cli.clock import Clock, Moment
from eco2ai_cli.launch.sentinel import Sentinel

_SI_KERNEL = 0x80
_JOB_CONTROL = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_HANG_UP = frozenset({signal.SIGHUP, signal.SIGCONT})
_ENDING = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
_SETTLING_S = 0.03
_AT_ONCE_S = 0.001


class Children(Protocol):
    """What the waiting needs of a process tree."""

    def reap(self) -> Iterator[tuple[int, int]]:
        """Yield (pid, wait status) of each child that ended or stopped."""
        ...

    def has_children(self) -> bool:
        """Tell whether anyone of the tree is left."""
        ...

    def owns(self, pid: int) -> bool:
        """Tell whether `pid` is a living member of the tree."""
        ...


class Waiter:
    """Waits for one child in one thread, with every signal blocked and taken by sigtimedwait(2).

    `beat` is called when it is due and returns when it is due again (monotonic seconds). `ended` is
    the moment at which the child was found to have ended.
    """

    def __init__(
        self,
        child: int,
        children: Children,
        sentinel: Sentinel,
        *,
        beat: Callable[[], float],
        clock: Clock,
    ) -> None:
        self._child = child
        self._children = children
        self._sentinel = sentinel
        self._beat = beat
        self._clock = clock
        self._status: int | None = None
        self.ended: Moment | None = None
        self._stop_signals: dict[int, float] = {}
        self._watched = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
        self._returned_s = time.monotonic()  # from the last sigtimedwait

    def wait(self) -> int:
        """Return the wait status of the child when it has ended."""
        due_s = 0.0
        while self._status is None:
            due_s = self._turn(due_s)
        return self._status

    def has_ended(self) -> bool:
        """Look whether the child has ended, without waiting."""
        self._look_after_children()
        return self._status is not None

    def wait_plainly(self) -> int:
        """Return the wait status of the child by the simplest means, when `wait` has failed."""
        if self._status is None:
            _, self._status = os.waitpid(self._child, 0)
            self.ended = self._clock.now()
        return self._status

    def settle(self, *, whole_tree: bool) -> None:
        """Reap what is left: the stragglers of a moment, or with `whole_tree` everyone.

        Helpers like multiprocessing's resource tracker end within milliseconds of their parent.
        """
        self._sentinel.dismiss()
        until_s = time.monotonic() + _SETTLING_S
        due_s = 0.0
        while True:
            for _ in self._children.reap():
                pass
            if not self._children.has_children():
                return
            now_s = time.monotonic()
            if whole_tree:
                if now_s >= due_s:
                    due_s = self._beat()
                info = signal.sigtimedwait(self._watched, max(0.0, due_s - now_s))
                if info is not None and info.si_signo in _JOB_CONTROL:
                    self._stop(info.si_signo)
                elif info is not None and info.si_signo in _ENDING:
                    return
            elif now_s >= until_s:
                return
            else:
                signal.sigtimedwait({signal.SIGCHLD}, until_s - now_s)

    def _turn(self, due_s: float) -> float:
        """Take one signal, or wait until the beat is due; return when the next is due."""
        before_s, entered_s = self._returned_s, time.monotonic()
        info = signal.sigtimedwait(self._watched, max(0.0, due_s - entered_s))
        self._returned_s = time.monotonic()
        if info is None or entered_s >= due_s:
            due_s = self._beat()
        if info is None:
            return due_s
        if info.si_signo == signal.SIGCHLD:
            self._look_after_children()
        else:
            at_once = self._returned_s - entered_s < _AT_ONCE_S
            self._pass_on(info, since_s=before_s if at_once else self._returned_s)
        return due_s

    def _look_after_children(self) -> None:
        for pid, status in self._children.reap():
            if pid != self._child:
                continue
            if os.WIFSTOPPED(status):
                self._stop_likewise(os.WSTOPSIG(status))
            else:
                self._status = status
                self.ended = self._clock.now()

    def _pass_on(self, info: signal.struct_siginfo, since_s: float) -> None:
        """Give the command a signal that was sent to us alone.

        `since_s`: the earliest that it can have been sent; it may have waited while we were busy.
        """
        number = info.si_signo
        if number in _JOB_CONTROL:
            self._stop_signals[number] = time.monotonic()
        if info.si_code == _SI_KERNEL:
            # The terminal's keys go to the whole group, but a hang-up goes to the leader of the
            # session alone. What else the kernel sends is meant for us: a limit that we ran into.
            if number in _HANG_UP and os.getsid(0) == os.getpid():
                self._forward(number)
            return
        if info.si_pid == os.getpid() or self._children.owns(info.si_pid):
            return
        if not self._sentinel.also_got(number, since_s):
            self._forward(number)

    def _forward(self, number: int) -> None:
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's now (set-uid)
            os.kill(self._child, number)

    def _stop_likewise(self, number: int) -> None:
        """Stop as the command did, so that our caller sees it and can resume us both.

        But only where somebody will: the signal came to us too, or we hold the terminal.
        """
        noticed_s = self._stop_signals.pop(number, -1e9)
        came_to_us = number in signal.sigpending() or time.monotonic() - noticed_s < 2.0
        if came_to_us or _in_foreground():
            self._stop(number)

    def _stop(self, number: int) -> None:
        os.kill(os.getpid(), number)  # still blocked, it is one with what the group was sent
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})  # here we stay until resumed
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})


def _in_foreground() -> bool:
    """Tell whether our process group is the one that the terminal listens to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
