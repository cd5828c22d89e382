"""What the host does with interfaces, displays, accelerators, USB and what hangs below other functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.machine import HostUse, Use
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.machines.builder import Builder, Place

DEVICE = "0000:00:04.0"
NIC, INFINIBAND = 0x020000, 0x020700
VGA, ACCELERATOR = 0x030000, 0x120000
AUDIO, SERIAL, XHCI, QAT, DSA, UNKNOWN_KIND = 0x040300, 0x070002, 0x0C0330, 0x0B4000, 0x088000, 0x118000
Describe = Callable[[Builder, Place], None]


class Case(NamedTuple):
    """A device, what is attached to it, and what is to be told."""

    class_code: int
    driver: str | None
    describe: Describe
    what: str = ""


@pytest.fixture
def use_of(tmp_path: Path) -> Callable[[Case], HostUse]:
    def look(case: Case) -> HostUse:
        machine = Builder()
        root = machine.root("pci0000:00")
        device = machine.function(root, DEVICE, "8086:0001", case.class_code, driver=case.driver)
        case.describe(machine, device)
        layout.write(machine.recording(""), tmp_path / "host")
        with Host(tmp_path / "host") as host:
            return scan(host).functions[PciAddress.parse(DEVICE)].use

    return look


def _nothing(machine: Builder, device: Place) -> None:
    pass


def _without_boot_vga(machine: Builder, device: Place) -> None:
    del machine.entries[f"{device.path}/boot_vga"]


def _root_hub(machine: Builder, device: Place) -> None:
    machine.root_hub(device)


def _netdev(*, up: bool, then: Describe = _nothing) -> Describe:
    def describe(machine: Builder, device: Place) -> None:
        machine.netdev(device, "eth0", up=up)
        machine.file(f"{device.path}/net/eth0/ifindex", "7")
        then(machine, device)

    return describe


def _address(machine: Builder, _: Place) -> None:
    line = "20010db8000000000000000000000001 07 40 00 80     eth0"
    machine.file("proc/net/if_inet6", "fe80000000000000000000fffe000001 07 40 20 80     eth1", line)


def _listener(machine: Builder, _: Place) -> None:
    machine.file("proc/net/packet", "sk RefCnt Type Proto Iface R Rmem User Inode", "0 3 3 0003 7 1 0 0 0")


def _iscsi(machine: Builder, _: Place) -> None:
    machine.file("sys/class/iscsi_connection/connection1:0/address", "192.0.2.7")
    machine.route("eth0", "000200C0", "00FFFFFF")


def _fabrics(machine: Builder, _: Place) -> None:
    machine.file("sys/class/nvme/nvme1/transport", "tcp")
    machine.file("sys/class/nvme/nvme1/address", "traddr=2001:db8::7,trsvcid=4420")
    route = f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} 1 1 0 00000003"
    machine.file("proc/net/ipv6_route", f"{route} eth1", f"20010db8{'0' * 24} 20 {route[36:]} eth0")


def _nfs(machine: Builder, _: Place) -> None:
    machine.route("eth0")
    machine.mount_line("0:60", "/srv", "nfs4 nas:/srv rw,vers=4.2,addr=203.0.113.9")


def _bonded(machine: Builder, _: Place) -> None:
    machine.netdev("virtual", "bond0", kind="bond")
    machine.upper("eth0", "bond0")


def _node(place: str, number: str, *, user: str = "") -> Describe:
    def describe(machine: Builder, device: Place) -> None:
        machine.node(f"{device.path}/{place}", number)
        if user:
            machine.opened(42, user, f"char/{number}")

    return describe


def _nvidia(machine: Builder, _: Place) -> None:
    machine.file(f"proc/driver/nvidia/gpus/{DEVICE}/information", "Model: \t\t Tesla T4", "Device Minor: \t 3")


def _nvidia_in_use(number: str) -> Describe:
    def describe(machine: Builder, device: Place) -> None:
        _nvidia(machine, device)
        machine.opened(42, "python3", number)

    return describe


def _kfd(machine: Builder, device: Place) -> None:
    machine.node(f"{device.path}/drm/renderD128", "226:128")
    machine.file("sys/class/kfd/kfd/dev", "511:0")
    machine.opened(42, "rocm", "char/511:0")


def _crypto(refcnt: int) -> Describe:
    block = (
        "name : cbc(aes)",
        "driver : qat_aes_cbc",
        f"refcnt : {refcnt}",
        "",
        "name : md5",
        "driver : md5",
        "refcnt : 9",
    )
    return lambda machine, _: machine.file("proc/crypto", *block)


def _queue(state: str) -> Describe:
    def describe(machine: Builder, device: Place) -> None:
        for name in ("dsa0", "wq0.0"):
            place = f"{device.path}/dsa0" + ("" if name == "dsa0" else f"/{name}")
            machine.file(f"{place}/state", "enabled" if name == "dsa0" else state)
            machine.link(f"sys/bus/dsa/devices/{name}", place)

    return describe


def _usb(vendor: str, kind: str = "00") -> Describe:
    def describe(machine: Builder, device: Place) -> None:
        del machine.entries["sys/bus/usb/devices"]
        for name in ("usb1", "1-1", "1-1:1.0"):
            place = f"{device.path}/usb1" + {"usb1": "", "1-1": "/1-1"}.get(name, "/1-1/1-1:1.0")
            machine.file(f"{place}/bDeviceClass", "09" if name == "usb1" else kind)
            machine.file(f"{place}/idVendor", vendor)
            machine.file(f"{place}/idProduct", "c31c")
            machine.link(f"sys/bus/usb/devices/{name}", place)

    return describe


def _stick(machine: Builder, device: Place) -> None:
    machine.disk(f"{device.path}/usb1/1-1/1-1:1.0/host2/target2:0:0/2:0:0:0/block", "sda", parts=("sda1",))
    machine.mount("sda1", "/")


def _frame_buffer(machine: Builder, device: Place) -> None:
    _console(machine, "(M) frame buffer device")
    machine.link("sys/class/graphics/fb0", f"{device.path}/graphics/fb0")
    machine.file(f"{device.path}/graphics/fb0/name", "astdrmfb")
    machine.node(f"{device.path}/drm/card0", "226:0")


def _console(machine: Builder, name: str) -> None:
    machine.file("sys/class/vtconsole/vtcon1/bind", "1")
    machine.file("sys/class/vtconsole/vtcon1/name", name)


def _firmware(machine: Builder, device: Place) -> None:
    machine.file(f"{device.path}/boot_vga", "1")
    machine.file("proc/fb", "0 EFI VGA")


def _text_console(machine: Builder, device: Place) -> None:
    machine.file(f"{device.path}/boot_vga", "1")
    _console(machine, "(S) VGA+")


def _boot_display(machine: Builder, device: Place) -> None:
    machine.file(f"{device.path}/boot_vga", "1")


def _tty(machine: Builder, device: Place) -> None:
    machine.node(f"{device.path}/tty/ttyS4", "4:68")
    machine.file("sys/class/tty/console/active", "tty0 ttyS4")


def _port(state: str) -> Describe:
    def describe(machine: Builder, device: Place) -> None:
        place = f"{device.path}/infiniband/mlx5_0"
        machine.link("sys/class/infiniband/mlx5_0", place)
        machine.file(f"{place}/ports/1/state", state)

    return describe


def _vgpu(machine: Builder, device: Place) -> None:
    machine.mdev_type(device, "nvidia-222", "GRID T4-1B", 14)
    machine.mdev(device, "a1b2c3d4-0001-4000-8000-0000000000a1", "nvidia-222")


USED: Mapping[str, Case] = {
    "an address": Case(NIC, "e1000e", _netdev(up=False, then=_address), "eth0 (has an address)"),
    "a listener": Case(NIC, "e1000e", _netdev(up=False, then=_listener), "eth0 (a process listens on it)"),
    "a bond": Case(NIC, "e1000e", _netdev(up=False, then=_bonded), "eth0 (part of bond bond0)"),
    "a route": Case(NIC, "e1000e", _netdev(up=True, then=lambda m, _: m.route("eth0")), "eth0 (default route)"),
    "iSCSI": Case(NIC, "e1000e", _netdev(up=True, then=_iscsi), "eth0 (disks over iSCSI)"),
    "NVMe-oF": Case(NIC, "e1000e", _netdev(up=True, then=_fabrics), "eth0 (disks over NVMe-oF)"),
    "NFS": Case(NIC, "e1000e", _netdev(up=True, then=_nfs), "eth0 (/srv over nfs4)"),
    "RDMA": Case(INFINIBAND, "mlx5_core", _node("infiniband_verbs/uverbs0", "231:192", user="ib_write_bw"),
                 "uverbs0 (open in ib_write_bw (42))"),
    "graphics": Case(VGA, "i915", _node("drm/renderD128", "226:128", user="Xorg"), "renderD128 (open in Xorg (42))"),
    "an accelerator": Case(ACCELERATOR, "habanalabs", _node("accel/accel0", "261:0", user="python3"),
                           "accel0 (open in python3 (42))"),
    "NVIDIA": Case(VGA, "nvidia", _nvidia_in_use("char/195:3"), "nvidia3 (open in python3 (42))"),
    "NVIDIA's control": Case(VGA, "nvidia", _nvidia_in_use("char/195:255"), "nvidiactl (open in python3 (42))"),
    "AMD's compute": Case(VGA, "amdgpu", _kfd, "kfd (open in rocm (42))"),
    "a vGPU": Case(VGA, "nvidia", _vgpu, "the mediated device a1b2c3d4-0001-4000-8000-0000000000a1"),
    "QuickAssist": Case(QAT, "4xxx", _crypto(2), "the kernel uses qat_aes_cbc"),
    "DSA": Case(DSA, "idxd", _queue("enabled"), "the work queue wq0.0"),
    "sound": Case(AUDIO, "snd_hda_intel", _node("sound/card0/pcmC0D0p", "116:2", user="pipewire"),
                  "pcmC0D0p (open in pipewire (42))"),
    "the console on a frame buffer": Case(VGA, "ast", _frame_buffer, "the console on fb0"),
    "the console of the firmware": Case(VGA, None, _firmware, "the console on the firmware's frame buffer"),
    "the console as text": Case(VGA, None, _text_console, "the console"),
    "the display of the firmware": Case(VGA, "mgag200", _boot_display, "the console"),
    "a serial console": Case(SERIAL, "serial", _tty, "the console on ttyS4"),
    "the root on a stick": Case(XHCI, "xhci_hcd", _stick, "sda (mounted at /)"),
}  # fmt: skip


@pytest.mark.parametrize("name", USED)
def test_a_device_that_is_used(name: str, use_of: Callable[[Case], HostUse]) -> None:
    use = use_of(USED[name])

    assert use.value is Use.USED
    assert USED[name].what in [sign.what for sign in use.used]


def _elsewhere(machine: Builder, device: Place) -> None:
    machine.names(f"{device.path}/net")


def _without_nodes(machine: Builder, _: Place) -> None:
    del machine.entries["sys/dev/char"]


def _hidden_processes(machine: Builder, device: Place) -> None:
    machine.node(f"{device.path}/drm/card0", "226:0")
    del machine.entries["proc/2/comm"]


UNKNOWN: Mapping[str, Case] = {
    "up": Case(NIC, "e1000e", _netdev(up=True), "eth0 is up, and not all that may use it is to be seen"),
    "another namespace": Case(
        NIC, "igb", _elsewhere, "its interface is in another network namespace, such as that of a container"
    ),
    "no interface": Case(NIC, "igb", _nothing, "igb holds it, and no interface of it is to be seen"),
    "RDMA": Case(INFINIBAND, "mlx5_core", _port("4: ACTIVE"),
                 "RDMA is active, and its users in the kernel are not to be seen"),
    "a keyboard": Case(XHCI, "xhci_hcd", _usb("046d"), "the USB device 1-1 (046d:c31c) hangs on it"),
    "a management controller": Case(
        XHCI, "xhci_hcd", _usb("046b"), "a management controller's USB device 1-1 (046b:c31c) hangs on it"
    ),
    "NVIDIA without its file": Case(VGA, "nvidia", _nothing, "which of NVIDIA's nodes is its own is not to be seen"),
    "graphics without nodes": Case(VGA, "fglrx_pci", _nothing,
                                   "no node of it is to be seen, though fglrx_pci holds it"),
    "QuickAssist": Case(QAT, "c6xxvf", _nothing, "whether the kernel encrypts with it is not to be seen"),
    "DSA": Case(DSA, "idxd", _nothing, "whether it has work queues is not to be seen"),
    "a display of which it is not told": Case(
        VGA, None, _without_boot_vga, "whether the firmware's console is on it is not to be seen"
    ),
    "USB without a root hub": Case(XHCI, "xhci_hcd", _nothing, "no root hub of it is to be seen"),
    "sound without a card": Case(AUDIO, "snd_hda_intel", _nothing,
                                 "no node of it is to be seen, though snd_hda_intel holds it"),
    "a kind of its own": Case(
        UNKNOWN_KIND, "some", _nothing, "it is not known what shows whether a device on some is used"
    ),
    "an older recording": Case(AUDIO, "snd_hda_intel", _without_nodes, "which nodes it has is not to be seen"),
    "a container": Case(
        VGA, "i915", _hidden_processes,
        "the processes of the host are not to be seen from here, and one of them may have it open",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_device_of_which_it_is_not_known(name: str, use_of: Callable[[Case], HostUse]) -> None:
    use = use_of(UNKNOWN[name])

    assert use.value is Use.UNKNOWN
    assert UNKNOWN[name].what in [sign.what for sign in use.unknown]


UNUSED: Mapping[str, Case] = {
    "no driver": Case(NIC, None, _nothing),
    "on vfio": Case(NIC, "vfio-pci", _nothing),
    "an interface that is down": Case(NIC, "e1000e", _netdev(up=False)),
    "a process of its own": Case(NIC, "uio_pci_generic", _node("uio/uio0", "243:0")),
    "RDMA that is down": Case(INFINIBAND, "mlx5_core", _port("1: DOWN")),
    "graphics": Case(VGA, "i915", _node("drm/card1", "226:1")),
    "NVIDIA": Case(VGA, "nvidia", _nvidia),
    "QuickAssist": Case(QAT, "4xxxvf", _crypto(1)),
    "DSA": Case(DSA, "idxd", _queue("disabled")),
    "sound": Case(AUDIO, "snd_hda_intel", _node("sound/card0/controlC0", "116:1")),
    "USB": Case(XHCI, "xhci_hcd", _root_hub),
    "USB with a hub": Case(XHCI, "xhci_hcd", _usb("1d6b", "09")),
}


@pytest.mark.parametrize("name", UNUSED)
def test_a_device_of_which_it_is_proved_that_it_is_not_used(name: str, use_of: Callable[[Case], HostUse]) -> None:
    assert use_of(UNUSED[name]) == HostUse()


def test_what_to_look_at_names_nothing_that_a_shell_would_read(use_of: Callable[[Case], HostUse]) -> None:
    use = use_of(Case(NIC, "e1000e", lambda machine, nic: machine.netdev(nic, "$(reboot)")))

    assert [sign.look for sign in use.unknown] == ["`ip -d address show` and `ip route show table all`"]


def test_what_hangs_below_a_function_is_its_use(tmp_path: Path) -> None:
    machine = Builder()
    root = machine.root("pci0000:00")
    port = machine.bridge(root, "0000:00:01.0")
    machine.function(port, "0000:01:00.0", "8086:0001", UNKNOWN_KIND, driver="some")
    controller = machine.function(root, "0000:00:0e.0", "8086:467f", 0x010400, driver="vmd")
    behind = machine.root("pci10000:e0", below=controller.path)
    disk = machine.function(
        machine.bridge(behind, "10000:e0:06.0"), "10000:e1:00.0", "144d:a80a", 0x010802, driver="nvme"
    )
    machine.disk(f"{disk.path}/nvme/nvme0", "nvme0n1")
    machine.mount("nvme0n1", "/")
    layout.write(machine.recording(""), tmp_path / "host")

    with Host(tmp_path / "host") as host:
        whole, part = scan(host), scan(host, only=[PciAddress.parse("0000:00:0e.0")])

    uses = {str(address): function.use for address, function in whole.functions.items()}
    assert uses["0000:00:01.0"].unknown[0].what.startswith("0000:01:00.0 below it: it is not known what shows")
    for address in ("0000:00:0e.0", "10000:e0:06.0", "10000:e1:00.0"):
        assert [sign.what for sign in uses[address].used] == ["nvme0n1 (mounted at /)"]
    assert part.functions[PciAddress.parse("0000:00:0e.0")].use.used == uses["0000:00:0e.0"].used
