"""What the host does with disks, layer by layer: used, proved unused, or unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.machine import HostUse, Use
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.machines.builder import Builder, Place

HOST_DISK = "0000:00:02.0"
SPARE = "0000:00:04.0"
Describe = Callable[[Builder, Place], None]


def laid_out(describe: Describe, directory: Path, **options: bool) -> Host:
    """A host with its root on one disk, and a controller with sda and sdb of which a test says more."""
    machine = Builder(**options)  # type: ignore[arg-type]
    root = machine.root("pci0000:00")
    system = machine.function(root, HOST_DISK, "1af4:1001", 0x010000, driver="virtio-pci")
    machine.disk(f"{system.path}/virtio0/block", "vda")
    machine.mount("vda", "/")
    controller = machine.function(root, SPARE, "8086:a182", 0x010601, driver="ahci")
    machine.disk(f"{controller.path}/ata1/host0/block", "sda", parts=("sda1", "sda2"))
    machine.disk(f"{controller.path}/ata2/host1/block", "sdb")
    describe(machine, controller)
    layout.write(machine.recording(""), directory)
    return Host(directory)


@pytest.fixture
def use_of_spare(tmp_path: Path) -> Callable[..., HostUse]:
    def use(describe: Describe, **options: bool) -> HostUse:
        with laid_out(describe, tmp_path / "host", **options) as host:
            return scan(host).functions[PciAddress.parse(SPARE)].use

    return use


def _nothing(machine: Builder, controller: Place) -> None:
    pass


def _of_sda1(call: str, *words: str) -> Describe:
    return lambda machine, _: getattr(machine, call)("sda1", *words)


def _lvm(machine: Builder, _: Place) -> None:
    machine.mapped("dm-0", "vg-data", "sda2")
    machine.mount("dm-0", "/srv")


def _md_with_lvm(machine: Builder, _: Place) -> None:
    machine.disk("sys/devices/virtual/block", "md127")
    machine.hold("sda1", "md127")
    machine.hold("sdb", "md127")
    machine.mapped("dm-0", "vg-data", "md127")
    machine.mount("dm-0", "/srv")


def _multipath(machine: Builder, _: Place) -> None:
    machine.mapped("dm-0", "mpatha", "sda", "sdb")


def _luks_swap(machine: Builder, _: Place) -> None:
    machine.label("sda2", "crypto_LUKS")
    machine.mapped("dm-0", "secret", "sda2")
    machine.swap("mapper/secret")


def _btrfs(machine: Builder, _: Place) -> None:
    for name in ("sda2", "sdb"):
        machine.label(name, "btrfs")
    machine.names("sys/fs/btrfs/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001/devices", "vdb", "sdb")
    machine.mount_line("0:40", "/srv", "btrfs /dev/vdb rw")


def _btrfs_elsewhere(machine: Builder, _: Place) -> None:
    machine.label("sdb", "btrfs")
    machine.names("sys/fs/btrfs/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001/devices", "sdb")


def _bcachefs(machine: Builder, _: Place) -> None:
    machine.mount_line("0:41", "/srv", "bcachefs /dev/sda1:/dev/sdb rw")


def _zfs(machine: Builder, _: Place) -> None:
    machine.label("sdb", "zfs_member", "E:ID_FS_LABEL=tank")
    machine.mount_line("0:42", "/srv", "zfs tank/srv rw")


def _zfs_without_mounts(machine: Builder, _: Place) -> None:
    machine.label("sdb", "zfs_member", "E:ID_FS_LABEL=tank")
    machine.names("proc/spl/kstat/zfs/tank", "io")


def _elsewhere(machine: Builder, _: Place) -> None:
    machine.label("sda2", "xfs")
    machine.names("sys/fs/xfs", "vda", "sda2")


def _bcache(machine: Builder, controller: Place) -> None:
    machine.names(f"{controller.path}/ata2/host1/block/sdb/bcache", "state")


def _loop(machine: Builder, _: Place) -> None:
    machine.disk("sys/devices/virtual/block", "loop0")
    machine.file("sys/devices/virtual/block/loop0/loop/backing_file", "/dev/sdb")
    machine.device_node("sdb")


def _zram(machine: Builder, _: Place) -> None:
    machine.disk("sys/devices/virtual/block", "zram0")
    machine.file("sys/devices/virtual/block/zram0/backing_dev", "/dev/sda2")
    machine.device_node("sda2")


def _exported(machine: Builder, _: Place) -> None:
    machine.file("sys/kernel/config/nvmet/subsystems/nqn/namespaces/1/device_path", "/dev/sdb")
    machine.device_node("sdb")


def _target(machine: Builder, _: Place) -> None:
    machine.file("sys/kernel/config/target/core/iblock_0/store/udev_path", "/dev/sdb")
    machine.device_node("sdb")


def _opened(machine: Builder, _: Place) -> None:
    machine.opened(77, "qemu-kvm", f"block/{machine.number_of('sdb')}")


USED: Mapping[str, tuple[Describe, str]] = {
    "partition": (_of_sda1("mount", "/srv"), "sda (mounted at /srv)"),
    "swap": (_of_sda1("swap"), "sda (swap)"),
    "LVM": (_lvm, "sda (mounted at /srv through vg-data)"),
    "LVM on MD": (_md_with_lvm, "sda (mounted at /srv through vg-data)"),
    "multipath": (_multipath, "sda (held by mpatha)"),
    "dm-crypt with swap": (_luks_swap, "sda (swap through secret)"),
    "second disk of a btrfs": (_btrfs, "sdb (mounted at /srv)"),
    "btrfs in another mount namespace": (_btrfs_elsewhere, "sdb (a member of a mounted file system)"),
    "bcachefs": (_bcachefs, "sdb (mounted at /srv)"),
    "ZFS": (_zfs, "sdb (mounted at /srv)"),
    "ZFS without mounts": (_zfs_without_mounts, "sdb (a member of the ZFS pool tank)"),
    "XFS in another mount namespace": (_elsewhere, "sda (mounted in another mount namespace, or unmounted lazily)"),
    "bcache": (_bcache, "sdb (a part of a bcache)"),
    "loop": (_loop, "sdb (held by loop0)"),
    "zram": (_zram, "sda (held by zram0)"),
    "NVMe-oF target": (_exported, "sdb (exported over NVMe-oF)"),
    "SCSI target": (_target, "sdb (exported over SCSI)"),
    "raw disk of a VM": (_opened, "sdb (open in qemu-kvm (77))"),
}


@pytest.mark.parametrize("layer", USED)
def test_a_disk_that_is_used(layer: str, use_of_spare: Callable[..., HostUse]) -> None:
    describe, what = USED[layer]

    use = use_of_spare(describe)

    assert use.value is Use.USED
    assert what in [sign.what for sign in use.used]
    assert all(sign.file.startswith("/") for sign in use.used)


def _label(name: str, kind: str, *more: str) -> Describe:
    return lambda machine, _: machine.label(name, kind, *more)


def _unrecorded(machine: Builder, _: Place) -> None:
    del machine.entries[f"run/udev/data/b{machine.number_of('sdb')}"]


def _hidden_path(machine: Builder, controller: Place) -> None:
    machine.disk(f"{controller.path}/nvme/nvme0", "nvme0c0n1")


def _root_on_no_disk(machine: Builder, _: Place) -> None:
    machine.mount_line("8:99", "/", "ext4 /dev/root rw")


def _root_on_overlay(machine: Builder, _: Place) -> None:
    machine.mount_line("0:50", "/", "overlay overlay rw,lowerdir=/sysroot,upperdir=/run/rw,workdir=/run/work")


def _zfs_root_without_members(machine: Builder, _: Place) -> None:
    machine.mount_line("0:51", "/", "zfs rpool/ROOT rw")


def _root_in_an_image(machine: Builder, _: Place) -> None:
    machine.disk("sys/devices/virtual/block", "loop0")
    machine.file("sys/devices/virtual/block/loop0/loop/backing_file", "/cOS/active.img")
    machine.mount("loop0", "/")


def _swap_nowhere(machine: Builder, _: Place) -> None:
    machine.swap("mapper/gone")


def _no_such_mounts(machine: Builder, _: Place) -> None:
    machine.file("proc/self/mountinfo", "1 0 0:1 / / rw - overlay overlay rw")


def _no_processes(machine: Builder, _: Place) -> None:
    del machine.entries["proc/1/fd"]


UNKNOWN: Mapping[str, tuple[Describe, str]] = {
    "LVM, inactive": (_label("sda2", "LVM2_member"), "sda2 is a physical volume of LVM"),
    "MD, stopped": (_label("sdb", "linux_raid_member"), "sdb is a member of an MD array"),
    "firmware RAID": (_label("sdb", "isw_raid_member"), "sdb is a part of a RAID (isw_raid_member)"),
    "ZFS, exported": (_label("sdb", "zfs_member", "E:ID_FS_LABEL=tank"), "sdb is a member of a ZFS pool"),
    "Ceph": (_label("sdb", "ceph_bluestore"), "sdb is an OSD of Ceph"),
    "a partition for ZFS": (
        _label("sda1", "", "E:ID_PART_ENTRY_TYPE=6a898cc3-1dd2-11b2-99a6-080020736631"),
        "sda1 is a partition for ZFS",
    ),
    "FAT": (_label("sda1", "vfat"), "sda1 holds vfat, which may be mounted in another mount namespace"),
    "no record of udev": (_unrecorded, "what sdb holds is not to be seen: udev has no record of it"),
    "a path without its head": (_hidden_path, "nvme0c0n1 is a path of a disk that is not to be seen"),
    "root nowhere": (_root_on_no_disk, "on which disk / lies is not to be seen"),
    "root on an overlay": (_root_on_overlay, "on which disk / lies is not to be seen"),
    "root in an image that is nowhere": (_root_in_an_image, "on which disk / lies is not to be seen"),
    "ZFS root without members": (_zfs_root_without_members, "on which disk / lies is not to be seen"),
    "swap nowhere": (_swap_nowhere, "on which disk the swap mapper/gone lies is not to be seen"),
    "mounts of a container": (_no_such_mounts, "the mounts of the host are not to be seen from here"),
    "no look into processes": (
        _no_processes,
        "1 of the processes could not be looked into, and one of them may have it open",
    ),
}


@pytest.mark.parametrize("layer", UNKNOWN)
def test_a_disk_of_which_it_is_not_known(layer: str, use_of_spare: Callable[..., HostUse]) -> None:
    describe, what = UNKNOWN[layer]

    use = use_of_spare(describe)

    assert use.value is Use.UNKNOWN
    assert what in [sign.what for sign in use.unknown]


UNUSED: Mapping[str, Describe] = {
    "nothing on it": _nothing,
    "a file system": _label("sda1", "ext4"),
    "an encrypted device, closed": _label("sdb", "crypto_LUKS"),
    "swap that is off": _label("sda2", "swap"),
    "a file system as that of another disk": lambda machine, _: machine.names("sys/fs/ext4", "vda", "features"),
}


@pytest.mark.parametrize("layer", UNUSED)
def test_a_disk_of_which_it_is_proved_that_it_is_not_used(layer: str, use_of_spare: Callable[..., HostUse]) -> None:
    assert use_of_spare(UNUSED[layer]) == HostUse()


def test_what_an_older_recording_lacks_is_not_known(use_of_spare: Callable[..., HostUse]) -> None:
    use = use_of_spare(_nothing, open_to_view=False)

    assert use.value is Use.UNKNOWN
    looks = [sign.look for sign in use.unknown if sign.file.startswith("/run/udev")]
    assert looks[0] == "`blkid -p` of sda, as root on the node itself"
