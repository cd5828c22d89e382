"""How often each KubeVirt release calls the hook, with what, and what its structs keep."""

from __future__ import annotations

import pytest

from domxml.document import Domain
from hooksidecar.rehearsal import standin
from hooksidecar.rehearsal.boot import Pass, boot
from hooksidecar.rehearsal.readback import fit_to_version
from hooksidecar.rehearsal.releases import RELEASES
from hooksidecar.rehearsal.structs import round_trip
from tests.domxml.domains import load
from tests.domxml.guestslots import tree_of

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
    devices += "".join(DISK.format("abcdef"[number]) for number in range(disks))
    kind = f'<type arch="x86_64" machine="{machine}">hvm</type>'
    return (
        f'<domain type="kvm"><name>x</name><memory unit="b">{gib << 30}</memory><os>{kind}</os>'
        f'<devices><controller type="usb" index="0" model="none"/>{devices}</devices></domain>'
    ).encode()


def passes(release: str, domain: bytes, *, root_complex: bool = False) -> list[Pass]:
    return boot(domain, lambda xml: xml, standin.define, root_complex=root_complex, release=RELEASES[release])


@pytest.mark.parametrize(
    ("release", "interfaces", "expected"),
    [
        *(("1.5", interfaces, 2 if interfaces in {1, 3} else 1) for interfaces in (0, 1, 3, 4)),
        *((release, interfaces, 2) for release in ("1.6", "1.7") for interfaces in (0, 1, 3, 4)),
        *((release, interfaces, 3) for release in ("1.8", "1.9") for interfaces in (1, 3)),
        *((release, interfaces, 2) for release in ("1.8", "1.9") for interfaces in (0, 4)),
        *((release, interfaces, 3) for release in ("main", "any") for interfaces in (1, 3)),
        *((release, interfaces, 2) for release in ("main", "any") for interfaces in (0, 4)),
    ],
)
def test_each_release_makes_its_passes(release: str, interfaces: int, expected: int) -> None:
    assert len(passes(release, vm(interfaces))) == expected


@pytest.mark.parametrize("release", ["1.8", "1.9"])
def test_a_small_vm_needs_no_more_ports_than_the_placeholders_held(release: str) -> None:
    assert len(passes(release, vm(1, gib=2))) == 2


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("machine", ["pc", "pc-i440fx-rhel7.6.0"])
def test_a_machine_without_pcie_is_defined_once(release: str, machine: str) -> None:
    (only,) = passes(release, vm(1, machine=machine))

    assert only.given == vm(1, machine=machine)


@pytest.mark.parametrize("release", RELEASES)
def test_a_q35_of_a_distribution_is_a_q35(release: str) -> None:
    assert len(passes(release, vm(1, machine="pc-q35-rhel9.6.0"))) == len(passes(release, vm(1)))


@pytest.mark.parametrize(("release", "expected"), [("1.5", 1), ("1.6", 1), ("1.7", 1), ("main", 2), ("any", 2)])
def test_on_the_root_complex_there_are_no_placeholders_and_no_ports(release: str, expected: int) -> None:
    found = passes(release, vm(1), root_complex=True)

    assert len(found) == expected
    assert b"placeholder" not in found[0].given


def test_placeholders_are_in_the_first_pass_only() -> None:
    assert [one.given.count(b"ua-placeholder-") for one in passes("main", vm(1))] == [3, 0, 0]


def test_the_second_pass_has_libvirts_devices_and_the_first_ones_interfaces() -> None:
    _, second, _ = passes("main", vm(1))
    devices = tree_of(second.given).find("devices")

    assert all(disk.find("address") is not None for disk in devices.iterfind("disk"))
    assert all(interface.find("address") is None for interface in devices.iterfind("interface"))
    assert second.read == passes("main", vm(1))[0].defined


def test_the_last_pass_has_spare_ports() -> None:
    *_, last = passes("main", vm(1))
    ports = [port.get("index") for port in tree_of(last.given).iterfind("devices/controller[@model='pcie-root-port']")]
    taken = {one.find("address").get("bus") for one in tree_of(last.defined).iterfind("devices/disk")}

    assert len(ports) - len(taken) - 1 >= 6
    assert tree_of(last.given).find("devices/controller/target[@hotplug='off']") is not None


def kept(release: str) -> bytes:
    return round_trip(HOSTDEV, RELEASES[release].structs)


@pytest.mark.parametrize("release", RELEASES)
def test_what_no_release_keeps(release: str) -> None:
    hostdev = tree_of(kept(release)).find("devices/hostdev")

    assert [hostdev.find(tag) for tag in ("rom", "teaming")] == [None, None]
    assert hostdev.find("driver").get("name") is None
    assert hostdev.find("address").get("multifunction") is None
    assert hostdev.find("source/address").get("writeFiltering") is None
    controller = tree_of(kept(release)).find("devices/controller[@index='1']")
    assert controller.find("model") is None
    assert controller.find("target").get("chassis") is None


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
    order = [name for name in RELEASES if name != "any"]
    newer = order[order.index(since) :]

    assert [name for name in RELEASES if tree_of(kept(name)).find(f"devices/{path}") is not None] == newer


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
