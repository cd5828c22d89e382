"""Work for a call, bounded in time and told in the log: every failure becomes a status and a sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NoReturn, TypeVar

import grpc

from domxml.errors import BadInput, PassgateError, Refused
from hooksidecar import doing, log
from hooksidecar.work import Job, Worker

T = TypeVar("T")

WORK = 2.0
"""Seconds a call may take, waiting for the allocation aside."""
EARLY = 0.9
"""The part of the caller's own deadline that we use: a sentence must still reach him."""


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
    """Does the work of calls, one at a time."""

    def __init__(self) -> None:
        self._worker = Worker()

    def begin(self, task: Callable[[], object]) -> None:
        """Do something for which nobody waits."""
        self._worker.submit(task)

    def run(
        self, task: Callable[[float], T], budget: float, context: grpc.ServicerContext, fields: Mapping[str, object]
    ) -> T:
        """What comes of a task, which is given its deadline (of time.monotonic); raises Failed.

        What is returned goes out, whatever the caller does. `fields` tell in the log which call it was.
        """
        begun = time.monotonic()
        budget = min(budget, EARLY * context.time_remaining())
        job = self._worker.submit(lambda: task(begun + budget))
        try:
            return self._wait(job, budget, context)
        except _Late as late:
            log.error("late", **fields, **took(begun), doing=late.doing.words, where=late.doing.where)
            what = f"deadline: no answer within {budget:.1f} s: {late.doing.words}: KubeVirt will ask again"
            raise Failed(grpc.StatusCode.DEADLINE_EXCEEDED, what) from None
        except _Cancelled:
            log.warning("cancelled by the caller", **fields, **took(begun))
            raise Failed(grpc.StatusCode.CANCELLED, "cancelled") from None
        except PassgateError as error:
            raise refused(error, **fields, **took(begun)) from None
        except Exception as error:  # noqa: BLE001  the server outlives its defects
            place = doing.place_of(error)
            log.error("defect", **fields, **took(begun), exception=type(error).__name__, where=place)
            raise Failed(grpc.StatusCode.INTERNAL, _defect(error, place)) from None

    def _wait(self, job: Job[T], budget: float, context: grpc.ServicerContext) -> T:
        if not context.add_callback(job.abandon):
            job.abandon()
        done = job.wait(budget)
        if job.abandoned or (done and not job.take()):
            raise _Cancelled
        if done:
            return job.outcome()
        late = _Late(self._worker.activity(job))
        job.abandon()
        raise late


def refused(error: PassgateError, **fields: object) -> Failed:
    """Log that a call is refused, and with what."""
    log.warning("refused", **fields, code=error.code, reason=error.sentence())
    return Failed(_STATUS.get(type(error), grpc.StatusCode.FAILED_PRECONDITION), error.sentence())


def took(begun: float) -> dict[str, float]:
    """How long a call has taken, for the log."""
    return {"ms": round((time.monotonic() - begun) * 1000, 1)}


class _Late(Exception):
    def __init__(self, doing: doing.Doing) -> None:
        super().__init__()
        self.doing = doing


class _Cancelled(Exception):
    pass


class Busy(Refused):
    """Too much is under way."""


_STATUS = {BadInput: grpc.StatusCode.INVALID_ARGUMENT, Busy: grpc.StatusCode.RESOURCE_EXHAUSTED}


def _defect(error: Exception, place: str) -> str:
    return PassgateError(
        "internal-error",
        f"{type(error).__name__} in {place.rpartition(' > ')[2]}",
        subject="a defect of passgate",
        hint="see the log, and report it",
    ).sentence()
