"""A device goes out as it came in: with what was written for it, and with nothing else."""

from __future__ import annotations

import pytest

from domxml.document import Domain
from domxml.errors import Refused
from domxml.guestpci.prediction import predict
from domxml.guestpci.topology import Topology
from domxml.pciaddress import PciAddress
from domxml.removal import find_devices
from tests.domxml.domains import load, names
from tests.domxml.edits import NEW, edit
from tests.domxml.guestslots import multifunction, tree_of, wish
from tests.domxml.realdomains import HELD, NO_BALLOON, TAKEN, VDA, domain, pci

QAT, NIC = wish("qat", "0000:3d:02.2"), wish("nic", "0000:3d:02.3")
MDEV = wish("vgpu", "c0ffee00-1111-2222-3333-444455556666")
CARD = multifunction("card", "0000:65:00.0", 2)
BASES = {**{name: load(name) for name in names()}, **{name: taken.xml for name, taken in TAKEN.items()}}
PORT = "<controller type='pci' index='%d' model='pcie-root-port'>%s%s</controller>"
TWO_FUNCTIONS = HELD % ("", "<alias name='ua-a'/>" + pci(1, 0, more=" multifunction='on'")) + (
    HELD.replace("function='3'", "function='4'") % ("", "<alias name='ua-b'/>" + pci(1, 0, 1))
)


def places(xml: bytes) -> dict[str, PciAddress]:
    """Where libvirt will put the devices, by what messages call them."""
    found = predict(Topology(Domain.parse(xml), NEW))
    assert found.known, found
    return {device.label: address for device, address in (found.addresses or {}).items()}


ROUNDS = {
    "one": ([[QAT]], [["qat"]]),
    "by its host address": ([[QAT]], [["pci_0000_3d_02_2"]]),
    "two, the first first": ([[QAT, NIC]], [["ua-passgate-qat"], ["0000:3d:02.3"]]),
    "two, the last first": ([[QAT], [NIC]], [["3d:02.3"], ["qat"]]),
    "two, at once": ([[QAT], [NIC]], [["nic", "qat"]]),
    "mediated": ([[MDEV]], [["C0FFEE00-1111-2222-3333-444455556666"]]),
    "three": ([[MDEV, QAT], [NIC]], [["qat"], ["vgpu"], ["nic"]]),
    "with a number for a node": ([[wish("qat", "3d:02.2", acpiIndex="7")]], [["qat"]]),
}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", ROUNDS)
def test_add_and_remove_give_the_first_bytes_again(name: str, base: str) -> None:
    first = xml = BASES[base]
    additions, removals = ROUNDS[name]
    if base.startswith(("s390x", "arm64")) and "number" in name:
        pytest.skip("acpiIndex exists on PCs only")

    for wishes in additions:
        xml, _ = edit(xml, *wishes)
    assert xml != first
    for words in removals:
        xml, _ = edit(xml, remove=words)

    assert xml == first


@pytest.mark.parametrize("base", ["q35-default", "i440fx", "arm64-virt", "q35-gpu-1"])
def test_prune_takes_the_ports_along_too(base: str) -> None:
    with_one, _ = edit(load(base), QAT)
    with_two, _ = edit(with_one, NIC)

    assert edit(with_two, QAT, prune=True)[0] == with_one
    assert edit(with_two, prune=True)[0] == load(base)


@pytest.mark.parametrize("base", [name for name in names() if not name.startswith("s390x")])
def test_no_device_moves_when_one_leaves_the_middle(base: str) -> None:
    xml, _ = edit(load(base), QAT, NIC, MDEV)
    before = places(xml)

    after, result = edit(xml, remove=["3d:02.2"])

    expected = {name: place for name, place in before.items() if name != "hostdev ua-passgate-qat"}
    assert places(after) == {name: place for name, place in expected.items() if name in places(after)}
    assert len(places(after)) == len(before) - 1
    assert [finding.code for finding in result.findings if finding.code == "base-device-moves"] == []


def test_all_functions_of_a_device_go_by_its_name() -> None:
    xml, _ = edit(load("q35-default"), CARD)
    assert xml.count(b"<hostdev") == 2

    assert edit(xml, remove=["card"])[0] == load("q35-default")


def test_a_device_of_the_user_without_an_address_leaves_its_turn_behind() -> None:
    given = domain("q35", VDA % "", HELD % ("", ""), "<memballoon model='virtio'/>", "<rng model='virtio'/>")
    before = places(given)

    after, result = edit(given, remove=["0000:65:02.3"])

    there = places(after)
    assert there == {name: place for name, place in before.items() if name in there}
    assert "memballoon virtio" in there
    assert any("memballoon" in pinned for pinned in result.removal.pinned) if result.removal else False


def test_ports_that_the_user_wrote_stay() -> None:
    """Also where they look like ours: only the mark counts."""
    ports = PORT % (1, pci(0, 0x10, more=" multifunction='on'"), "") + PORT % (2, pci(0, 0x10, 1), "")
    given = domain("q35", "<controller type='usb' model='none'/>", ports, HELD % ("", pci(2, 0)), NO_BALLOON)

    after, result = edit(given, remove=["65:02.3"])

    assert after == given.replace((HELD % ("", pci(2, 0))).encode(), b"")
    assert [finding.code for finding in result.findings] == ["empty-port-stays"]
    assert result.findings[0].subject == "PCI controller 2 (pcie-root-port)"


