"""Write the name of every signal that arrives, a line each; end at SIGRTMIN.

`python victim.py [SIGNAL…]`: the signals to have handlers for (default: TERM and INT).
"""

import os
import signal
import sys

last = signal.SIGRTMIN
names = sys.argv[1:] or ["TERM", "INT"]


def note(number, frame):
    os.write(1, (signal.Signals(number).name + "\n").encode())


for number in [getattr(signal, "SIG" + name) for name in names]:
    signal.signal(number, note)
signal.pthread_sigmask(signal.SIG_BLOCK, {last})
os.write(1, b"ready %d\n" % os.getpid())
if signal.sigtimedwait({last}, 60) is None:  # a handler that runs does not end the wait
    sys.exit("nobody ended me")
