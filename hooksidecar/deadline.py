"""Calls with a deadline: one thread works, a caller may stop waiting, and what hangs is told, given up and replaced."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from queue import SimpleQueue
from types import FrameType
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

import grpc

from domxml.errors import BadInput, PassgateError, Refused
from hooksidecar import log

WORDS = (
    ("hostdev.inject.gather", "waiting for the allocation file"),
    ("hostdev.allocation", "reading what was allocated"),
    ("hostdev.cloudinit", "writing the network data"),
    ("hostdev.vmi", "reading the VMI"),
    ("hooksidecar.nodewatch.record", "reading kubelet's record"),
    ("hostdev.kubelet", "reading kubelet's record"),
    ("hostdev.inventory.host", "reading the host's files"),
    ("hostdev.inventory.scan", "reading the host's devices"),
    ("hostdev.inventory", "reading the host's devices"),
    ("hostdev.gate.check", "checking the devices"),
    ("domxml.guestpci", "placing the devices in the guest"),
    ("domxml.placement", "placing the devices in the guest"),
    ("domxml.verify", "verifying the answer"),
    ("domxml", "working on the domain XML"),
    ("hostdev", "matching devices and requests"),
)
"""Modules, the closest match first."""
UNKNOWN = "working"
LOADING = "loading its modules"
_IMPORTS = "importlib._bootstrap"


class Activity(NamedTuple):
    """Words for people, and the place in the code for those who know it."""

    words: str
    where: str


def current_activity(thread: int | None) -> Activity:
    """What a thread is at; read from its stack, so that no code needs to keep a diary."""
    frame = sys._current_frames().get(thread or 0)  # noqa: SLF001  the documented way, in spite of its name
    frames = list(_frames(frame))
    if any(log.module_of(found) == _IMPORTS for found in frames):
        return Activity(LOADING, log.place_in(frames[0]))
    for found in frames:
        module = log.module_of(found)
        for prefix, words in WORDS:
            if f"{module}.".startswith(f"{prefix}."):
                return Activity(words, log.place_in(found))
    return Activity(UNKNOWN, log.place_in(frames[0]) if frames else "")


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


T = TypeVar("T")

OVERDUE = 2.0
"""Seconds after its deadline when work is given up, and its thread with it."""
_AGAIN = 0.05
"""Seconds until another look at one that is overdue and could not be given up."""
MOST_GIVEN_UP = 8
"""Threads that may hang at once: each keeps its documents."""


class Job(Generic[T]):
    """A piece of work and its outcome."""

    def __init__(self, task: Callable[[], T], deadline: float) -> None:
        self.deadline = deadline
        """Of time.monotonic."""
        self._task: Callable[[], T] | None = task
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._outcome: list[T] = []
        self._error: BaseException | None = None
        self._taken = False
        self.abandoned = False

    def run(self) -> None:
        """Do it, unless the caller is gone."""
        task = self._task
        if task is None:
            return
        try:
            self._outcome.append(task())
        except BaseException as error:  # noqa: BLE001  the caller must hear of it, and the thread lives on
            self._error = error
        self._over.set()

    def abandon(self) -> None:
        """Drop it, as the caller is gone: what has not begun never begins, what comes out is not taken."""
        with self._lock:
            self.abandoned = not self._taken
        self._task = None  # Its documents need not wait in line behind a call that hangs.
        self._over.set()

    def take(self) -> bool:
        """Take the outcome, so that the job cannot be abandoned any more; false where it was."""
        with self._lock:
            self._taken = not self.abandoned
            return self._taken

    def wait(self, seconds: float) -> bool:
        """Wait until it is done or abandoned; tell whether it is done."""
        self._over.wait(max(0.0, seconds))
        return bool(self._outcome) or self._error is not None

    def outcome(self) -> T:
        """The result; raises what went wrong."""
        if self._error is not None:
            raise self._error
        return self._outcome[0]


class Worker:
    """A thread that does pieces of work, one at a time. It is a daemon: work that hangs must not keep the process."""

    def __init__(self, jobs: SimpleQueue[Job[Any]]) -> None:
        self._jobs = jobs
        self._lock = threading.Lock()
        self._current: Job[Any] | None = None
        self._retired = False
        self._thread = threading.Thread(target=self._work, name="work", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether its thread is there, retired or not."""
        return self._thread.is_alive()

    def activity(self, job: Job[T]) -> Activity:
        """What the thread is at: the job, or one before it."""
        now = current_activity(self._thread.ident)
        if self._current is job:
            return now
        return Activity(f"waiting for an earlier call, which was {now.words}", now.where)

    def time_to_overdue(self) -> float:
        """Seconds until what it does is late beyond hope."""
        job = self._current
        return float("inf") if job is None else job.deadline + OVERDUE - time.monotonic()

    def retire(self) -> Activity | None:
        """Take no more work, if what it does is overdue: tell what that is.

        An import is waited for, however long a throttled processor takes: cut off it leaves halves of modules behind,
        and the next worker would need the very same ones.
        """
        with self._lock:
            found = current_activity(self._thread.ident)
            if self.time_to_overdue() > 0 or found.words == LOADING:
                return None
            self._retired = True
        _interrupt(self._thread)
        return found

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            with self._lock:
                self._current = job
            job.run()
            with self._lock:
                self._current = None
                if self._retired:
                    return
            del job  # The documents of the last call need not stay while there is no next one.


