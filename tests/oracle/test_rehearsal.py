"""The rehearsal with the real server on a real socket, and a real libvirt of each release reading back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from domxml.document import Domain
from domxml.pciaddress import PciAddress
from domxml.version import LibvirtVersion
from hooksidecar.rehearsal.command import EXAMPLE
from hooksidecar.rehearsal.play import Script, play
from hooksidecar.rehearsal.process import Server
from hooksidecar.rehearsal.readback import ReadBack, read_back
from hostdev.kubevirt.releases import RELEASES
from tests import boots
from tests.domxml.domains import FOLDER, load, names
from tests.domxml.guestslots import tree_of
from tests.hooksidecar.guests import placed, rehearsed
from tests.hooksidecar.rehearsal.rehearsing import actor, document
from tests.house import ROOT
from tests.oracle.addresses import Addresses, guest_addresses, moved
from tests.oracle.roots import Root
from tests.oracle.slot import Slot
from tests.oracle.worker import python_of

pytestmark = pytest.mark.oracle

MACHINE = ROOT / "tests/fixtures/scenarios/hosts/harvester.toml"
"""With VFs of a QuickAssist adapter, and a card of four functions."""
ALLOCATION = b"QAT0=0000:3d:02.2\nQAT1=0000:3d:02.3\n"
QAT = {"address": "0000:3d:01.0", "name": "qat", "rom": {"bar": "off"}, "bootOrder": 9}
PAIR = {"resource": "qat.intel.com/generic", "name": "pair", "count": 2, "rom": {"bar": "off"}}
CARD = {"address": "0000:b1:00.0", "name": "card", "functions": "all"}
DEVICES = 7
TOGETHER = {"i440fx": ["0000:00:18.0", "0000:00:18.1"], "s390x-ccw": []}
"""Where the pair becomes one device of the guest; an s390x guest has each device where it wants it."""
EVERYWHERE_ELSE = ["0000:12:00.0", "0000:12:00.1"]
KEEPS_MODEL = LibvirtVersion(10, 0)


class Told(NamedTuple):
    """A rehearsal's report, and the domains that it is about."""

    report: Any
    base: list[bytes]
    """What libvirt made of each pass without us."""
    answered: list[bytes]
    defined: list[bytes]


@pytest.fixture(scope="session")
def libvirt(root: Root) -> Iterator[ReadBack]:
    """What `--connect qemu:///embed?root=DIR` connects to."""
    slot = Slot.take(root.path)
    slot.clear()
    with slot.lock, read_back(f"qemu:///embed?root={slot.inside}", [python_of(root)]) as back:
        yield back


@pytest.fixture(autouse=True)
def _modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'xml'}")


def rehearse(libvirt: ReadBack, script: Script, server: Server) -> Told:
    """Rehearse, and keep what libvirt is asked and answers."""
    asked: list[bytes] = []
    read: list[bytes] = []

    def define(xml: bytes) -> bytes:
        asked.append(xml)
        read.append(libvirt.define(xml))
        return read[-1]

    report = document(play(script, server, libvirt._replace(define=define)))
    half = len(read) // 2
    return Told(report, read[:half], asked[half:], read[half:])


def of_fixture(name: str, annotation: list[dict[str, Any]], release: str = "any") -> Script:
    vmi = json.loads((FOLDER / f"{name}.vmi.json").read_bytes())
    vmi["metadata"].setdefault("annotations", {})["passgate.dev/devices"] = json.dumps(annotation)
    return Script(load(name), json.dumps(vmi).encode(), release)


def real_server(machine: Path, allocation: bytes) -> Server:
    return Server(("--host", str(machine), "--wait", "0", "--log-level", "warning"), allocation)


def wanted(name: str) -> list[dict[str, Any]]:
    together = TOGETHER.get(name, EVERYWHERE_ELSE)
    return [QAT, {**PAIR, "guestAddress": together} if together else PAIR, CARD]


def check_that_all_is_well(told: Told, devices: int) -> None:
    """What the report says, and the same seen in the XML itself."""
    assert told.report["error"] is None
    assert told.report["problems"] == []
    assert told.report["passed"]
    assert told.report["readBack"]["by"] == "libvirt"
    assert told.report["readBack"]["cannotProve"] == []
    assert len(told.report["passes"]) == len(told.base) == len(told.defined)
    places = [{one["alias"]: one["guestAddress"] for one in call["devices"]} for call in told.report["passes"]]
    assert len(places[0]) == devices
    assert all(place == places[0] for place in places)
    assert all(loss["restored"] for call in told.report["passes"] for loss in call["lost"])
    for base, defined in zip(told.base, told.defined, strict=True):
        assert moved(of_guest(guest_addresses(base)), guest_addresses(defined)) == {}
    for answered, defined in zip(told.answered, told.defined, strict=True):
        assert ours(answered) == ours(told.answered[0])
        assert all(child.items() <= ours(defined)[alias][tag].items() for alias, tag, child in written(answered))


def written(xml: bytes) -> list[tuple[str, str, dict[str, str]]]:
    return [(alias, tag, child) for alias, device in ours(xml).items() for tag, child in device.items()]


def of_guest(addresses: Addresses) -> Addresses:
    """Root ports that KubeVirt adds for hotplug come after ours, with other indexes: no device sits on them."""
    return {key: place for key, place in addresses.items() if not key.startswith("controller:pci:")}


