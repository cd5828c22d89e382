"""Objects for the cluster, made from a machine: who may hand out which devices, and a VM that gets some. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domxml.finding import Finding, Severity
from hostdev.inventory.machine import Machine
from hostdev.inventory.pciids import Namer
from hostdev.lint.repository import document_findings
from hostdev.manifest import checks, cluster, vm
from hostdev.manifest.pool import Document, Wanted
from hostdev.manifest.pools import pools
from hostdev.manifest.selection import select

__all__ = ["Made", "Wanted", "make"]


class Made(NamedTuple):
    """The documents of each part in the order in which they are applied, and what is to be said of them."""

    parts: Mapping[str, tuple[Document, ...]]
    findings: tuple[Finding, ...]
    gates: tuple[str, ...]
    """The feature gates of KubeVirt that the VM needs."""


def make(machine: Machine, namer: Namer, selections: Iterable[str], wanted: Wanted) -> Made:
    """Everything that is needed so that a VM gets the devices that were selected."""
    selected = tuple(select(machine, text, wanted.by) for text in selections)
    made = pools(machine, namer, selected, wanted)
    parts = {
        "cluster": (*cluster.kubevirt_documents(made, wanted), *cluster.network_documents(made, wanted)),
        "vm": (vm.document(made, wanted, machine.kernel.architecture),),
    }
    between = document_findings(document for documents in parts.values() for document in documents)
    told = (*checks.findings(machine, made), *(one for one in between if one.severity is not Severity.INFO))
    return Made(parts, tuple(sorted(told, key=lambda finding: -finding.severity.rank)), vm.gates(made))
