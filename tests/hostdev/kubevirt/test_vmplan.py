"""The plan of a VM, from its manifest alone: the recorded boots, with what moves between their releases."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest

from domxml.document import Domain
from domxml.pciaddress import PciAddress
from hostdev.kubevirt.channels import Asked, Given
from hostdev.kubevirt.comparison import compare
from hostdev.kubevirt.releases import release_of
from hostdev.kubevirt.vmplan import Item, VmPlan, items_of, plan_vm
from tests.boots import RELEASES, Boot, boot_of, boots, boots_of
from tests.hostdev.kubevirt.recorded import CELLS

TOLD = frozenset({"base-device-moves", "hotplug-ports-reduced", "kubevirt-places-again"})


def planned(boot: Boot, *, sidecar: bool) -> VmPlan:
    given = Given({**boot.vm.environment, **boot.vm.allocation}, boot.vm.network_info.encode())
    return plan_vm(boot.vm.vmi, Asked(release_of(boot.release), given, sidecar=sidecar, cells=CELLS.get(boot.id, {})))


def places(items: tuple[Item, ...]) -> Mapping[str, PciAddress | None]:
    """By what tells them apart; the model of a display is the cluster's choice, and changes no place."""
    found: dict[str, PciAddress | None] = {}
    for item in items:
        if item.model == "none 0" or item.label == "controller usb 0":
            continue
        label = item.element if item.element == "video" else item.label
        found[label if label not in found else f"{label} again"] = item.guest
    return found


@pytest.mark.parametrize("release", RELEASES)
def test_every_device_where_the_recorded_boot_has_it(release: str) -> None:
    for one in boots_of(release):
        plan = planned(one, sidecar=False)

        assert plan.passes == len(one.passes), one.id
        assert plan.unknown == (), one.id
        assert places(plan.items) == places(items_of(Domain.parse(one.final))), one.id


@pytest.mark.parametrize("release", RELEASES)
def test_the_sidecar_moves_nothing_or_it_is_told(release: str) -> None:
    for one in boots_of(release):
        with_it = planned(one, sidecar=True)
        moves = [move for move in compare(planned(one, sidecar=False), with_it) if move.moves]

        told = {finding.code for finding in with_it.findings} & TOLD
        ours = [move for move in moves if move.now is not None and move.now.element == "hostdev"]
        assert moves == ours or told, one.id


def test_what_an_upgrade_moves_is_what_the_recordings_say() -> None:
    names = sorted({one.vm.name for one in boots()})
    seen = 0
    for name in names:
        known = [boot_of(name, release) for release in RELEASES if any(b.vm.name == name for b in boots_of(release))]
        for one, other in pairwise(known):
            said = {
                move.label
                for move in compare(planned(one, sidecar=False), planned(other, sidecar=False))
                if move.label != "controller usb 0"
            }
            was, now = (places(items_of(Domain.parse(each.final))) for each in (one, other))
            differ = {label for label in was.keys() | now.keys() if was.get(label) != now.get(label)}
            # Ports are no devices of their own, and a display is one whatever its model.
            assert said == {label for label in differ if "controller pci" not in label and "pcie" not in label}, name
            seen += bool(said)

    assert seen
