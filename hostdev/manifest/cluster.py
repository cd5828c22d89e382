"""The cluster's objects: lines of the KubeVirt object, SR-IOV policies and networks."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hostdev.inventory.machine import PciFunction
from hostdev.manifest.claims import asks_by_claim
from hostdev.manifest.pool import By, Document, Pool, Wanted


def kubevirt_documents(pools: Iterable[Pool], wanted: Wanted) -> tuple[Document, ...]:
    """A KubeVirt object that holds nothing but these lines; none for devices that only a network has."""
    ours = [pool for pool in pools if pool.port is None and not asks_by_claim(pool, wanted)]
    if not ours:
        return ()
    namespace, name = wanted.kubevirt
    configuration = {
        "mediatedDevicesConfiguration": _made(ours),
        "permittedHostDevices": {
            key: found for key, found in (("pciHostDevices", _pci(ours)), ("mediatedDevices", _mediated(ours))) if found
        },
    }
    return (
        {
            "apiVersion": "kubevirt.io/v1",
            "kind": "KubeVirt",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"configuration": {key: value for key, value in configuration.items() if value}},
        },
    )


def _pci(pools: Iterable[Pool]) -> list[Document]:
    return [
        {"pciVendorSelector": selector, "resourceName": pool.resource, **_external(pool)}
        for pool in pools
        if pool.mdev is None
        for selector in pool.selectors
    ]


def _mediated(pools: Iterable[Pool]) -> list[Document]:
    return [
        {"mdevNameSelector": pool.mdev.title or pool.mdev.name, "resourceName": pool.resource, **_external(pool)}
        for pool in pools
        if pool.mdev is not None
    ]


def _external(pool: Pool) -> Document:
    # Without it KubeVirt would hand out the same devices a second time.
    return {} if pool.by is By.KUBEVIRT else {"externalResourceProvider": True}


def _made(pools: Iterable[Pool]) -> Document:
    types = [pool.mdev.name for pool in pools if pool.mdev is not None and pool.by is By.KUBEVIRT]
    return {"mediatedDeviceTypes": types} if types else {}


CAPABILITIES = {"mac": True}
"""The MAC address of the VM's interface is set at the VF."""
_CAPABLE = {"feature.node.kubernetes.io/network-sriov.capable": "true"}


def network_documents(pools: Iterable[Pool], wanted: Wanted) -> tuple[Document, ...]:
    """A policy and a network for each port; without the operator, one configuration of the plugin and definitions."""
    ports = [(pool, pool.port) for pool in pools if pool.port is not None]
    policies = [_policy(pool, port, wanted) for pool, port in ports if pool.by is By.OPERATOR]
    networks = [_network(pool, wanted) for pool, _ in ports if pool.by is By.OPERATOR]
    entries = [_entry(pool, port) for pool, port in ports if pool.by is By.CNI]
    definitions = [_definition(pool, wanted) for pool, _ in ports if pool.by is By.CNI]
    return (*policies, *networks, *([_configuration(entries)] if entries else []), *definitions)


def network_name(pool: Pool, wanted: Wanted) -> str:
    """How a VM refers to the network."""
    return f"{wanted.namespace}/{pool.name}"


def _place(pool: Pool, port: PciFunction) -> dict[str, list[str]]:
    """The port by its name, with the numbers of its VFs where only some of them are meant; else by its address."""
    if not port.netdevs:
        return {"rootDevices": [str(port.address)]}
    name = port.netdevs[0].name
    if not pool.outright:
        return {"pfNames": [name]}
    numbers = sorted(port.virtfns.index(function.address) for function in pool.functions)
    return {"pfNames": [f"{name}#{first}-{last}" for first, last in _ranges(numbers)]}


def _policy(pool: Pool, port: PciFunction, wanted: Wanted) -> Document:
    return {
        "apiVersion": "sriovnetwork.openshift.io/v1",
        "kind": "SriovNetworkNodePolicy",
        "metadata": {"name": pool.name, "namespace": wanted.operator},
        "spec": {
            "resourceName": pool.resource,
            "nodeSelector": {"kubernetes.io/hostname": wanted.node} if wanted.node else dict(_CAPABLE),
            "nicSelector": {
                "vendor": f"{port.vendor:04x}",
                "deviceID": f"{port.device:04x}",
                **_place(pool, port),
            },
            "numVfs": pool.vfs,
            "deviceType": "vfio-pci",
        },
    }


def _network(pool: Pool, wanted: Wanted) -> Document:
    vlan = {} if wanted.vlan is None else {"vlan": wanted.vlan}
    return {
        "apiVersion": "sriovnetwork.openshift.io/v1",
        "kind": "SriovNetwork",
        "metadata": {"name": pool.name, "namespace": wanted.operator},
        "spec": {
            "networkNamespace": wanted.namespace,
            "resourceName": pool.resource,
            **vlan,
            "capabilities": json.dumps(CAPABILITIES),
        },
    }


def _configuration(entries: list[Document]) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "sriovdp-config", "namespace": "kube-system"},
        "data": {"config.json": json.dumps({"resourceList": entries}, indent=2) + "\n"},
    }


def _entry(pool: Pool, port: PciFunction) -> Document:
    """A pool as the SR-IOV device plugin reads it."""
    prefix, _, name = pool.resource.partition("/")
    devices = list(dict.fromkeys(f"{function.device:04x}" for function in pool.functions))
    selectors = {
        "vendors": [f"{port.vendor:04x}"],
        **({"devices": devices} if devices else {}),
        "drivers": ["vfio-pci"],
        **_place(pool, port),
    }
    return {"resourcePrefix": prefix, "resourceName": name, "selectors": selectors}


def _definition(pool: Pool, wanted: Wanted) -> Document:
    vlan = {} if wanted.vlan is None else {"vlan": wanted.vlan}
    config = {"cniVersion": "1.0.0", "name": pool.name, "type": "sriov", **vlan, "capabilities": CAPABILITIES}
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {
            "name": pool.name,
            "namespace": wanted.namespace,
            "annotations": {"k8s.v1.cni.cncf.io/resourceName": pool.resource},
        },
        "spec": {"config": json.dumps(config)},
    }


def _ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """0, 1, 4 become 0 to 1 and 4 to 4."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
