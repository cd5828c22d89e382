"""How often each KubeVirt release calls the hook, with what, and what its structs keep."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domxml.document import Domain
from domxml.errors import Refused
from hooksidecar.rehearsal.readback import fit_to_version
from hostdev.kubevirt import standin
from hostdev.kubevirt.boot import Pass, boot
from hostdev.kubevirt.ports import Guest
from hostdev.kubevirt.releases import POINT_RELEASES, RELEASES, release_of
from hostdev.kubevirt.structs import round_trip
from hostdev.vmi.vmi import Interface, parse_vmi
from tests.domxml.domains import load
from tests.domxml.guestslots import tree_of
from tests.hooksidecar.guests import guest_of_domain

INTERFACE = (
    '<interface type="ethernet"><mac address="02:00:00:00:00:0{0}"/><target dev="tap{0}"/>'
    '<model type="virtio-non-transitional"/></interface>'
)
DISK = '<disk type="file"><source file="/{0}"/><target dev="vd{0}" bus="virtio"/></disk>'
HOSTDEV = b"""<domain type="kvm"><name>x</name><os><type arch="x86_64" machine="q35">hvm</type></os><devices>
<iommu model="smmuv3"/>
<controller type="pci" index="0" model="pcie-root"><pcihole64 unit="KiB">0</pcihole64></controller>
<controller type="pci" index="1" model="pcie-expander-bus"><model name="pxb-pcie"/>
<target busNr="250" hotplug="off" chassis="1"><node>1</node></target></controller>
<hostdev mode="subsystem" type="pci" managed="no"><driver name="vfio" iommufd="yes"/><acpi index="3" nodeset="2"/>
<source><address domain="0" bus="1" slot="2" function="3" writeFiltering="no"/></source><rom bar="off"/>
<teaming type="transient" persistent="ua-x"/><address type="pci" bus="1" multifunction="on"/></hostdev>
</devices></domain>"""


def vm(interfaces: int, *, gib: int = 4, disks: int = 6, machine: str = "q35") -> bytes:
    devices = "".join(INTERFACE.format(number) for number in range(interfaces))
    devices += "".join(DISK.format("abcdefghijklmnopqrstuvwx"[number]) for number in range(disks))
    kind = f'<type arch="x86_64" machine="{machine}">hvm</type>'
    return (
        f'<domain type="kvm"><name>x</name><memory unit="b">{gib << 30}</memory><os>{kind}</os>'
        f'<devices><controller type="usb" index="0" model="none"/>{devices}</devices></domain>'
    ).encode()


def passes(release: str, domain: bytes, **annotations: str) -> list[Pass]:
    notes = {f"kubevirt.io/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return boot(domain, lambda xml: xml, standin.define, guest_of_domain(domain, notes), release_of(release))


def placeholders(one: Pass) -> int:
    return one.given.count(b'dev="placeholder-')


FIRST_MINOR = ("1.5.0", "1.5.1", "1.5.2", "1.5.3")
BY_PLACEHOLDERS = ("1.6.0", "1.6.1", "1.6.2", "1.6.3", "1.7.0", "1.7.1")
ANYWHERE = ("1.6.4", "1.7.2", "1.8.0", "1.8.1")
BY_ARCHITECTURE = ("1.6.5", "1.7.3", "1.8.2")
BY_MACHINE = ("1.6.6", "1.7.4", "1.8.3", "1.8.4", "1.9.0")


def test_every_release_is_in_a_row() -> None:
    rows = (*FIRST_MINOR, *BY_PLACEHOLDERS, *ANYWHERE, *BY_ARCHITECTURE, *BY_MACHINE, "head")

    assert sorted(rows) == sorted(POINT_RELEASES)


@pytest.mark.parametrize(
    ("releases", "expected"),
    [
        (FIRST_MINOR, {0: (0, 1), 1: (3, 2), 2: (2, 2), 3: (1, 2), 4: (0, 1), 5: (0, 1)}),
        (BY_PLACEHOLDERS, {0: (9, 2), 1: (8, 2), 3: (6, 2), 4: (6, 2), 5: (6, 2)}),
        ((*ANYWHERE, *BY_ARCHITECTURE, *BY_MACHINE), {0: (0, 2), 1: (3, 3), 2: (2, 3), 3: (1, 3), 4: (0, 2)}),
        (("head", "main", "any"), {0: (0, 2), 1: (3, 3), 2: (2, 3), 3: (1, 3), 4: (0, 2), 5: (0, 2)}),
    ],
)
def test_each_point_release_makes_its_passes(releases: tuple[str, ...], expected: dict[int, tuple[int, int]]) -> None:
    """By interfaces of the spec: placeholders of the first pass, and passes."""
    for release in releases:
        boots = {interfaces: passes(release, vm(interfaces)) for interfaces in expected}
        assert {i: (placeholders(boot[0]), len(boot)) for i, boot in boots.items()} == expected, release
        assert [placeholders(one) for boot in boots.values() for one in boot[1:]].count(0) == sum(
            len(boot) - 1 for boot in boots.values()
        ), release


@pytest.mark.parametrize("release", [*ANYWHERE, *BY_ARCHITECTURE, *BY_MACHINE])
def test_a_small_vm_needs_more_ports_only_where_the_placeholders_were_too_few(release: str) -> None:
    assert [len(passes(release, vm(interfaces, gib=1))) for interfaces in (1, 2, 3, 4)] == [2, 3, 3, 2]
    assert len(passes(release, vm(1, gib=2))) == 2, "exactly 2 GiB is small"


@pytest.mark.parametrize("machine", ["pc", "pc-i440fx-rhel7.6.0"])
def test_a_machine_without_pcie(machine: str) -> None:
    domain = vm(1, machine=machine)

    assert [len(passes(release, domain)) for release in FIRST_MINOR] == [2] * len(FIRST_MINOR)
    assert [len(passes(release, domain)) for release in BY_PLACEHOLDERS] == [2] * len(BY_PLACEHOLDERS)
    for release in (*BY_MACHINE, "head"):
        (only,) = passes(release, domain)
        assert only.given == domain
    assert len(passes("any", domain)) == 2
    for release in (*ANYWHERE, *BY_ARCHITECTURE):
        with pytest.raises(Refused, match="PCI controller model='pcie-root-port'"):
            passes(release, domain)  # As those releases did: such VMs did not start.


def test_an_architecture_without_pcie() -> None:
    domain = load("s390x-ccw")

    assert {
        release: len(passes(release, domain)) for release in (*BY_ARCHITECTURE, *BY_MACHINE, "head")
    } == dict.fromkeys((*BY_ARCHITECTURE, *BY_MACHINE, "head"), 1)
    assert [len(passes(release, domain)) for release in (*FIRST_MINOR, *BY_PLACEHOLDERS, "any")] == [2] * 11
    assert b'<model type="virtio"/>' in passes("1.5.3", domain)[0].given.split(b"placeholder-0")[1]


@pytest.mark.parametrize("release", RELEASES)
def test_a_q35_of_a_distribution_is_a_q35(release: str) -> None:
    assert len(passes(release, vm(1, machine="pc-q35-rhel9.6.0"))) == len(passes(release, vm(1)))


@pytest.mark.parametrize("release", [*POINT_RELEASES, "any"])
def test_on_the_root_complex_there_are_no_placeholders_and_no_ports(release: str) -> None:
    found = passes(release, vm(1), placePCIDevicesOnRootComplex="true")

    assert len(found) == (2 if release in {"head", "any"} else 1)
    assert placeholders(found[0]) == 0
    assert len(passes(release, vm(1), placePCIDevicesOnRootComplex="True")) == len(passes(release, vm(1)))


@pytest.mark.parametrize(("slots", "expected"), [("9", 8), ("+5", 4), ("1", 0), ("0", 0), ("-3", 0)])
def test_the_number_of_interface_slots_beats_all_else(slots: str, expected: int) -> None:
    for release in (*ANYWHERE, *BY_ARCHITECTURE, *BY_MACHINE, "head", "any"):
        noted = {"pci_interface_slot_count": slots}
        assert placeholders(passes(release, vm(1), **noted)[0]) == expected
        assert placeholders(passes(release, vm(1), placePCIDevicesOnRootComplex="true", **noted)[0]) == expected
    for release in (*FIRST_MINOR, *BY_PLACEHOLDERS):
        assert len(passes(release, vm(1), pci_interface_slot_count=slots)) == len(passes(release, vm(1)))


@pytest.mark.parametrize("slots", ["", "four", "4.0", "4 ", "0x4", "1_0", "\u0664"])
def test_a_number_of_slots_that_is_none_keeps_the_vm_from_starting(slots: str) -> None:
    with pytest.raises(Refused, match="is no number; virt-launcher does not start such a VM") as refused:
        passes("1.9", vm(1), pci_interface_slot_count=slots)

    assert refused.value.code == "slot-count-invalid"
    assert len(passes("1.5", vm(1), pci_interface_slot_count=slots)) == 2


def test_placeholders_are_like_the_vms_virtio_devices() -> None:
    vmi = parse_vmi(
        b'{"kind": "VirtualMachineInstance", "spec": {"domain": {"devices": {"useVirtioTransitional": true}}}}'
    )
    domain = Domain.parse(vm(1))
    guest = Guest.of_vmi(vmi._replace(interfaces=(Interface("a", ""),)), domain)
    for name in ("1.7.4", "1.8.4", "head"):
        first = boot(vm(1), lambda xml: xml, standin.define, guest, release_of(name))[0]
        found = tree_of(first.given).findall("devices/interface")[1:]
        assert [one.find("model").get("type") for one in found] == ["virtio-transitional"] * 3
        aliases = [one.find("alias").get("name") for one in found if one.find("alias") is not None]
        assert aliases == ([] if name == "1.7.4" else ["placeholder-0", "placeholder-1", "placeholder-2"])


@settings(max_examples=25)
@given(
    st.integers(0, 6),
    st.integers(0, 24),
    st.sampled_from([1, 2, 3, 64]),
    st.sampled_from(sorted(POINT_RELEASES)),
)
def test_a_domain_with_placeholders_and_one_without_are_the_same_vm(
    interfaces: int, disks: int, gib: int, release: str
) -> None:
    bare = vm(interfaces, gib=gib, disks=disks)
    guest = guest_of_domain(bare)
    mine = boot(bare, lambda xml: xml, standin.define, guest, release_of(release))
    for other in ("1.5.3", "1.6.0", release):
        handed = boot(bare, lambda xml: xml, standin.define, guest, release_of(other))[0].given
        again = boot(handed, lambda xml: xml, standin.define, guest, release_of(release))
        assert [places(one.defined) for one in again] == [places(one.defined) for one in mine]
    assert boot(mine[0].given, lambda xml: xml, standin.define, guest, release_of(release))[0].given == mine[0].given


def places(xml: bytes) -> list[tuple[str, dict[str, str]]]:
    devices = tree_of(xml).iterfind("devices/*")
    return [
        (str(device.tag), dict(device.find("address").attrib))
        for device in devices
        if device.find("address") is not None
    ]


def test_the_second_pass_has_libvirts_devices_and_the_first_ones_interfaces() -> None:
    _, second, _ = passes("main", vm(1))
    devices = tree_of(second.given).find("devices")

    assert all(disk.find("address") is not None for disk in devices.iterfind("disk"))
    assert all(interface.find("address") is None for interface in devices.iterfind("interface"))
    assert second.read == passes("main", vm(1))[0].defined


@pytest.mark.parametrize("release", BY_MACHINE)
def test_without_placeholders_the_last_pass_is_the_first_one_with_ports(release: str) -> None:
    first, last = passes(release, vm(4))
    ports = tree_of(last.given).findall("devices/controller[@model='pcie-root-port']")

    assert [port.get("index") for port in ports] == ["1", "2", "3", "4", "5", "6"]
    assert not any(len(device.findall("address")) for device in tree_of(last.given).find("devices"))
    assert last.read == first.answered


def test_without_placeholders_head_reads_back_all_devices() -> None:
    first, last = passes("head", vm(4))

    interfaces = tree_of(last.given).findall("devices/interface")
    assert all(one.find("address") is not None for one in interfaces)
    assert last.read == first.defined


def test_the_last_pass_has_spare_ports_that_stay_hotpluggable() -> None:
    *_, last = passes("main", vm(1))
    ports = [port.get("index") for port in tree_of(last.given).iterfind("devices/controller[@model='pcie-root-port']")]
    taken = {one.find("address").get("bus") for one in tree_of(last.defined).iterfind("devices/disk")}

    assert len(ports) - len(taken) - 1 >= 6
    assert b"hotplug" not in last.given


def test_no_port_above_31() -> None:
    *_, last = passes("main", vm(1, disks=24))
    ports = [
        int(port.get("index")) for port in tree_of(last.given).iterfind("devices/controller[@model='pcie-root-port']")
    ]

    assert max(ports) == 31


def kept(release: str) -> bytes:
    return round_trip(HOSTDEV, release_of(release).structs)


@pytest.mark.parametrize("release", RELEASES)
def test_what_no_release_keeps(release: str) -> None:
    hostdev = tree_of(kept(release)).find("devices/hostdev")

    assert [hostdev.find(tag) for tag in ("rom", "teaming")] == [None, None]
    assert hostdev.find("driver").get("name") is None
    assert hostdev.find("address").get("multifunction") is None
    assert hostdev.find("source/address").get("writeFiltering") is None
    controller = tree_of(kept(release)).find("devices/controller[@index='1']")
    assert controller.find("model") is None
    assert controller.find("target[@chassis]") is None


@pytest.mark.parametrize(
    ("path", "since"),
    [
        ("controller/pcihole64", "1.6"),
        ("controller/target[@busNr='250']", "1.8"),
        ("controller/target/node", "1.8"),
        ("iommu", "1.9"),
        ("hostdev/driver[@iommufd='yes']", "1.9"),
        ("hostdev/acpi[@nodeset='2']", "1.9"),
        ("controller/target[@hotplug='off']", "main"),
    ],
)
def test_what_newer_releases_keep(path: str, since: str) -> None:
    order = [name for name in RELEASES if name not in {"any", "head"}]
    newer = order[order.index(since) :]

    assert [
        name for name in RELEASES if name != "head" and tree_of(kept(name)).find(f"devices/{path}") is not None
    ] == newer


@pytest.mark.parametrize(
    ("machine", "becomes"),
    [
        ("pc-q35-rhel9.6.0", "q35"),
        ("pc-i440fx-rhel7.6.0", "pc"),
        ("virt-rhel9.2.0", "virt"),
        ("s390-ccw-virtio-rhel9.0.0", "s390-ccw-virtio"),
        ("pc-q35-8.2", "pc-q35-8.2"),
    ],
)
def test_machines_that_only_another_qemu_has(machine: str, becomes: str) -> None:
    domain = Domain.parse(vm(1, machine=machine))
    fit_to_version(domain.root, 11_003_000)

    assert domain.os_type is not None
    assert domain.os_type.get("machine") == becomes


def test_a_max_memory_without_slots_goes_for_a_libvirt_that_refuses_it() -> None:
    old, new = Domain.parse(load("q35-default")), Domain.parse(load("q35-default"))
    fit_to_version(old.root, 9_000_000)
    fit_to_version(new.root, 11_003_000)

    assert (old.root.find("maxMemory") is None, new.root.find("maxMemory") is None) == (True, False)
