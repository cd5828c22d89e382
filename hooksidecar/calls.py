"""A call from its bytes to its answer: decoded, measured, bounded in time, logged; every failure becomes a status."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from domxml.errors import BadInput, PassgateError
from hooksidecar import doing, log
from hooksidecar.core import Answer, Core
from hooksidecar.work import Job, Worker

M = TypeVar("M", bound=Message)

LARGEST = 4 * 1024 * 1024
"""Bytes of a message that gRPC hands over anywhere; virt-launcher takes no larger answer either."""
WORK = 2.0
"""Seconds a call may take, waiting for the allocation aside."""


class Question(NamedTuple):
    """What a transport read from a request."""

    hook: str
    version: str
    domain: bytes
    vmi: bytes


class Calls:
    """Puts questions to the core, one at a time."""

    def __init__(self, core: Core, *, wait: float) -> None:
        self._core = core
        self._budget = WORK + wait
        self._worker = Worker()

    def define(self, question: Question, context: grpc.ServicerContext) -> bytes:
        """The domain with its devices; ends the call with a status when there is none."""
        begun = time.monotonic()
        fields = {"hook": question.hook, "version": question.version, **_shape("domain", question.domain)}
        budget = min(self._budget, context.time_remaining() or self._budget)
        job = self._worker.submit(lambda: self._core.define(question.domain, question.vmi, deadline=begun + budget))
        try:
            answer = self._wait(job, budget, context)
            self._check_size(answer.xml)
        except _Late as late:
            log.error("late", **fields, **_took(begun), doing=late.doing.words, where=late.doing.where)
            what = f"deadline: no answer within {budget:.1f} s: {late.doing.words}: KubeVirt will ask again"
            _end(context, grpc.StatusCode.DEADLINE_EXCEEDED, what)
        except _Cancelled:
            log.warning("cancelled by the caller", **fields, **_took(begun))
            _end(context, grpc.StatusCode.CANCELLED, "cancelled")
        except PassgateError as error:
            refuse(error, context, **fields, **_took(begun))
        except Exception as error:  # noqa: BLE001  the server outlives its defects
            place = doing.place_of(error)
            log.error("defect", **fields, **_took(begun), exception=type(error).__name__, where=place)
            _end(context, grpc.StatusCode.INTERNAL, _defect(error, place))
        self._tell(question, answer, fields, begun)
        return answer.xml

    def _wait(self, job: Job[Answer], budget: float, context: grpc.ServicerContext) -> Answer:
        if not context.add_callback(job.abandon):
            job.abandon()
        if job.wait(budget):
            return job.outcome()
        if job.abandoned:
            raise _Cancelled
        late = _Late(self._worker.doing(job))
        job.abandon()
        raise late

    def _check_size(self, xml: bytes) -> None:
        if len(xml) > LARGEST - 1024:
            raise BadInput(
                "answer-too-large", f"the domain has {len(xml)} bytes now, virt-launcher takes {LARGEST} at most"
            )

    def _tell(self, question: Question, answer: Answer, fields: dict[str, Any], begun: float) -> None:
        devices = [str(device) for device in answer.devices]
        same = answer.xml == question.domain
        result = {**_shape("answer", answer.xml), "changed": not same, "pass": answer.passes, "devices": devices}
        log.info("answered", vm=answer.vm, **fields, **result, **_took(begun))
        if answer.trouble:
            log.error("a domain is defined already: the input went back as it came", reason=answer.trouble)
        for finding in answer.findings:
            text = f"{finding.subject}: {finding.message}" if finding.subject else finding.message
            log.warning(text, code=finding.code, severity=str(finding.severity))
        if not same and log.debugging():
            from hooksidecar import difference  # noqa: PLC0415  only a search for a mistake needs it

            log.debug("what changed", diff=difference.of(question.domain, answer.xml))


def passed_through(question: Question, why: str) -> bytes:
    """Answer with the very bytes of the question."""
    log.info("passed through", hook=question.hook, version=question.version, why=why)
    return question.domain


def decoded(request: bytes, kind: Callable[[], M], context: grpc.ServicerContext) -> M:
    """Read a request; what is too large, or no message, is refused in words."""
    message = kind()
    if len(request) > LARGEST:
        error = BadInput(
            "message-too-large",
            f"domain and VMI have {len(request)} bytes together, the limit is {LARGEST}",
            hint="no real VM is that large; look at what made it",
        )
        refuse(error, context)
    try:
        message.ParseFromString(request)
    except DecodeError:
        refuse(BadInput("bad-message", "the request is no message of this call"), context)
    return message


def refuse(error: PassgateError, context: grpc.ServicerContext, **fields: object) -> NoReturn:
    """End a call with a sentence."""
    log.warning("refused", **fields, code=error.code, reason=error.sentence())
    _end(context, _status(error), error.sentence())


class _Late(Exception):
    def __init__(self, doing: doing.Doing) -> None:
        super().__init__()
        self.doing = doing


class _Cancelled(Exception):
    pass


def _status(error: PassgateError) -> grpc.StatusCode:
    bad = isinstance(error, BadInput)
    return grpc.StatusCode.INVALID_ARGUMENT if bad else grpc.StatusCode.FAILED_PRECONDITION


def _end(context: grpc.ServicerContext, status: grpc.StatusCode, sentence: str) -> NoReturn:
    context.abort(status, sentence)
    raise AssertionError  # abort raises


def _defect(error: Exception, place: str) -> str:
    return PassgateError(
        "internal-error",
        f"{type(error).__name__} in {place.rpartition(' > ')[2]}",
        subject="a defect of passgate",
        hint="see the log of the sidecar, and report it",
    ).sentence()


def _shape(name: str, data: bytes) -> dict[str, object]:
    """A document as a log may show it."""
    return {f"{name}Digest": f"sha256:{hashlib.sha256(data).hexdigest()[:16]}", f"{name}Bytes": len(data)}


def _took(begun: float) -> dict[str, float]:
    return {"ms": round((time.monotonic() - begun) * 1000, 1)}
