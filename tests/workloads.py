"""Process trees to be measured. Run as `python workloads.py NAME FILE [ARG…]`.

Every process of ours notes the CPU seconds that the kernel has given it, children apart, as the
last thing it does: their sum is the truth that a row is compared with.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

FILE = sys.argv[2] if len(sys.argv) > 2 else ""


def burn(seconds: float) -> None:
    """Use `seconds` of CPU time in this thread."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        for _ in range(500):
            pass


def leave() -> None:
    """Note what this process has used, and end at once."""
    with open(FILE, "ab", buffering=0) as file:
        file.write(f"{time.process_time():.6f}\n".encode())
    os._exit(0)


def work(seconds: float) -> None:
    burn(seconds)
    leave()


def fork(seconds: float) -> int:
    pid = os.fork()
    if pid == 0:
        work(seconds)
    return pid


def run_again(name: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, name, FILE, *map(str, arguments)])


def one(seconds: str = "1.0") -> None:
    burn(float(seconds))


def two_workers() -> None:
    for pid in [fork(0.6), fork(0.6)]:
        os.waitpid(pid, 0)


def four_threads() -> None:
    threads = [threading.Thread(target=burn, args=(0.25,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def kernel_heavy() -> None:
    until = time.process_time() + 0.8
    with open("/dev/zero", "rb", buffering=0) as zero:
        while time.process_time() < until:
            zero.read(1 << 20)


def fork_storm() -> None:
    """100 children of 5 to 50 ms, two at a time."""
    running: list[int] = []
    for number in range(100):
        running.append(fork(0.005 + 0.045 * (number % 10) / 9))
        if len(running) == 2:
            os.waitpid(running.pop(0), 0)
    for pid in running:
        os.waitpid(pid, 0)


def exec_storm() -> None:
    for number in range(25):
        run_again("one", 0.005 + 0.01 * (number % 5)).wait()


def sigchld_ignored(count: str, shortest: str, longest: str) -> None:
    """Children, two at a time, whose CPU time the kernel gives to nobody."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    step = (float(longest) - float(shortest)) / 9
    for number in range(int(count)):
        wait_for_lines(number - 1)
        fork(float(shortest) + step * (number % 10))
    wait_for_lines(int(count))


def wait_for_lines(count: int) -> None:
    """Wait until `count` processes have noted what they used."""
    while count > 0 and (not os.path.exists(FILE) or Path(FILE).read_text().count("\n") < count):
        time.sleep(0.002)


def pool(method: str) -> None:
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=work, args=(0.4,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    # What multiprocessing starts beside the workers keeps its own accounts: see the test.


def daemon() -> None:
    """A grandchild that has left its parent, and ends before the command does."""
    middle = os.fork()
    if middle == 0:
        os.setsid()
        fork(0.5)
        leave()
    os.waitpid(middle, 0)
    wait_for_lines(2)


def sessions() -> None:
    pids = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            os.setsid()
            work(0.2)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)


def zombies() -> None:
    """Children that have ended and that nobody waits for."""
    for _ in range(5):
        fork(0.1)
    wait_for_lines(5)
    time.sleep(0.05)


def nested_subreaper() -> None:
    """A supervisor of its own, which adopts and waits for the orphans below it."""
    import ctypes

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    middle = os.fork()
    if middle == 0:
        fork(0.3)
        leave()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[3:])
    leave()
