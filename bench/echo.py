"""A bare grpcio server that sends back what it gets, as grpcio's own examples are written: `python -m bench.echo DIR`.

It speaks the same protocol and loads nothing more: what another server needs beyond it is that server's own.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from hooksidecar.stubs import callbacks_v1alpha3_pb2 as callbacks
from hooksidecar.stubs import info_pb2 as info

DEFINE = "/kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain"
INFO = "/kubevirt.hooks.info.Info/Info"


def _define(request: callbacks.OnDefineDomainParams, _context: object) -> callbacks.OnDefineDomainResult:
    return callbacks.OnDefineDomainResult(domainXML=request.domainXML)


def _info(_request: info.InfoParams, _context: object) -> info.InfoResult:
    return info.InfoResult()


METHODS = {
    DEFINE: grpc.unary_unary_rpc_method_handler(
        _define, callbacks.OnDefineDomainParams.FromString, callbacks.OnDefineDomainResult.SerializeToString
    ),
    INFO: grpc.unary_unary_rpc_method_handler(_info, info.InfoParams.FromString, info.InfoResult.SerializeToString),
}


class _Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # it takes none at run time
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return METHODS.get(handler_call_details.method)


def serve(mount: str) -> None:
    """Until the process is ended."""
    server = grpc.server(ThreadPoolExecutor(4), [_Handler()])
    server.add_insecure_port(f"unix:{mount}/userdata/made.sock")
    server.start()
    os.rename(f"{mount}/userdata/made.sock", f"{mount}/bench.sock")  # noqa: PTH104  pathlib is not the bare minimum
    server.wait_for_termination()


if __name__ == "__main__":
    serve(sys.argv[1])
