"""virt-launcher as a naive client: a connection a call, messages made by hand."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from tests.hooksidecar.wirebytes import fields, message, only, text

INFO = 1.0
CALL = 60.0


class Failed(Exception):
    """A call that ended with a status."""

    def __init__(self, error: grpc.RpcError) -> None:
        assert isinstance(error, grpc.Call)
        self.code: grpc.StatusCode = error.code()
        self.details: str = error.details() or ""
        super().__init__(f"{self.code}: {self.details}")


@dataclass(frozen=True, slots=True)
class Client:
    """Calls whatever listens at a path."""

    path: str

    def call(self, method: str, request: bytes, timeout: float = CALL) -> bytes:
        """One call on a connection of its own."""
        with grpc.insecure_channel(f"unix:{self.path}", options=[("grpc.max_send_message_length", -1)]) as channel:
            try:
                answer: bytes = channel.unary_unary(method, bytes, bytes)(request, timeout=timeout)
            except grpc.RpcError as error:
                raise Failed(error) from None
        return answer

    def info(self) -> bytes:
        """What the sidecar says of itself."""
        return self.call("/kubevirt.hooks.info.Info/Info", b"", INFO)

    def define(self, domain: bytes, vmi: bytes = b"{}", version: str = "v1alpha3", timeout: float = CALL) -> bytes:
        """OnDefineDomain."""
        method = f"/kubevirt.hooks.{version}.Callbacks/OnDefineDomain"
        return only(self.call(method, message(f1=domain, f2=vmi), timeout), 1)

    def shutdown(self) -> bytes:
        """Shutdown."""
        return self.call("/kubevirt.hooks.v1alpha3.Callbacks/Shutdown", b"")

    def mutate(self, domain: bytes, context: str = "Boot", kind: str = "libvirt", vmi: bytes = b"{}") -> bytes:
        """MutateDomain of the Plugin API."""
        request = message(f1=kind, f2=domain, f3=vmi, f4=message(f1=context))
        return only(self.call("/kubevirt.hooks.plugins.v1alpha1.DomainHookService/MutateDomain", request), 1)


def hook_points(info: bytes) -> list[str]:
    """The names of the hook points in an InfoResult."""
    return [text(point, 1) for point in fields(info)[3] if isinstance(point, bytes)]


def versions(info: bytes) -> list[str]:
    """The versions in an InfoResult."""
    return [version.decode() for version in fields(info)[4] if isinstance(version, bytes)]
