"""One thread that does all the work, a call at a time: whoever waits for it can stop waiting whenever he wants."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from hooksidecar import doing

T = TypeVar("T")


class Job(Generic[T]):
    """A piece of work and its outcome."""

    def __init__(self, task: Callable[[], T]) -> None:
        self._task: Callable[[], T] | None = task
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._outcome: list[T] = []
        self._error: BaseException | None = None
        self._taken = False
        self.abandoned = False

    def run(self) -> None:
        """Do it, unless nobody waits any more."""
        task = self._task
        if task is None:
            return
        try:
            self._outcome.append(task())
        except BaseException as error:  # noqa: BLE001  whoever waits must hear of it, and the thread lives on
            self._error = error
        self._over.set()

    def abandon(self) -> None:
        """Nobody waits any more: what has not begun never begins, what comes out is dropped."""
        with self._lock:
            self.abandoned = not self._taken
        self._task = None  # Its documents need not wait in line behind a call that hangs.
        self._over.set()

    def take(self) -> bool:
        """Whether the outcome still has a taker; from now on it has, whoever abandons the job."""
        with self._lock:
            self._taken = not self.abandoned
            return self._taken

    def wait(self, seconds: float) -> bool:
        """Wait until it is done or abandoned; tell whether it is done."""
        self._over.wait(max(0.0, seconds))
        return bool(self._outcome) or self._error is not None

    def outcome(self) -> T:
        """What came out; raises what went wrong."""
        if self._error is not None:
            raise self._error
        return self._outcome[0]


class Worker:
    """The thread. It is a daemon: work that hangs must not keep the process."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job[Any]] = SimpleQueue()
        self._current: Job[Any] | None = None
        self._thread = threading.Thread(target=self._work, name="work", daemon=True)
        self._thread.start()

    def submit(self, task: Callable[[], T]) -> Job[T]:
        """Queue a piece of work."""
        job = Job(task)
        self._jobs.put(job)
        return job

    def activity(self, job: Job[T]) -> doing.Doing:
        """What is done for a job, or instead of it."""
        now = doing.of(self._thread.ident)
        if self._current is job:
            return now
        return doing.Doing(f"waiting for an earlier call, which was {now.words}", now.where)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            self._current = job
            job.run()
            self._current = None
            del job  # The documents of the last call need not stay while there is no next one.
