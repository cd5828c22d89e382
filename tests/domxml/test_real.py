"""Small reproductions of what real files of users and of KubeVirt have, and what went wrong with them once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from domxml.document import Domain
from domxml.errors import Refused
from domxml.guestpci.prediction import predict
from domxml.guestpci.topology import Topology
from domxml.transform import Transformed, transform
from domxml.version import LibvirtVersion
from tests.domxml.guestslots import guest_of, inject, multifunction, tree_of, wish
from tests.domxml.realdomains import (
    EHCI,
    HELD,
    LEAVING,
    NO_BALLOON,
    PORT,
    PSERIES,
    SATA,
    SCSI,
    TAKEN,
    VDA,
    Taken,
    asked,
    domain,
    pci,
)


def predicted(xml: bytes) -> Mapping[str, str]:
    foreseen = predict(Topology(Domain.parse(xml)))
    assert foreseen.known, (foreseen.unknown, foreseen.refusal)
    found = {d.label: str(a) for d, a in (foreseen.addresses or {}).items() if d.label != "hostdev ua-passgate-x"}
    return found | {port.label: str(port.address) for port in foreseen.ports}


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
def test_what_libvirt_takes_is_taken_and_moves_nothing(taken: Taken) -> None:
    result = inject(taken.xml, asked(taken.guest))
    before, after = predicted(taken.xml), predicted(result.xml)

    assert before.items() <= after.items()
    assert result.findings == ()
    if taken.guest:
        assert guest_of(result) == {"ua-passgate-x": taken.guest}


REFUSED = {
    "an address that a companion must have": (EHCI, "0000:00:03.7", "guest-address-taken"),
    "a slot of a bridge that libvirt gives to the SATA controller": (SATA, "0000:02:01.0", "guest-address-taken"),
    "a taken address of a machine that is not emulated": (PSERIES, "0000:00:02.0", "guest-address-taken"),
    "an Arm domain without a machine type": (domain("", NO_BALLOON, arch="aarch64"), "", "unsupported-machine"),
    "a device that the guest shall not see": (
        domain("q35", HELD % ("", "<address type='unassigned'/>")),
        "",
        "device-unassigned",
    ),
}


@pytest.mark.parametrize(("xml", "guest", "code"), REFUSED.values(), ids=REFUSED)
def test_what_would_not_work_is_refused_with_the_right_reason(xml: bytes, guest: str, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        inject(xml, asked(guest))

    assert refusal.value.code == code


def codes(result: Transformed) -> list[str]:
    return [finding.code for finding in result.findings]


def test_where_libvirts_allocation_is_not_known_an_address_asked_for_is_told_about() -> None:
    result = inject(SCSI, asked("0000:00:03.0"))

    assert codes(result) == ["placement-fallback"]
    assert result.findings[0].severity == "warning"
    assert "a device that libvirt would have put to 0000:00:03.0 goes elsewhere" in result.findings[0].message


def test_a_domain_that_libvirt_itself_refuses_is_told_to_be_so() -> None:
    twice = domain("pc", VDA % pci(0, 7), f"<vsock model='virtio'>{pci(0, 7)}</vsock>")

    assert codes(inject(twice, asked()))[0] == "domain-refused"


def test_ports_without_a_root_are_refused_by_libvirt() -> None:
    result = inject(domain("q35", PORT, PORT), asked())

    assert codes(result)[0] == "domain-refused"
    assert "must be model='pcie-root'" in result.findings[0].message


def test_an_arm_domain_without_a_machine_type_is_virt_to_a_libvirt_that_says_so() -> None:
    xml = domain("", NO_BALLOON, arch="aarch64")

    assert guest_of(transform(Domain.parse(xml), [asked()], libvirt=LibvirtVersion(11, 3)))


def test_a_device_that_leaves_lets_nothing_move() -> None:
    """Guests find NICs and disks by their addresses."""
    result = inject(LEAVING, wish("sriov0", "0000:5e:02.0", "0000:0e:00.0"))
    before, after = predicted(LEAVING), predicted(result.xml)

    assert {label for label in before if before[label] != after.get(label)} == {"hostdev ua-sriov-sriov0"}


@pytest.mark.parametrize("managed", ["", " managed='yes'", " managed='no'"])
def test_how_a_device_that_is_there_is_managed_stays(managed: str) -> None:
    given = domain("q35", HELD % (managed, "<alias name='ua-mine'/>"))
    hostdev = tree_of(inject(given, asked("0000:09:00.0")).xml).find("devices/hostdev")

    assert hostdev.get("managed") == (managed.split("'")[1] if managed else None)


def test_a_device_that_is_there_and_shall_be_seen_gets_an_address() -> None:
    given = domain("q35", HELD % ("", "<address type='unassigned'/>"))

    assert guest_of(inject(given, asked("0000:09:00.0"))) == {"ua-passgate-x": "0000:09:00.0"}


@pytest.mark.parametrize("count", [0, 1, 14, 15, 16, 17, 24, 29])
def test_host_devices_of_s390x_stay_where_libvirt_puts_them(count: int) -> None:
    """Libvirt gives them the lowest slots of bus 0, in the order of the document."""
    there = "".join(
        f"<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='{n}' function='0'/></source>"
        "</hostdev>"
        for n in range(count)
    )
    xml = domain("s390-ccw-virtio", there, arch="s390x")
    slot = int(guest_of(inject(xml, asked()))["ua-passgate-x"][8:10], 16)

    assert slot > count


def test_more_host_devices_of_s390x_than_bus_0_has_slots_are_refused() -> None:
    there = "".join(
        f"<hostdev type='pci'><source><address bus='1' slot='{n // 8}' function='{n % 8}'/></source></hostdev>"
        for n in range(40)
    )
    with pytest.raises(Refused, match="no-free-place"):
        inject(domain("s390-ccw-virtio", there, arch="s390x"), asked())


@pytest.mark.parametrize("count", [1, 31, 32, 33, 40, 64])
def test_as_many_devices_as_a_guest_can_have_sit_on_one_numa_node(count: int) -> None:
    cells = "<cpu><numa><cell id='0' cpus='0-3' memory='1' unit='GiB'/></numa></cpu>"
    slots = [wish(f"x{n}", f"65:{n // 8:02x}.{n % 8}", node=0) for n in range(count)]
    result = inject(domain("q35", NO_BALLOON, rest=cells), *slots)
    expanders = [c for c in result.controllers if c.model == "pcie-expander-bus"]

    assert len(expanders) == (count + 31) // 32
    assert len(set(guest_of(result).values())) == count
    assert codes(result) == []


@pytest.mark.parametrize("free", [1, 2, 3])
def test_a_nearly_full_bus_gets_a_bridge(free: int) -> None:
    disks = [VDA.replace("vda", f"vd{chr(97 + n // 26)}{chr(97 + n % 26)}") % pci(0, n) for n in range(2, 32 - free)]
    result = inject(domain("pc", *disks, NO_BALLOON), asked())

    assert predicted(domain("pc", *disks, NO_BALLOON)).items() <= predicted(result.xml).items()


GPU = (
    "<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0' bus='0xd1' slot='0' function='%d'/>"
    "</source><alias name='ua-gpu-gpu0'/>%s</hostdev>"
)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("place", ["", pci(3, 0)])
def test_functions_join_the_one_that_is_there_whichever_it_is(number: int, place: str) -> None:
    given = domain("q35", "<rng model='virtio'/>", GPU % (number, place), NO_BALLOON)
    there = predicted(given)["hostdev ua-gpu-gpu0"]
    result = inject(given, multifunction("gpu", "d1:00.0", 4))
    before, after = predicted(given), predicted(result.xml)

    assert {address[:-1] for address in guest_of(result).values()} == {there[:-1]}
    assert {label for label in before if before[label] != after.get(label)} <= {"hostdev ua-gpu-gpu0"}
    assert codes(result) == []


def test_functions_that_have_no_room_where_one_is_go_elsewhere_and_it_is_told() -> None:
    ports = "<controller type='pci' model='pcie-root'/>" + PORT * 3
    given = domain("q35", ports, GPU % (0, pci(3, 0)), f"<vsock model='virtio'>{pci(3, 0, 1)}</vsock>", NO_BALLOON)
    result = inject(given, multifunction("gpu", "d1:00.0", 4))

    assert codes(result) == ["base-device-moves"]
    assert result.findings[0].message.startswith("its functions have no room together at 0000:03:00.0")


def test_a_device_may_have_the_name_of_a_mark() -> None:
    kubevirt = "<metadata><k:kubevirt xmlns:k='http://kubevirt.io'/></metadata>"
    given = domain("q35", GPU % (0, ""), "<memballoon model='virtio'/>", rest=kubevirt)
    first = inject(given, wish("gpu", "d1:00.0", "09:00.0"), *(wish(f"vacancy-{n}", f"65:02.{n}") for n in range(8)))

    assert b"ua-passgate_vacancy-" in first.xml
    assert len(guest_of(first)) == 9
