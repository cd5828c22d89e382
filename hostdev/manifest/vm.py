"""A VM that gets the devices: it asks for them, names them for Passgate, and is not migrated."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from hostdev.lint.view import HOOKS
from hostdev.manifest import images
from hostdev.manifest.claims import CLAIM, asks_by_claim, claim_gates, pod_claims
from hostdev.manifest.cluster import network_name
from hostdev.manifest.entries import devices
from hostdev.manifest.guestnetwork import GuestNetwork, bond
from hostdev.manifest.pool import Document, Pool, Wanted
from hostdev.vmi.annotations import DEVICES

_MEMORY = "4Gi"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "s390x": "s390x"}
"""What KubeVirt calls what the kernel calls otherwise."""
_OVERHEAD = {"addedOverhead": "1Gi", "memLock": "Required"}


def document(pools: Sequence[Pool], asked: Sequence[Document], wanted: Wanted, architecture: str) -> Document:
    """The VM with what is `asked` of Passgate, for nodes of an architecture as the kernel calls it."""
    kind = _ARCHITECTURES.get(architecture)
    network = bond(pools, wanted)
    spec = {
        **({"architecture": kind} if kind else {}),
        **({"nodeSelector": {"kubernetes.io/hostname": wanted.node}} if wanted.node else {}),
        "evictionStrategy": "None",
        "domain": _domain(pools, network, wanted),
        **pod_claims(pools, wanted),
        "networks": [{"name": "default", "pod": {}}, *_networks(pools, wanted)],
        "volumes": [{"name": "root", "containerDisk": {"image": wanted.disk}}, *network.volumes],
    }
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": wanted.name, "namespace": wanted.namespace, "labels": dict(images.REACHED)},
        "spec": {
            "runStrategy": "Always",
            "template": {"metadata": {"annotations": _annotations(asked, network, wanted)}, "spec": spec},
        },
    }


def gates(pools: Iterable[Pool], wanted: Wanted) -> tuple[str, ...]:
    """The feature gates of KubeVirt without which the VM does not start."""
    pools = tuple(pools)
    needed = {
        "HostDevices": any(pool.port is None for pool in pools),
        "ReservedOverheadMemlock": _only_injected(pools),
        "Sidecar": True,
    }
    named = (name for name, is_needed in needed.items() if is_needed)
    return tuple(sorted((*named, *claim_gates(pools, wanted))))


def _annotations(asked: Sequence[Document], network: GuestNetwork, wanted: Wanted) -> Document:
    lines = ",\n ".join(json.dumps(entry) for entry in asked)
    sidecar = {"image": wanted.image, **({"args": list(network.arguments)} if network.arguments else {})}
    return {HOOKS: json.dumps([sidecar]), DEVICES: f"[{lines}]\n", **network.annotations}


def _domain(pools: Sequence[Pool], network: GuestNetwork, wanted: Wanted) -> Document:
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
            "disks": [{"name": "root", "disk": {"bus": "virtio"}}, *network.disks],
            "interfaces": [
                {**one, **({"macAddress": network.macs[one["name"]]} if network.macs else {})}
                for one in ({"name": "default", "masquerade": {}}, *_interfaces(pools))
            ],
            **_spec_devices(pools, wanted),
        },
    }


def _spec_devices(pools: Iterable[Pool], wanted: Wanted) -> Document:
    found: dict[str, list[Document]] = {"gpus": [], "hostDevices": []}
    for device in devices(pools):
        if device.pool.port is None:
            key = "gpus" if device.pool.display else "hostDevices"
            claimed = {"claimName": CLAIM, "requestName": device.name}
            asked = claimed if asks_by_claim(device.pool, wanted) else {"deviceName": device.pool.resource}
            found[key].append({"name": device.name, **asked})
    return {key: devices for key, devices in found.items() if devices}


def _interfaces(pools: Iterable[Pool]) -> Iterator[Document]:
    for device in devices(pools):
        if device.pool.port is not None:
            yield {"name": device.name, "sriov": {}}


def _networks(pools: Iterable[Pool], wanted: Wanted) -> Iterator[Document]:
    for device in devices(pools):
        if device.pool.port is not None:
            yield {"name": device.name, "multus": {"networkName": network_name(device.pool, wanted)}}


def _only_injected(pools: Iterable[Pool]) -> bool:
    return not any(devices(pools))
