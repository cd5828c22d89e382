"""How kubelet gets to know a plugin by itself: it finds the socket in plugins_registry, and asks what it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from domxml.errors import BadInput, PassgateError
from domxml.text import printable
from hooksidecar import log
from hooksidecar.deadline import refusal
from hostdev.kubelet.stubs import pluginregistration_v1_pb2 as wire

SERVICE = "pluginregistration.Registration"
PATIENCE = 30.0
"""Seconds without a registration that are no finding: kubelet restarts."""
M = TypeVar("M", bound=Message)


class State(StrEnum):
    """How a plugin stands with kubelet."""

    REGISTERED = "registered"
    UNREGISTERED = "unregistered"
    FOREIGN = "foreign"
    """Another plugin has its name."""


class Standing(NamedTuple):
    """The same, and why."""

    state: State
    why: str = ""
    since: float = 0.0
    """Of time.monotonic."""
    refused: bool = False
    """Whether kubelet said no, rather than nothing."""

    @property
    def is_amiss(self) -> bool:
        """Whether something is wrong, and kubelet is not just starting anew."""
        return self.state is State.UNREGISTERED and (self.refused or time.monotonic() - self.since > PATIENCE)

    def become(self, state: State, why: str = "", *, refused: bool = False) -> Standing:
        """How it stands from now on; the very same where that is no news."""
        if (state, why) == (self.state, self.why):
            return self
        return Standing(state, why, self.since if state is self.state else time.monotonic(), refused)

    def tell(self, **whose: str) -> None:
        """Write it into the log."""
        say = log.info if self.state is State.REGISTERED else log.warning
        say(str(self.state), **whose, **({"why": self.why} if self.why else {}))


class Announcement:
    """Answers what kubelet asks of a socket that it found."""

    def __init__(self, kind: str, name: str, versions: Sequence[str], endpoint: str = "") -> None:
        self._name = name
        # Without an endpoint it is the very socket that was found.
        self._info = wire.PluginInfo(type=kind, name=name, endpoint=endpoint, supported_versions=versions)
        self.refusal = ""
        """What kubelet said is wrong; empty where it took it, and before it said anything."""
        self.was_answered = False
        """Whether kubelet has said what became of it."""
        self.on_answer: Callable[[], None] = lambda: None

    def service(self) -> grpc.GenericRpcHandler[bytes, bytes]:
        """Serve each call by its name."""
        answers = {"GetInfo": self._tell, "NotifyRegistrationStatus": self._note}
        handlers = {name: grpc.unary_unary_rpc_method_handler(answer) for name, answer in answers.items()}
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _tell(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        return self._info.SerializeToString()

    def _note(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            status = decode_message(wire.RegistrationStatus, request)
        except PassgateError as error:
            refusal(error, resource=self._name).end(context)
        why = "" if status.plugin_registered else status.error or "no reason"
        # Kubelet tries again and again, and says the same each time.
        if why and why != self.refusal:
            log.warning("refused", resource=self._name, why=f"kubelet found it, and says: {printable(why)}")
        self.refusal, self.was_answered = why, True
        self.on_answer()
        return wire.RegistrationStatusResponse().SerializeToString()


def decode_message(kind: Callable[[], M], request: bytes) -> M:
    """Read a request; what is none is the caller's mistake."""
    message = kind()
    try:
        message.ParseFromString(request)
    except DecodeError:
        raise BadInput("bad-message", "the request is no message of this call") from None
    return message
