"""What Passgate says of the host, beside what kernel, lspci, libvirt and QEMU say; and what it puts into domains."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import libvirt

from domxml.finding import Severity
from domxml.pciaddress import PciAddress
from hostdev.gate import judge
from hostdev.gate.predicted import predicted
from hostdev.host import Host
from hostdev.machine import Machine
from hostdev.scan import scan
from tests.vmhost.inside import pci
from tests.vmhost.inside.domains import domain, hostdev
from tests.vmhost.inside.product import passgate, passgate_json
from tests.vmhost.inside.scenario import Mismatch, expect, scenario
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

VF = BY_ID["igb0"].vf(0)
OTHER_VF = BY_ID["igb1"].vf(0)
DISK_VF = BY_ID["nvme0"].vf(0)


@scenario
def the_list_is_what_the_kernel_says(_bench: Bench) -> None:
    """`node list` names every device with the driver, group, NUMA node and role that sysfs and lspci show."""
    listed = {entry["address"]: entry for entry in passgate_json("node", "list", "--host", "/")["items"]}
    kernel = {path.name: PciAddress.parse(path.name) for path in (pci.PCI / "devices").iterdir()}
    expect(listed.keys() == kernel.keys(), f"devices differ: {sorted(listed.keys() ^ kernel.keys())}")
    drivers = _lspci_drivers()
    for name, address in kernel.items():
        entry = listed[name]
        group = pci.directory(address) / "iommu_group"
        seen = {
            "driver": pci.driver(address),
            "group": int(group.readlink().name) if group.is_symlink() else None,
            "numaNode": node if (node := pci.numa_node(address)) >= 0 else None,
            "role": _role(address),
        }
        said = {key: entry.get(key) for key in seen}
        expect(said == seen, f"{name}: Passgate says {said}, the kernel {seen}")
        expect(drivers.get(name) == entry.get("driver"), f"{name}: lspci says {drivers.get(name)}")


@scenario
def the_groups_are_what_libvirt_says(bench: Bench) -> None:
    """`node groups` has the members that libvirt's node devices have."""
    groups = passgate_json("node", "groups", "--host", "/")["items"]
    said = {(group["id"], member["address"]) for group in groups for member in group["members"]}
    seen = set()
    for device in bench.connection.listAllDevices(libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV):
        tree = ET.fromstring(device.XMLDesc())  # noqa: S314  libvirt's own
        capability = tree.find("capability")
        group = tree.find("capability/iommuGroup")
        if capability is not None and group is not None:
            parts = [int(capability.findtext(part, "0")) for part in ("domain", "bus", "slot", "function")]
            seen.add((int(group.get("number", "-1")), str(PciAddress(*parts))))
    expect(said == seen, f"only Passgate: {sorted(said - seen)}; only libvirt: {sorted(seen - said)}")


@scenario
def every_verdict_is_what_qemu_does(bench: Bench) -> None:
    """Each device alone in a domain: it starts where the gate lets it pass, and is refused where the gate refuses."""
    machine = _look()
    wrong = []
    for address in sorted(machine.functions):
        verdict = judge(machine, address)
        words = _try_to_start(bench, address)
        started = words is None
        bench.said.append(f"{address}: gate {_codes(machine, address) or 'passes'}; start: {words or 'ok'}")
        if verdict.passes != started:
            wrong.append(
                f"{address}: the gate says {_codes(machine, address) or 'pass'}, libvirt: {words or 'started'}"
            )
    expect(not wrong, "\n".join(wrong))


@scenario
def a_refusal_is_foretold_in_its_words(bench: Bench) -> None:
    """What the finding says libvirt or QEMU would say is in what they really say."""
    cases = {
        BY_ID["display"].address: "group-not-viable",
        BY_ID["igb0"].vf(1): "not-bound-to-vfio",
        BY_ID["port-igb0"].address: "not-an-endpoint",
    }
    machine = _look()
    for address, code in cases.items():
        finding = next((f for f in judge(machine, address).findings if f.code == code), None)
        if finding is None:
            raise Mismatch(f"{address}: no {code} among {_codes(machine, address)}")
        words = _try_to_start(bench, address) or "it started"
        bench.said.append(words)
        foretold = predicted(machine, finding)
        expect(any(text in words for text in foretold), f"{code} foretells {foretold}\nlibvirt said: {words}")


