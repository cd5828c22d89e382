"""The gRPC server around a table of methods. Requests arrive as bytes: what is wrong with them, we say ourselves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc

from domxml.errors import BadInput
from hooksidecar.calls import LARGEST
from hooksidecar.services import Methods

THREADS = 64
"""As many calls as may wait at once; threads are made when they are needed, and Info never stands in line."""
HARD_LIMIT = 2 * LARGEST
"""Beyond it gRPC itself refuses."""
OPTIONS = (
    ("grpc.max_receive_message_length", HARD_LIMIT),
    ("grpc.max_send_message_length", HARD_LIMIT),
)
GRACE = 0.5
"""Seconds for the calls under way at the end."""


class Server:
    """Serves on one unix socket."""

    def __init__(self, methods: Methods) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="call"), [_Handler(methods)], options=OPTIONS
        )

    def listen(self, path: str) -> None:
        """Bind and answer; `path` is free."""
        try:
            # gRPC takes it for a URI.
            self._server.add_insecure_port(f"unix:{path.replace('%', '%25')}")
        except RuntimeError:
            raise BadInput(
                "socket-bind", "no socket can be made here", subject=path, hint="look at the mount: is it full?"
            ) from None
        self._server.start()

    def stop(self) -> None:
        """Let the calls under way end, briefly."""
        self._server.stop(GRACE).wait(2 * GRACE)


class _Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # it takes none at run time
    def __init__(self, methods: Methods) -> None:
        self._methods = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        return self._methods.get(handler_call_details.method)
