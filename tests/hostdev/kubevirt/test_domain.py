"""From the VMI alone: the devices of each recorded first pass, in their order, with their models and addresses."""

from __future__ import annotations

from typing import Any

import pytest

from domxml.document import Domain, Element
from domxml.kubevirt import is_placeholder
from domxml.pciaddress import PciAddress
from hostdev.kubevirt import standin
from hostdev.kubevirt.boot import boot
from hostdev.kubevirt.domain import first_domain
from hostdev.kubevirt.ports import Guest
from hostdev.kubevirt.releases import release_of
from hostdev.kubevirt.spec import Spec
from hostdev.vmi.vmi import parse_vmi
from tests.boots import RELEASES, Boot, boots_of
from tests.hostdev.kubevirt.recorded import pod_of


def first_pass(boot: Boot) -> bytes:
    return first_domain(Spec(boot.vm.vmi), release_of(boot.release), pod_of(boot))


def guest_of(element: Element) -> PciAddress | None:
    address = element.find("address")
    if address is None or address.get("type") != "pci" or not address.get("bus"):
        return None
    return PciAddress.from_attributes(address)


def facts(element: Element) -> tuple[Any, ...]:
    """All that the guest's PCI tree depends on."""
    of = {tag: element.find(tag) for tag in ("model", "target", "alias")}
    said = {tag: dict(found.attrib) for tag, found in of.items() if found is not None}
    own = {key: value for key, value in element.attrib.items() if key in {"type", "model", "index", "device", "bus"}}
    if element.tag == "disk":
        own.pop("type", None)  # What kind of volume it is has no weight.
    model = said.get("model", {}).get("type")
    bus = said.get("target", {}).get("bus") or said.get("target", {}).get("busNr")
    node = element.findtext("target/node")
    return str(element.tag), own, model, bus, node, said.get("alias", {}).get("name"), guest_of(element)


def devices(xml: bytes) -> list[tuple[Any, ...]]:
    found = [one for one in Domain.parse(xml).devices if isinstance(one.tag, str) and one.tag != "emulator"]
    return [facts(one) for one in found if not is_placeholder(one)]


def places(xml: bytes) -> dict[tuple[str, ...], PciAddress]:
    """Where everything sits, by what names it."""
    count: dict[tuple[str, ...], int] = {}
    where: dict[tuple[str, ...], PciAddress] = {}
    for element in Domain.parse(xml).devices.iterchildren("*"):
        alias = element.find("alias")
        own = alias.get("name", "") if alias is not None and alias.get("name", "").startswith("ua-") else ""
        name: tuple[str, ...] = (str(element.tag), element.get("type", "") if element.tag == "controller" else own)
        if element.tag == "controller":
            name += (element.get("index", ""),)
        count[name] = count.get(name, 0) + 1
        address = guest_of(element)
        if address is not None and element.get("model") != "none":
            where[*name, str(count[name])] = address
    return where


@pytest.mark.parametrize("release", RELEASES)
def test_the_devices_of_every_recorded_first_pass(release: str) -> None:
    recorded = boots_of(release)

    assert {one.id: devices(first_pass(one)) for one in recorded} == {
        one.id: devices(one.passes[0]) for one in recorded
    }


def size_of_space(xml: bytes) -> tuple[object, ...]:
    """What decides how wide the guest's addresses are."""
    root = Domain.parse(xml).root
    cpu, most = root.find("cpu"), root.find("maxMemory")
    assert cpu is not None
    features = [dict(feature.attrib) for feature in cpu.findall("feature")]
    return cpu.get("mode"), cpu.findtext("model"), features, None if most is None else (most.text, most.get("unit"))


@pytest.mark.parametrize("release", RELEASES)
def test_processor_and_most_memory_of_every_recorded_first_pass(release: str) -> None:
    recorded = boots_of(release)

    assert {one.id: size_of_space(first_pass(one)) for one in recorded} == {
        one.id: size_of_space(one.passes[0]) for one in recorded
    }


@pytest.mark.parametrize("release", RELEASES)
def test_passes_and_the_place_of_every_device_at_the_end(release: str) -> None:
    for one in boots_of(release):
        xml = first_pass(one)
        guest = Guest.of_vmi(parse_vmi(one.vm.vmi_json), Domain.parse(xml))
        done = boot(xml, lambda given: given, standin.define, guest, release_of(release))

        assert len(done) == len(one.passes), one.id
        assert places(done[-1].defined) == places(one.final), one.id