@scenario
def injected_devices_sit_where_the_plan_says(bench: Bench) -> None:
    """A domain as virt-launcher makes it, VFs by environment: it starts, and QEMU has them at the planned addresses."""
    environment = ("--env", f"PCIDEVICE_INTEL_COM_SRIOV={VF},{OTHER_VF}", "--env", f"PCI_RESOURCE_NVME={DISK_VF}")
    base = _launcher_domain("injected")
    arguments = ("inject", "--host", "/", "--libvirt", "11.3", *environment)
    plan = passgate_json(*arguments, _kept(base))["devices"]
    xml = passgate(*arguments, given=base)
    expect(len(plan) == 3, f"three devices were given, the plan has {plan}")
    with bench.running(xml) as running:
        live = ET.fromstring(running.XMLDesc())  # noqa: S314  libvirt's own
        for device in plan:
            _expect_at(live, device["source"], device["guestAddress"])
        seen = _numbered_by_firmware(running, len(plan))
    for device in plan:
        # The firmware numbers the buses: they are ours because our ports stand in the order of their indexes.
        bus = int(device["guestAddress"].split(":")[1], 16)
        found = re.search(rf'Bus +{bus}, device +0, function 0:(?:(?!Bus)[^"])*id "{device["alias"]}"', seen)
        expect(found, f"{device['alias']} was planned on bus {bus}, QEMU shows:\n{seen}")