def test_a_device_that_only_libvirt_knows_cannot_be_held_and_is_told() -> None:
    """Its balloon has no element in which an address could be written."""
    given = domain("q35", "<controller type='usb' model='none'/>", PORT % (1, pci(0, 0x10), ""), HELD % ("", pci(1, 0)))

    _, result = edit(given, remove=["65:02.3"])

    assert ("base-device-moves", "the memballoon that libvirt adds") in {
        (finding.code, finding.subject) for finding in result.findings
    }


def test_a_hole_below_another_device_stays_until_that_has_gone() -> None:
    xml, _ = edit(load("q35-default"), QAT)
    both, _ = edit(xml, NIC)

    without, result = edit(both, remove=["qat"])

    assert result.removal is not None
    assert result.removal.controllers == ()
    assert result.findings[0].code == "empty-port-stays"
    assert "in use" in result.findings[0].message
    assert guest(without, "nic") == guest(both, "nic")


def guest(xml: bytes, name: str) -> object:
    return tree_of(xml).find(f"devices/hostdev/alias[@name='ua-passgate-{name}']/../address").attrib


def test_what_libvirt_has_defined_since_is_the_vms() -> None:
    """It puts a model and a target into each controller; base devices have their addresses there by then."""
    xml, _ = edit(load("q35-minimal"), QAT)
    defined = xml.replace(b'<alias name="ua-passgate_', b"<model name='x'/><alias name=\"ua-passgate_")

    after, result = edit(defined, remove=["qat"])

    assert result.removal is not None
    assert len(result.removal.controllers) == 1
    assert after.count(b"ua-passgate_frozen-") == defined.count(b"ua-passgate_frozen-") > 0


def test_a_device_that_is_not_there_is_refused_with_what_is() -> None:
    given = domain("q35", HELD % ("", "<alias name='ua-mine'/>"), NO_BALLOON)

    for word in ("0000:3d:02.2", "qat", "", "c0ffee00-1111-2222-3333-444455556666", "nvidia-222", "x" * 200):
        with pytest.raises(Refused, match=r"it has: 0000:65:02\.3 \(ua-mine\)") as refusal:
            find_devices(Domain.parse(given), [word])
        assert refusal.value.code == "device-not-in-domain"
    with pytest.raises(Refused, match="it has: none"):
        find_devices(Domain.parse(load("q35-minimal")), ["qat"])


_SOURCE = "<address type='pci' domain='0' bus='0x65' slot='2' function='3'/></source>"
OTHERS = {
    "interface": f"<interface type='hostdev'><source>{_SOURCE}</interface>",
    "disk": "<disk type='nvme' device='disk'><source type='pci' namespace='1'>"
    f"{_SOURCE}<target dev='vda' bus='virtio'/></disk>",
}


@pytest.mark.parametrize("tag", OTHERS)
def test_an_interface_or_a_disk_is_not_ours_to_take(tag: str) -> None:
    given = domain("q35", OTHERS[tag])

    with pytest.raises(Refused, match=f"an <{tag}> of the domain holds this device") as refusal:
        edit(given, remove=["65:02.3"])

    assert f"virsh detach-{tag}" in refusal.value.hint


def test_function_0_does_not_leave_the_others_alone() -> None:
    given = domain("q35", TWO_FUNCTIONS, NO_BALLOON)

    with pytest.raises(Refused, match=r"hostdev ua-b stays at 0000:01:00\.1") as refusal:
        edit(given, remove=["ua-a"])

    assert refusal.value.code == "function-zero-missing"
    assert b"ua-a" in edit(given, remove=["ua-b"])[0]
    assert b"<hostdev" not in edit(given, remove=["ua-a", "ua-b"])[0]


def test_in_and_out_at_once_is_refused() -> None:
    xml, _ = edit(load("q35-default"), QAT)

    with pytest.raises(Exception, match="to be taken out and to be put in"):
        edit(xml, QAT, remove=["qat"])


def test_one_comes_while_another_goes() -> None:
    xml, _ = edit(load("q35-default"), QAT)

    after, result = edit(xml, NIC, remove=["qat"])

    assert after == edit(load("q35-default"), NIC)[0]
    assert (result.removed, [change.action for change in result.changes]) == (("ua-passgate-qat",), ["added"])


def test_where_libvirt_is_not_known_it_is_told() -> None:
    # What an interface without a model is depends on how libvirt was built.
    given = domain("q35", "<interface type='user'/>", HELD % ("", pci(1, 0)), NO_BALLOON)

    _, result = edit(given, remove=["65:02.3"])

    assert "removal-not-predicted" in {finding.code for finding in result.findings}


def test_comments_and_text_around_it_stay() -> None:
    given = b"""<domain type='kvm'><os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <!-- the card of the lab -->
    <hostdev mode='subsystem' type='pci' managed='yes'>
      <source><address domain='0' bus='0x65' slot='2' function='3'/></source>
      <address type='pci' domain='0' bus='0' slot='0x10' function='0'/>
    </hostdev> <!-- bought in May -->

    <memballoon model='none'/>
  </devices>
</domain>"""

    after, _ = edit(given, remove=["65:02.3"])

    start, end = given.index(b"\n    <hostdev"), given.index(b" <!-- bought")
    assert after == given[:start] + given[end:]
