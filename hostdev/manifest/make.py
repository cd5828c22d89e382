"""Objects for the cluster, made from a machine: who may hand out which devices, and a VM that gets some. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from domxml.finding import Finding
from domxml.text import listed
from hostdev.inventory.machine import Machine
from hostdev.inventory.pciids import Namer
from hostdev.lint.repository import document_findings
from hostdev.manifest import checks, claims, cluster, vm
from hostdev.manifest.entries import entries
from hostdev.manifest.guestnetwork import BOND, ports_shared
from hostdev.manifest.nodestate import node_state_documents
from hostdev.manifest.pool import By, Document, Pool, Wanted
from hostdev.manifest.pools import pools
from hostdev.manifest.words import Named, find_functions, read_words

__all__ = ["Made", "Wanted", "make"]


class Made(NamedTuple):
    """The documents of each part in the order in which they are applied, and what is to be said of them."""

    parts: Mapping[str, tuple[Document, ...]]
    findings: tuple[Finding, ...]
    gates: tuple[str, ...]
    """The feature gates of KubeVirt that the VM needs."""
    notes: tuple[str, ...] = ()
    """What was chosen, and what is still to be done."""


def make(machine: Machine, namer: Namer, selections: Iterable[str], wanted: Wanted) -> Made:
    """Everything that is needed so that a VM gets the devices that were selected."""
    words = read_words(selections, wanted.functions)
    found = find_functions(machine, words, wanted.by)
    made = pools(machine, namer, found, wanted)
    asked = entries(machine, made, wanted.guests)
    parts = {
        "node": node_state_documents(machine, made, wanted),
        "cluster": (
            *claims.device_classes(made),
            *cluster.kubevirt_documents(made, wanted),
            *cluster.network_documents(made, wanted),
        ),
        "vm": (
            *claims.claim_templates(made, wanted),
            vm.document(made, asked, wanted, machine.kernel.architecture),
        ),
    }
    linted = document_findings(document for documents in parts.values() for document in documents)
    told = dict.fromkeys((*checks.findings(machine, made), *linted))
    return Made(
        parts,
        tuple(sorted(told, key=lambda finding: -finding.severity.rank)),
        vm.gates(made, wanted),
        (*_notes(made, wanted), *claims.claim_notes(made, wanted), *_unit_notes(made, found)),
    )


def _notes(made: Sequence[Pool], wanted: Wanted) -> Iterator[str]:
    if wanted.by is None:
        for pool in made:
            if pool.by is By.PLUGIN:
                yield f"{pool.resource} is handed out by its vendor's plugin; --by kubevirt leaves it to KubeVirt"
    if wanted.bond:
        yield f"{BOND} has no address yet: add addresses, or dhcp4, to its entry in passgate.dev/bonds"
        yield from (f"a bond over one port survives nothing: both its VFs are on {port}" for port in ports_shared(made))


def _unit_notes(made: Sequence[Pool], found: Sequence[Named]) -> Iterator[str]:
    """What comes along with a unit, and what was named and is not its primary function."""
    units = [unit for pool in made for unit in pool.units]
    named = {function.address for one in found if one.selected.outright for function in one.selected.functions}
    for unit in units:
        for address in unit.functions[1:]:
            if unit.primary not in named and address in named:
                yield f"{address} is in the unit of {unit.primary}, which is what a VM asks for"
    for unit in units:
        apart = [one for one in unit.functions if one.slot_address != unit.primary.slot_address]
        if apart:
            come = "comes" if len(apart) == 1 else "come"
            yield f"{unit.primary}: {listed(apart)} {come} along in its IOMMU group, and no guest gets to see it"
