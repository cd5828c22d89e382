"""Numbers of a domain that size a loop or a table are bounded; what is twice as long takes twice as long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from bench.growth import MACHINES, document, elements, seconds
from domxml.document import Domain
from domxml.numa import guest_node
from domxml.pciaddress import read_number
from tests.domxml.guestslots import inject, wish
from tests.domxml.realdomains import domain

SECONDS = 1.0
LARGE = (
    "99999999",
    "4294967295",
    "4294967296",
    "9" * 4000,
    "9" * 100_000,
    "-1",
    "+1",
    "0x7fffffff",
    "\u0664",
    "\u00b2",
)
EXPANDER = "<controller type='pci' model='pcie-expander-bus' index='3'>%s</controller>"
HUGE = {
    "controller of a drive": "<disk><target dev='sda' bus='sata'/><address type='drive' controller='{0}'/></disk>",
    "controller of an IDE drive": "<disk><target dev='hda' bus='ide'/><address type='drive' controller='{0}'/></disk>",
    "controller of a port": "<channel><target type='virtio'/><address type='virtio-serial' controller='{0}'/>"
    "</channel>",
    "index of a controller": "<controller type='sata' index='{0}'/>",
    "index of a PCI controller": "<controller type='pci' index='{0}' model='pcie-root-port'/>",
    "ports of a controller": "<controller type='virtio-serial' ports='{0}'/>",
    "bus of an address": "<vsock><address type='pci' bus='{0}' slot='0'/></vsock>",
    "number of an expander bus": EXPANDER % "<target busNr='{0}'/>",
    "node of an expander bus": EXPANDER % "<target><node>{0}</node></target>",
    "boot order": "<disk><target dev='vda' bus='virtio'/><boot order='{0}'/></disk>",
    "ACPI index": "<interface type='user'><model type='virtio'/><acpi index='{0}'/></interface>",
}
NODES = {
    "cell": "<cpu><numa><cell id='{0}' cpus='0'/></numa></cpu>",
    "CPUs of a cell": "<cpu><numa><cell id='0' cpus='0-{0}'/></numa></cpu>",
    "a pinned CPU": "<cputune><vcpupin vcpu='{0}' cpuset='0-{0}'/></cputune><cpu><numa><cell cpus='0'/></numa></cpu>",
    "a bound node": "<numatune><memnode cellid='{0}' nodeset='{0}'/></numatune>",
    "memory": "<memory unit='GiB'>{0}</memory>",
}
ELEMENTS = dict(elements())
NAMES = ("sdzzzzzzzz", "sd" + "z" * 100_000, "hdzzzzzzzz", "vdzzzzzzzz", "xvd" + "z" * 50)


def cost(xml: bytes) -> float:
    began = time.process_time()
    seconds(xml)
    guest_node(Domain.parse(xml), 0, {0: frozenset(range(8))})
    return time.process_time() - began


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("what", HUGE)
def test_a_large_number_costs_nothing(what: str, machine: str) -> None:
    for number in LARGE:
        assert cost(domain(machine, HUGE[what].format(number), arch=MACHINES[machine])) < SECONDS, number


@pytest.mark.parametrize("what", NODES)
def test_a_large_number_of_the_processor_costs_nothing(what: str) -> None:
    for number in LARGE:
        assert cost(domain("q35", rest=NODES[what].format(number))) < SECONDS, number


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:12])
def test_a_long_name_of_a_disk_costs_nothing(name: str) -> None:
    for bus in ("sata", "scsi", "ide", "virtio"):
        assert cost(domain("q35", f"<disk><target dev='{name}' bus='{bus}'/></disk>")) < SECONDS


def test_more_controllers_than_fit_are_told() -> None:
    result = inject(domain("q35", "<disk><target dev='sdzzzzzzzz' bus='sata'/></disk>"), wish("x", "3d:02.2"))

    assert [finding.code for finding in result.findings] == ["domain-refused", "placement-fallback"]
    assert "no guest has room for that many" in result.findings[0].message


def test_sets_of_processors_are_not_counted_out() -> None:
    cpuset = ",".join(["0-8191"] * 5000)
    pins = "".join(f"<vcpupin vcpu='{n}' cpuset='{cpuset[:4000]}'/>" for n in range(200))

    assert cost(domain("q35", rest=f"<cputune>{pins}</cputune><cpu><numa><cell cpus='0-199'/></numa></cpu>")) < SECONDS


def steps(xml: bytes) -> int:
    """How many lines of the transform run: the same on every machine, whatever else it does."""
    count = 0

    def step(frame: FrameType, event: str, _argument: object) -> Callable[..., Any] | None:
        nonlocal count
        if "/domxml/" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return step

    traced = sys.gettrace()
    sys.settrace(step)
    try:
        seconds(xml)
    finally:
        sys.settrace(traced)
    return count


@pytest.mark.parametrize("name", ELEMENTS)
def test_four_times_as_many_elements_take_four_times_as_many_steps(name: str) -> None:
    """What is quadratic shows in the steps long before it costs time; `python -m bench` shows the time."""
    machines = MACHINES if name.startswith("controller") else ("q35",)
    for machine in machines:
        few, many = (steps(document(machine, ELEMENTS[name], count)) for count in (50, 200))
        assert many < 4.3 * few, (machine, few, many)


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), (" 7", 7), ("+7", 7), ("007", 7), ("0x7", None), ("-7", None), ("", None), ("7 ", None), (None, None)],
)
def test_a_number_is_read_as_libvirt_reads_it(text: str | None, number: int | None) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(("text", "number"), [("0x1F", 31), ("010", 8), ("09", None), ("\t+0x1", 1), ("1" * 50, None)])
def test_a_number_of_an_address_is_read_as_c_reads_it(text: str, number: int | None) -> None:
    assert read_number(text, c=True) == number


def test_a_number_has_a_largest() -> None:
    assert read_number("255", most=255) == 255
    assert read_number("256", most=255) is None
