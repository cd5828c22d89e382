"""Devices that `passgate inject` puts into a domain: it starts, and they are where the plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libvirt

from tests.vmhost.inside import guest
from tests.vmhost.inside.devices import AUDIO, DISK_VF, DISPLAY, LONE, OTHER_VF, VF
from tests.vmhost.inside.launcher import small
from tests.vmhost.inside.product import passgate
from tests.vmhost.inside.scenario import expect, scenario, thorough

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

ASKED_FOR = "0000:0b:00.0"


@scenario
def injected_devices_sit_where_the_plan_says(bench: Bench) -> None:
    """Three VFs by the environment of their device plugins."""
    variables = (f"PCIDEVICE_INTEL_COM_SRIOV={VF},{OTHER_VF}", f"PCI_RESOURCE_NVME={DISK_VF}")
    planned = _sit_as_planned(bench, "injected", *(word for one in variables for word in ("--env", one)))
    expect(len(planned) == 3, f"three devices were given, the plan has {planned}")


@thorough
@scenario
def an_nvme_vf_sits_where_the_plan_says(bench: Bench) -> None:
    """A virtual function of a disk."""
    _sit_as_planned(bench, "nvme", "--device", f"{DISK_VF},name=disk")


@thorough
@scenario
def a_lone_endpoint_sits_where_the_plan_says(bench: Bench) -> None:
    """An endpoint without SR-IOV, alone in its group: QEMU's edu device."""
    _sit_as_planned(bench, "edu", "--device", f"{LONE},name=edu")


@scenario
def an_address_asked_for_is_the_address(bench: Bench) -> None:
    """A VF at a guest address that was asked for: the ports below it are there too, so that firmware counts to it."""
    planned = _sit_as_planned(bench, "asked", "--device", f"{VF},name=vf,guest={ASKED_FOR}")
    expect(planned == {"ua-passgate-vf": ASKED_FOR}, f"{ASKED_FOR} was asked for, the plan has {planned}")


@scenario
def a_whole_card_is_one_guest_device(bench: Bench) -> None:
    """Display and audio of one group, `functions=all`: two functions of one guest slot."""
    with bench.bound(AUDIO):
        planned = _sit_as_planned(bench, "card", "--device", f"{DISPLAY},name=card,functions=all")
    expect([place[-3:] for place in sorted(planned.values())] == ["0.0", "0.1"], f"{planned} is not one device")
    expect(len({place[:-2] for place in planned.values()}) == 1, f"{planned} is not one device")


@scenario
def numa_placement_starts(bench: Bench) -> None:
    """Two VFs of two host nodes, each behind an expander bus of its guest node."""
    cells = "".join(f"<cell id='{node}' cpus='{node}' memory='32' unit='MiB'/>" for node in (0, 1))
    base = small("near").replace("<vcpu>1</vcpu>", f"<vcpu>2</vcpu><cpu><numa>{cells}</numa></cpu>")
    devices = ("--device", f"{VF},name=a,numa=0", "--device", f"{OTHER_VF},name=b,numa=1")
    xml = passgate("inject", "--host", "/", *devices, given=base)
    planned = {f"ua-passgate-{name}": str(node) for node, name in enumerate("ab")}
    with bench.running(xml) as running:
        live = running.XMLDesc()
        seen = guest.seen_by_qemu(running, guest.places(xml))
    buses = guest.expanders(live)
    # The port is the first thing below its expander bus, and firmware counts from there.
    below = {alias: buses.get(int(place.split(":")[1], 16) - 1, "no node") for alias, place in seen.items()}
    expect(below == planned, f"planned nodes {planned}; QEMU has {seen}, expander buses {buses}")
    bench.record(
        " ".join(devices[1::2]), guest.shown(planned).replace(" at ", " on node "), f"QEMU: {guest.shown(seen)}"
    )


@scenario
def its_own_read_back_is_nothing_new(bench: Bench) -> None:
    """Define, read back, inject again: the same addresses."""
    arguments = ("inject", "--host", "/", "--device", f"{VF},name=vf", "--device", f"{DISK_VF},name=disk,guest=0b:00.0")
    first = passgate(*arguments, given=small("again"))
    with bench.defined(first) as defined:
        second = passgate(*arguments, given=defined.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    places = guest.places(first)
    expect(places == guest.places(second), f"{places} became {guest.places(second)}")
    expect(places["ua-passgate-disk"] == ASKED_FOR, str(places))
    bench.record(
        "inject, define, dump, inject", guest.shown(places), f"libvirt's dump: {guest.shown(guest.places(second))}"
    )


@scenario
def every_address_survives_a_restart(bench: Bench) -> None:
    """Saving is refused by QEMU; after a stop, a define of libvirt's own dump, and a start, nothing has moved."""
    devices = ("--device", f"{VF},name=vf", "--device", f"{DISK_VF},name=disk")
    with bench.running(passgate("inject", "--host", "/", *devices, given=small("kept"))) as running:
        before = guest.everything(running.XMLDesc())
        words = _save(running)
        expect("vfio" in words.lower() or "hostdev" in words.lower(), f"asked to save, libvirt said {words!r}")
        bench.record("managed save", "a domain with host devices cannot be saved", words)
        running.destroy()
        bench.connection.defineXML(running.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        bench.start(running)
        after = guest.everything(running.XMLDesc())
    expect(before == after, f"{sorted(set(before) ^ set(after))} moved")
    bench.record("stop, define the dump, start", "no address changes", f"libvirt: the same {len(after)} addresses")


def _sit_as_planned(bench: Bench, name: str, *arguments: str) -> guest.Places:
    """Inject, start, let the firmware count: libvirt and QEMU have every device at its planned address."""
    xml = passgate("inject", "--host", "/", "--libvirt", "11.3", *arguments, given=small(name))
    planned = guest.places(xml)
    with bench.running(xml) as running:
        live = guest.places(running.XMLDesc())
        seen = guest.seen_by_qemu(running, planned)
    expect(planned and live == planned, f"planned {planned}, libvirt has {live}")
    expect(seen == planned, f"planned {planned}, QEMU shows {seen}")
    bench.record(f"inject {' '.join(arguments)}", guest.shown(planned), f"QEMU's `info pci`: {guest.shown(seen)}")
    return planned


def _save(running: object) -> str:
    try:
        running.managedSave(0)  # type: ignore[attr-defined]
    except libvirt.libvirtError as error:
        return str(error)
    return ""
