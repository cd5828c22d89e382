"""A booted guest takes its devices, and the host sees it: `passgate node vitals` over the time of a boot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import guest, guestboot, guestplan, nvmevf, pci, prepare, vitalsigns
from tests.vmhost.inside.devices import DISK_VF, LONE, OTHER_VF, PF, VF
from tests.vmhost.inside.guestboot import QUIET_MAC
from tests.vmhost.inside.product import passgate
from tests.vmhost.inside.scenario import expect, scenario
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

NIC = BY_ID["switch-nic0"].address
NAMES = {VF: "near", DISK_VF: "disk", NIC: "nic", OTHER_VF: "quiet", LONE: "edu"}
Look = Mapping[PciAddress, tuple[str, str]]
"""By device, the verdict, and what the host shows of it."""


@scenario
def devices_arrive_as_the_guest_takes_them(bench: Bench) -> None:
    """A guest boots with an igb VF, an NVMe VF, an e1000e, a VF whose interface stays down and one without driver."""
    guestboot.prepared()
    nvmevf.put_online(BY_ID["nvme0"].address, 0)
    specs = [word for address, name in NAMES.items() for word in ("--device", f"{address},name={name}")]
    xml = passgate("inject", "--host", "/", "--libvirt", "11.3", *specs, given=guestboot.base("arrives"))
    with _quiet_mac():
        view, looks = guestboot.watched(bench, xml, _look)
    places = {alias.removeprefix(guest.OURS): place for alias, place in guestplan.kernel_places(xml).items()}
    for address, name in NAMES.items():
        device = view.devices[places[name].address]
        seen = [one[address] for one in looks]
        # On its way a driver may give its vectors back, to take more.
        expect({verdict for verdict, _ in seen} <= {"not yet", "arrived"}, f"{name}: {seen}")
        predicted = ["not yet", "arrived"] if device.driver else ["not yet"]
        expect(list(dict.fromkeys((seen[0][0], seen[-1][0]))) == predicted, f"{name}: predicted {predicted}, {seen}")
        vectors = "msi_irqs" if seen[-1][1].endswith("some msi_irqs") else "no msi_irqs"
        said = f"the guest: {device.driver or 'no driver'}, {'some' if device.vectors else 'no'} vectors"
        bench.record(f"{address} ({name})", " -> ".join(predicted), f"{said}; the host: {vectors}")


def _look() -> Look:
    return {
        address: (str(vital.verdict), vitalsigns.shown(address)) for address, vital in vitalsigns.look(NAMES).items()
    }


@contextmanager
def _quiet_mac() -> Iterator[None]:
    """The VF that the guest leaves down is told by its MAC, which the PF gives it while it is up."""
    nic = next((pci.directory(PF) / "net").iterdir()).name
    prepare.run("ip", "link", "set", nic, "up", "vf", "0", "mac", QUIET_MAC)
    try:
        yield
    finally:
        prepare.run("ip", "link", "set", nic, "down", "vf", "0", "mac", "00:00:00:00:00:00")