@scenario
def its_own_read_back_is_nothing_new(bench: Bench) -> None:
    """Define, read back, inject again: the same addresses, pass after pass."""
    arguments = ("inject", "--host", "/", "--device", f"{VF},name=vf", "--device", f"{DISK_VF},name=disk,guest=0b:00.0")
    first = passgate(*arguments, given=_launcher_domain("again"))
    with bench.defined(first) as defined:
        second = passgate(*arguments, given=defined.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    expect(_places(first) == _places(second), f"{_places(first)} became {_places(second)}")
    expect(_places(first)["ua-passgate-disk"] == "0000:0b:00.0", str(_places(first)))


@scenario
def a_whole_card_is_one_guest_device(bench: Bench) -> None:
    """Display and audio of one group, `functions=all`: one guest slot, and the domain starts."""
    display, audio = BY_ID["display"].address, BY_ID["audio"].address
    with pci.bound(audio):
        arguments = ("inject", "--host", "/", "--device", f"{display},name=card,functions=all")
        xml = passgate(*arguments, given=_launcher_domain("card"))
        bench.starts(xml)
    places = _places(xml)
    slots = {place.rpartition(".")[0] for place in places.values()}
    expect(len(places) == 2 and len(slots) == 1, str(places))


@scenario
def numa_placement_starts(bench: Bench) -> None:
    """Two VFs of two host nodes behind an expander bus of their guest node each."""
    cells = "".join(f"<cell id='{node}' cpus='{node}' memory='32' unit='MiB'/>" for node in (0, 1))
    numa = f"<cpu><numa>{cells}</numa></cpu>"
    base = _launcher_domain("near").replace("<vcpu>1</vcpu>", f"<vcpu>2</vcpu>{numa}")
    devices = ("--device", f"{VF},name=a,numa=0", "--device", f"{OTHER_VF},name=b,numa=1")
    live = bench.starts(passgate("inject", "--host", "/", *devices, given=base))
    expect(live.count("model='pcie-expander-bus'") == 2, live)


@scenario
def what_must_not_go_is_refused(_bench: Bench) -> None:
    """`inject` refuses what the gate refuses, with the finding's sentence and exit code 5."""
    for device in (BY_ID["display"].address, BY_ID["igb0"].vf(1), BY_ID["igb0"].address, "0000:99:00.0"):
        passgate("inject", "--host", "/", "--device", f"{device}", given=_launcher_domain("no"), code=5)


@scenario
def a_snapshot_replays(_bench: Bench) -> None:
    """The recorded machine gives the same list, groups and doctor as the live one."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(passgate("node", "snapshot", "--keep-identity"))
        file.flush()
        for command in ("list", "groups"):
            live = passgate_json("node", command, "--host", "/")["items"]
            replayed = passgate_json("node", command, "--host", file.name)["items"]
            wrong = [(one, other) for one, other in zip(live, replayed, strict=True) if one != other]
            expect(not wrong, f"node {command}: live, then replayed: {wrong[:1]}")


def _look() -> Machine:
    with Host("/") as host:
        return scan(host)


def _codes(machine: Machine, address: PciAddress) -> str:
    return ", ".join(f.code for f in judge(machine, address).findings if f.severity is Severity.ERROR)


def _try_to_start(bench: Bench, address: PciAddress) -> str | None:
    """What libvirt says when a device alone is to start; None where it starts."""
    with bench.defined(domain("trial", hostdev(address))) as trial:
        try:
            trial.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        except libvirt.libvirtError as error:
            return str(error)
        trial.destroy()
        return None


def _role(address: PciAddress) -> str:
    directory = pci.directory(address)
    if (directory / "secondary_bus_number").exists():
        return "bridge"
    if (directory / "physfn").is_symlink():
        return "vf"
    return "pf" if (directory / "sriov_totalvfs").exists() else "endpoint"


def _lspci_drivers() -> dict[str, str]:
    text = subprocess.run(["lspci", "-Dk"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^(\S+) .*(?:\n\t.*)*?\n\tKernel driver in use: (\S+)", text, re.MULTILINE)
    return dict(found)


def _launcher_domain(name: str) -> str:
    """A small domain in virt-launcher's manner: no addresses, a NIC, a disk controller, a random generator."""
    return domain(
        name,
        "<interface type='user'><mac address='02:42:0a:f4:00:01'/><model type='virtio-non-transitional'/>"
        "<alias name='ua-default'/></interface>",
        "<controller type='scsi' index='0' model='virtio-non-transitional'/>",
        "<rng model='virtio-non-transitional'><backend model='random'>/dev/urandom</backend></rng>",
    )


def _kept(xml: str) -> str:
    path = Path(tempfile.mkdtemp()) / "domain.xml"
    path.write_text(xml)
    return str(path)


def _places(xml: str) -> dict[str, str]:
    places = {}
    for element in ET.fromstring(xml).iterfind("devices/hostdev"):  # noqa: S314  our own
        alias, address = element.find("alias"), element.find("address")
        if alias is not None and address is not None:
            places[alias.get("name", "")] = str(PciAddress.from_attributes(address.attrib))
    return places


def _expect_at(live: ET.Element, source: str, guest: str) -> None:
    for element in live.iterfind("devices/hostdev"):
        origin, address = element.find("source/address"), element.find("address")
        if origin is not None and address is not None and str(PciAddress.from_attributes(origin.attrib)) == source:
            seen = str(PciAddress.from_attributes(address.attrib))
            expect(seen == guest, f"{source} was planned at {guest}, it is at {seen}")
            return
    raise Mismatch(f"{source} is not in the running domain")


def _numbered_by_firmware(running: Any, devices: int) -> str:
    """Let the guest's firmware run until QEMU shows every device on a bus of its own; what it shows."""
    import libvirt_qemu  # noqa: PLC0415  there only where libvirt is

    running.resume()
    seen = ""
    for _ in range(60):
        hmp = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
        seen = str(libvirt_qemu.qemuMonitorCommand(running, "info pci", hmp))
        if seen.count('id "ua-passgate-') == devices:
            break
        time.sleep(0.5)
    return seen
