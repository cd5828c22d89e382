"""Resource names: made of what a device is called, as NVIDIA's plugin and Harvester do, and checked as kubelet does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from domxml.errors import BadInput
from hostdev import socketpath
from hostdev.allocation.dialects import DIALECTS
from hostdev.inventory.machine import MdevType, PciFunction
from hostdev.inventory.pciids import Name, short_vendor
from hostdev.kubelet.resourcename import NAME_HINT, name_flaw

OURS = "passgate.dev"
"""The domain of resources of unknown vendors."""
PLUGIN_RESOURCES: Mapping[tuple[int, int], str] = MappingProxyType(
    {
        **{
            (0x8086, device): "qat.intel.com/generic"
            for device in (0x0442, 0x0443, 0x18A1, 0x19E3, 0x37C9, 0x6F55, 0x4941, 0x4943, 0x4945, 0x4947, 0x4949)
        },
        **{(0x8086, device): "dsa.intel.com/vfio" for device in (0x0B25, 0x11FB, 0x1212)},
    }
)
"""What Intel's device plugins call the VFs of their accelerators."""
NVIDIA = 0x10DE

_LONGEST = 40
_LONGEST_LABEL = 24
_LONGEST_DERIVED = 56
"""With a number behind it, it still fits KubeVirt's socket."""
_SOCKET = "/var/lib/kubelet/device-plugins/kubevirt-{}.sock"
_OPERATORS = re.compile(r"[A-Za-z0-9_]{1,63}", re.ASCII)


def domain_of(name: Name) -> str:
    """`nvidia.com`, for NVIDIA Corporation."""
    label = re.sub(r"[^a-z0-9]+", "-", short_vendor(name.vendor or "").lower()).strip("-")[:_LONGEST_LABEL].strip("-")
    return f"{label}.com" if label else OURS


def resource_name(function: PciFunction, name: Name) -> str:
    """A resource for a kind of PCI device: `nvidia.com/TU104GL_TESLA_T4`."""
    domain = domain_of(name)
    unnamed = f"{function.device:04X}" if domain != OURS else f"{function.vendor:04X}_{function.device:04X}"
    return f"{domain}/{_shouted(name.device or '', domain) or unnamed}"


def derived_of_type(mdev: MdevType, name: Name) -> str:
    """A resource for a type of mediated devices: `nvidia.com/GRID_T4-1Q`."""
    domain = domain_of(name)
    return f"{domain}/{_shouted(mdev.title, domain) or _shouted(mdev.name, domain) or 'MDEV'}"


def numbered_name(resource: str, function: PciFunction) -> str:
    """Another name, for a second device that is called the same."""
    return f"{resource}_{function.device:04X}"


def of_port(port: PciFunction, index: int) -> str:
    """A pool of the VFs of a network port: `ens1f0_vfio`."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", port.netdevs[0].name).strip("_") if port.netdevs else ""
    return f"{name or f'port{index}'}_vfio"


def slug(resource: str) -> str:
    """A name for objects and devices, made of a resource; of Intel's accelerators that of the kind."""
    label = next((row.label for row in DIALECTS if row.family and resource.startswith(f"{row.family}/")), "")
    plain = re.sub(r"[^a-z0-9]+", "-", resource.rpartition("/")[2].lower())
    return label or plain[:_LONGEST].strip("-")


def check(resource: str, *, kubevirt: bool = False) -> str:
    """A qualified name that kubelet takes; KubeVirt's own plugin also makes the name of a socket of it."""
    flaw = name_flaw(resource)
    if flaw:
        raise BadInput("bad-resource", f"{resource[:80]!r} {flaw}", hint=NAME_HINT)
    socket = _SOCKET.format(resource.replace("/", "-"))
    if kubevirt and len(socket) > socketpath.LONGEST:
        what = f"{resource[:80]!r} is {len(socket) - socketpath.LONGEST} characters too long for KubeVirt's socket"
        raise BadInput("bad-resource", what, hint=f"the socket would be {socket[:60]}…; choose a shorter name")
    return resource


def check_operators(resource: str) -> str:
    """A name as the SR-IOV network operator takes it."""
    if not _OPERATORS.fullmatch(resource):
        what = f"{resource[:80]!r} is not a resource of the SR-IOV network operator"
        hint = "write letters, digits and _ only: the operator puts its own domain before it"
        raise BadInput("bad-resource", what, hint=hint)
    return resource


def _shouted(text: str, domain: str) -> str:
    """`TU104GL [Tesla T4]` becomes TU104GL_TESLA_T4, cut to what there is room for behind the domain."""
    plain = re.sub(r"[^A-Z0-9_-]", "", re.sub(r"[\s/.]+", "_", text.upper()))
    plain = re.sub(r"_+", "_", plain).replace("VIRTUAL_FUNCTION", "VF")
    return plain[: _LONGEST_DERIVED - len(domain) - 1].strip("_-")
