"""Names of resources as kubelet takes them, and as KubeVirt makes variables of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from domxml.pciaddress import PciAddress
from hostdev.allocation.dialects import resource_suffix

DRIVER = "units.passgate.dev"
"""Our driver of resource claims, and the domain of the attributes of its devices."""
NAME_HINT = "write DOMAIN/NAME, such as intel.com/qat_vf: a domain in lower case, then letters, digits, -, _ and ."
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_QUOTA = "requests."
"""Kubelet asks whether the name would do for a quota, too, which has this before it."""
_LONGEST_DOMAIN = 253 - len(_QUOTA)
_LONGEST_NAME = 63
_KUBERNETES = "kubernetes.io/"


def name_flaw(resource: str) -> str:
    """What kubelet refuses a resource's name for; empty where it takes it."""
    domain, slash, name = resource.partition("/")
    flaws = (
        (not slash, "has no domain before it"),
        (
            _KUBERNETES in resource or domain.startswith(_QUOTA),
            f"is in the domain {domain}, which Kubernetes keeps to itself",
        ),
        (not _DOMAIN.fullmatch(domain), "has a domain that is not of lower-case letters, digits, - and ."),
        (
            len(domain) > _LONGEST_DOMAIN,
            f"has a domain of {len(domain)} characters, and {_LONGEST_DOMAIN} are the most",
        ),
        (not _NAME.fullmatch(name), "has after its domain no name of letters, digits, -, _ and ."),
        (
            len(name) > _LONGEST_NAME,
            f"has a name of {len(name)} characters after its domain, and {_LONGEST_NAME} are the most",
        ),
    )
    return next((what for is_so, what in flaws if is_so), "")


def variable_name(resource: str) -> str:
    """The variable in which KubeVirt looks for the addresses of a resource's devices."""
    return f"PCI_RESOURCE_{resource_suffix(resource)}"


def order_addresses(units: Iterable[Sequence[PciAddress]]) -> tuple[PciAddress, ...]:
    """All functions of units, the primary one of each first, in the variable's order.

    KubeVirt takes the first that is left for each entry of a VM, so that the primary ones come before all others.
    """
    ordered = sorted(units, key=lambda functions: functions[0])
    primaries = (functions[0] for functions in ordered)
    return (*primaries, *(address for functions in ordered for address in functions[1:]))


def variable_value(units: Iterable[Sequence[PciAddress]]) -> str:
    """What KubeVirt finds there."""
    return ",".join(map(str, order_addresses(units)))
