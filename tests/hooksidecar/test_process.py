"""A signal handler may tell the end at any moment, in the middle of waiting for it too."""

from __future__ import annotations

import subprocess
import sys
import threading

from hooksidecar.process import Stop
from tests.hooksidecar.sidecar import environment
from tests.patience import PATIENCE

# The handler runs between any two steps of the waiting thread, which is where a lock of its own would be held.
INTERRUPTED = """
import signal, sys
from hooksidecar.process import Stop

def tell(frame, event, argument):
    if frame.f_code.co_filename.endswith(("process.py", "threading.py", "queue.py")) and event == "line":
        sys.settrace(None)
        frame.f_trace = None
        signal.raise_signal(signal.SIGTERM)
    return tell

stop = {stop}()
signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
sys.settrace(tell)
stop.wait()
"""


def test_a_signal_in_the_middle_of_the_wait_ends_it() -> None:
    code = INTERRUPTED.format(stop="Stop")

    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE, env=environment())


def test_another_thread_ends_the_wait_and_it_stays_ended() -> None:
    stop = Stop()
    threading.Timer(0.05, stop.set).start()
    assert not stop.is_set()

    stop.wait()
    stop.wait()

    assert stop.is_set()
