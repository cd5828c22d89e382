"""Devices to offer, a plugin that offers them, and a client that speaks to it as kubelet does."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import grpc

from domxml.errors import Refused
from hooksidecar.deviceplugin.plugins import Plugins
from hooksidecar.deviceplugin.source import Granted, Listed
from hostdev.kubelet.directory import PLUGINS
from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as wire
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.pods import Pod
from tests.kubelet.times import QUICK
from tests.kubelet.wire import ASKS, ITEM
from tests.patience import PATIENCE

RESOURCE = "example.com/gpu"
VARIABLE = "PCI_RESOURCE_EXAMPLE_COM_GPU"
PROGRAM = "tests.hooksidecar.deviceplugin.devices"
"""An agent's plugins as a process of their own: `python -m PROGRAM KUBELET_DIR`."""


class Devices:
    """A source whose devices a test changes."""

    def __init__(self, *devices: Listed) -> None:
        self.devices: tuple[Listed, ...] = devices or (Listed("u0", True, 0), Listed("u1", True), Listed("u2", False))
        self.against: dict[str, str] = {}
        self.given: list[tuple[str, ...]] = []

    def listed(self, resource: str) -> Sequence[Listed]:
        return self.devices if resource == RESOURCE else ()

    def allocate(self, resource: str, ids: Sequence[str]) -> Granted:
        if unknown := [one for one in ids if one not in {device.id for device in self.devices}]:
            raise Refused("unit-unknown", f"{', '.join(unknown)} is not offered", subject=resource)
        self.given.append(tuple(ids))
        return Granted({VARIABLE: ",".join(ids)}, ())

    def prefer(self, resource: str, available: Sequence[str], must_include: Sequence[str], size: int) -> Sequence[str]:
        del resource
        return sorted(available, key=lambda one: (one not in must_include, one))[:size]

    def check(self, resource: str, ids: Sequence[str]) -> None:
        for one in ids:
            if one in self.against:
                raise Refused("device-dead", self.against[one], subject=resource)


@contextmanager
def offering(kubelet_dir: Path, devices: Devices, *resources: str) -> Iterator[Plugins]:
    """An agent's plugins, as long as it lives."""
    plugins = Plugins(str(kubelet_dir), devices)
    plugins.start()
    plugins.update(resources or (RESOURCE,))
    try:
        yield plugins
    finally:
        plugins.close()


def sockets(kubelet_dir: Path) -> list[Path]:
    """Those of plugins."""
    return sorted(path for path in (kubelet_dir / PLUGINS).rglob("*") if path.is_socket())


def counts(kubelet: Kubelet, resource: str = RESOURCE) -> tuple[int, int]:
    """Capacity and allocatable, as kubelet knows them now."""
    return tuple(kubelet.manager.counts().get(resource, (0, 0)))  # type: ignore[return-value]


def vm(name: str, number: int = 1) -> Pod:
    return Pod(name, {RESOURCE: number})


class Client:
    """Calls at a plugin's socket."""

    def __init__(self, socket: Path) -> None:
        self.channel = grpc.insecure_channel(f"unix:{socket}", options=(("grpc.use_local_subchannel_pool", 1),))

    def call(self, method: str, request: bytes = b"") -> bytes:
        """One of DevicePlugin, or one by its whole name."""
        name = method if method.startswith("/") else f"/v1beta1.DevicePlugin/{method}"
        answer: bytes = self.channel.unary_unary(name, bytes, bytes)(request, timeout=PATIENCE)
        return answer

    def allocate(self, *ids: str) -> wire.AllocateResponse:
        request = wire.AllocateRequest(container_requests=[wire.ContainerAllocateRequest(devices_ids=ids)])
        return wire.AllocateResponse.FromString(self.call("Allocate", request.SerializeToString()))

    def watch(self) -> Iterator[dict[str, str]]:
        """Each list, as health by id."""
        for answer in self.channel.unary_stream("/v1beta1.DevicePlugin/ListAndWatch", bytes, bytes)(b""):
            yield {one.ID: one.health for one in wire.ListAndWatchResponse.FromString(answer).devices}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()


def settle(kubelet: Kubelet, plugins: Plugins | None = None) -> None:
    """Kubelet has found the plugin by itself, and was told of it where that was needed, and has every list."""
    if plugins is None:
        # Of one in another process it cannot be seen whether it is about to tell kubelet of itself.
        time.sleep(2 * QUICK.register_at_start)
    kubelet.wait(lambda: plugins is None or set(plugins.states()) == {"registered"})
    kubelet.wait(lambda: _said(kubelet, "NotifyRegistrationStatus", "response"))
    kubelet.wait(lambda: _said(kubelet, "Register", ASKS) == _said(kubelet, "Register", "response"))
    kubelet.wait(lambda: _said(kubelet, "ListAndWatch", ITEM) >= _said(kubelet, "ListAndWatch", ASKS))


def _said(kubelet: Kubelet, call: str, kind: str) -> int:
    return sum((one.call, one.kind) == (call, kind) for one in kubelet.wire)


if __name__ == "__main__":
    with offering(Path(sys.argv[1]), Devices()):
        threading.Event().wait()
