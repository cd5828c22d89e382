"""virt-launcher's side of the wire: finds the sockets, asks what they are, calls them; its rules and its patience."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from domxml.errors import BadInput, PassgateError, Refused
from hooksidecar.rehearsal.cloudinit import HOOK_POINT, Documents
from hooksidecar.stubs import callbacks_v1alpha3_pb2 as callbacks
from hooksidecar.stubs import info_pb2 as info
from hostdev.socketpath import target

M = TypeVar("M", bound=Message)

CALL_FAILED = "call-failed"
TICK = 0.3
"""Seconds between two looks at the mount; the first one follows a look even when all was there."""
DIAL = 2.0
INFO = 1.0
CALL = 60.0
SUPPORTED = ("v1alpha3", "v1alpha2", "v1alpha1")
"""The newest first: virt-launcher takes the first that the sidecar has too."""
SINCE = {HOOK_POINT: "v1alpha2", "Shutdown": "v1alpha3"}
"""Hook points that the first version does not have."""


class Sidecar(NamedTuple):
    """A socket that answered Info."""

    path: str
    name: str
    version: str
    hook_points: tuple[str, ...]

    @property
    def call_name(self) -> str:
        """What it is called with for a domain."""
        return "OnDefineDomain"

    def define(self, domain: bytes, vmi: bytes) -> bytes:
        request = callbacks.OnDefineDomainParams(domainXML=domain, vmi=vmi)
        method = f"/kubevirt.hooks.{self.version}.Callbacks/OnDefineDomain"
        return call(self.path, method, request, callbacks.OnDefineDomainResult, CALL).domainXML

    def subscribes(self, point: str) -> bool:
        """The hook point is one that virt-launcher would call."""
        return point in self.hook_points and SINCE.get(point, self.version) <= self.version

    def pre_cloud_init_iso(self, given: Documents, vmi: bytes) -> Documents:
        request = callbacks.PreCloudInitIsoParams(
            cloudInitNoCloudSource=given.older, vmi=vmi, cloudInitData=given.newer
        )
        method = f"/kubevirt.hooks.{self.version}.Callbacks/{HOOK_POINT}"
        answer = call(self.path, method, request, callbacks.PreCloudInitIsoResult, CALL)
        return Documents(answer.cloudInitNoCloudSource, answer.cloudInitData)

    def shutdown(self) -> None:
        method = "/kubevirt.hooks.v1alpha3.Callbacks/Shutdown"
        call(self.path, method, callbacks.ShutdownParams(), callbacks.ShutdownResult, CALL)


def collect(
    mounts: Sequence[str],
    number: int,
    timeout: float,
    check: Callable[[], None] = lambda: None,
    *,
    dials_directories: bool = False,
) -> list[Sidecar]:
    """Look until as many sockets as there are sidecars have answered; each mount is one container's.

    `check` is called between two looks, and raises when waiting has no sense any more.
    """
    found: dict[str, Sidecar] = {}
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        for mount in sorted(mounts):
            # By bare file name, whatever the container: two sockets of one name count as one.
            for name in _candidates(mount, directories=dials_directories):
                if name not in found and (sidecar := ask(f"{mount}/{name}")) is not None:
                    found[name] = sidecar
        time.sleep(TICK)
        if len(found) > number:
            raise Refused(
                "too-many-sockets",
                f"{len(found)} sockets answered for {number} sidecars ({', '.join(found)}); virt-launcher counts "
                "sockets, and would start without another sidecar",
                hint="one socket in each mount; anything else belongs into userdata/",
            )
        if len(found) == number:
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
    try:
        said = call(path, "/kubevirt.hooks.info.Info/Info", info.InfoParams(), info.InfoResult, INFO)
    except Refused as error:
        error.hint = f"virt-launcher gives Info {INFO:.0f} s, once, and panics without an answer"
        raise
    version = next((version for version in SUPPORTED if version in said.versions), None)
    if version is None:
        raise Refused(
            "no-common-version",
            f"the sidecar has {', '.join(said.versions) or 'no version'}; virt-launcher would panic",
            subject=path,
            hint=f"offer one of {', '.join(SUPPORTED)}",
        )
    return Sidecar(path, said.name, version, tuple(point.name for point in said.hookPoints))


def _candidates(mount: str, *, directories: bool) -> list[str]:
    try:
        names = sorted(os.listdir(mount))  # noqa: PTH208
        return [name for name in names if directories or not stat.S_ISDIR(os.lstat(f"{mount}/{name}").st_mode)]
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
    return grpc.insecure_channel(target(path), [("grpc.default_authority", "localhost")])


def call(path: str, method: str, request: Message, kind: Callable[[], M], timeout: float) -> M:
    """A connection a call, as virt-launcher makes it."""
    with _connection(path) as channel:
        try:
            data = channel.unary_unary(method, type(request).SerializeToString, bytes)(request, timeout=timeout)
        except grpc.RpcError as error:
            raise _failure(error, method) from None
    answer = kind()
    try:
        answer.ParseFromString(data)
    except DecodeError:
        name = method.rpartition("/")[2]
        raise Refused("bad-answer", f"{len(data)} bytes came that are no answer to this call", subject=name) from None
    return answer


def _failure(error: grpc.RpcError, method: str) -> PassgateError:
    status = error if isinstance(error, grpc.Call) else None
    code = status.code().name if status else "UNKNOWN"
    details = (status.details() if status else "") or ""
    return Refused(CALL_FAILED, details, subject=f"{method.rpartition('/')[2]} {code}")
