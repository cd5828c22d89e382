"""GPUs and accelerators: nodes of theirs that do not hang below them, and the kernel's own users of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Sign
from hostdev.inventory.sysfs import DeviceClass

LAYER = "accelerator"
NVIDIA = "proc/driver/nvidia/gpus"
CRYPTO = "proc/crypto"
QUEUES = "sys/bus/dsa/devices"
_NVIDIA_MAJOR = 195
_NVIDIA_CONTROL = "char/195:255"

SHARED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "amdgpu": ("sys/class/kfd/kfd",),
        "dxgkrnl": ("sys/class/misc/dxg",),
        "qat": ("sys/class/qat_adf_ctl/qat_adf_ctl", "sys/class/qat_dev_processes/qat_dev_processes"),
    }
)
"""Nodes that serve all functions of a driver."""
QAT = (
    "4xxx",
    "420xx",
    "6xxx",
    "c3xxx",
    "c4xxx",
    "c6xx",
    "d15xx",
    "dh895xcc",
    "200xx",
)
"""Drivers of QuickAssist; those of VFs end in vf."""
DSA = "idxd"


def is_qat(driver: str) -> bool:
    """Whether a driver is one of QuickAssist."""
    return driver.removesuffix("vf") in QAT


class Accelerators:
    """What is in use of a function by its driver."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def nodes(self, address: PciAddress, driver: str) -> dict[str, str]:
        """Nodes that would be open in a process that uses the function, by their numbers."""
        minor = self._minor(address)
        own = {f"char/{_NVIDIA_MAJOR}:{minor}": f"nvidia{minor}", _NVIDIA_CONTROL: "nvidiactl"} if minor else {}
        places = SHARED.get("qat" if is_qat(driver) else driver, ())
        shared = {self._host.read(f"{place}/dev"): place.rpartition("/")[2] for place in places}
        return own | {f"char/{number}": name for number, name in shared.items() if number}

    def uses(self, address: PciAddress, driver: str) -> Iterator[Sign]:
        """Users in the kernel."""
        if is_qat(driver):
            yield from self._algorithms
        if driver == DSA:
            yield from self._queues(address)

    def doubts(self, address: PciAddress, driver: str) -> Iterator[Sign]:
        """Why there may be others."""
        if driver == "nvidia" and self._minor(address) is None:
            yield Sign("which of NVIDIA's nodes is its own is not to be seen", f"/{NVIDIA}/{address}", layer=LAYER)
        if is_qat(driver) and self._host.text(CRYPTO, quiet=True) is None:
            yield Sign("whether the kernel encrypts with it is not to be seen", f"/{CRYPTO}", layer=LAYER)
        if driver == DSA and self._host.names(QUEUES) is None:
            yield Sign("whether it has work queues is not to be seen", f"/{QUEUES}", layer=LAYER)

    def _minor(self, address: PciAddress) -> str | None:
        text = self._host.text(f"{NVIDIA}/{address}/information", quiet=True) or ""
        lines = (line.partition(":") for line in text.splitlines())
        return next((value.strip() for key, _, value in lines if key.strip() == "Device Minor"), None)

    @cached_property
    def _algorithms(self) -> tuple[Sign, ...]:
        """Algorithms of QuickAssist that are taken in the kernel; by what, and of which device, is not told."""
        found = []
        for block in (self._host.text(CRYPTO, quiet=True) or "").split("\n\n"):
            said = {
                key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())
            }
            taken = said.get("refcnt", "1")
            if said.get("driver", "").startswith("qat_") and taken.isdigit() and int(taken) > 1:
                found.append(Sign(f"the kernel uses {said['driver']}", f"/{CRYPTO}", f"refcnt {taken}", layer=LAYER))
        return tuple(found)

    @cached_property
    def _dsa(self) -> DeviceClass:
        return DeviceClass(self._host, DSA, directory=QUEUES)

    def _queues(self, address: PciAddress) -> Iterator[Sign]:
        for name in self._dsa.beneath(address):
            path = self._dsa.path(name)
            if name.startswith("wq") and self._host.read(f"{path}/state") == "enabled":
                yield Sign(f"the work queue {name}", f"/{path}/state", "enabled", layer=LAYER)
