"""A driver's claims and health as a test wants them, and a client that calls at its sockets as kubelet does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import grpc

from hooksidecar.claims.server import DraServer
from hooksidecar.claims.source import ClaimRef, DeviceHealth, PreparedDevice
from hostdev.kubelet.directory import PLUGINS, dra_sockets
from hostdev.kubelet.stubs import dra_health_v1alpha1_pb2 as health
from hostdev.kubelet.stubs import dra_v1_pb2 as dra
from hostdev.kubelet.stubs.pluginregistration_v1_pb2 import PluginInfo
from tests.patience import PATIENCE

DRIVER = "units.lab.dev"
_NO_POOL = (("grpc.use_local_subchannel_pool", 1),)


class Answers:
    """Claims that are answered as a test says, by name; and health."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[], Sequence[PreparedDevice] | str]] = {}
        self.errors: dict[str, Callable[[], str | None]] = {}
        self.health: list[DeviceHealth] = []
        self.prepared: list[ClaimRef] = []
        self.undone: list[ClaimRef] = []
        self.within: list[float] = []
        self.released = threading.Event()
        """What `hang` waits for."""

    def prepare(self, refs: Sequence[ClaimRef], within: float) -> Mapping[str, Sequence[PreparedDevice] | str]:
        self.prepared += refs
        self.within.append(within)
        return {ref.uid: self.answers.get(ref.name, lambda ref=ref: device(ref))() for ref in refs}

    def unprepare(self, refs: Sequence[ClaimRef]) -> Mapping[str, str | None]:
        self.undone += refs
        return {ref.uid: self.errors.get(ref.name, lambda: None)() for ref in refs}

    def devices(self) -> Sequence[DeviceHealth]:
        return self.health

    def hang(self) -> str:
        """Answer not before the test ends."""
        self.released.wait(PATIENCE)
        return "too late"


def device(ref: ClaimRef, name: str = "u0") -> Sequence[PreparedDevice]:
    """One, as a driver would prepare it."""
    return [PreparedDevice(("gpu",), "node", name, (f"{DRIVER}/claim={ref.uid}-{name}",))]


@contextmanager
def serving(kubelet_dir: Path, answers: Answers, driver: str = DRIVER) -> Iterator[DraServer]:
    """A driver, as long as it lives."""
    server = DraServer(str(kubelet_dir), driver, answers, answers)
    server.start()
    try:
        yield server
    finally:
        answers.released.set()
        server.close()


def registrations(kubelet_dir: Path) -> list[Path]:
    """The sockets that kubelet finds."""
    return sorted(path for path in (kubelet_dir / PLUGINS).iterdir() if path.is_socket())


def endpoints(kubelet_dir: Path) -> list[Path]:
    """The sockets that kubelet is told of."""
    return [Path(path) for path in dra_sockets(str(kubelet_dir), DRIVER)]


class Client:
    """Calls at a driver's socket."""

    def __init__(self, socket: Path) -> None:
        self.channel = grpc.insecure_channel(f"unix:{socket}", options=_NO_POOL)

    def info(self) -> PluginInfo:
        answer = self.channel.unary_unary("/pluginregistration.Registration/GetInfo", bytes, bytes)(
            b"", timeout=PATIENCE
        )
        return PluginInfo.FromString(answer)

    def note(self, status: bytes) -> bytes:
        """Say what became of it."""
        name = "/pluginregistration.Registration/NotifyRegistrationStatus"
        answer: bytes = self.channel.unary_unary(name, bytes, bytes)(status, timeout=PATIENCE)
        return answer

    def call(self, name: str, request: bytes, timeout: float = 45.0) -> bytes:
        """One of DRAPlugin."""
        method = f"/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/{name}"
        answer: bytes = self.channel.unary_unary(method, bytes, bytes)(request, timeout=timeout)
        return answer

    def prepare(self, *names: str, timeout: float = 45.0) -> Mapping[str, dra.NodePrepareResourceResponse]:
        """Claims of these names; each has its name for its UID, too."""
        request = dra.NodePrepareResourcesRequest(claims=[_claim(name) for name in names])
        answer = self.call("NodePrepareResources", request.SerializeToString(), timeout)
        return dict(dra.NodePrepareResourcesResponse.FromString(answer).claims)

    def unprepare(self, *names: str, timeout: float = 45.0) -> Mapping[str, str]:
        """Errors by name."""
        request = dra.NodeUnprepareResourcesRequest(claims=[_claim(name) for name in names])
        answer = self.call("NodeUnprepareResources", request.SerializeToString(), timeout)
        claims = dra.NodeUnprepareResourcesResponse.FromString(answer).claims
        return {uid: one.error for uid, one in claims.items()}

    def watch(self) -> Iterator[Mapping[str, health.DeviceHealth]]:
        """Each message of health, by device."""
        stream = self.channel.unary_stream("/v1alpha1.DRAResourceHealth/NodeWatchResources", bytes, bytes)
        for answer in stream(b"", timeout=PATIENCE):
            devices = health.NodeWatchResourcesResponse.FromString(answer).devices
            yield {one.device.device_name: one for one in devices}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()


def _claim(name: str) -> dra.Claim:
    return dra.Claim(namespace="default", uid=name, name=name)
