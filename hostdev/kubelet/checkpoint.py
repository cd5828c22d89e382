"""Kubelet's device manager checkpoint: the devices of each resource that it gave to a container."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from domxml.errors import BadInput
from hostdev.jsontext import Format, parse_json
from hostdev.jsonutil import JsonObject, as_object

if TYPE_CHECKING:
    from hostdev.kubelet.stubs.deviceplugin_v1beta1_pb2 import ContainerAllocateResponse


class Grant(NamedTuple):
    """One entry of kubelet's checkpoint, or what stands for one of a resource claim."""

    pod_uid: str
    container: str
    resource: str
    device_ids: tuple[str, ...]
    """As the device plugin names them: an address, an IOMMU group, anything. In kubelet's order."""
    environment: tuple[tuple[str, str], ...]
    """The variables that the device plugin gave the container."""
    nodes: tuple[str, ...]
    """Paths on the host of the device nodes that it gave."""
    claim: str = ""
    """Namespace and name of the resource claim that it was prepared for; empty of what a device plugin gave."""

    def is_for(self, container: str) -> bool:
        """Whether a container has it. Of a claim no container is told: in the pod of a VM it is QEMU's."""
        return self.container == container or bool(self.claim)


CODE = "checkpoint-unreadable"
FILE = "device-plugins/kubelet_internal_checkpoint"
"""Below kubelet's directory."""
MAX_BYTES = 64 << 20

_FORMAT = Format(FILE.rpartition("/")[2], CODE, MAX_BYTES)
_UID = re.compile(r"[0-9A-Za-z-]{1,63}")


class Unread(NamedTuple):
    """An entry whose answer of the device plugin cannot be decoded; kubelet leaves it out, too."""

    pod_uid: str
    container: str
    resource: str


class Checkpoint(NamedTuple):
    """The content of the file."""

    grants: tuple[Grant, ...] = ()
    registered: Mapping[str, tuple[str, ...]] = {}
    """The devices of each resource, given away or not."""
    boot_id: str = ""
    """Of the boot in which it was written; empty where kubelet does not tell."""
    unread: tuple[Unread, ...] = ()


def is_another_boot(written: str, here: str) -> bool:
    """Whether both boots are known, and differ."""
    return bool(written and here) and written.strip().lower() != here.strip().lower()


def parse(data: bytes) -> Checkpoint:
    """Read the file's content; raises BadInput when it is torn or something else altogether."""
    document = as_object(parse_json(data, _FORMAT), "", CODE)
    told = document.get_object("Data")
    if "PodDeviceEntries" not in told.fields:
        # Where there are none kubelet writes null. Without the key it must not be concluded that all grants are gone.
        raise BadInput(CODE, "has no PodDeviceEntries", subject=_FORMAT.name, hint="is this kubelet's file?")
    read = [_entry(entry) for entry in told.get_objects("PodDeviceEntries")]
    registered = told.get_object("RegisteredDevices")
    return Checkpoint(
        tuple(one for one in read if isinstance(one, Grant)),
        {resource: registered.get_strings(resource) for resource in registered.fields},
        document.get_str("BootID") or told.get_str("BootID") or "",
        tuple(one for one in read if isinstance(one, Unread)),
    )


def _entry(entry: JsonObject) -> Grant | Unread:
    uid = entry.get_str("PodUID") or ""
    if not _UID.fullmatch(uid):
        # It becomes part of a path.
        raise entry.wrong("PodUID", "the UID of a pod")
    container = entry.get_str("ContainerName") or ""
    resource = entry.get_str("ResourceName") or ""
    # Of a plugin that told nothing kubelet writes an empty text; without the key the entry is no entry.
    answer = _answer(entry.get_str("AllocResp") or "") if "AllocResp" in entry.fields else None
    if answer is None:
        return Unread(uid, container, resource)
    return Grant(
        uid,
        container,
        resource,
        tuple(dict.fromkeys(_device_ids(entry))),
        tuple(sorted(answer.envs.items())),
        tuple(device.host_path for device in answer.devices),
    )


def _device_ids(entry: JsonObject) -> Sequence[str]:
    """By NUMA node, and one of two nodes stands under both; before Kubernetes 1.20 it was a plain list."""
    if isinstance(entry.fields.get("DeviceIDs"), list):
        return entry.get_strings("DeviceIDs")
    nodes = entry.get_object("DeviceIDs")
    return [device for node in sorted(nodes.fields) for device in nodes.get_strings(node)]


def _answer(text: str) -> ContainerAllocateResponse | None:
    """The device plugin's own answer, or None."""
    try:
        from google.protobuf.message import DecodeError  # noqa: PLC0415  the command line goes without

        from hostdev.kubelet.stubs.deviceplugin_v1beta1_pb2 import ContainerAllocateResponse  # noqa: PLC0415
    except ImportError as error:
        raise BadInput(
            "module-missing", f"kubelet's checkpoint needs protobuf: {error}", hint="pip install 'passgate[agent]'"
        ) from None
    try:
        return ContainerAllocateResponse.FromString(b64decode(text, validate=True))
    except (ValueError, DecodeError):
        return None
