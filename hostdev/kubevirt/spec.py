"""A VMI after admission as plain values, read with as little trust as a manifest deserves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from hostdev.kubevirt.ports import ROOT_COMPLEX

Fields = Mapping[str, Any]
EMPTY: Fields = MappingProxyType({})

NO_PCI_HOLE = "kubevirt.io/disablePCIHole64"
TARGETS = ("lun", "disk", "cdrom")
"""The kinds of a disk, in the order in which a bus is looked for."""


def get_map(value: Any, *path: str) -> Fields:
    """The object at a path; an empty one where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else EMPTY


def get_list(value: Any, *path: str) -> list[Fields]:
    """The objects of the list at a path."""
    found = get_map(value, *path[:-1]).get(path[-1])
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def get_text(value: Any, *path: str) -> str:
    """The text at a path; empty where there is none."""
    found = get_map(value, *path[:-1]).get(path[-1])
    return found if isinstance(found, str) else ""


class Spec:
    """The parts of a VMI that the converter asks for again and again."""

    def __init__(self, vmi: Fields) -> None:
        self.vmi = vmi
        self.spec = get_map(vmi, "spec")
        self.domain = get_map(self.spec, "domain")
        self.devices = get_map(self.domain, "devices")
        self.annotations = get_map(vmi, "metadata", "annotations")
        self.status = get_map(vmi, "status")
        self.volumes = frozenset(volume_names(self.spec))
        self.volume_status = {get_text(one, "name"): one for one in get_list(self.status, "volumeStatus")}
        self.permanent = {one for one, said in self.volume_status.items() if not said.get("hotplugVolume")}
        """Volumes with a status that were not plugged in while the VM ran."""
        self.architecture = get_text(self.spec, "architecture") or "amd64"
        self.machine = get_text(self.domain, "machine", "type")

    def listed(self, key: str) -> list[Fields]:
        """A list of devices."""
        return get_list(self.devices, key)

    def has(self, key: str) -> bool:
        """Whether a device is there, be it an empty object."""
        return self.devices.get(key) is not None

    def is_off(self, key: str) -> bool:
        """Whether something that is there by itself is switched off."""
        return self.devices.get(key) is False

    @property
    def virtio(self) -> str:
        """The model of its virtio devices."""
        if self.architecture == "s390x":
            return "virtio"
        return "virtio-transitional" if self.devices.get("useVirtioTransitional") is True else "virtio-non-transitional"

    @property
    def is_efi(self) -> bool:
        """Its firmware is UEFI."""
        return get_map(self.domain, "firmware", "bootloader").get("efi") is not None

    @property
    def on_root_complex(self) -> bool:
        """All that can is put onto bus 0."""
        return self.annotations.get(ROOT_COMPLEX) == "true"


def target_of(disk: Fields) -> tuple[str, Fields]:
    """Which kind of disk it is, and what is said of it."""
    for kind in ("disk", "lun", "cdrom"):
        if isinstance(disk.get(kind), Mapping):
            return kind, disk[kind]
    return "disk", EMPTY


def volume_names(spec: Fields) -> Iterator[str]:
    """The names of a VMI's volumes."""
    return (get_text(volume, "name") for volume in get_list(spec, "volumes"))
