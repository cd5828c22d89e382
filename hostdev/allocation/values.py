"""What was given: devices, allocations, and all that one channel, or all together, tell."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.source import Mdev


class Usb(NamedTuple):
    """A USB device by bus and device number; KubeVirt passes it by itself."""

    bus: int
    device: int

    def __str__(self) -> str:
        return f"{self.bus}:{self.device}"


class Opaque(NamedTuple):
    """A device that VFIO cannot pass, or a name that is none at all."""

    text: str
    """As it can be printed."""
    kind: str = ""
    """What it is, such as `auxiliary device`; empty: nobody knows."""

    def __str__(self) -> str:
        return self.text


Device: TypeAlias = PciAddress | Mdev | Usb | Opaque


class Allocation(NamedTuple):
    """One device that was given to the pod, and who says so."""

    device: Device
    resource: str = ""
    """The device-plugin resource; empty where the channel does not tell."""
    label: str = ""
    """What to name a device after that nobody named: the resource if it is known."""
    name: str = ""
    """The name in the VM's spec (a GPU, a host device, a network), where the channel knows it."""
    sources: tuple[str, ...] = ()
    """Such as `environment QAT0` or `domain ua-gpu-gpu1`, the most trusted first."""
    family: str = ""
    """Such as `qat.intel.com`: it may be the device of any resource `qat.intel.com/…`."""


class Gathered(NamedTuple):
    """What was gathered, and what was noticed on the way."""

    allocations: tuple[Allocation, ...] = ()
    findings: tuple[Finding, ...] = ()
