"""Start the command so that it cannot tell the difference.

A fork, not `subprocess`: every inherited descriptor stays open, and a gate holds the child back
until the counters are attached to it. What Python changed for itself is put back before the exec.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import struct
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

from eco2ai_cli.errors import CommandNotExecutable, CommandNotFound, Eco2aiError
from eco2ai_cli.launch import libc
from eco2ai_cli.launch.stopping import stop, will_be_resumed

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_MEANT_FOR_A_PID = (b"LISTEN_PID", b"WATCHDOG_PID", b"SYSTEMD_EXEC_PID")
_PATIENCE_MS = 50  # an exec takes less, and who is stopped may wait


class Inherited(NamedTuple):
    """The signal state that the caller gave us and that the command must get.

    Python ignores SIGPIPE and SIGXFSZ for itself before any of our code runs; what the caller had
    for these two cannot be known, and the command gets the default. `timers`, as of setitimer(2),
    outlive an exec but not a fork: `alarm 60; exec CMD` is how some limit the time of a command.
    """

    mask: frozenset[int]
    ignored: frozenset[int]
    timers: tuple[tuple[float, float], ...]

    @classmethod
    def take(cls) -> Inherited:
        """Read the state, block every signal, and see to it that children can be waited for."""
        ignored = frozenset(
            number
            for number in signal.valid_signals()
            if number not in (signal.SIGPIPE, signal.SIGXFSZ)
            and signal.getsignal(number) == signal.SIG_IGN
        )
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        if signal.SIGCHLD in ignored:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        timers = tuple(signal.setitimer(timer, 0) for timer in _TIMERS)
        return cls(frozenset(mask), ignored, timers)

    def give(self) -> None:
        """Put the state back; what is pending is delivered at the end."""
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            if number not in self.ignored:
                signal.signal(number, signal.SIG_DFL)
        if signal.SIGCHLD in self.ignored:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        for timer, (left_s, interval_s) in zip(_TIMERS, self.timers, strict=True):
            signal.setitimer(timer, left_s, interval_s)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)


class Gated(NamedTuple):
    """A child that waits to be let go. `gate`: write to let it; `result`: what came of it."""

    pid: int
    gate: int
    result: int
    command: bytes


def spawn(
    argv: Sequence[bytes],
    environ: Mapping[bytes, bytes],
    inherited: Inherited,
    *,
    die_with_us: bool,
) -> Gated:
    """Fork a child that will exec `argv` once it is released."""
    gate_read, gate_write = os.pipe()
    result_read, result_write = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(gate_write)
            if die_with_us:
                libc.die_with_parent(parent)
            if not os.read(gate_read, 1):
                os._exit(125)
            _exec(list(argv), dict(environ), inherited, result_write)
        except BaseException as error:
            number = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
            os.write(result_write, struct.pack("i", number))
        finally:
            os._exit(125)
    os.close(gate_read)
    os.close(result_write)
    return Gated(pid, gate_write, result_read, argv[0])


def release(child: Gated) -> float:
    """Let the child exec; return the CPU seconds that it had used as ours.

    Raises CommandNotFound or CommandNotExecutable when the exec failed; the child is reaped then.
    """
    os.write(child.gate, b"x")
    os.close(child.gate)
    answer = b""
    while chunk := _read_result(child):  # the end of file is the exec
        answer += chunk
    os.close(child.result)
    if len(answer) == 8:
        return float(struct.unpack("d", answer)[0])
    if not answer:
        return 0.0  # a signal ended it at the gate: it ended as it would have ended bare
    os.waitpid(child.pid, 0)
    raise _failure(child.command, struct.unpack("i", answer[-4:])[0])


def _read_result(child: Gated) -> bytes:
    """Read what comes of the start; stop with the child where Ctrl-Z reached it before its exec."""
    poll = select.poll()
    poll.register(child.result, select.POLLIN)
    while not poll.poll(_PATIENCE_MS):
        seen = os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        if seen is not None and (
            seen.si_status in signal.sigpending() or will_be_resumed(os.getpgrp())
        ):
            stop(seen.si_status)
            os.kill(child.pid, signal.SIGCONT)
    return os.read(child.result, 64)


def _exec(
    argv: list[bytes], environ: dict[bytes, bytes], inherited: Inherited, result: int
) -> NoReturn:
    for name in _MEANT_FOR_A_PID:  # of systemd, and the command was meant
        if environ.get(name) == b"%d" % os.getppid():
            environ[name] = b"%d" % os.getpid()
    candidates = _candidates(argv[0], environ.get(b"PATH"))
    inherited.give()
    os.write(result, struct.pack("d", time.process_time()))
    failure: OSError = FileNotFoundError(errno.ENOENT, "not found")
    for path in candidates:
        try:
            os.execve(path, argv, environ)
        except OSError as error:
            if error.errno == errno.ENOEXEC:  # a script without `#!`: as execvp(3) does
                os.execve(b"/bin/sh", [b"sh", path, *argv[1:]], environ)
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                failure = error  # what was found and refused tells more than what was not there
    raise failure


def _candidates(command: bytes, search_path: bytes | None) -> list[bytes]:
    """Return where execvp(3) would look for `command`, in its order."""
    if not command:
        return []
    if b"/" in command:
        return [command]
    folders = (os.fsencode(os.defpath) if search_path is None else search_path).split(b":")
    return [folder + b"/" + command if folder else command for folder in folders]


def _failure(command: bytes, number: int) -> Eco2aiError:
    name = os.fsdecode(command)
    if number != errno.ENOENT:
        return CommandNotExecutable(f"cannot execute `{name}`: {os.strerror(number).lower()}")
    if b"/" in command and os.path.exists(command):
        return CommandNotFound(f"cannot execute `{name}`: the interpreter it names does not exist")
    return CommandNotFound(f"command not found: `{name}`")
