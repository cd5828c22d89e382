"""What libvirt and QEMU accept and refuse when a domain takes a host device, in their own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domxml.guestfindings import RAMFB_NEEDS_DISPLAY
from domxml.pciaddress import PciAddress
from tests.vmhost.inside.devices import AUDIO, DISK_VF, DISPLAY, NOBODY, OTHER_VF, PORT, UNBOUND_VF, VF
from tests.vmhost.inside.domains import domain, hostdev
from tests.vmhost.inside.scenario import expect, scenario
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

GUEST_SLOT = PciAddress.parse("00:05.0")


@scenario
def a_vf_starts(bench: Bench) -> None:
    """A VF on vfio-pci goes into a domain, behind a port of its own."""
    live = bench.starts(domain("a-vf", hostdev(VF)))
    expect("<address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>" in live, live)


@scenario
def vfs_of_three_devices_start(bench: Bench) -> None:
    """Two NIC VFs of two NUMA nodes and a disk VF go into one domain."""
    bench.starts(domain("three-vfs", hostdev(VF), hostdev(OTHER_VF), hostdev(DISK_VF)))


@scenario
def a_port_in_the_group_does_no_harm(bench: Bench) -> None:
    """An endpoint whose group also holds its root port or switch port can be given away."""
    no_acs, behind_switch = BY_ID["no-acs"].address, BY_ID["switch-nic0"].address
    bench.starts(domain("port-in-group", hostdev(no_acs), hostdev(behind_switch)))


@scenario
def a_group_with_a_host_driver_is_not_viable(bench: Bench) -> None:
    """A display on vfio-pci whose audio function is still the host's: QEMU refuses."""
    bench.start_refused(domain("bad-group", hostdev(DISPLAY)), "is not viable")


@scenario
def a_whole_group_starts(bench: Bench) -> None:
    """The same display, once its audio function is set aside and goes along."""
    with bench.bound(AUDIO):
        bench.starts(domain("full-group", hostdev(DISPLAY), hostdev(AUDIO)))


@scenario
def an_unbound_vf_is_refused(bench: Bench) -> None:
    """managed='no' and no vfio-pci: libvirt wants it detached first."""
    bench.start_refused(domain("not-bound", hostdev(UNBOUND_VF)), "must be manually detached from the host")


@scenario
def a_missing_device_has_no_cause(bench: Bench) -> None:
    """A device that is not there: libvirt accepts the domain and knows no reason when it fails."""
    bench.start_refused(domain("missing", hostdev(NOBODY)), "An error occurred, but the cause is unknown")


@scenario
def a_bridge_is_refused(bench: Bench) -> None:
    """A root port is no endpoint."""
    words = "Non-endpoint PCI devices cannot be assigned to guests"
    bench.start_refused(domain("bridge", hostdev(PORT)), words)


@scenario
def a_device_given_twice_is_refused(bench: Bench) -> None:
    """One device, two hostdevs: the domain cannot be defined."""
    bench.define_refused(domain("twice", hostdev(VF), hostdev(VF)), "Hostdev already exists")


@scenario
def two_devices_at_one_guest_address_are_refused(bench: Bench) -> None:
    """Two devices, one guest address: the domain cannot be defined."""
    devices = (hostdev(VF, guest=GUEST_SLOT), hostdev(OTHER_VF, guest=GUEST_SLOT))
    bench.define_refused(domain("conflict", *devices), "Attempted double use of PCI Address")


@scenario
def a_boot_display_without_a_display_is_refused(bench: Bench) -> None:
    """A device with ramfb='on' and no display: libvirt takes it, QEMU opens the device, and ends."""
    device = hostdev(VF).replace("type='pci'", "type='pci' ramfb='on'", 1)
    bench.start_refused(domain("ramfb", device), RAMFB_NEEDS_DISPLAY.says[0])


@scenario
def a_device_in_use_is_refused(bench: Bench) -> None:
    """A VF that a running domain holds cannot be given to another."""
    with bench.running(domain("holder", hostdev(VF))):
        bench.start_refused(
            domain("latecomer", hostdev(VF)), f"PCI device {VF} is in use by driver QEMU, domain holder"
        )
