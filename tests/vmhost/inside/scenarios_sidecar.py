"""The sidecar on the host, called as virt-launcher calls it: libvirt reads every answer back, QEMU starts the last."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from domxml.errors import Refused
from hooksidecar.rehearsal.launcher import Sidecar
from tests.vmhost.inside import guest, launcher, pod
from tests.vmhost.inside.bench import URI
from tests.vmhost.inside.devices import DISK_VF, DISPLAY, OTHER_VF, VF
from tests.vmhost.inside.domains import domain, hostdev
from tests.vmhost.inside.launcher import Guest
from tests.vmhost.inside.product import passgate_hook
from tests.vmhost.inside.scenario import Mismatch, expect, scenario, thorough

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

VARIABLE = "PCIDEVICE_INTEL_COM_SRIOV"
ANNOTATION = "passgate.dev/devices"


@scenario
def a_vf_by_allocation_file_boots(bench: Bench) -> None:
    """The allocation file of the hook volume; three passes, each read back by libvirt; QEMU has it where planned."""
    vm = launcher.recorded("q35-default")
    with pod.mount(f"{VARIABLE}={VF}\nPCI_RESOURCE_NVME={DISK_VF}\n") as mount, pod.sidecar(mount) as sidecar:
        xml = _boots(bench, sidecar, vm, passes=3)
    expect(len(guest.places(xml)) == 2, f"two devices were allocated: {guest.places(xml)}")
    _starts(bench, xml)


@thorough
@scenario
def a_vf_by_environment_boots(bench: Bench) -> None:
    """The same by the sidecar's own environment, and an address that the VM's annotation asks for."""
    wish = [{"resource": "intel.com/sriov", "name": "fast", "guestAddress": "0000:0c:00.0"}]
    vm = launcher.recorded("q35-minimal", {ANNOTATION: json.dumps(wish)})
    with pod.mount() as mount, pod.sidecar(mount, **{VARIABLE: str(VF)}) as sidecar:
        xml = _boots(bench, sidecar, vm, passes=2)
    expect(guest.places(xml) == {"ua-passgate-fast": "0000:0c:00.0"}, f"{guest.places(xml)}")
    _starts(bench, xml)


@thorough
@scenario
def vfs_near_their_memory_boot(bench: Bench) -> None:
    """Two VFs of two nodes and `numa: host`: the sidecar finds the guest node of each, and libvirt keeps it."""
    vm = launcher.recorded(
        "q35-numa-dedicated-hugepages-1gi", {ANNOTATION: json.dumps([{"resource": "intel.com/sriov", "numa": "host"}])}
    )
    with pod.mount(f"{VARIABLE}={VF},{OTHER_VF}\n") as mount, pod.sidecar(mount) as sidecar:
        xml = _boots(bench, sidecar, vm, passes=3)
    with bench.running(xml, validate=False) as running:
        live = str(running.XMLDesc())
    nodes = guest.nodes(live)
    expect(nodes == {str(VF): "0", str(OTHER_VF): "1"}, f"{nodes}\n{live}")
    planned = f"{VF} on guest node 0, {OTHER_VF} on guest node 1"
    bench.record("start what came out", planned, f"libvirt: {guest.shown(nodes).replace(' at ', ' below node ')}")


@scenario
def the_sidecar_refuses_what_qemu_refuses(bench: Bench) -> None:
    """A device whose group is not viable was allocated: the first pass fails with the gate's sentence."""
    vm = launcher.recorded("q35-minimal")
    with pod.mount(f"PCI_RESOURCE_DISPLAY={DISPLAY}\n") as mount, pod.sidecar(mount) as sidecar:
        try:
            sidecar.define(vm.domain.encode(), vm.vmi.encode())
        except Refused as refused:
            sentence = refused.message
        else:
            raise Mismatch("the sidecar gave the device to the VM")
    words = bench.forced(domain("unfit", hostdev(DISPLAY)))
    expect("group-not-viable" in sentence and "is not viable" in words, f"{sentence}\n{words}")
    bench.record(f"OnDefineDomain with {DISPLAY} allocated", f"FAILED_PRECONDITION: {sentence}", words)


@scenario
def a_rehearsal_against_libvirt_ends_well(bench: Bench) -> None:
    """`passgate-hook rehearse --connect`: everything that KubeVirt's structs lose comes back, and nothing moves."""
    vm = launcher.recorded("q35-default")
    with tempfile.TemporaryDirectory() as directory:
        words = ["rehearse", *pod.FLAGS, "--connect", URI, "-o", "json"]
        for name, text in {"vmi": vm.vmi, "domain": vm.domain, "env-file": f"{VARIABLE}={VF}\n"}.items():
            path = Path(directory, name)
            path.write_text(text)
            words += [f"--{name}", str(path)]
        told = json.loads(passgate_hook(*words))
    places = {device["guestAddress"] for one in told["passes"] for device in one["devices"]}
    lost = [loss for one in told["passes"] for loss in one["lost"]]
    expect(told["passed"] and not told["problems"] and told["readBack"]["uri"] == URI, json.dumps(told, indent=1))
    expect(len(places) == 1 and lost and all(loss["restored"] for loss in lost), json.dumps(told, indent=1))
    facts = ", ".join(sorted({loss["fact"] for loss in lost}))
    said = f"libvirt: {len(told['passes'])} defines, the device at {places.pop()} in each; lost and restored: {facts}"
    bench.record("`passgate-hook rehearse --connect`", "no device moves, nothing stays lost", said)


def _boots(bench: Bench, sidecar: Sidecar, vm: Guest, *, passes: int) -> str:
    """All passes have the same addresses, answered and read back; the domain that virt-launcher would start."""
    made = pod.passes(sidecar, vm)
    expect(len(made) == passes, f"{len(made)} passes")
    planned = guest.places(made[0].answered.decode())
    for number, one in enumerate(made, 1):
        answered, read = guest.places(one.answered.decode()), guest.places(one.defined.decode())
        expect(planned and answered == planned, f"pass {number} answered {answered}, the first one {planned}")
        expect(read == planned, f"libvirt read pass {number} back with {read}, answered was {planned}")
    kept = guest.shown(guest.places(made[-1].defined.decode()))
    bench.record(f"{passes} passes of OnDefineDomain", guest.shown(planned), f"libvirt's read-back of each: {kept}")
    return made[-1].answered.decode()


def _starts(bench: Bench, xml: str) -> None:
    planned = guest.places(xml)
    with bench.running(xml, validate=False) as running:
        live = guest.places(running.XMLDesc())
        seen = guest.seen_by_qemu(running, planned)
    expect(live == planned, f"planned {planned}, libvirt has {live}")
    expect(seen == planned, f"planned {planned}, QEMU shows {seen}")
    bench.record("start what came out", guest.shown(planned), f"QEMU's `info pci`: {guest.shown(seen)}")
