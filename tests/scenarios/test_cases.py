"""Each scenario from the files of a user to the domain, by the command line as its own process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hostdev.kubevirt.structs import round_trip
from hostdev.vmi.file import parse_manifest
from hostdev.vmi.vmi import Vmi
from tests.hostdev.cli.injecting import passgate
from tests.scenarios.cases import CASES, FOLDER, GOLDEN, Case
from tests.scenarios.hosts import RECORDED, text

Compare = Callable[[Path, str], None]
CLUSTERS = sorted((FOLDER / "cluster").glob("*.yaml"))
"""What stands in the cluster beside the VMs of a scenario."""


def plan(case: Case) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(case.inject("-o", "json").out)
    return found


def vmi(case: Case) -> Vmi:
    return parse_manifest(case.file("vm.yaml").read_bytes()).vmi


def test_every_folder_is_a_case() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {case.name for case in CASES} | {"hosts", "cluster", "node"}


@pytest.mark.parametrize("name", RECORDED)
def test_a_host_is_what_the_builder_makes(name: str) -> None:
    """`python -m tests.scenarios.hosts` writes it again."""
    assert (FOLDER / "hosts" / f"{name}.toml").read_text() == text(name, RECORDED[name]())


def test_the_domain_and_the_plan_are_as_recorded(case: Case, golden: Compare) -> None:
    injected, told = case.inject(), case.inject("-o", "plan")

    assert (injected.code, told.code) == (0, 0), injected.err
    golden(GOLDEN / f"{case}.xml", injected.out.decode())
    golden(GOLDEN / f"{case}.plan", told.out.decode())


def test_there_is_nothing_against_it(case: Case) -> None:
    found = plan(case)

    assert found["devices"]
    assert [finding for finding in found["findings"] if finding["severity"] == "error"] == []
    assert case.inject("--fail-on", "error").code == 0


def test_the_manifest_has_no_mistake(case: Case) -> None:
    vm, cluster = case.file("vm.yaml"), next(file for file in CLUSTERS if case.name.startswith(file.stem))

    linted = passgate("lint", str(vm), str(cluster), "--kubevirt", "1.8")

    assert linted.code == 0, linted.out.decode()


def test_twice_is_once(case: Case) -> None:
    once = case.inject().out

    assert case.inject(domain=once).out == once


def test_it_survives_virt_launcher(case: Case) -> None:
    """What virt-launcher's structs lose comes back."""
    once = case.inject().out
    again = case.inject(domain=round_trip(once)).out

    assert hostdevs(again) == hostdevs(once)
    assert case.inject(domain=again).out == again


def test_every_guest_address_is_the_one_that_was_written(case: Case) -> None:
    asked = case.file("vm.yaml").read_text().count("guestAddress")
    asked += sum(bool(interface.plugin and interface.guest) for interface in vmi(case).interfaces)
    alone = [device for device in plan(case)["devices"] if not device["sources"][0].startswith("together with")]

    assert [device["why"] for device in alone] == ["asked for"] * asked


def test_the_domain_is_that_of_the_manifest(case: Case) -> None:
    """The fixtures tell one story: name, memory, disks, and the devices that KubeVirt resolves itself."""
    wanted, domain = vmi(case), etree.fromstring(case.domain)
    aliases = {alias.get("name") for alias in domain.iterfind("devices/*/alias")}
    expected = {f"ua-{disk.name}" for disk in wanted.disks}
    expected |= {f"ua-{interface.name}" for interface in wanted.interfaces if not interface.plugin}
    expected |= {f"ua-gpu-{gpu.name}" for gpu in wanted.gpus}
    expected |= {f"ua-hostdevice-{device.name}" for device in wanted.host_devices}

    assert domain.findtext("name") == f"{wanted.namespace}_{wanted.name}"
    assert domain.findtext("memory") == str(wanted.memory)
    assert aliases == expected
    assert (domain.find("devices/video") is not None) == ("autoattachGraphicsDevice: false" not in manifest(case))


def test_companions_share_one_guest_slot() -> None:
    """KubeVirt puts each function into a slot of its own; the guest shall see one card."""
    case = next(case for case in CASES if case.name == "harvester-shared-group")
    seats = {device["source"]: device["guestAddress"] for device in plan(case)["devices"]}
    first = etree.fromstring(case.inject().out).findall("devices/hostdev/address[@multifunction='on']")

    assert seats == {f"0000:b1:00.{number}": f"0000:10:00.{number}" for number in range(4)}
    assert [(address.get("slot"), address.get("function")) for address in first] == [("0x00", "0x0")]


def test_the_bond_is_of_the_guest_addresses() -> None:
    """A guest names its interfaces after bus and slot, in decimal."""
    case = next(case for case in CASES if case.name == "kunpeng-bond")
    ports = [device["guestAddress"] for device in plan(case)["devices"]]
    names = [f"enp{int(bus, 16)}s{int(slot[:2], 16)}" for _, bus, slot in (port.split(":") for port in ports)]

    assert f"interfaces: [{', '.join(names)}]" in manifest(case)


def manifest(case: Case) -> str:
    return case.file("vm.yaml").read_text()


def hostdevs(xml: bytes) -> list[bytes]:
    """Canonical, so that nothing but content counts."""
    root = etree.fromstring(xml, etree.XMLParser(remove_blank_text=True))
    found = root.findall("devices/hostdev")
    for hostdev in found:
        hostdev[:] = sorted(hostdev, key=lambda child: str(child.tag))
        for element in hostdev.iter():
            # The structs write empty attributes of an address that has none; libvirt takes no notice of them.
            for name in [name for name, value in element.items() if not value]:
                del element.attrib[name]
    return sorted(etree.tostring(hostdev, method="c14n", exclusive=True, with_tail=False) for hostdev in found)
