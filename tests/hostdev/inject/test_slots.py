"""`functions: all`: every function of a host slot as one guest device, where the pod may have them all."""

from __future__ import annotations

import pytest

from domxml.document import Domain
from domxml.errors import PassgateError
from domxml.pciaddress import PciAddress
from domxml.transform import Transformed, transform
from hostdev.allocation.allocation import Allocation
from hostdev.inject.plan import Inputs, plan
from hostdev.inventory.machine import IommuGroup, Machine, PciFunction
from hostdev.vmi.request import Request
from tests.domxml.domains import load

GPU = PciAddress.parse("0000:65:00.0")
AUDIO = GPU.with_function(1)
RESOURCE = Request(resource="nvidia.com/GPU", name="gpu", functions="all")
EVERY_CODE = frozenset({"no-iommu", "vfio-module-missing", "not-bound-to-vfio", "group-not-viable"})


def machine(audio_group: int) -> Machine:
    functions = {
        GPU: PciFunction(GPU, 0x10DE, 0x1EB8, 0x030000, driver="vfio-pci", group=7),
        AUDIO: PciFunction(AUDIO, 0x10DE, 0x10F8, 0x040300, driver="vfio-pci", group=audio_group),
    }
    groups = {7: IommuGroup(7, (GPU, AUDIO))} if audio_group == 7 else {}
    groups = groups or {7: IommuGroup(7, (GPU,)), 8: IommuGroup(8, (AUDIO,))}
    return Machine(functions=functions, groups=groups)


def run(audio_group: int, *given: PciAddress) -> Transformed:
    allocations = tuple(Allocation(one, resource="nvidia.com/GPU", told_by=("environment X",)) for one in given)
    domain = Domain.parse(load("q35-default"))
    inputs = Inputs((RESOURCE,), allocations=allocations, allowed=EVERY_CODE)
    return transform(domain, plan(domain, inputs, machine(audio_group)).slots)


@pytest.mark.parametrize(("audio_group", "given"), [(7, (GPU,)), (7, (AUDIO, GPU)), (8, (GPU, AUDIO))])
def test_a_card_is_one_guest_device(audio_group: int, given: tuple[PciAddress, ...]) -> None:
    places = [change.placed.address for change in run(audio_group, *given).changes]

    assert [place.function for place in places if place] == [0, 1]
    assert len({place.slot_address for place in places if place}) == 1


def test_a_companion_of_another_group_that_the_pod_was_not_given_is_refused() -> None:
    with pytest.raises(PassgateError) as refusal:
        run(8, GPU)

    assert refusal.value.code == "companion-not-allocated"
    assert str(AUDIO) in refusal.value.message
