"""The rehearsal against recorded boots of KubeVirt's own code: as many passes, and every device at the same address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domxml.document import Domain
from domxml.kubevirt import is_placeholder
from domxml.pciaddress import PciAddress
from hostdev.kubevirt import standin
from hostdev.kubevirt.releases import release_of
from hostdev.kubevirt.structs import round_trip
from tests.boots import RELEASES, boot_of, boots_of
from tests.domxml.guestslots import tree_of
from tests.hooksidecar.guests import placed, rehearsed

Device = tuple[str | None, ...]


def without_placeholders(xml: bytes) -> bytes:
    domain = Domain.parse(xml)
    for element in filter(is_placeholder, list(domain.devices)):
        domain.devices.remove(element)
    return domain.serialise()


def handed(xml: bytes) -> list[Device]:
    """The devices that a hook is handed, but for what libvirt adds that is no PCI device."""
    return sorted(_devices(xml), key=str)


def _devices(xml: bytes) -> Iterator[Device]:
    for device in tree_of(xml).iterfind("devices/*"):
        added = device.get("bus") == "ps2" or device.get("model") == "itco" or device.tag in {"emulator", "console"}
        if not added:
            inner = {child.tag: child.attrib for child in device}
            address = inner.get("address", {})
            place = str(PciAddress.from_attributes(address)) if address.get("type") == "pci" else ""
            names = inner.get("target", {}).get("dev"), inner.get("alias", {}).get("name")
            model = device.get("model") or inner.get("model", {}).get("type")
            yield (device.tag, device.get("type"), device.get("index"), model, *names, place)


@pytest.mark.parametrize("release", RELEASES)
def test_every_recorded_boot_with_its_placeholders_and_without(release: str) -> None:
    for recorded in boots_of(release):
        for domain in (recorded.passes[0], without_placeholders(recorded.passes[0])):
            made = rehearsed(recorded, domain, standin.define)
            assert len(made) == len(recorded.passes), recorded.id
            assert [handed(one.given) for one in made] == list(map(handed, recorded.passes)), recorded.id
            assert placed(made[-1].defined) == placed(recorded.final), recorded.id


@pytest.mark.parametrize("release", RELEASES)
def test_the_structs_keep_what_kubevirts_structs_keep(release: str) -> None:
    """Of all that libvirt writes about the devices: element by element and attribute by attribute, no more, no less."""
    ours: set[str] = set()
    theirs: set[str] = set()
    for recorded in boots_of(release):
        if len(recorded.passes) > 1 and b'model="pcie-root"' in recorded.passes[1]:
            ours |= set(_words(round_trip(recorded.final, release_of(release).structs)))
            theirs |= set(_words(recorded.passes[1]))

    assert ours == theirs
    assert len(ours) > 100


def _words(xml: bytes) -> Iterator[str]:
    for device in tree_of(xml).find("devices"):
        for element in device.iter():
            way = "/".join([*reversed([above.tag for above in element.iterancestors()]), element.tag])
            yield from (way, *(f"{way}@{name}" for name in element.attrib))


def test_what_is_compared_is_the_whole_guest() -> None:
    """The largest of them, so that nobody compares nothing with nothing."""
    recorded = boot_of("gpu8-qat8", "1.7.4")

    assert len(placed(recorded.final)) == 39
    assert len(handed(recorded.passes[1])) == 41


@pytest.mark.parametrize("minor", ["1.5", "1.6", "1.7", "1.8", "1.9"])
def test_the_name_of_a_minor_release_is_its_newest_point_release(minor: str) -> None:
    (newest,) = (name for name in RELEASES if name.startswith(minor))

    assert release_of(minor) == release_of(newest) == release_of(f"v{newest}")
