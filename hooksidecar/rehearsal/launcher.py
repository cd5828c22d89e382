"""virt-launcher's side of the wire: finds the sockets, asks what they are, calls them; its rules and its patience."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import Message

from domxml.errors import BadInput, PassgateError, Refused
from hooksidecar.stubs import callbacks_v1alpha3_pb2 as callbacks
from hooksidecar.stubs import info_pb2 as info

TICK = 0.3
"""Seconds between two looks at the mount; the first one follows a look even when all was there."""
DIAL = 2.0
INFO = 1.0
CALL = 60.0
SUPPORTED = ("v1alpha3", "v1alpha2", "v1alpha1")
"""The newest first: virt-launcher takes the first that the sidecar has too."""


class Sidecar(NamedTuple):
    """A socket that answered Info."""

    path: str
    name: str
    version: str
    hook_points: tuple[str, ...]

    def define(self, domain: bytes, vmi: bytes) -> bytes:
        """OnDefineDomain."""
        request = callbacks.OnDefineDomainParams(domainXML=domain, vmi=vmi)
        method = f"/kubevirt.hooks.{self.version}.Callbacks/OnDefineDomain"
        answer: callbacks.OnDefineDomainResult = _call(self.path, method, request, callbacks.OnDefineDomainResult, CALL)
        return answer.domainXML

    def shutdown(self) -> bool:
        """Shutdown, if it was asked for; tells whether."""
        if self.version != "v1alpha3" or "Shutdown" not in self.hook_points:
            return False
        method = "/kubevirt.hooks.v1alpha3.Callbacks/Shutdown"
        _call(self.path, method, callbacks.ShutdownParams(), callbacks.ShutdownResult, CALL)
        return True


def collect(
    mounts: Sequence[str], number: int, timeout: float, check: Callable[[], None] = lambda: None
) -> list[Sidecar]:
    """Look until as many sockets as there are sidecars have answered; each mount is one container's.

    `check` is called between two looks, and raises when waiting has no sense any more.
    """
    found: dict[str, Sidecar] = {}
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        for mount in sorted(mounts):
            # By bare file name, whatever the container: two sockets of one name count as one.
            for name in _files(mount):
                if name not in found and (sidecar := ask(f"{mount}/{name}")) is not None:
                    found[name] = sidecar
        time.sleep(TICK)
        if len(found) >= number:
            return list(found.values())
        check()
    raise Refused(
        "sidecars-missing",
        f"{len(found)} of {number} sidecars answered within {timeout:.0f} s; virt-launcher would panic",
        hint="every container needs one socket, of a name that no other container uses",
    )


def ask(path: str) -> Sidecar | None:
    """Info; None for what cannot be dialled, which is tried again. What answers wrongly ends virt-launcher at once."""
    if not _dials(path):
        return None
    said = _call(path, "/kubevirt.hooks.info.Info/Info", info.InfoParams(), info.InfoResult, INFO)
    version = next((version for version in SUPPORTED if version in said.versions), None)
    if version is None:
        raise Refused(
            "no-common-version",
            f"the sidecar has {', '.join(said.versions) or 'no version'}; virt-launcher would panic",
            subject=path,
            hint=f"offer one of {', '.join(SUPPORTED)}",
        )
    return Sidecar(path, said.name, version, tuple(point.name for point in said.hookPoints))


def _files(mount: str) -> list[str]:
    try:
        names = sorted(os.listdir(mount))  # noqa: PTH208
        return [name for name in names if not stat.S_ISDIR(os.lstat(f"{mount}/{name}").st_mode)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadInput("unreadable-mount", f"cannot look for sockets: {error.strerror}", subject=mount) from None


def _dials(path: str) -> bool:
    with _connection(path) as channel:
        try:
            grpc.channel_ready_future(channel).result(DIAL)
        except grpc.FutureTimeoutError:
            return False
    return True


def _connection(path: str) -> grpc.Channel:
    return grpc.insecure_channel(f"unix:{path.replace('%', '%25')}", [("grpc.default_authority", "localhost")])


def _call(path: str, method: str, request: Message, answer: Any, timeout: float) -> Any:
    """A connection a call, as virt-launcher makes it."""
    with _connection(path) as channel:
        try:
            call = channel.unary_unary(method, type(request).SerializeToString, answer.FromString)
            return call(request, timeout=timeout)
        except grpc.RpcError as error:
            raise _failure(error, method) from None


def _failure(error: grpc.RpcError, method: str) -> PassgateError:
    status = error if isinstance(error, grpc.Call) else None
    code = status.code().name if status else "UNKNOWN"
    details = (status.details() if status else "") or ""
    return Refused("call-failed", details, subject=f"{method.rpartition('/')[2]} {code}")
