"""What a host lays on disks and interfaces, made by the tools of the kernel's layers and taken away again."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import pci
from tests.vmhost.inside.patience import PATIENCE
from tests.vmhost.inside.prepare import run

MOUNT = "/mnt"
IMAGE = "/run/iscsi.img"
BLOCKS = Path("/sys/block")
POOL = "tank"
ZFS_MAGIC = 0x00BAB10C
_BPF = {"x86_64": 321}
_BPF_PROG_LOAD, _BPF_OBJ_PIN, _XDP = 5, 6, 6
_XDP_PASS = struct.pack("<BBhiBBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0)
"""r0 = XDP_PASS; exit."""
PAUSE = 0.2


def namespaces(controller: PciAddress) -> list[str]:
    """The disks below a controller of NVMe: the heads of its paths."""
    paths = pci.directory(controller).glob("nvme/nvme*/nvme*c*n*")
    return sorted(f"{path.name.partition('c')[0]}n{path.name.rpartition('n')[2]}" for path in paths)


def disk(controller: PciAddress) -> str:
    """The one disk below a controller of ATA."""
    (found,) = pci.directory(controller).glob("ata*/host*/target*/*/block/*")
    # QEMU's fails writes of many pieces that are queued.
    (found / "device/queue_depth").write_text("1")
    return found.name


def interface(address: PciAddress) -> str:
    """The interface of a network card."""
    (found,) = (pci.directory(address) / "net").iterdir()
    return found.name


def settle() -> None:
    """Wait until udev has looked at every block device."""
    run("udevadm", "trigger", "--subsystem-match=block", "--action=change")
    run("udevadm", "settle")


@contextmanager
def wiped(*names: str) -> Iterator[None]:
    """Afterwards disks hold nothing."""
    try:
        yield
    finally:
        for name in names:
            run("wipefs", "--all", "--force", f"/dev/{name}")
        settle()


@contextmanager
def formatted(name: str, *more: str, kind: str = "ext4") -> Iterator[None]:
    """A file system on a disk, or on several."""
    # It makes /dev/btrfs-control, and mkfs loads nothing.
    run("modprobe", kind)
    with wiped(name, *more):
        force = {"ext4": "-qF", "btrfs": "-qf"}[kind]
        run(f"mkfs.{kind}", force, *(f"/dev/{one}" for one in (name, *more)))
        settle()
        yield


@contextmanager
def mounted(name: str) -> Iterator[None]:
    """The same, mounted."""
    run("mount", f"/dev/{name}", MOUNT)
    try:
        yield
    finally:
        run("umount", MOUNT)


@contextmanager
def mounted_elsewhere(name: str) -> Iterator[None]:
    """Mounted in a mount namespace of its own."""
    with process("unshare", "--mount", "sh", "-c", f"mount /dev/{name} {MOUNT} && echo ready && exec sleep 600"):
        yield


@contextmanager
def mounted_lazily(name: str) -> Iterator[None]:
    """Mounted, unmounted from the tree at once, and kept by a process with an open file: in no table of mounts."""
    run("mount", f"/dev/{name}", MOUNT)
    Path(MOUNT, "file").touch()
    with process("sh", "-c", f"exec <{MOUNT}/file; echo ready; exec sleep 600"):
        run("umount", "--lazy", MOUNT)
        yield


@contextmanager
def swap(path: str) -> Iterator[None]:
    """Swap on a disk or in a file."""
    run("mkswap", path)
    run("swapon", path)
    try:
        yield
    finally:
        run("swapoff", path)


@contextmanager
def mapped(name: str, table: str) -> Iterator[None]:
    """A device of device-mapper."""
    run("dmsetup", "create", name, "--table", table)
    try:
        yield
    finally:
        run("udevadm", "settle")
        run("dmsetup", "remove", "--retry", name)


def multipath(disk: str) -> str:
    """A table of dm-multipath with one path."""
    return f"0 {_sectors(disk)} multipath 0 0 1 1 round-robin 0 1 1 {_number(disk)} 1"


def crypt(disk: str) -> str:
    """A table of dm-crypt."""
    return f"0 {_sectors(disk)} crypt aes-cbc-plain64 {'00' * 16} 0 {_number(disk)} 0"


@contextmanager
def raid(*names: str) -> Iterator[str]:
    """A mirror of MD."""
    with wiped(*names):
        devices = [f"/dev/{name}" for name in names]
        options = ("--level=1", "--metadata=1.2", "--assume-clean", f"--raid-devices={len(names)}", "--run", "--quiet")
        run("mdadm", "--create", "/dev/md0", *options, *devices)
        try:
            yield "md0"
        finally:
            run("mdadm", "--stop", "/dev/md0")
            run("mdadm", "--zero-superblock", *devices)


@contextmanager
def volume(name: str) -> Iterator[None]:
    """A logical volume of LVM on a block device, active."""
    run("vgcreate", "--yes", "spare", f"/dev/{name}")
    run("lvcreate", "--yes", "--wipesignatures", "n", "--zero", "n", "--size", "32M", "--name", "data", "spare")
    try:
        yield
    finally:
        run("vgchange", "--activate", "n", "spare")
        run("vgremove", "--force", "spare")
        run("pvremove", f"/dev/{name}")


@contextmanager
def inactive(name: str) -> Iterator[None]:
    """A physical volume of which nothing is active."""
    with wiped(name):
        run("vgcreate", "--yes", "spare", f"/dev/{name}")
        settle()
        yield


@contextmanager
def zfs_label(name: str) -> Iterator[None]:
    """What a member of a pool begins with, for a kernel without ZFS: the first two of its four labels."""
    numbers = {"version": 5000, "state": 0, "txg": 4, "pool_guid": 12345, "guid": 777}
    pairs = b"".join(_pair(key, 8, struct.pack(">Q", value)) for key, value in numbers.items())
    pairs += _pair("name", 9, struct.pack(">I", len(POOL)) + POOL.encode())
    config = struct.pack(">4BII", 1, 1, 0, 0, 0, 1) + pairs + bytes(8)
    uberblock = struct.pack("<5Q", ZFS_MAGIC, 5000, 4, 1, 1).ljust(1 << 10, b"\0")
    label = bytes(16 << 10) + config.ljust(112 << 10, b"\0") + (uberblock * 16).ljust(128 << 10, b"\0")
    with wiped(name):
        _write(name, label * 2)
        settle()
        yield
        _write(name, bytes(len(label) * 2))


def _pair(name: str, kind: int, value: bytes) -> bytes:
    """A name and a value, as ZFS has them in XDR: each to a multiple of four bytes."""
    padded = name.encode() + bytes(-len(name) % 4)
    body = struct.pack(">I", len(name)) + padded + struct.pack(">II", kind, 1) + value + bytes(-len(value) % 4)
    return struct.pack(">II", len(body) + 8, len(body) + 8) + body


def _write(name: str, content: bytes) -> None:
    with Path(f"/dev/{name}").open("r+b") as device:
        device.write(content)


@contextmanager
def loop(name: str) -> Iterator[None]:
    """A loop device over a disk."""
    run("modprobe", "loop")
    device = run("losetup", "--find", "--show", f"/dev/{name}").strip()
    try:
        yield
    finally:
        run("losetup", "--detach", device)


@contextmanager
def opened(name: str) -> Iterator[None]:
    """A process has a disk open, as QEMU has that of a VM."""
    with Path(f"/dev/{name}").open("rb"):
        yield


@contextmanager
def held_open(node: str) -> Iterator[None]:
    """A process has a node open, for reading."""
    with process("sh", "-c", f"exec <{node}; echo ready; exec sleep 600"):
        yield


@contextmanager
def exported(name: str) -> Iterator[None]:
    """A disk is exported over NVMe by the kernel: enabled, to no port."""
    run("modprobe", "nvmet")
    configuration = Path("/sys/kernel/config")
    if not any(configuration.iterdir()):
        run("mount", "-t", "configfs", "configfs", str(configuration))
    subsystem = configuration / "nvmet/subsystems/spare"
    namespace = subsystem / "namespaces/1"
    subsystem.mkdir()
    namespace.mkdir()
    (namespace / "device_path").write_text(f"/dev/{name}")
    (namespace / "enable").write_text("1")
    try:
        yield
    finally:
        (namespace / "enable").write_text("0")
        namespace.rmdir()
        subsystem.rmdir()


@contextmanager
def elsewhere(address: PciAddress, *words: str) -> Iterator[str]:
    """An interface in a network namespace, with an address where one is given."""
    name = interface(address)
    run("ip", "netns", "add", "far")
    try:
        run("ip", "link", "set", name, "netns", "far")
        for address_of in words:
            run("ip", "-n", "far", "address", "add", address_of, "dev", name)
            run("ip", "-n", "far", "link", "set", name, "up")
        yield name
    finally:
        run("ip", "netns", "delete", "far")
        wait(lambda: any((pci.directory(address) / "net").iterdir()))


@contextmanager
def up(address: PciAddress, *addresses: str) -> Iterator[str]:
    """An interface that is up, with an address where one is given."""
    name = interface(address)
    run("ip", "link", "set", name, "up")
    try:
        for one in addresses:
            run("ip", "address", "add", one, "dev", name)
        yield name
    finally:
        run("ip", "address", "flush", "dev", name)
        run("ip", "link", "set", name, "down")


@contextmanager
def xdp(name: str) -> Iterator[None]:
    """A program of XDP on an interface."""
    run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
    try:
        _pin("/sys/fs/bpf/pass")
        run("ip", "link", "set", name, "xdpgeneric", "pinned", "/sys/fs/bpf/pass")
        yield
        run("ip", "link", "set", name, "xdpgeneric", "off")
    finally:
        run("umount", "/sys/fs/bpf")


@contextmanager
def iscsi(portal: str) -> Iterator[str]:
    """A disk over iSCSI, from a target in the other network namespace; its name."""
    iqn = "iqn.2026-01.test:spare"
    with Path(IMAGE).open("wb") as file:
        file.truncate(32 << 20)
    Path("/run/tgtd").mkdir(exist_ok=True)
    far = ("ip", "netns", "exec", "far")
    admin = (*far, "tgtadm", "--lld", "iscsi")
    with ExitStack() as stack:
        stack.enter_context(process(*far, "sh", "-c", "echo ready; exec tgtd --foreground"))
        wait(
            lambda: (
                subprocess.run(
                    (*admin, "--op", "show", "--mode", "system"), check=False, capture_output=True
                ).returncode
                == 0
            )
        )
        run(*admin, "--op", "new", "--mode", "target", "--tid", "1", "--targetname", iqn)
        run(*admin, "--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "--backing-store", IMAGE)
        run(*admin, "--op", "bind", "--mode", "target", "--tid", "1", "--initiator-address", "ALL")
        before = {*BLOCKS.iterdir()}
        run("iscsistart", "-i", "iqn.2026-01.test:host", "-t", iqn, "-g", "1", "-a", portal, "-p", "3260")
        wait(lambda: {*BLOCKS.iterdir()} - before)
        (disk,) = {*BLOCKS.iterdir()} - before
        yield disk.name
        (disk / "device/delete").write_text("1")


def _pin(path: str) -> None:
    """Load the program that lets everything pass, and give it a name."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = _BPF[platform.machine()]
    code, licence, name = (ctypes.create_string_buffer(text) for text in (_XDP_PASS, b"GPL", path.encode()))
    load = struct.pack("<IIQQ", _XDP, 2, ctypes.addressof(code), ctypes.addressof(licence)).ljust(128, b"\0")
    program = libc.syscall(number, _BPF_PROG_LOAD, load, len(load))
    pin = struct.pack("<QI", ctypes.addressof(name), program).ljust(128, b"\0")
    if program < 0 or libc.syscall(number, _BPF_OBJ_PIN, pin, len(pin)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


@contextmanager
def process(*command: str) -> Iterator[None]:
    """Run a process that says when it is ready, and end it afterwards."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if not process.stdout.readline():
            raise RuntimeError(f"{' '.join(command)} ended before it was ready")
        yield
    finally:
        process.kill()
        process.wait()


def wait(ready: Callable[[], object]) -> None:
    """Wait until it is so."""
    until = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > until:
            raise TimeoutError("it did not come about")
        time.sleep(PAUSE)


def _sectors(name: str) -> int:
    return int(Path(f"/sys/class/block/{name}/size").read_text())


def _number(name: str) -> str:
    return Path(f"/sys/class/block/{name}/dev").read_text().strip()
