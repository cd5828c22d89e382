"""What a scan sees: of each recorded machine, and of the machine the tests run on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.machine import (
    NOT_LOOKED_AT,
    BlockDevice,
    HostUse,
    IommuGroup,
    Machine,
    Mdev,
    MdevType,
    NetDevice,
    PciFunction,
    ReservedRegion,
    Role,
    Sign,
)
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan
from tests.hostdev.machines.fixtures import NAMES, fixture, function, picture

MSI = ReservedRegion(0xFEE00000, 0xFEEFFFFF, "msi")


def at(*texts: str) -> tuple[PciAddress, ...]:
    return tuple(map(PciAddress.parse, texts))


def group(name: str, address: str) -> IommuGroup:
    found = picture(name).group_of(PciAddress.parse(address))
    assert found is not None
    return found


@pytest.mark.parametrize("name", NAMES)
def test_asked_for_one_function_a_scan_says_what_it_says_of_all(name: str) -> None:
    whole = picture(name)
    with open_host(fixture(name)) as host:
        for address, known in whole.functions.items():
            part = scan(host, only=[address])

            assert _but_for_use(part).items() <= _but_for_use(whole).items()
            if not known.bridge:
                assert part.functions[address].use.value is known.use.value
            assert part.groups.items() <= whole.groups.items()
            assert part.group_of(address) == whole.group_of(address)
            needed = {known.parent, known.physfn, *getattr(part.group_of(address), "members", ())} - {None}
            assert needed <= part.functions.keys()
            assert part.kernel == whole.kernel
            assert part.iommu == whole.iommu
            assert part.vfio.modules == whole.vfio.modules
            assert part.vfio.nodes == _nodes(whole, part.functions.values(), part.groups)


def _but_for_use(machine: Machine) -> dict[PciAddress, PciFunction]:
    """What the host does with relatives of the functions asked for is not looked at."""
    return {address: replace(function, use=NOT_LOOKED_AT) for address, function in machine.functions.items()}


def _nodes(machine: Machine, functions: Iterable[PciFunction], groups: Iterable[int]) -> tuple[str, ...] | None:
    if machine.vfio.nodes is None:
        return None
    theirs = ["vfio", *(name for group in groups for name in (str(group), f"noiommu-{group}"))]
    for seen in functions:
        theirs += [f"devices/{seen.vfio_dev}", *(str(mdev.group) for mdev in seen.mdevs)]
    return tuple(name for name in theirs if name in machine.vfio.nodes)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_agrees_with_itself(name: str) -> None:
    machine = picture(name)

    assert list(machine.functions) == sorted(machine.functions)
    assert list(machine.groups) == sorted(machine.groups)
    assert machine.unread == ()
    for address, seen in machine.functions.items():
        assert seen.address == address
        assert seen.parent is None or seen.parent in machine.functions
        assert seen.group is None or address in machine.groups[seen.group].members
        assert all(machine.functions[vf].physfn == address for vf in seen.virtfns)
        assert seen.physfn is None or address in machine.functions[seen.physfn].virtfns
        assert len(seen.virtfns) == (seen.num_vfs or 0)
        assert seen.root.startswith("pci")
    for number, known in machine.groups.items():
        assert all(machine.functions[member].group == number for member in known.members)


def test_nothing_at_all() -> None:
    machine = picture("empty")

    assert machine == Machine(
        source=str(fixture("empty")), iommu=machine.iommu, vfio=machine.vfio, kernel=machine.kernel
    )
    assert machine.iommu.tables is None
    assert not machine.iommu.groups_visible
    assert machine.vfio.nodes is None


def test_a_pf_and_its_vfs() -> None:
    assert function("two-socket-x710", "3b:00.0") == PciFunction(
        at("3b:00.0")[0],
        0x8086,
        0x1572,
        0x020000,
        0x8086,
        0x0007,
        driver="i40e",
        group=7,
        numa_node=0,
        parent=at("3a:00.0")[0],
        root="pci0000:3a",
        virtfns=at(*(f"3b:02.{index}" for index in range(8))),
        total_vfs=64,
        num_vfs=8,
        vf_autoprobe=False,
        reset_methods=("flr", "pm", "bus"),
        netdevs=(NetDevice("ens1f0", up=True, mac="02:00:00:00:00:01"),),
        use=HostUse((Sign("its 8 VFs", "/sys/bus/pci/devices/0000:3b:00.0/sriov_numvfs", "8", layer="vfs"),)),
        vf_offset=16,
        vf_stride=1,
    )
    assert function("two-socket-x710", "3b:02.3") == PciFunction(
        at("3b:02.3")[0],
        0x8086,
        0x154C,
        0x020000,
        0x8086,
        0x154C,
        driver="vfio-pci",
        driver_override="vfio-pci",
        group=12,
        numa_node=0,
        parent=at("3a:00.0")[0],
        root="pci0000:3a",
        physfn=at("3b:00.0")[0],
        reset_methods=("flr",),
        vfio_dev="vfio3",
        use=HostUse(),
    )
    assert function("two-socket-x710", "3b:02.4").netdevs[0].name == "ens1f0v4"
    assert function("two-socket-x710", "3b:02.7").driver is None
    assert function("two-socket-x710", "af:02.7").numa_node == 1


@pytest.mark.parametrize(
    ("name", "address", "role"),
    [
        ("two-socket-x710", "3b:00.0", Role.PF),
        ("two-socket-x710", "3b:00.1", Role.PF),
        ("two-socket-x710", "3b:02.0", Role.VF),
        ("two-socket-x710", "3a:00.0", Role.BRIDGE),
        ("two-socket-x710", "02:00.0", Role.BRIDGE),
        ("two-socket-x710", "00:00.0", Role.ENDPOINT),
        ("hgx-h100", "19:00.0", Role.ENDPOINT),
        ("real-q35-sriov", "41:10.4", Role.VF),
        ("real-q35-sriov", "01:00.0", Role.BRIDGE),
        ("real-q35-sriov", "00:10.0", Role.ENDPOINT),
    ],
)
def test_roles(name: str, address: str, role: Role) -> None:
    assert function(name, address).role is role


@pytest.mark.parametrize(
    ("name", "address", "uses"),
    [
        ("two-socket-x710", "3b:00.0", ()),
        (
            "two-socket-x710",
            "3b:00.1",
            (
                "default route through bond0",
                "routes through br-storage",
                "part of bond bond0",
                "part of vlan bond0.100",
                "part of bridge br-storage",
            ),
        ),
        ("consumer-gpu", "00:1f.6", ("default route",)),
        ("intel-igpu", "00:1f.6", ("default route through vmbr0", "part of bridge vmbr0")),
        ("no-iommu", "04:00.1", ()),
        ("noiommu", "00:03.0", ("default route",)),
    ],
)
def test_why_the_host_needs_a_network_card(name: str, address: str, uses: tuple[str, ...]) -> None:
    (netdev,) = function(name, address).netdevs

    assert netdev.uses == uses


@pytest.mark.parametrize(
    ("name", "address", "blocks"),
    [
        (
            "two-socket-x710",
            "00:17.0",
            {
                "sda": (
                    "mounted at /boot/efi",
                    "mounted at /boot",
                    "mounted at / through vg0-root",
                    "swap through vg0-swap",
                )
            },
        ),
        ("two-socket-x710", "d8:00.0", {"sdb": ("mounted at /var/lib/longhorn",)}),
        ("consumer-gpu", "02:00.0", {"nvme0n1": ("mounted at /boot/efi", "mounted at / through luks-root")}),
        ("amd-epyc", "01:00.0", {"nvme0n1": ("mounted at /boot/efi", "mounted at /")}),
        ("vmd", "10000:e1:00.0", {"nvme0n1": ("mounted at /",)}),
        ("vmd", "10000:e2:00.0", {"nvme1n1": ()}),
        ("vmd", "00:0e.0", {}),
        ("nvme-in-gpu-group", "02:00.0", {"nvme0n1": ("mounted at /oem", "mounted at /usr/local")}),
        ("container-view", "00:17.0", {"sda": ("mounted at /etc/hosts through vg0-root", "swap through vg0-swap")}),
        ("real-q35-sriov", "00:02.0", {"vda": ("mounted at /",)}),
    ],
)
def test_what_the_host_keeps_on_a_disk(name: str, address: str, blocks: dict[str, tuple[str, ...]]) -> None:
    assert function(name, address).blocks == tuple(BlockDevice(disk, uses) for disk, uses in blocks.items())


def test_graphics_card_with_companions_in_one_group() -> None:
    members = at("00:01.0", "01:00.0", "01:00.1", "01:00.2", "01:00.3")

    assert group("consumer-gpu", "01:00.0") == IommuGroup(1, members, (), "DMA-FQ", None, (MSI,))
    assert function("consumer-gpu", "01:00.1").driver == "snd_hda_intel"
    assert [f.boot_vga for f in picture("consumer-gpu").functions.values() if f.class_code == 0x030000] == [True, False]


def test_integrated_graphics_with_vfs_on_the_root_bus() -> None:
    vf = function("intel-igpu", "00:02.7")

    assert (vf.physfn, vf.parent, vf.root) == (at("00:02.0")[0], None, "pci0000:00")
    assert ReservedRegion(0x4C800000, 0x507FFFFF, "direct-relaxable") in group("intel-igpu", "00:02.0").reserved


def test_eight_gpus_and_four_switches() -> None:
    functions = picture("hgx-h100").functions.values()
    gpus = [f for f in functions if (f.vendor, f.device) == (0x10DE, 0x2330)]
    switches = [f for f in functions if (f.vendor, f.device) == (0x10DE, 0x22A3)]

    assert [f.numa_node for f in gpus] == [0] * 4 + [1] * 4
    assert len(switches) == 4
    assert all(f.vfio_dev and f.driver == "vfio-pci" for f in (*gpus, *switches))
    assert picture("hgx-h100").vfio.iommufd


def test_quickassist_of_two_generations() -> None:
    assert function("qat", "6b:00.0").virtfns == at(
        *(f"6b:00.{n}" for n in range(1, 8)), *(f"6b:01.{n}" for n in range(8)), "6b:02.0"
    )
    assert function("qat", "6b:00.2").driver == "qat_vfio_pci"
    vf = function("qat", "3d:02.2")
    assert (vf.device, vf.physfn, vf.driver, vf.vfio_dev) == (0x37C9, at("3d:00.0")[0], "vfio-pci", "vfio22")


def test_mediated_devices() -> None:
    gpu = function("tesla-t4", "3b:00.0")
    uuids = ("a1b2c3d4-0001-4000-8000-0000000000a1", "a1b2c3d4-0002-4000-8000-0000000000a2")

    assert MdevType("nvidia-222", "GRID T4-1B", 14, "vfio-pci") in gpu.mdev_types
    assert gpu.mdevs == tuple(
        Mdev(uuid, "nvidia-222", gpu.address, number) for uuid, number in zip(uuids, (8, 9), strict=True)
    )
    assert tuple(picture("tesla-t4").mdevs) == uuids
    assert picture("tesla-t4").groups[8].others == uuids[:1]
    assert [function("tesla-t4", f"5e:00.{n}").vendor_vgpu_type for n in (4, 5)] == [557, 0]


def test_arm() -> None:
    machine = picture("kunpeng")

    assert (machine.kernel.architecture, machine.kernel.version) == ("aarch64", (5, 10))
    assert machine.iommu.tables == ("IORT",)
    assert machine.iommu.units[0].startswith("smmu3.")
    assert function("kunpeng", "76:00.2").driver == "hisi_acc_vfio_pci"
    assert len([f for f in machine.functions.values() if f.device == 0x375E]) == 16
    # Before 5.15 the kernel does not say how it resets.
    assert function("kunpeng", "83:02.0").reset_methods is None


def test_amd() -> None:
    machine = picture("amd-epyc")

    assert machine.iommu.tables == ("IVRS",)
    assert machine.iommu.units == ("ivhd0", "ivhd1", "ivhd2", "ivhd3")
    assert [g.others for g in machine.groups.values() if g.others] == [("AMDI0095:00",)]
    assert function("amd-epyc", "00:00.2").group is None
    assert group("amd-epyc", "41:00.0").type == "identity"


def test_disks_behind_vmd() -> None:
    disk = function("vmd", "10000:e1:00.0")

    assert (disk.parent, disk.root, disk.group) == (at("10000:e0:06.0")[0], "pci10000:e0", 1)
    assert function("vmd", "10000:e0:06.0").parent == at("00:0e.0")[0]
    assert list(picture("vmd").functions)[-1] == at("10000:e2:00.0")[0]


def test_the_view_of_a_container() -> None:
    machine = picture("container-view")

    assert machine.iommu.tables is None
    assert machine.iommu.groups_visible
    assert machine.vfio.nodes is None
    assert not any(f.netdevs for f in machine.functions.values())
    assert function("container-view", "3b:02.0").vfio_dev == "vfio0"


def test_no_iommu() -> None:
    machine = picture("no-iommu")

    assert machine.iommu.units == ()
    assert machine.iommu.tables == ("DMAR",)
    assert machine.iommu.groups_visible
    assert machine.groups == {}
    assert {f.group for f in machine.functions.values()} == {None}


def test_vfio_without_iommu() -> None:
    machine = picture("noiommu")

    assert [g.name for g in machine.groups.values()] == ["vfio-noiommu"]
    assert machine.vfio.nodes == ("noiommu-0", "vfio")
    assert machine.vfio.modules["vfio"]["enable_unsafe_noiommu_mode"] == "Y"
    assert machine.iommu.tables == ()


def test_an_old_kernel() -> None:
    machine = picture("old-kernel")

    assert machine.kernel.version == (5, 15)
    assert machine.kernel.architecture == "x86_64"
    assert function("old-kernel", "19:10.0").vfio_dev is None
    assert function("old-kernel", "17:00.0").driver == "shpchp"
    assert function("old-kernel", "18:04.0").reset_methods == ()


def test_group_zero_is_a_group() -> None:
    assert function("group-zero", "00:02.0").group == 0
    assert group("group-zero", "00:02.0").number == 0


def test_the_processors_of_each_node() -> None:
    cpus = picture("two-socket-x710").node_cpus

    assert cpus == {0: frozenset((*range(24), *range(48, 72))), 1: frozenset((*range(24, 48), *range(72, 96)))}
    assert picture("real-q35-sriov").node_cpus == {0: frozenset({0}), 1: frozenset({1})}


def test_a_real_kernel() -> None:
    machine = picture("real-q35-sriov")

    assert len(machine.functions) == 46
    assert len(machine.groups) == 35
    assert group("real-q35-sriov", "43:00.0").members == at("43:00.0", "43:00.1")
    assert function("real-q35-sriov", "81:00.0").virtfns == at("81:10.0", "81:10.2", "81:10.4")
    assert function("real-q35-sriov", "81:10.4").driver_override == "igbvf"
    assert [function("real-q35-sriov", a).numa_node for a in ("00:0d.0", "41:10.0", "81:10.0")] == [None, 0, 1]
    assert machine.vfio.nodes == ("16", "25", "26", "27", "30", "33", "5", "vfio")


def test_the_machine_the_tests_run_on() -> None:
    devices = Path("/sys/bus/pci/devices")
    names = {path.name for path in devices.iterdir()} if devices.is_dir() else set()
    with Host("/") as host:
        machine = scan(host)

    assert {str(address) for address in machine.functions} == names
    assert machine.source == "/"
    assert machine.kernel.release == Path("/proc/sys/kernel/osrelease").read_text().strip()
    for address, seen in machine.functions.items():
        assert seen.vendor == int((devices / str(address) / "vendor").read_text(), 16)
        driver = devices / str(address) / "driver"
        assert seen.driver == (driver.resolve().name if driver.exists() else None)
