"""Wait for the command: pass on what is done to us, show what is done to it, keep the beat."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from eco2ai_cli.clock import Clock, Moment
from eco2ai_cli.launch.sentinel import Sentinel
from eco2ai_cli.launch.stopping import (
    hand_terminal_over,
    stop,
    terminal_holder,
    will_be_resumed,
)

if TYPE_CHECKING:
    from eco2ai_cli.launch.roles import Children, Marks, View

_SI_KERNEL = 0x80
_JOB_CONTROL = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_TERMINAL_ACCESS = frozenset({signal.SIGTTIN, signal.SIGTTOU})
_HANG_UP = frozenset({signal.SIGHUP, signal.SIGCONT})
_ENDING = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
_KEYS = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP})
_MARKS = frozenset({signal.SIGIO})
_SETTLING_S = 0.03
_AT_ONCE_S = 0.001
_SAME_SENDING_S = 0.2  # to our pid and to our group, as timeout(1) does


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
        self._view: View | None = None
        self._marks: Marks | None = None
        self._marks_due_s = math.inf
        self._clock = clock
        self._status: int | None = None
        self.ended: Moment | None = None
        self._stop_signals: dict[int, float] = {}
        self._forwarded: dict[int, float] = {}
        # As plain numbers, side by side in memory: they are gone through at every wake-up.
        watched = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
        self._watched = tuple(int(number) for number in watched)
        self._returned_s = time.monotonic()  # from the last sigtimedwait

    def show_on(self, view: View) -> None:
        """Have `view` beat in place of the beat given at first, and tell it of the terminal."""
        self._view = view
        self._beat = view.beat

    def attend(self, marks: Marks) -> None:
        """Have `marks` take in what comes, from now on."""
        self._marks = marks
        self._marks_due_s = marks.take()

    def wait(self) -> int:
        """Return the wait status of the child when it has ended."""
        self._look_after_children()  # after a fault its SIGCHLD may be taken already
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

    def settle(self, *, whole_tree: bool, is_in_vain: Callable[[], bool] = lambda: False) -> None:
        """Reap what is left: the stragglers of a moment, or with `whole_tree` everyone.

        `is_in_vain` tells when not to wait for the whole tree any longer.
        Helpers like multiprocessing's resource tracker end within milliseconds of their parent.
        """
        self._sentinel.dismiss()
        until_s = time.monotonic() + _SETTLING_S
        due_s = 0.0
        while True:
            for _ in self._children.reap():
                pass
            if not self._children.has_children() or is_in_vain():
                return
            now_s = time.monotonic()
            if whole_tree:
                if now_s >= due_s:
                    due_s = self._beat()
                if now_s >= self._marks_due_s:
                    self._take_marks()
                wake_s = min(due_s, self._marks_due_s)
                info = signal.sigtimedwait(self._watched, max(0.0, wake_s - now_s))
                if info is None:
                    continue
                if self._tells_of_marks(info):
                    self._take_marks()
                elif info.si_signo in _JOB_CONTROL:
                    self._stop(info.si_signo)
                elif info.si_signo in _ENDING:
                    return
            elif now_s >= until_s:
                return
            else:
                signal.sigtimedwait({signal.SIGCHLD}, until_s - now_s)

    def _turn(self, due_s: float) -> float:
        """Take one signal, or wait until the beat is due; return when the next is due."""
        before_s, entered_s = self._returned_s, time.monotonic()
        wake_s = min(due_s, self._marks_due_s)
        info = signal.sigtimedwait(self._watched, max(0.0, wake_s - entered_s))
        # Who was stopped meanwhile may have been sent it at any time since he began to wait.
        was_stopped = signal.SIGCONT in signal.sigpending()
        self._returned_s = entered_s if was_stopped else time.monotonic()
        if (info is None and wake_s == due_s) or entered_s >= due_s:
            due_s = self._beat()
        if time.monotonic() >= self._marks_due_s:
            self._take_marks()
        if info is not None:
            at_once = self._returned_s - entered_s < _AT_ONCE_S
            self._take(info, since_s=before_s if at_once else self._returned_s)
        return due_s

    def _take(self, info: signal.struct_siginfo, since_s: float) -> None:
        """Do what a signal asks for; `since_s`: the earliest that it can have been sent."""
        if info.si_signo == signal.SIGCHLD:
            self._look_after_children()
            # Of those that are pending the lowest number comes first: in a storm of SIGCHLD the
            # word of marks would never come.
            late = signal.sigtimedwait(_MARKS, 0)
            if late is not None:
                self._take(late, since_s)
        elif self._tells_of_marks(info):
            self._take_marks()
        else:
            if info.si_signo == signal.SIGWINCH and self._view is not None:
                self._view.resized()
            self._pass_on(info, since_s)
            self._look_after_children()  # nor SIGCHLD in a storm of those

    def _tells_of_marks(self, info: signal.struct_siginfo) -> bool:
        """Tell whether a signal is the kernel's word that there is something to be read."""
        return info.si_signo == signal.SIGIO and info.si_code > 0 and self._marks is not None

    def _take_marks(self) -> None:
        if self._marks is not None:
            self._marks_due_s = self._marks.take()

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
        apart = self._group() != os.getpgrp()
        if info.si_code == _SI_KERNEL:
            # The terminal's keys go to the whole group, but a hang-up goes to the leader of the
            # session alone. What else the kernel sends is meant for us: a limit that we ran into.
            leads_session = number in _HANG_UP and os.getsid(0) == os.getpid()
            # Without us the command would lead the group, and could not have left it.
            leads_group = number in _KEYS and os.getpgrp() == os.getpid()
            if leads_session or (apart and leads_group):
                self._forward(number)
            return
        if info.si_pid == os.getpid() or self._children.owns(info.si_pid):
            return
        has_got_it = self._sentinel.also_got(number, since_s)
        if apart:  # who has left the group gets nothing of what the group is sent
            ago_s = time.monotonic() - self._forwarded.get(number, -1e9)
            has_got_it = has_got_it and ago_s < _SAME_SENDING_S
        if not has_got_it:
            self._forward(number)

    def _group(self) -> int:
        """Return the process group of the command, which may have left ours."""
        try:
            return os.getpgid(self._child)
        except ProcessLookupError:
            return os.getpgrp()

    def _forward(self, number: int) -> None:
        self._forwarded[number] = time.monotonic()
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's now (set-uid)
            os.kill(self._child, number)

    def _stop_likewise(self, number: int) -> None:
        """Stop as the command did, so that our caller sees it and can resume us both.

        But only where somebody will: the signal came to us too, or a shell waits for us.
        """
        noticed_s = self._stop_signals.pop(number, -1e9)
        came_to_us = number in signal.sigpending() or time.monotonic() - noticed_s < 2.0
        group, ours = self._group(), os.getpgrp()
        apart, leads_group = group != ours, ours == os.getpid()
        if apart and leads_group and number in _TERMINAL_ACCESS and terminal_holder() == ours:
            self._let_go_on_with_terminal(group)  # without us it would lead the group
        elif came_to_us or will_be_resumed(group):
            took_terminal = apart and terminal_holder() == group  # as an inner shell does
            self._stop(number)
            if took_terminal and terminal_holder() == ours:
                self._let_go_on_with_terminal(group)

    def _let_go_on_with_terminal(self, group: int) -> None:
        hand_terminal_over(group)
        self._forward(signal.SIGCONT)

    def _stop(self, number: int) -> None:
        if self._view is not None:
            self._view.give_back()
        stop(number)
