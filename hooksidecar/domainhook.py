"""OnDefineDomain from its bytes to its answer: decoded, measured, answered, logged; every failure becomes a status."""

from __future__ import annotations

import gc
import hashlib
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from domxml.errors import BadInput, PassgateError
from domxml.finding import Finding
from hooksidecar import log
from hooksidecar.deadline import WORK, Bounded, Failed, elapsed, refusal


class Answer(Protocol):
    """One call's result."""

    @property
    def xml(self) -> bytes:
        """The domain with its devices."""

    @property
    def vm(self) -> str:
        """The VM as a log names it."""

    @property
    def devices(self) -> Sequence[object]:
        """The host devices in it, as a log names them."""

    @property
    def findings(self) -> Sequence[Finding]:
        """Noticed on the way."""

    @property
    def trouble(self) -> str:
        """Why the input goes back as it came, although devices are wanted."""


class Core(Protocol):
    """Serves one VM, one call at a time."""

    def define(self, domain: bytes, vmi: bytes, /, *, deadline: float) -> Answer:
        """Put the devices into the domain before `deadline` (of time.monotonic), or raise PassgateError.

        It leaves no trace: an answer for which the caller does not wait any more is thrown away.
        """

    def keep(self, answer: Any, /) -> int:
        """Hold to what an answer settled, because it goes out now; tell how many did so far."""


M = TypeVar("M", bound=Message)

LARGEST = 4 * 1024 * 1024
"""Bytes of a message that gRPC hands over anywhere; virt-launcher takes no larger answer either."""


class Question(NamedTuple):
    """A request as a transport read it."""

    hook: str
    version: str
    domain: bytes
    vmi: bytes


class Calls:
    """Puts questions to the core, one at a time."""

    def __init__(self, make_core: Callable[[], Core], *, wait: float) -> None:
        self._make_core = make_core
        self._made: Core | None = None
        self._lock = Lock()
        self._budget = WORK + wait
        self.bounded = Bounded()

    def warm_up(self) -> None:
        """Load what the first call needs; any earlier it would delay the answer to Info."""
        self.bounded.begin(self._warm)

    def _warm(self) -> None:
        self._core()
        # All of it stays: no collection of garbage need look at it again.
        gc.collect()
        gc.freeze()

    def _core(self) -> Core:
        made = self._made or self._make_core()
        with self._lock:
            # A thread that was given up may come back late: what was settled stays.
            self._made = self._made or made
            return self._made

    def define(self, question: Question, context: grpc.ServicerContext) -> bytes:
        """The domain with its devices; ends the call with a status when there is none."""
        begun = time.monotonic()
        fields = {"hook": question.hook, "version": question.version, **_shape("domain", question.domain)}
        try:
            answer = self.bounded.run(lambda deadline: self._define(question, deadline), self._budget, context, fields)
        except Failed as failed:
            failed.end(context)
        # Only now: an answer that does not go out must settle nothing.
        passes = self._core().keep(answer)
        self._tell(question, answer, {**fields, "pass": passes}, begun)
        return answer.xml

    def _define(self, question: Question, deadline: float) -> Answer:
        answer = self._core().define(question.domain, question.vmi, deadline=deadline)
        if len(answer.xml) > LARGEST - 1024:
            raise BadInput(
                "answer-too-large", f"the domain has {len(answer.xml)} bytes now, virt-launcher takes {LARGEST} at most"
            )
        return answer

    def _tell(self, question: Question, answer: Answer, fields: dict[str, Any], begun: float) -> None:
        devices = [str(device) for device in answer.devices]
        same = answer.xml == question.domain
        result = {**_shape("answer", answer.xml), "changed": not same, "devices": devices}
        log.info("answered", vm=answer.vm, **fields, **result, **elapsed(begun))
        if answer.trouble:
            log.error("a domain is defined already: the input went back as it came", reason=answer.trouble)
        log.findings(answer.findings)
        if not same and log.debugging():
            from domxml import difference  # noqa: PLC0415  only a search for a mistake needs it

            log.debug("what changed", diff=difference.difference_lines(question.domain, answer.xml))


def pass_through(question: Question, why: str) -> bytes:
    """Answer with the very bytes of the question."""
    log.info("passed through", hook=question.hook, version=question.version, why=why)
    return question.domain


def decode_request(request: bytes, kind: Callable[[], M], context: grpc.ServicerContext) -> M:
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
    refusal(error, **fields).end(context)


def _shape(name: str, data: bytes) -> dict[str, object]:
    """A document as a log may show it."""
    return {f"{name}Digest": f"sha256:{hashlib.sha256(data).hexdigest()[:16]}", f"{name}Bytes": len(data)}
