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


def asked_at(source: str, guest: str) -> Transformed:
    domain = Domain.parse(load("q35-default"))
    request = Request(address=PciAddress.parse(source), functions="0+1", guests=(PciAddress.parse(guest),))
    return transform(domain, plan(domain, Inputs((request,), allowed=EVERY_CODE), None).slots)


@pytest.mark.parametrize(("source", "guest"), [("65:00.0", "10:00.0"), ("65:00.1", "10:00.0"), ("65:00.1", "10:00.1")])
def test_a_cards_guest_address_is_that_of_its_first_function_or_of_the_one_that_is_named(
    source: str, guest: str
) -> None:
    places = [str(change.placed.address) for change in asked_at(source, guest).changes]

    assert places == ["0000:10:00.0", "0000:10:00.1"]


@pytest.mark.parametrize(("source", "guest"), [("65:00.0", "10:00.1"), ("65:00.1", "10:00.2"), ("65:00.0", "10:00.7")])
def test_a_guest_address_of_another_function_is_refused(source: str, guest: str) -> None:
    with pytest.raises(PassgateError) as refusal:
        asked_at(source, guest)

    assert (refusal.value.code, refusal.value.hint) == ("bad-functions", "ask for 0000:10:00.0")


@pytest.mark.parametrize(
    ("shown", "published", "node"), [(None, None, None), (None, 1, 0), (1, None, 0), (1, 0, 0), (0, 1, 1)]
)
def test_the_hosts_own_word_on_a_numa_node_goes_before_a_drivers(
    shown: int | None, published: int | None, node: int | None
) -> None:
    """A driver of DRA publishes it; sysfs may say -1."""
    bound = b"<numatune><memnode cellid='0' mode='strict' nodeset='1'/><memnode cellid='1' mode='strict' nodeset='0'/>"
    cells = b"<cpu><numa><cell id='0' cpus='0' memory='1'/><cell id='1' cpus='1' memory='1'/></numa></cpu>"
    text = load("q35-default").replace(b"<devices>", bound + b"</numatune>" + cells + b"<devices>")
    functions = {GPU: PciFunction(GPU, 0x10DE, 0x1EB8, 0x030000, driver="vfio-pci", group=7, numa_node=shown)}
    given = Allocation(GPU, resource="nvidia.com/GPU", told_by=("dra c/r",), numa=published)
    request = Request(resource="nvidia.com/GPU", name="gpu", numa="host")
    inputs = Inputs((request,), allocations=(given,), allowed=EVERY_CODE)

    planned = plan(Domain.parse(text), inputs, Machine(functions=functions, groups={7: IommuGroup(7, (GPU,))}))

    assert [slot.node for slot in planned.slots] == [node]
    assert ("numa-not-possible" in {finding.code for finding in planned.findings}) == (node is None)
