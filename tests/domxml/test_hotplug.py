"""A <hostdev> for a VM that runs: at an address that is known to be free, or at none."""

from __future__ import annotations

from typing import Any

import pytest

from domxml.document import Domain
from domxml.errors import Refused
from domxml.guestslot import GuestSlot
from domxml.hotplug import Snippets, make_snippets, no_domain
from domxml.version import LibvirtVersion
from tests.domxml.domains import load
from tests.domxml.guestslots import multifunction, tree_of, wish
from tests.domxml.realdomains import HELD, NO_BALLOON, VDA, domain, pci

PORT = "<controller type='pci' index='%d' model='pcie-root-port'>%s%s</controller>"
ROOT = "<controller type='pci' index='0' model='%s'/>"
NO_USB = "<controller type='usb' index='0' model='none'/>"
SATA = f"<controller type='sata' index='0'>{pci(0, 0x1F, 2)}</controller>"
OFF = "<target chassis='2' port='0x11' hotplug='off'/>"
RUNNING = domain(
    "q35",
    ROOT % "pcie-root",
    *(PORT % (1, "", pci(0, 2)), PORT % (2, OFF, pci(0, 3)), PORT % (3, "", pci(0, 4)), PORT % (4, "", pci(0, 5))),
    *(SATA, NO_USB, VDA % pci(1, 0), NO_BALLOON),
)
PC = domain("pc", ROOT % "pci-root", NO_USB, VDA % pci(0, 4), NO_BALLOON)
QAT, NIC, MORE = (wish(f"qat{number}", f"3d:02.{number}") for number in range(3))


def snippets(given: bytes, *wishes: GuestSlot) -> Snippets:
    return make_snippets(Domain.parse(given), wishes, known=True, libvirt=LibvirtVersion(11, 3))


def addresses(done: Snippets) -> list[tuple[int, int] | None]:
    found: list[Any] = [tree_of(xml).find("address") for xml in done.xml]
    return [None if one is None else (int(one.get("bus"), 16), int(one.get("slot"), 16)) for one in found]


def test_each_device_gets_a_port_that_is_free_and_takes_plugs() -> None:
    done = snippets(RUNNING, QAT, NIC, MORE)

    assert addresses(done) == [(3, 0), (4, 0), None]
    assert [finding.code for finding in done.findings] == ["no-port-free"]


def test_on_i440fx_the_root_bus_takes_plugs() -> None:
    done = snippets(PC, QAT, NIC, MORE)

    assert done.findings == ()
    assert all(place is not None and place[0] == 0 for place in addresses(done))
    assert len(set(addresses(done))) == 3
    assert {(0, 4), (0, 1)} & set(addresses(done)) == set()


@pytest.mark.parametrize(
    ("guest", "code"),
    [
        ("01:00.0", "guest-address-taken"),
        ("02:00.0", "guest-address-impossible"),
        ("00:10.0", "guest-address-impossible"),
        ("09:00.0", "guest-address-impossible"),
        ("03:00.1", "guest-address-impossible"),
        ("03:01.0", "guest-address-impossible"),
    ],
)
def test_an_address_that_takes_no_plug_is_refused(guest: str, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        snippets(RUNNING, wish("qat", "3d:02.2", guest))

    assert refusal.value.code in {code, "function-zero-missing"}


def test_an_address_that_was_asked_for_is_not_given_twice() -> None:
    assert addresses(snippets(RUNNING, QAT, wish("nic", "3d:02.7", "03:00.0"))) == [(4, 0), (3, 0)]
    with pytest.raises(Refused):
        snippets(RUNNING, wish("a", "3d:02.1", "03:00.0"), wish("b", "3d:02.2", "03:00.0"))


def test_where_not_all_is_written_down_no_address_is_made_up() -> None:
    done = snippets(load("q35-default"), QAT)

    assert addresses(done) == [None]
    assert [finding.code for finding in done.findings] == ["place-not-checked"]


def test_without_a_vm_an_address_is_told_not_to_be_checked() -> None:
    done = make_snippets(no_domain(), [QAT, wish("nic", "3d:02.7", "09:00.0")], known=False)

    assert addresses(done) == [None, (9, 0)]
    assert [(finding.code, finding.subject) for finding in done.findings] == [("place-not-checked", "nic")]


def test_what_libvirt_does_not_plug_in_is_refused() -> None:
    with pytest.raises(Refused, match="one function"):
        snippets(RUNNING, multifunction("card", "65:00.0", 2))
    with pytest.raises(Refused, match="holds this device already"):
        snippets(domain("q35", HELD % ("", "")), wish("x", "65:02.3"))
    with pytest.raises(Refused) as refusal:
        snippets(RUNNING, wish("x", "65:02.3", display="on"))
    assert refusal.value.code == "display-needs-graphics"


def test_it_is_what_the_transform_writes() -> None:
    (xml,) = snippets(RUNNING, wish("qat", "3d:02.2", rom_bar="off", managed="yes")).xml

    hostdev = tree_of(xml)
    assert dict(hostdev.attrib) == {"mode": "subsystem", "type": "pci", "managed": "yes"}
    assert [child.tag for child in hostdev] == ["driver", "source", "alias", "rom", "address"]
    assert hostdev.find("alias").get("name") == "ua-passgate-qat"
