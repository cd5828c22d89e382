"""What a booted guest sees of the devices that Passgate gave it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import guest, guestboot, guestplan, guestview, nvmevf, pci, prepare
from tests.vmhost.inside.devices import AUDIO, DISK_VF, DISPLAY, LONE, OTHER_VF, VF
from tests.vmhost.inside.guestview import View
from tests.vmhost.inside.product import passgate
from tests.vmhost.inside.scenario import expect, scenario
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

NIC = BY_ID["switch-nic0"].address
PF = BY_ID["igb0"].address
MAC = "02:70:61:73:73:01"
NO_MAC = "00:00:00:00:00:00"
ASKED_FOR = "0000:0b:00.0"
ONBOARD = 7
UNSEEN = 9
"""QEMU tells the guest no index of a device below an expander bus."""
DEVICES = (
    f"{VF},name=near,numa=host",
    f"{OTHER_VF},name=far,numa=host,acpiIndex={UNSEEN}",
    f"{DISK_VF},name=disk",
    f"{DISPLAY},name=card,functions=all",
    f"{LONE},name=edu,guest={ASKED_FOR}",
    f"{NIC},name=onboard,acpiIndex={ONBOARD}",
)
DRIVERS = {
    "near": "igbvf",
    "far": "igbvf",
    "disk": "nvme",
    "card": None,
    "card-1": "snd_hda_intel",
    "edu": None,
    "onboard": "e1000e",
}
"""What the guest's kernel has for each; for the display and edu it has none."""
WITH_VECTORS = ("near", "far", "disk", "onboard")
Places = Mapping[str, guestplan.Place]


@scenario
def a_booted_guest_sees_what_was_planned(bench: Bench) -> None:
    """A guest boots twice, without and with seven functions: each is where it was planned, and nothing else moved."""
    guestboot.prepared()
    before = guestboot.booted(bench, guestboot.base("without"))
    nvmevf.put_online(BY_ID["nvme0"].address, 0)
    with bench.bound(AUDIO), _mac_from_host(PF, 0, MAC):
        specs = (word for spec in DEVICES for word in ("--device", spec))
        xml = passgate("inject", "--host", "/", "--libvirt", "11.3", *specs, given=guestboot.base("with"))
        after = guestboot.booted(bench, xml)
    places = {alias.removeprefix(guest.OURS): place for alias, place in guestplan.kernel_places(xml).items()}
    _expect_in_place(bench, xml, places, after)
    _expect_nothing_moved(bench, before, after)
    _expect_names(bench, places, before, after)
    _expect_interrupts(bench, places, after)


def _expect_in_place(bench: Bench, xml: str, places: Places, view: View) -> None:
    expect(places.keys() == DRIVERS.keys(), f"planned are {sorted(places)}")
    sources = {at: source for source, at in guest.sources(xml).items()}
    planned_at = {alias.removeprefix(guest.OURS): at for alias, at in guest.places(xml).items()}
    for name, place in places.items():
        predicted = guestview.described(place.address, place.node, DRIVERS[name])
        device = view.devices.get(place.address)
        said = device.described if device else "nothing"
        expect(said == predicted, f"{name}: predicted {predicted}; in the guest: {said}; all: {_shown(view)}")
        ids = _ids(PciAddress.parse(sources[planned_at[name]]))
        expect(device and device.ids == ids, f"{name}: {ids} on the host, in the guest {device}")
        bench.record(_spec(name), predicted, f"the guest's kernel: {said}")
    expect(places["edu"].address == ASKED_FOR, f"{ASKED_FOR} was asked for, planned is {places['edu']}")


def _expect_nothing_moved(bench: Bench, before: View, after: View) -> None:
    paths = {address: (device.ids, device.path) for address, device in before.devices.items()}
    now = {address: (device.ids, device.path) for address, device in after.devices.items() if address in paths}
    expect(paths == now, f"without our devices: {_shown(before)}\nwith them: {_shown(after)}")
    bench.record(f"{len(paths)} other devices", "all stay", f"the guest's kernel: {len(now)} have the same path")


def _expect_names(bench: Bench, places: Places, before: View, after: View) -> None:
    names = [[(view.name(nic), nic.mac) for nic in view.nics if nic.mac in guestboot.MACS] for view in (before, after)]
    expect(names[0] == names[1] and len(names[0]) == len(guestboot.MACS), f"NICs were {names[0]}, are {names[1]}")
    said = [", ".join(f"{name} has {mac}" for name, mac in one) for one in names]
    bench.record("names that udev gives to NICs of the domain", f"as without our devices: {said[0]}", said[1])
    nics = {nic.address: nic for nic in after.nics}
    near, onboard = (nics.get(places[name].address) for name in ("near", "onboard"))
    expect(near and near.mac == MAC, f"the host gave the VF {MAC}, the guest has {near}")
    bench.record("a MAC that the host gave to the VF", MAC, near.mac if near else "")
    name = after.name(onboard) if onboard else "no NIC"
    expect(name == f"eno{ONBOARD}", f"with index {ONBOARD}, udev would call the NIC {name}: {onboard}")
    bench.record(f"the name that udev gives with acpiIndex={ONBOARD}", f"eno{ONBOARD}", name)
    index = after.devices[places["far"].address].acpi_index
    expect(index is None, f"a device below an expander bus shows the index {index}")
    bench.record(f"acpiIndex={UNSEEN} below an expander bus", "the guest sees none", "the guest's kernel: none")


def _expect_interrupts(bench: Bench, places: Places, view: View) -> None:
    without = [name for name in WITH_VECTORS if not view.devices[places[name].address].vectors]
    expect(not without, f"{without} have no message-signalled interrupts: {_shown(view)}")
    came = {kind for name, count in view.interrupts.items() for kind in ("nvme",) if count and name.startswith(kind)}
    expect(came == {"nvme"}, f"interrupts that came: {view.interrupts}")
    predicted = f"{', '.join(WITH_VECTORS)} have vectors, the disk's interrupts come"
    bench.record("message-signalled interrupts", predicted, "the guest's kernel: so it is")


def _spec(name: str) -> str:
    return next(spec for spec in DEVICES if f"name={name.partition('-')[0]}" in spec.split(","))


def _ids(host: PciAddress) -> str:
    return ":".join((pci.directory(host) / part).read_text().strip() for part in ("vendor", "device"))


def _shown(view: View) -> str:
    return "; ".join(device.described for device in view.devices.values())


@contextmanager
def _mac_from_host(pf: PciAddress, number: int, mac: str) -> Iterator[None]:
    """A VF has the MAC that the host gave it, and a PF that is up, for a while."""
    (nic,) = (pci.directory(pf) / "net").iterdir()
    prepare.run("ip", "link", "set", nic.name, "up", "vf", str(number), "mac", mac)
    try:
        yield
    finally:
        prepare.run("ip", "link", "set", nic.name, "down", "vf", str(number), "mac", NO_MAC)
