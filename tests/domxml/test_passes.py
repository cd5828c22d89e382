"""The passes of a KubeVirt boot, with a stand-in for libvirt's read-back; tests/oracle runs them on the real one."""

from __future__ import annotations

import pytest

from domxml.document import Domain
from domxml.guestslot import GuestSlot
from domxml.pciaddress import PciAddress
from domxml.transform import transform
from domxml.version import LibvirtVersion
from hostdev.kubevirt import standin
from hostdev.kubevirt.boot import Pass, boot
from tests.domxml.domains import load, names
from tests.domxml.guestslots import multifunction, tree_of, wish
from tests.hooksidecar.guests import guest_of

WISHES = (
    wish("qat", "0000:3d:02.2", rom_bar="off", bootOrder="9"),
    multifunction("gpu", "0000:65:00.0", 2),
    wish("vgpu", "c0ffee00-1111-2222-3333-444455556666"),
)
NODE = (wish("near-1", "0000:3d:02.2", node=0), wish("near-2", "0000:3d:02.3", node=0))


def run(name: str, wishes: tuple[GuestSlot, ...]) -> list[Pass]:
    def hook(xml: bytes) -> bytes:
        return transform(Domain.parse(xml), wishes, libvirt=LibvirtVersion(11, 3)).xml

    return boot(load(name), hook, standin.define, guest_of(name))


def ours(xml: bytes) -> dict[str, dict[str, str]]:
    """Guest address by alias, as it is written."""
    return {
        hostdev.find("alias").get("name"): dict(hostdev.find("address").attrib)
        for hostdev in tree_of(xml).iterfind("devices/hostdev")
        if "passgate" in hostdev.find("alias").get("name")
        if hostdev.find("address") is not None
    }


@pytest.mark.parametrize("name", [name for name in names() if "s390x" not in name])
def test_every_pass_gives_the_same_addresses_and_restores_what_was_lost(name: str) -> None:
    passes = run(name, WISHES)
    answers = [ours(one.answered) for one in passes]

    assert len(answers[0]) == 4
    assert all(answer == answers[0] for answer in answers)
    last = tree_of(passes[-1].answered)
    qat = last.find("devices/hostdev/alias[@name='ua-passgate-qat']/..")
    assert qat.find("rom").get("bar") == "off"
    assert qat.find("driver").get("name") == "vfio"
    gpu = last.find("devices/hostdev/alias[@name='ua-passgate-gpu']/..")
    assert gpu.find("address").get("multifunction") == "on"


@pytest.mark.parametrize("name", [name for name in names() if "s390x" not in name])
def test_nothing_of_the_base_moves_between_the_passes(name: str) -> None:
    passes = run(name, WISHES)
    places = []
    for one in passes:
        tree = tree_of(one.defined)
        places.append(
            {
                str(element.find("target").get("dev")): element.find("address").get("bus")
                for element in tree.iterfind("devices/disk")
                if element.find("address") is not None
            }
            | {
                element.find("mac").get("address"): element.find("address").get("bus")
                for element in tree.iterfind("devices/interface")
                if element.find("mac") is not None
            }
        )

    assert all(place == places[0] for place in places)


@pytest.mark.parametrize("name", [name for name in names() if "s390x" not in name and "i440fx" not in name])
def test_a_guest_counts_its_ports_as_their_indexes_say(name: str) -> None:
    """A guest numbers buses by slot and function: spare ports that KubeVirt adds last must not come before ours."""
    tree = tree_of(run(name, WISHES)[-1].defined)
    places = {
        int(port.get("index")): PciAddress.from_attributes(port.find("address").attrib)
        for port in tree.iterfind("devices/controller[@model='pcie-root-port']")
    }

    assert sorted(places, key=lambda index: places[index]) == sorted(places)


def test_expander_buses_keep_number_and_node_through_the_passes() -> None:
    passes = run("q35-numa-dedicated-hugepages-1gi", NODE)
    targets = [tree_of(one.answered).find("devices/controller[@model='pcie-expander-bus']/target") for one in passes]

    assert len(passes) == 3
    assert [(target.get("busNr"), target.findtext("node")) for target in targets] == [("253", "0")] * 3
    assert all(ours(one.answered) == ours(passes[0].answered) for one in passes)


def test_an_s390x_device_keeps_its_identity() -> None:
    passes = run("s390x-ccw", WISHES[:1])

    assert len(passes) == 2, "KubeVirt 1.5 gives placeholders to every machine"
    assert all(b"<zpci uid=" in one.answered for one in passes)
