"""Kubelet's PodResources API as a real gRPC server on a unix socket; its messages are made by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import grpc

from hostdev.kubelet.podresources import LIST
from tests.hooksidecar.wirebytes import message


class PodResources:
    """Serves while the `with` block lasts; what it tells may be changed meanwhile."""

    def __init__(self, kubelet_dir: Path) -> None:
        self.path = kubelet_dir / "pod-resources" / "kubelet.sock"
        self.answer = b""
        self.status: grpc.StatusCode | None = None
        """What to fail with."""
        self.asked = 0
        self._server = grpc.server(ThreadPoolExecutor(2), [_Handler(self)])

    def __enter__(self) -> Self:
        self._server.add_insecure_port(f"unix:{self.path}")
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def has(self, *pods: bytes) -> None:
        """Let these pods be its answer."""
        self.answer = b"".join(message(f1=pod) for pod in pods)


class _Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # it takes none at run time
    def __init__(self, api: PodResources) -> None:
        self._api = api

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        if handler_call_details.method != LIST:
            return None

        def answer(_request: bytes, context: grpc.ServicerContext) -> bytes:
            self._api.asked += 1
            if self._api.status:
                context.abort(self._api.status, "as the test wants it")
            return self._api.answer

        return grpc.unary_unary_rpc_method_handler(answer)


def pod(name: str, resource: str, *ids: str, container: str = "compute", numa: int = 0) -> bytes:
    """A pod with one container that has devices."""
    topology = message(f1=message(f1=numa))
    devices = message(f1=resource) + b"".join(message(f2=device) for device in ids) + message(f3=topology)
    return message(f1=name, f2="vms", f3=message(f1=container, f2=devices))
