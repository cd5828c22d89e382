"""Every rule and every trouble, registered here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hostdev.findings import (
    barspace,
    cluster,
    domainstart,
    guestdriver,
    hardware,
    kubelet,
    mapping,
    networks,
    noise,
    vgpu,
    virtualfunctions,
)
from hostdev.findings.rule import Rule
from hostdev.findings.trouble import Trouble

FAMILIES: Mapping[str, tuple[Rule, ...]] = MappingProxyType(
    {
        "memory and DMA": mapping.RULES,
        "mediated devices": vgpu.RULES,
        "hardware": hardware.RULES,
        "VFs": virtualfunctions.RULES,
        "networks": networks.RULES,
        "kubelet": kubelet.RULES,
        "start of a domain": domainstart.RULES,
        "room for memory": barspace.RULES,
        "guest": guestdriver.RULES,
        "cloud-init": cluster.RULES,
        "noise": noise.RULES,
    }
)
WRITTEN = tuple(rule for rules in FAMILIES.values() for rule in rules)
"""Rules that were written; the texts of rows are rules of their own beside them."""

_TABLES = (
    *(cluster, domainstart, mapping, vgpu, hardware, virtualfunctions, networks, kubelet, barspace, guestdriver, noise),
)
TROUBLES: tuple[Trouble, ...] = tuple(row for table in _TABLES for row in table.TROUBLES)
