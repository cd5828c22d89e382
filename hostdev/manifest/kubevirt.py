"""The lines of the KubeVirt object: which devices VMs may ask for, and which mediated devices are made."""

from __future__ import annotations

from collections.abc import Iterable

from hostdev.manifest.pool import By, Pool
from hostdev.manifest.wanted import Document, Wanted


def documents(pools: Iterable[Pool], wanted: Wanted) -> tuple[Document, ...]:
    """A KubeVirt object that holds nothing but these lines; none for devices that only a network has."""
    ours = [pool for pool in pools if pool.port is None]
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
    return {"externalResourceProvider": True} if pool.by is By.PLUGIN else {}


def _made(pools: Iterable[Pool]) -> Document:
    types = [pool.mdev.name for pool in pools if pool.mdev is not None and pool.by is By.KUBEVIRT]
    return {"mediatedDeviceTypes": types} if types else {}
