"""Why the host needs a network card or a disk, in the cases that the recorded machines do not have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.machine import BlockDevice, NetDevice, PciFunction
from hostdev.inventory.netdevs import DEFAULT, OTHER, read_routes
from hostdev.inventory.netstorage import find_interface, route4, route6
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.machines.builder import Builder, Place

NIC = "0000:00:04.0"
HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
ZERO = "0" * 32
NET6 = "20010db8" + "0" * 24


@pytest.fixture
def described(tmp_path: Path) -> Callable[[Callable[[Builder, Place], None]], PciFunction]:
    def look(describe: Callable[[Builder, Place], None]) -> PciFunction:
        machine = Builder()
        device = machine.function(machine.root("pci0000:00"), NIC, "8086:15bb", 0x020000, driver="some")
        describe(machine, device)
        layout.write(machine.recording(""), tmp_path / "host")
        with Host(tmp_path / "host") as host:
            return scan(host).functions[PciAddress.parse(NIC)]

    return look


Described = Callable[[Callable[[Builder, Place], None]], PciFunction]


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "kinds"),
    [
        ("", "", {}),
        ("a\t00000000\t0\t0003\t0\t0\t0\t00000000\n", "", {"a": DEFAULT}),
        ("a\t00000000\t0\t0001\t0\t0\t0\t00000080\n", "", {"a": OTHER}),
        ("a\t0002000A\t0\t0001\t0\t0\t0\t00FFFFFF\na\t00000000\t0\t0003\t0\t0\t0\t00000000\n", "", {"a": DEFAULT}),
        ("a\t00000000\t0\t0003\t0\t0\t0\t00000000\na\t0002000A\t0\t0001\t0\t0\t0\t00FFFFFF\n", "", {"a": DEFAULT}),
        ("*\t00000000\t0\t0200\t0\t0\t0\t00000000\n", "", {}),
        ("short\t0\nline\t\n\n", "short 00\n", {}),
        ("a\t00000000\t0\tflags\t0\t0\t0\t00000000\n", "", {}),
        ("", f"{ZERO} 00 {ZERO} 00 {ZERO} 1 1 0 00000003 a\n", {"a": DEFAULT}),
        ("", f"{NET6} 40 {ZERO} 00 {ZERO} 1 1 0 00000001 a\n", {"a": OTHER}),
        ("", f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 1 0 00200200 lo\n", {}),
        ("", f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 1 0 00200200 a\n", {}),
        ("", f"fe80{'0' * 28} 40 {ZERO} 00 {ZERO} 1 1 0 00000001 a\n", {}),
        ("", f"ff00{'0' * 28} 08 {ZERO} 00 {ZERO} 1 1 0 00000001 a\n", {}),
    ],
)
def test_routes(tmp_path: Path, ipv4: str, ipv6: str, kinds: dict[str, str]) -> None:
    (tmp_path / "sys").mkdir()
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/route").write_text(HEAD + ipv4)
    (tmp_path / "proc/net/ipv6_route").write_text(ipv6)

    with Host(tmp_path) as host:
        assert {name: sign.what for name, sign in read_routes(host).items()} == kinds


@pytest.mark.parametrize(
    ("server", "interface"),
    [
        ("192.0.2.7", "near"),
        ("203.0.113.7", "away"),
        ("2001:db8::7", "six"),
        ("2001:db8:0:0:0:0:0:7", "six"),
        ("2001:db9::7", None),
        ("::ffff:192.0.2.7", None),
        ("192.0.2.700", None),
        ("nas", None),
        ("", None),
    ],
)
def test_the_interface_that_leads_to_a_server(server: str, interface: str | None) -> None:
    routes = [route4("00000000", "00000000", "away"), route4("000200C0", "00FFFFFF", "near"), route6(NET6, "20", "six")]
    assert find_interface(routes, server) == interface


def test_a_port_of_open_vswitch(described: Described) -> None:
    def describe(machine: Builder, nic: Place) -> None:
        machine.netdev(nic, "eth0")
        machine.netdev("virtual", "ovs-system")
        machine.upper("eth0", "ovs-system")

    assert described(describe).netdevs[0].uses == ("part of ovs-system",)


def test_interfaces_that_are_on_top_of_each_other(described: Described) -> None:
    def describe(machine: Builder, nic: Place) -> None:
        machine.netdev(nic, "eth0")
        machine.netdev("virtual", "br0", kind="bridge")
        machine.upper("eth0", "br0")
        machine.upper("br0", "eth0")

    assert described(describe).netdevs[0].uses == ("part of bridge br0",)


@pytest.mark.parametrize(
    ("state", "flags", "up"),
    [
        ("up", "0x1002", True),
        ("down", "0x1003", False),
        ("unknown", "0x1003", True),
        ("unknown", "0x1002", False),
        ("unknown", "junk", False),
        ("dormant", "0x1003", False),
    ],
)
def test_whether_an_interface_is_up(described: Described, state: str, flags: str, *, up: bool) -> None:
    def describe(machine: Builder, nic: Place) -> None:
        machine.netdev(nic, "eth0")
        machine.file(f"{nic.path}/net/eth0/operstate", state)
        machine.file(f"{nic.path}/net/eth0/flags", flags)

    assert described(describe).netdevs[0].up is up


def test_a_network_card_on_usb_belongs_to_the_controller(described: Described) -> None:
    def describe(machine: Builder, controller: Place) -> None:
        machine.netdev(Place(f"{controller.path}/usb1/1-1/1-1:1.0"), "enx020000000001")
        machine.route("enx020000000001")

    assert described(describe).netdevs == (
        NetDevice("enx020000000001", up=True, mac="02:00:00:00:00:01", uses=("default route",)),
    )


def test_what_is_below_another_function_is_not_ours(described: Described) -> None:
    def describe(machine: Builder, device: Place) -> None:
        machine.netdev(Place(f"{device.path}/pci10000:00/10000:00:01.0"), "eth0")
        machine.disk(f"{device.path}/pci10000:00/10000:00:01.0/nvme/nvme0", "nvme0n1")

    seen = described(describe)

    assert (seen.netdevs, seen.blocks) == ((), ())


def test_disks_that_something_holds(described: Described) -> None:
    def describe(machine: Builder, device: Place) -> None:
        machine.disk(f"{device.path}/host0/target0:0:0/0:0:0:0/block", "sda", parts=("sda1", "sda2"))
        machine.mapped("dm-0", "mpatha", "sda")
        machine.mapped("dm-1", "vg-data", "dm-0", "sda2")
        machine.disk("sys/devices/virtual/block", "md127")
        machine.hold("sda1", "md127")

    assert described(describe).blocks == (BlockDevice("sda", ("held by md127", "held by vg-data", "held by mpatha")),)


def test_file_systems_with_numbers_of_their_own_are_found_by_their_source(described: Described) -> None:
    def describe(machine: Builder, device: Place) -> None:
        machine.disk(f"{device.path}/nvme/nvme0", "nvme0n1", parts=("nvme0n1p1", "nvme0n1p2"))
        machine.mapped("dm-0", "luks\\x20root", "nvme0n1p2")
        machine.file(
            "proc/self/mountinfo",
            "40 1 0:33 /@ /mnt\\040here rw - btrfs /dev/nvme0n1p1 rw",
            "41 1 0:33 /@home /home rw - btrfs /dev/nvme0n1p1 rw",
            "42 1 0:34 /@ / rw - btrfs /dev/mapper/luks\\x20root rw",
            "junk",
            "43 1 0:35 / /x rw",
        )

    function = described(describe)

    assert function.blocks[0].uses == ("mounted at /home", "mounted at / through luks\\x20root")
