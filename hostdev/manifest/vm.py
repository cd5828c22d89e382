"""A VM that gets the devices: it asks for them, names them for Passgate, and is not migrated."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from domxml.pciaddress import PciAddress
from hostdev.inventory.machine import Role
from hostdev.lint.view import HOOKS
from hostdev.manifest.cluster import network_name
from hostdev.manifest.pool import Document, Pool, Wanted
from hostdev.vmi.annotations import DEVICES

_MEMORY = "4Gi"
_NOWHERE = PciAddress(0, 0, 0, 0)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "s390x": "s390x"}
"""What KubeVirt calls what the kernel calls otherwise."""
_OVERHEAD = {"addedOverhead": "1Gi", "memLock": "Required"}


class Device(NamedTuple):
    """One device of the VM's spec."""

    name: str
    pool: Pool


def document(pools: Sequence[Pool], wanted: Wanted, architecture: str) -> Document:
    """The VM, for nodes of an architecture as the kernel calls it."""
    kind = _ARCHITECTURES.get(architecture)
    spec = {
        **({"architecture": kind} if kind else {}),
        **({"nodeSelector": {"kubernetes.io/hostname": wanted.node}} if wanted.node else {}),
        "evictionStrategy": "None",
        "domain": _domain(pools),
        "networks": [{"name": "default", "pod": {}}, *_networks(pools, wanted)],
        "volumes": [{"name": "root", "containerDisk": {"image": wanted.disk}}],
    }
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": wanted.name, "namespace": wanted.namespace},
        "spec": {
            "runStrategy": "Always",
            "template": {"metadata": {"annotations": _annotations(pools, wanted)}, "spec": spec},
        },
    }


def gates(pools: Iterable[Pool]) -> tuple[str, ...]:
    """The feature gates of KubeVirt without which the VM does not start."""
    pools = tuple(pools)
    needed = {
        "HostDevices": any(pool.port is None for pool in pools),
        "ReservedOverheadMemlock": _only_injected(pools),
        "Sidecar": True,
    }
    return tuple(name for name, is_needed in needed.items() if is_needed)


def _annotations(pools: Iterable[Pool], wanted: Wanted) -> Document:
    entries = ",\n ".join(json.dumps(entry) for entry in _entries(pools))
    return {HOOKS: json.dumps([{"image": wanted.image}]), DEVICES: f"[{entries}]\n"}


def _entries(pools: Iterable[Pool]) -> Iterator[Document]:
    """A device that KubeVirt puts in is referred to by its name; what the limits ask for, by its resource."""
    pools = tuple(pools)
    for pool in pools:
        if not pool.in_spec and pool.port is None:
            yield {"resource": pool.resource, "name": pool.name, "count": pool.wanted}
    cards = _cards(pools)
    for device in _devices(pools):
        functions = cards.get(_slot(device.pool), ())
        if not functions:
            yield {"device": device.name}
        elif functions[0] == device.pool:
            yield {"device": device.name, "functions": "all"}


def _cards(pools: Iterable[Pool]) -> dict[PciAddress | None, tuple[Pool, ...]]:
    """Slots of the host of which several functions were named: in the guest they are one device again."""
    slots: dict[PciAddress | None, tuple[Pool, ...]] = {}
    for pool in sorted(pools, key=lambda pool: pool.functions[0].address if pool.functions else _NOWHERE):
        slots[_slot(pool)] = (*slots.get(_slot(pool), ()), pool)
    return {slot: found for slot, found in slots.items() if slot is not None and len(found) > 1}


def _slot(pool: Pool) -> PciAddress | None:
    one = pool.functions[0] if pool.outright and pool.in_spec and pool.wanted == 1 else None
    return None if one is None or one.role is Role.VF else one.address.slot_address


def _domain(pools: Sequence[Pool]) -> Document:
    limits = {pool.resource: str(pool.wanted) for pool in pools if not pool.in_spec and pool.port is None}
    memory: Document = {"guest": _MEMORY}
    if _only_injected(pools):
        # KubeVirt raises the limit of locked memory only for devices that it knows.
        memory["reservedOverhead"] = dict(_OVERHEAD)
    return {
        "cpu": {"cores": 2},
        "memory": memory,
        **({"resources": {"limits": limits}} if limits else {}),
        "devices": {
            "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
            "interfaces": [{"name": "default", "masquerade": {}}, *_interfaces(pools)],
            **_spec_devices(pools),
        },
    }


def _spec_devices(pools: Iterable[Pool]) -> Document:
    found: dict[str, list[Document]] = {"gpus": [], "hostDevices": []}
    for device in _devices(pools):
        if device.pool.port is None:
            key = "gpus" if device.pool.display else "hostDevices"
            found[key].append({"name": device.name, "deviceName": device.pool.resource})
    return {key: devices for key, devices in found.items() if devices}


def _interfaces(pools: Iterable[Pool]) -> Iterator[Document]:
    for device in _devices(pools):
        if device.pool.port is not None:
            yield {"name": device.name, "sriov": {}}


def _networks(pools: Iterable[Pool], wanted: Wanted) -> Iterator[Document]:
    for device in _devices(pools):
        if device.pool.port is not None:
            yield {"name": device.name, "multus": {"networkName": network_name(device.pool, wanted)}}


def _devices(pools: Iterable[Pool]) -> Iterator[Device]:
    """The devices that the spec names, each by a name of its own."""
    for pool in pools:
        if pool.in_spec or pool.port is not None:
            yield from (Device(name, pool) for name in pool.devices)


def _only_injected(pools: Iterable[Pool]) -> bool:
    return not any(_devices(pools))
