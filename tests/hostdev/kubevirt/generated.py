"""VMs by the number: everything of a spec that the guest's PCI tree depends on, in all mixtures."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

MACHINES = ("q35", "q35", "q35", "pc", "virt")
ARCHITECTURES = {"virt": "arm64"}
ANNOTATIONS: Sequence[Mapping[str, str]] = (
    {},
    {},
    {},
    {"kubevirt.io/placePCIDevicesOnRootComplex": "true"},
    {"kubevirt.io/pci-interface-slot-count": "6"},
    {"kubevirt.io/disablePCIHole64": "true"},
)
SWITCHES = ("autoattachMemBalloon", "autoattachGraphicsDevice", "autoattachSerialConsole")


def vm(number: int) -> Mapping[str, Any]:
    """The VM of that number."""
    chance = random.Random(f"vm {number}")  # noqa: S311  a test, no secret
    machine = chance.choice(MACHINES)
    architecture = ARCHITECTURES.get(machine, "amd64")
    devices: dict[str, Any] = {}
    disks = [_disk(chance, f"d{at}", architecture) for at in range(chance.choice((1, 2, 2, 3, 5, 9)))]
    volumes: list[Any] = [{"name": disk["name"], "containerDisk": {"image": "registry.example/disk"}} for disk in disks]
    volumes += [{"name": "bare", "emptyDisk": {"capacity": "1Gi"}}] * chance.choice((0, 0, 0, 1))
    devices["disks"] = disks
    interfaces, networks = _interfaces(chance)
    devices["interfaces"] = interfaces
    if not interfaces:
        devices["autoattachPodInterface"] = False
    devices |= {key: False for key in SWITCHES if chance.random() < 0.1}
    devices |= _others(chance, architecture)
    domain = {
        "machine": {"type": machine},
        "memory": {"guest": chance.choice(("512Mi", "2Gi", "4Gi", "64Gi"))},
        "devices": devices,
    }
    if architecture == "amd64" and machine == "q35" and chance.random() < 0.2:
        domain["firmware"] = {"bootloader": {"efi": {"secureBoot": False}}}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"name": f"vm-{number}", "namespace": "default", "annotations": chance.choice(ANNOTATIONS)},
        "spec": {"architecture": architecture, "domain": domain, "networks": networks, "volumes": volumes},
    }


def _disk(chance: random.Random, name: str, architecture: str) -> dict[str, Any]:
    kind = chance.choice(("disk", "disk", "disk", "disk", "cdrom", "lun"))
    buses: Sequence[str] = ("virtio", "virtio", "scsi") if kind == "disk" else ("scsi",)
    if architecture == "amd64" and kind != "lun":
        buses = (*buses, "sata")
    target: dict[str, Any] = {"bus": chance.choice(buses)}
    return {"name": name, kind: target}


def _interfaces(chance: random.Random) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    interfaces: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    for at in range(chance.choice((0, 1, 1, 1, 2, 3, 4, 5, 6))):
        name = f"net{at}"
        if at and chance.random() < 0.3:
            interfaces.append({"name": name, "sriov": {}})
        else:
            model = chance.choice((None, None, None, "virtio", "e1000e", "e1000"))
            interfaces.append({"name": name, "bridge": {}} | ({"model": model} if model else {}))
        networks.append({"name": name, "multus": {"networkName": name}} if at else {"name": name, "pod": {}})
    return interfaces, networks


def _others(chance: random.Random, architecture: str) -> dict[str, Any]:
    choices: Mapping[str, Any] = {
        "rng": {},
        "useVirtioTransitional": True,
        "disableHotplug": True,
        "downwardMetrics": {},
        "autoattachVSOCK": True,
        "gpus": [{"name": f"g{at}", "deviceName": "example.org/gpu"} for at in range(chance.choice((1, 2, 8)))],
        "hostDevices": [{"name": f"h{at}", "deviceName": "example.org/nic"} for at in range(chance.choice((1, 2)))],
        "filesystems": [{"name": "shared", "virtiofs": {}}],
        "inputs": [{"name": "tablet", "type": "tablet", "bus": chance.choice(("usb", "virtio"))}],
    }
    if architecture == "amd64":
        choices = {**choices, "watchdog": {"name": "dog", "i6300esb": {"action": "reset"}}, "sound": {"name": "snd"}}
    return {key: value for key, value in choices.items() if chance.random() < (0.5 if key == "rng" else 0.12)}
