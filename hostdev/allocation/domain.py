"""The devices that KubeVirt itself has put into the domain; their aliases hold their names in the VM's spec."""

from __future__ import annotations

from domxml.document import Domain
from domxml.source import holders
from hostdev.allocation.channels import DOMAIN
from hostdev.allocation.printing import printable
from hostdev.allocation.values import Allocation, Gathered
from hostdev.matching import KUBEVIRT_PREFIXES


def from_domain(domain: Domain) -> Gathered:
    """Gather the host devices that carry an alias of KubeVirt's; ours, and other people's, are nobody's allocation."""
    allocations = []
    for device, holder in holders(domain).items():
        element = holder.element.find("alias")
        alias = "" if element is None else element.get("name", "")
        name = next((alias.removeprefix(start) for start in KUBEVIRT_PREFIXES if alias.startswith(start)), "")
        if name and holder.is_hostdev:
            allocations.append(Allocation(device, label=name, name=name, sources=(f"{DOMAIN} {printable(alias)}",)))
    return Gathered(tuple(allocations))
