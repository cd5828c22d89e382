"""`passgate node compare`: every kind of change, on machines that differ in one thing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockType

from domxml.errors import ExitCode
from domxml.finding import Severity
from domxml.pciaddress import PciAddress
from hostdev.gate.compare import Change, compare
from hostdev.inventory.host import Host
from hostdev.inventory.machine import IommuGroup, Kernel, Machine, NetDevice
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.recorded.recorder import snapshot
from hostdev.inventory.recorded.recording import Recording
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.cli.running import MACHINES, Ran, machine
from tests.hostdev.machines import MACHINES as BUILT
from tests.hostdev.machines.builder import Builder

BASE = "two-socket-x710"
VF = PciAddress.parse("3b:02.0")
PF = PciAddress.parse("3b:00.0")
UNBOUND = PciAddress.parse("3b:02.6")


def altered(base: Machine, address: PciAddress, **facts: Any) -> Machine:
    """The machine with some facts of one function changed."""
    functions = {**base.functions, address: replace(base.functions[address], **facts)}
    return replace(base, functions=functions)


def without(base: Machine, *addresses: PciAddress) -> Machine:
    """The machine without some functions."""
    return renamed(replace(base, functions={a: f for a, f in base.functions.items() if a not in addresses}), {})


def renamed(base: Machine, names: Mapping[PciAddress, PciAddress]) -> Machine:
    """The machine with functions at other addresses."""

    def new(address: Any) -> Any:
        return names.get(address, address)

    functions = {
        new(address): replace(
            f, address=new(address), parent=new(f.parent), physfn=new(f.physfn), virtfns=tuple(map(new, f.virtfns))
        )
        for address, f in base.functions.items()
    }
    groups = {
        number: replace(group, members=tuple(new(member) for member in group.members if new(member) in functions))
        for number, group in base.groups.items()
    }
    return replace(base, functions=functions, groups=groups)


def regrouped(base: Machine, *groups: IommuGroup) -> Machine:
    """The machine with other groups, and functions that know theirs."""
    own = {member: group.number for group in groups for member in group.members}
    functions = {a: replace(f, group=own.get(a, f.group)) for a, f in base.functions.items()}
    kept = {n: g for n, g in base.groups.items() if not own.keys() & set(g.members)}
    return replace(base, functions=functions, groups=kept | {group.number: group for group in groups})


def told(old: Machine, new: Machine) -> dict[str, Change]:
    """The changes by their codes, of which there is one each."""
    changes = compare(old, new)
    found = {change.code: change for change in changes}
    assert len(found) == len(changes), changes
    return found


@pytest.mark.parametrize("name", sorted(file.stem for file in MACHINES.glob("*.toml")))
def test_nothing_changes_between_a_machine_and_itself(name: str) -> None:
    assert compare(machine(name), machine(name)) == ()


def test_a_device_goes_and_comes() -> None:
    base = machine(BASE)
    raid = PciAddress.parse("d8:00.0")
    gone, came = told(base, without(base, raid)), told(without(base, raid), base)

    assert list(gone) == ["device-gone"]
    assert (gone["device-gone"].subject, gone["device-gone"].severity) == ("0000:d8:00.0", Severity.WARNING)
    assert list(came) == ["device-new"]
    assert came["device-new"].severity is Severity.INFO


def test_losing_a_device_that_was_ready_is_an_error() -> None:
    base = machine("amd-epyc")

    assert told(base, without(base, PciAddress.parse("41:00.0")))["device-gone"].severity is Severity.ERROR


def test_a_card_moves_with_its_vfs() -> None:
    base = machine(BASE)
    names = {a: PciAddress(a.domain, 0x3C, a.slot, a.function) for a in base.functions if a.bus == 0x3B}
    changes = compare(base, renamed(base, names))

    assert [(change.code, change.old, change.new) for change in changes] == [
        ("device-moved", "0000:3b:00.0", "0000:3c:00.0"),
        ("device-moved", "0000:3b:00.1", "0000:3c:00.1"),
    ]
    assert changes[0].message == "0000:3b:00.0 and its VFs moved to 0000:3c:00.0"
    assert {change.severity for change in changes} == {Severity.WARNING}


def test_another_device_at_the_same_address_is_another_device() -> None:
    base = machine(BASE)
    found = told(base, altered(base, PciAddress.parse("d8:00.0"), device=0x10E2))

    assert set(found) == {"device-gone", "device-new"}


def test_vfs_that_vanish_are_one_change() -> None:
    base = machine(BASE)
    vfs = base.functions[PF].virtfns
    fewer = altered(without(base, *vfs[4:]), PF, num_vfs=4, virtfns=vfs[:4])
    found = told(base, fewer)

    assert (found["vfs-changed"].old, found["vfs-changed"].new) == ("8", "4")
    assert found["vfs-changed"].severity is Severity.WARNING
    assert set(found) == {"vfs-changed"}
    assert told(fewer, base)["vfs-changed"].severity is Severity.INFO


def test_a_driver_that_takes_the_device_back() -> None:
    base = machine(BASE)
    found = told(base, altered(base, VF, driver="iavf", vfio_dev=None))

    assert found["driver-changed"].message == "driver vfio-pci is now iavf"
    assert found["passes-no-more"].severity is Severity.ERROR
    assert "is on iavf" in found["passes-no-more"].message
    assert next(iter(found)) == "passes-no-more", "the worst comes first"


def test_a_device_that_got_ready() -> None:
    base = machine(BASE)
    nodes = (*(base.vfio.nodes or ()), "15", "devices/vfio99")
    ready = replace(altered(base, UNBOUND, driver="vfio-pci", vfio_dev="vfio99"), vfio=replace(base.vfio, nodes=nodes))
    found = told(base, ready)

    assert found["passes-now"].severity is Severity.INFO
    assert found["driver-changed"].message == "driver - is now vfio-pci"


@pytest.mark.parametrize(
    ("facts", "code", "severity", "message"),
    [
        ({"numa_node": 1}, "numa-changed", Severity.WARNING, "NUMA node 0 is now 1"),
        ({"numa_node": None}, "numa-changed", Severity.WARNING, "NUMA node 0 is now none"),
        ({"total_vfs": 32}, "total-vfs-changed", Severity.WARNING, "64 possible VFs are now 32"),
        (
            {"netdevs": (NetDevice("enp59s0f0np0"),)},
            "interface-renamed",
            Severity.WARNING,
            "ens1f0 is now enp59s0f0np0",
        ),
        ({"reset_methods": ("flr",)}, "reset-changed", Severity.INFO, "reset by flr pm bus is now by flr"),
        ({"reset_methods": ()}, "reset-changed", Severity.WARNING, "reset by flr pm bus is now by nothing"),
    ],
)
def test_one_fact(facts: dict[str, Any], code: str, severity: Severity, message: str) -> None:
    base = machine(BASE)
    found = told(base, altered(base, PF, **facts))[code]

    assert (found.subject, found.severity, found.message) == ("0000:3b:00.0", severity, message)


def test_a_kernel_that_does_not_say_how_it_resets_is_no_change() -> None:
    base = machine(BASE)

    assert compare(base, altered(base, PF, reset_methods=None)) == ()


def test_a_group_that_is_joined() -> None:
    base = machine(BASE)
    first, second = base.groups[9], base.groups[10]
    found = told(base, regrouped(base, replace(first, members=(*first.members, *second.members))))

    assert found["group-members-changed"].subject == "group 9"
    assert found["group-members-changed"].severity is Severity.WARNING
    assert "0000:3b:02.1 joined" in found["group-members-changed"].message
    assert set(found) == {"group-members-changed"}


def test_groups_that_only_count_differently() -> None:
    base = machine(BASE)
    found = told(base, regrouped(base, replace(base.groups[9], number=90)))

    assert found["group-renumbered"].message == "0000:3b:02.0: group 9 is now group 90"
    assert found["group-renumbered"].severity is Severity.INFO


def test_the_iommu_is_gone_is_told_once() -> None:
    base = machine(BASE)
    functions = {a: replace(f, group=None) for a, f in base.functions.items()}
    off = replace(base, functions=functions, groups={}, iommu=replace(base.iommu, units=()))
    changes = compare(base, off)

    assert [change.code for change in changes if change.subject == "host"] == ["iommu-gone"]
    assert {change.code for change in changes} == {"iommu-gone", "passes-no-more"}
    assert "iommu-came" in {change.code for change in compare(off, base)}


def test_the_kernel() -> None:
    base = machine(BASE)
    newer = replace(base, kernel=Kernel("7.0.1", f"{base.kernel.cmdline} iommu.strict=1".replace("quiet ", "")))
    found = told(base, newer)

    assert found["kernel-changed"].message == f"kernel {base.kernel.release} is now 7.0.1"
    assert "with iommu.strict=1" in found["command-line-changed"].message


def test_the_command(cli: Callable[..., Ran], golden: Callable[[str, str], None], look_machine: MockType) -> None:
    old = replace(machine(BASE), source="old.toml")
    names = {a: PciAddress(a.domain, 0xB0, a.slot, a.function) for a in old.functions if a.bus == 0xAF}
    new = altered(renamed(replace(old, source="new.toml"), names), VF, driver="iavf", vfio_dev=None)
    new = regrouped(replace(new, kernel=Kernel("7.0.1-amd64", old.kernel.cmdline)), replace(old.groups[10], number=90))
    look_machine.side_effect = {"old.toml": old, "new.toml": new}.__getitem__
    ran = cli("node", "compare", "old.toml", "new.toml")

    assert ran.code == ExitCode.DONE
    golden("compare.txt", ran.out)
    assert cli("node", "compare", "old.toml", "new.toml", "--fail-on", "error").code == ExitCode.FINDINGS
    document = json.loads(cli("node", "compare", "new.toml", "old.toml", "-o", "json").out)
    assert document["old"]["kernel"] == "7.0.1-amd64"


def test_nothing_changed(cli: Callable[..., Ran]) -> None:
    file = "tests/fixtures/machines/qat.toml"

    assert cli("node", "compare", file, file, "--fail-on", "warning") == Ran(0, "nothing changed\n", "")


def _private() -> Recording:
    """A machine with what a snapshot hides: names after an address, options of its owner, identifiers of disks."""
    built = Builder(cmdline="BOOT_IMAGE=/vmlinuz root=UUID=0f5a2c1e-9d1b-4c57-a8b1-55d0c6a7b3f9 ro intel_iommu=on")
    root = built.root("pci0000:00")
    nic = built.function(root, "0000:00:1f.6", "8086:1a1d", 0x020000, driver="e1000e")
    other = built.function(root, "0000:00:1c.0", "8086:1533", 0x020000, driver="igb")
    for number, (place, mac) in enumerate(((nic, "3c:97:0e:a1:b2:c3"), (other, "a0:36:9f:00:11:22"))):
        name = f"enx{mac.replace(':', '')}"
        built.netdev(place, name)
        built.file(f"{place.path}/net/{name}/address", mac)
        built.file(f"{place.path}/net/{name}/ifindex", str(number + 2))
    sata = built.function(root, "0000:00:17.0", "8086:a182", 0x010601, driver="ahci")
    built.disk(f"{sata.path}/ata1/host0/target0:0:0/0:0:0:0/block", "sda", parts=("sda1",))
    built.mount("sda1", "/")
    return built.recording("with an identity")


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("name", ["a private one", *BUILT])
def test_a_machine_is_what_its_own_snapshot_says(name: str, keep: bool, tmp_path: Path) -> None:  # noqa: FBT001
    recording = _private() if name == "a private one" else BUILT[name]()
    layout.write(recording, tmp_path / "host")
    with Host(tmp_path / "host") as host:
        live, text = scan(host), snapshot(host, private=keep)
    (tmp_path / "snapshot.toml").write_text(text)
    with open_host(tmp_path / "snapshot.toml") as host:
        recorded = scan(host)

    assert compare(live, recorded) == ()
    assert compare(recorded, live) == ()


def test_what_a_snapshot_does_not_hide_still_differs(tmp_path: Path) -> None:
    layout.write(_private(), tmp_path / "host")
    with Host(tmp_path / "host") as host:
        live = scan(host)
        (tmp_path / "snapshot.toml").write_text(snapshot(host))
    with open_host(tmp_path / "snapshot.toml") as host:
        recorded = scan(host)
    option = replace(live, kernel=replace(live.kernel, cmdline=f"{live.kernel.cmdline} iommu=pt quiet"))
    nic = PciAddress.parse("00:1f.6")
    renamed_net = altered(live, nic, netdevs=(NetDevice("eno1", mac="3c:97:0e:a1:b2:c3"),))

    assert [change.message for change in compare(option, recorded)] == [
        "the kernel is booted without iommu=pt, without quiet"
    ]
    assert [change.code for change in compare(recorded, renamed_net)] == ["interface-renamed"]
    root = replace(live, kernel=replace(live.kernel, cmdline=live.kernel.cmdline.replace("0f5a2c1e", "11111111")))
    assert [change.code for change in compare(live, root)] == ["command-line-changed"]
    other_card = altered(live, nic, netdevs=(NetDevice("enx3c970ea1b2c4", mac="3c:97:0e:a1:b2:c4"),))
    assert [change.code for change in compare(live, other_card)] == ["interface-renamed"]
