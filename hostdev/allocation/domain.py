"""The devices that KubeVirt itself has put into the domain; their aliases hold their names in the VM's spec."""

from __future__ import annotations

from domxml.document import Domain
from domxml.text import printable
from hostdev.allocation.channels import DOMAIN
from hostdev.allocation.values import Allocation, Gathered


def from_domain(domain: Domain) -> Gathered:
    """Gather the host devices that carry an alias of KubeVirt's; ours, and other people's, are nobody's allocation."""
    allocations = []
    for device, holder in domain.host_devices.items():
        if name := holder.kubevirt_name:
            source = f"{DOMAIN} {printable(holder.alias)}"
            allocations.append(Allocation(device, label=name, name=name, sources=(source,)))
    return Gathered(tuple(allocations))