def ours(xml: bytes) -> dict[str, dict[str, Any]]:
    """By alias: where it is, which ROM it has, who drives it, its place in the boot order."""
    found = {}
    for hostdev in tree_of(xml).iterfind("devices/hostdev"):
        alias = hostdev.find("alias").get("name")
        if alias.startswith("ua-passgate-"):
            children = {tag: hostdev.find(tag) for tag in ("address", "rom", "driver", "boot")}
            found[alias] = {tag: {} if child is None else dict(child.attrib) for tag, child in children.items()}
    return found


@pytest.mark.parametrize("name", names())
def test_every_vm_boots_with_qat_vfs_and_all_they_were_given(libvirt: ReadBack, name: str) -> None:
    told = rehearse(libvirt, of_fixture(name, wanted(name)), real_server(MACHINE, ALLOCATION))

    check_that_all_is_well(told, devices=DEVICES)
    last = ours(told.answered[-1])
    qats = [device for alias, device in last.items() if "card" not in alias]
    assert [device["rom"] for device in qats] == [{"bar": "off"}] * 3
    assert [device["driver"].get("name") for device in last.values()] == ["vfio"] * DEVICES
    assert last["ua-passgate-qat"]["boot"] == {"order": "9"}
    assert last["ua-passgate-card"]["address"]["multifunction"] == "on"
    assert one_slot(last, "card", "card-1", "card-2", "card-3")
    if TOGETHER.get(name, EVERYWHERE_ELSE):
        defined = ours(told.defined[-1])
        assert defined["ua-passgate-pair-1"]["address"]["multifunction"] == "on"
        assert one_slot(defined, "pair-1", "pair-2")


def one_slot(devices: dict[str, dict[str, Any]], *names: str) -> bool:
    addresses = [PciAddress.from_attributes(devices[f"ua-passgate-{name}"]["address"]) for name in names]
    return addresses == [addresses[0].with_function(number) for number in range(len(names))]


@pytest.mark.parametrize("release", [name for name in RELEASES if name != "any"])
@pytest.mark.parametrize("name", ["q35-default", "q35-numa-dedicated-hugepages-1gi", "arm64-virt"])
def test_every_kubevirt_release(libvirt: ReadBack, name: str, release: str) -> None:
    told = rehearse(libvirt, of_fixture(name, wanted(name), release), real_server(MACHINE, ALLOCATION))

    check_that_all_is_well(told, devices=DEVICES)


@pytest.mark.parametrize("release", boots.RELEASES)
def test_recorded_boots_end_as_they_were_recorded(libvirt: ReadBack, release: str) -> None:
    """Whichever libvirt it is: as many passes as KubeVirt made, and every device where it was."""
    for recorded in boots.boots_of(release):
        made = rehearsed(recorded, without_tpm(recorded.passes[0]), libvirt.define)
        assert len(made) == len(recorded.passes), recorded.id
        assert placed(made[-1].defined) == placed(recorded.final), recorded.id


def without_tpm(xml: bytes) -> bytes:
    """The roots have no swtpm; a TPM is no PCI device."""
    domain = Domain.parse(xml)
    for element in domain.devices.findall("tpm"):
        domain.devices.remove(element)
    return domain.serialise()


def test_the_example(libvirt: ReadBack) -> None:
    """What `passgate-hook rehearse` plays without options."""
    script = Script((EXAMPLE / "domain.xml").read_bytes(), (EXAMPLE / "vmi.json").read_bytes())
    told = rehearse(libvirt, script, real_server(EXAMPLE / "machine.toml", (EXAMPLE / "allocation.env").read_bytes()))

    check_that_all_is_well(told, devices=1)
    assert ours(told.answered[-1])["ua-passgate-qat"]["address"]["bus"] == "0x10"


def test_a_drivers_model_where_libvirt_keeps_it(libvirt: ReadBack) -> None:
    """A hook that does not ask which libvirt it is: 9.0 does not know the attribute, and drops it without a word."""
    told = rehearse(libvirt, of_fixture("q35-default", []), actor("knows no version"))

    if LibvirtVersion.parse(libvirt.version) >= KEEPS_MODEL:
        check_that_all_is_well(told, devices=1)
        assert ours(told.answered[-1])["ua-passgate-qat"]["driver"] == {"name": "vfio", "model": "qat_vfio_pci"}
    else:
        what = "libvirt dropped driver model=qat_vfio_pci, without a word"
        assert told.report["problems"] == [{"code": "libvirt-drops", "subject": "ua-passgate-qat", "message": what}]
        assert not told.report["passed"]


def test_what_a_hook_misspells_libvirt_drops(libvirt: ReadBack) -> None:
    told = rehearse(libvirt, of_fixture("q35-default", []), actor("misspells"))

    what = "libvirt dropped rom baar=off, without a word"
    assert told.report["problems"] == [{"code": "libvirt-drops", "subject": "ua-passgate-qat", "message": what}]
    loss = {"alias": "ua-passgate-qat", "fact": "rom baar=off", "by": "libvirt", "restored": True}
    assert loss in told.report["passes"][1]["lost"]


def test_a_device_in_the_way_moves_others(libvirt: ReadBack) -> None:
    told = rehearse(libvirt, of_fixture("q35-default", []), actor("shoves"))

    assert {problem["code"] for problem in told.report["problems"]} >= {"base-device-moves"}
    assert moved(of_guest(guest_addresses(told.base[0])), guest_addresses(told.defined[0])) != {}


def test_libvirts_refusal_is_told_in_its_own_words(libvirt: ReadBack) -> None:
    told = rehearse(libvirt, of_fixture("q35-default", []), actor("clashes"))

    assert told.report["error"]["code"] == "libvirt-refuses"
    assert told.report["error"]["message"].startswith("libvirt says: XML error: ")
