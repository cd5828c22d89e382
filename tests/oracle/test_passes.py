"""The passes of a KubeVirt boot with libvirt's real read-back between them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from domxml.document import Domain
from domxml.guestslot import GuestSlot
from domxml.transform import transform
from domxml.version import LibvirtVersion
from hostdev.kubevirt.boot import Pass, boot
from tests.domxml.domains import load, names
from tests.domxml.guestslots import multifunction, tree_of, wish
from tests.hooksidecar.guests import guest_of
from tests.oracle.addresses import Addresses, moved
from tests.oracle.client import Defined, Oracle

pytestmark = pytest.mark.oracle

WISHES = (
    wish("qat", "0000:3d:02.2", rom_bar="off", bootOrder="9"),
    multifunction("gpu", "0000:65:00.0", 2),
    wish("near", "0000:3d:02.4", node=0),
)


def run(oracle: Oracle, name: str, wishes: tuple[GuestSlot, ...]) -> list[Pass]:
    version = LibvirtVersion.from_number(oracle.version)

    def define(xml: bytes) -> bytes:
        answer = oracle.define(xml)
        assert isinstance(answer, Defined), answer.message
        return answer.xml

    def hook(xml: bytes) -> bytes:
        return transform(Domain.parse(xml), wishes, libvirt=version).xml

    return boot(load(name), hook, define, guest_of(name))


@pytest.mark.parametrize("name", names())
def test_a_boot_is_accepted_and_every_address_stays(oracle: Oracle, name: str) -> None:
    with_us = run(oracle, name, WISHES)
    without = run(oracle, name, ())
    places = [_ours(one.defined) for one in with_us]

    assert len(with_us) == len(without)
    assert len(places[0]) == 4
    assert all(place == places[0] for place in places)
    for ours, base in zip(with_us, without, strict=True):
        assert _of_guest(moved(_addresses(base), _addresses(ours))) == {}
    last = tree_of(with_us[-1].answered)
    assert last.find("devices/hostdev/alias[@name='ua-passgate-qat']/../rom").get("bar") == "off"
    assert last.find("devices/hostdev/alias[@name='ua-passgate-qat']/../driver").get("name") == "vfio"


def _addresses(one: Pass) -> Addresses:
    return Defined(one.defined).addresses


def _of_guest(shifts: Mapping[str, object]) -> dict[str, object]:
    """Root ports that KubeVirt adds for hotplug come after ours, with other indexes: no device sits on them."""
    return {key: place for key, place in shifts.items() if not key.startswith("controller:pci:")}


def _ours(xml: bytes) -> dict[str, dict[str, str]]:
    return {
        hostdev.find("alias").get("name"): dict(hostdev.find("address").attrib)
        for hostdev in tree_of(xml).iterfind("devices/hostdev")
        if "passgate" in hostdev.find("alias").get("name")
    }
