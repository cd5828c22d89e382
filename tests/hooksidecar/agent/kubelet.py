"""A kubelet's directory as kubelet keeps it: its checkpoint, its pods and their volumes."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.hooksidecar.wirebytes import message

HOOKS = "hook-sidecar-sockets"
PLUGINS = "kubevirt-plugin-sockets"
SIDECAR = "hook-sidecar-0"
FILE = "userdata/passgate/allocation.env"
RESOURCE = "qat.intel.com/generic"


def uid(number: int) -> str:
    """A pod's UID."""
    return str(UUID(int=number + (0xA << 124)))


class Kubelet:
    """Writes as kubelet does: the checkpoint beside and then renamed, volumes when it pleases."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.entries: list[dict[str, Any]] = []
        self.boot_id = ""
        self.start()

    def start(self) -> None:
        """What kubelet does when it starts."""
        for name in ("device-plugins", "pods", "pod-resources"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)

    @property
    def checkpoint(self) -> Path:
        return self.directory / "device-plugins" / "kubelet_internal_checkpoint"

    def allocate(
        self,
        pod: str,
        envs: Mapping[str, str],
        *,
        ids: Sequence[str] = ("0000:3d:02.2",),
        resource: str = RESOURCE,
        container: str = "compute",
    ) -> None:
        """Admission of a pod; the record is written by `save`."""
        self.entries.append(
            {
                "PodUID": pod,
                "ContainerName": container,
                "ResourceName": resource,
                "DeviceIDs": {"0": list(ids)},
                "AllocResp": answer(envs),
            }
        )

    def free(self, pod: str) -> None:
        """The pod is gone for the device manager."""
        self.entries = [entry for entry in self.entries if entry["PodUID"] != pod]

    def document(self) -> dict[str, Any]:
        registered = {entry["ResourceName"]: ["0000:3d:02.2"] for entry in self.entries}
        boot = {"BootID": self.boot_id} if self.boot_id else {}
        return {
            "Data": {"PodDeviceEntries": self.entries or None, "RegisteredDevices": registered},
            "Checksum": 2_873_649_101,
            **boot,
        }

    def save(self) -> float:
        """Kubelet's file store: a temporary file with a dot, synced, renamed; the moment of the rename."""
        return self.replace(json.dumps(self.document(), separators=(",", ":")).encode())

    def replace(self, data: bytes) -> float:
        fd, name = tempfile.mkstemp(prefix=".", dir=self.checkpoint.parent)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        now = time.perf_counter()
        Path(name).rename(self.checkpoint)
        return now

    def pod(self, pod: str) -> Path:
        """Its directory, as kubelet makes it before any volume."""
        path = self.directory / "pods" / pod
        (path / "volumes").mkdir(parents=True)
        return path

    def volume(self, pod: str, *folders: str, name: str = HOOKS) -> Path:
        """An emptyDir, and the folders for subPaths that kubelet makes in it."""
        path = self.directory / "pods" / pod / "volumes" / "kubernetes.io~empty-dir" / name
        path.mkdir(parents=True)
        path.chmod(0o2777)
        if os.geteuid() == 0:
            os.chown(path, 0, 107)
        for folder in folders:
            (path / folder).mkdir()
        return path

    def served(self, pod: str, envs: Mapping[str, str]) -> Path:
        """A pod with a grant, recorded, and its volume; the answer is where its file belongs."""
        self.allocate(pod, envs)
        self.save()
        return self.volume(pod, SIDECAR) / SIDECAR / FILE


def answer(envs: Mapping[str, str], nodes: Sequence[str] = ("/dev/vfio/43",)) -> str:
    """A device plugin's ContainerAllocateResponse as the checkpoint holds it."""
    pairs = b"".join(message(f1=message(f1=name, f2=value)) for name, value in envs.items())
    devices = b"".join(message(f3=message(f1=node, f2=node, f3="mrw")) for node in nodes)
    return base64.b64encode(pairs + devices).decode()