class _GivenUp(SystemExit):
    """Ends a thread without a word."""


def _interrupt(thread: threading.Thread) -> None:
    """End what a thread does at its next step in Python; one that hangs in the kernel ends when that lets it go."""
    with contextlib.suppress(ImportError, AttributeError):
        import ctypes  # noqa: PLC0415  a sidecar that is well never needs it

        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_GivenUp))


WORK = 2.0
"""Seconds a call may take, waiting for the allocation aside."""
EARLY = 0.9
"""The part of the caller's own deadline that we use: a sentence must still reach it."""


class Failed(Exception):
    """A call has no answer."""

    def __init__(self, status: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence

    def end(self, context: grpc.ServicerContext) -> NoReturn:
        """Tell the caller."""
        context.abort(self.status, self.sentence)
        raise AssertionError  # abort raises


class Bounded:
    """Does the work of calls, one at a time; a worker that does not come back is replaced by another."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job[Any]] = SimpleQueue()
        self._lock = threading.Lock()
        self._worker = Worker(self._jobs)
        self._given_up: list[Worker] = []

    def begin(self, task: Callable[[], object]) -> None:
        """Do something for which nothing waits."""
        self._jobs.put(Job(task, time.monotonic() + WORK))

    def run(
        self, task: Callable[[float], T], budget: float, context: grpc.ServicerContext, fields: Mapping[str, object]
    ) -> T:
        """Run a task, which is given its deadline (of time.monotonic), and return what comes of it; raises Failed.

        What is returned goes out, whatever the caller does. `fields` tell in the log which call it was.
        """
        begun = time.monotonic()
        budget = min(budget, EARLY * context.time_remaining())
        job = Job(lambda: task(begun + budget), begun + budget)
        self._jobs.put(job)
        try:
            return self._wait(job, context)
        except _Late as late:
            log.error("late", **fields, **elapsed(begun), doing=late.doing.words, where=late.doing.where)
            what = f"deadline: no answer within {budget:.1f} s: {late.doing.words}: KubeVirt will ask again"
            raise Failed(grpc.StatusCode.DEADLINE_EXCEEDED, what) from None
        except _Cancelled:
            log.warning("cancelled by the caller", **fields, **elapsed(begun))
            raise Failed(grpc.StatusCode.CANCELLED, "cancelled") from None
        except PassgateError as error:
            raise refusal(error, **fields, **elapsed(begun)) from None
        except Exception as error:  # noqa: BLE001  the server outlives its defects
            log.defect(error, **fields, **elapsed(begun))
            raise Failed(grpc.StatusCode.INTERNAL, _defect(error)) from None

    def _wait(self, job: Job[T], context: grpc.ServicerContext) -> T:
        if not context.add_callback(job.abandon):
            job.abandon()
        done = self._is_done_in_time(job)
        if job.abandoned or (done and not job.take()):
            raise _Cancelled
        if done:
            return job.outcome()
        late = _Late(self._worker.activity(job))
        job.abandon()
        raise late

    def _is_done_in_time(self, job: Job[T]) -> bool:
        """Wait for it; what stands in its way beyond hope is given up meanwhile."""
        while (left := job.deadline - time.monotonic()) > 0:
            overdue = self._worker.time_to_overdue()
            if overdue <= 0:
                self._replace_worker()
                overdue = max(self._worker.time_to_overdue(), _AGAIN)
            done = job.wait(min(left, overdue))
            if done or job.abandoned:
                return done
        return job.wait(0)

    def _replace_worker(self) -> None:
        """Give up the one that hangs; too many hanging threads are no help to those that wait."""
        with self._lock:
            self._given_up = [worker for worker in self._given_up if worker.is_alive()]
            doing = self._worker.retire() if len(self._given_up) < MOST_GIVEN_UP else None
            if doing is not None:
                log.error("given up", doing=doing.words, where=doing.where, hanging=len(self._given_up) + 1)
                self._given_up.append(self._worker)
                self._worker = Worker(self._jobs)


def refusal(error: PassgateError, **fields: object) -> Failed:
    """Log that a call is refused, and with what."""
    log.warning("refused", **fields, code=error.code, reason=error.sentence())
    return Failed(_STATUS.get(type(error), grpc.StatusCode.FAILED_PRECONDITION), error.sentence())


def elapsed(begun: float) -> dict[str, float]:
    """How long a call has taken, for the log."""
    return {"ms": round((time.monotonic() - begun) * 1000, 1)}


class _Late(Exception):
    def __init__(self, doing: Activity) -> None:
        super().__init__()
        self.doing = doing


class _Cancelled(Exception):
    pass


class Busy(Refused):
    """Too much is under way."""


_STATUS = {BadInput: grpc.StatusCode.INVALID_ARGUMENT, Busy: grpc.StatusCode.RESOURCE_EXHAUSTED}


def _defect(error: Exception) -> str:
    return PassgateError(
        "internal-error",
        f"{type(error).__name__} in {log.raised_at(error).rpartition(' > ')[2]}",
        subject="a defect of passgate",
        hint="see the log, and report it",
    ).sentence()
