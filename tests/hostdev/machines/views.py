"""Machines that show little, or show it in an unusual way."""

from __future__ import annotations

from hostdev.inventory.recorded.recording import Recording
from tests.hostdev.machines.builder import GROUPS, Builder
from tests.hostdev.machines.servers import NET, NVME, VGA, two_socket_x710


def empty() -> Recording:
    return Recording(note="Nothing at all")


def no_iommu() -> Recording:
    machine = Builder(
        release="5.14.21-150400.24.153-default",
        cmdline="BOOT_IMAGE=(loop0)/boot/vmlinuz root=LABEL=COS_ACTIVE console=tty1",
        arch=None,
        units=(),
        vfio_dev=False,
        vfio_nodes=False,
    )
    machine.names(GROUPS)
    machine.names("sys/class/iommu")
    machine.file("sys/devices/system/cpu/modalias", "cpu:type:x86,ven0000fam0006mod004F:feature:,0000,0001,0002,0003")
    root = machine.root("pci0000:00")
    machine.function(root, "0000:00:00.0", "8086:6f00", 0x060000, grouped=False, reset=None)
    port = machine.bridge(root, "0000:00:02.0", "8086:6f04", grouped=False)
    for function, name in enumerate(("eno1", "eno2")):
        nic = machine.function(
            port, f"0000:04:00.{function}", "8086:1521", NET, driver="igb", grouped=False, reset=None
        )
        machine.netdev(nic, name)
        machine.sriov(nic, total=7)
    for name, kind in (("mgmt-bo", "bond"), ("mgmt-br", "bridge")):
        machine.netdev("virtual", name, kind=kind)
    machine.upper("eno1", "mgmt-bo")
    machine.upper("mgmt-bo", "mgmt-br")
    machine.route("mgmt-br")
    port = machine.bridge(root, "0000:00:03.0", "8086:6f08", grouped=False)
    machine.function(port, "0000:05:00.0", "10de:1b38", 0x030200, grouped=False, reset=None)
    vga = machine.function(root, "0000:00:1e.0", "102b:0534", VGA, driver="mgag200", grouped=False, reset=None)
    machine.file(f"{vga.path}/boot_vga", "1")
    sata = machine.function(root, "0000:00:1f.2", "8086:8d02", 0x010601, driver="ahci", grouped=False, reset=None)
    machine.disk(f"{sata.path}/ata1/host0/target0:0:0/0:0:0:0/block", "sda", parts=("sda3", "sda5"))
    machine.mount("sda3", "/run/initramfs/cos-state")
    machine.mount("sda5", "/var/lib/longhorn")
    return machine.recording("The firmware has a DMAR table, the kernel was not told to use it")


def noiommu() -> Recording:
    machine = Builder(cmdline="root=/dev/vda1 ro console=ttyS0", units=(), tables=(), group_type="unknown", regions=())
    machine.names("sys/class/iommu")
    machine.vfio()
    machine.file("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y")
    root = machine.root("pci0000:00")
    for slot, driver in ((3, "virtio-pci"), (4, "vfio-pci")):
        bound = driver == "vfio-pci"
        machine.function(root, f"0000:00:{slot:02x}.0", "1af4:1041", NET, driver=driver, grouped=bound, reset=None)
    machine.netdev(machine.root("pci0000:00/0000:00:03.0/virtio0"), "eth0")
    machine.route("eth0")
    machine.file(f"{GROUPS}/0/name", "vfio-noiommu")
    del machine.entries["dev/vfio/0"]
    machine.file("dev/vfio/noiommu-0")
    return machine.recording("VFIO without an IOMMU behind it")


def vmd() -> Recording:
    machine = Builder(release="6.12.57+deb13-amd64", units=("dmar0", "dmar1"))
    machine.vfio()
    root = machine.root("pci0000:00")
    machine.function(root, "0000:00:00.0", "8086:4621", 0x060000, reset=None)
    controller = machine.function(root, "0000:00:0e.0", "8086:467f", 0x010400, driver="vmd", reset=None)
    behind = machine.root("pci10000:e0", below=controller.path)
    port = machine.bridge(behind, "10000:e0:06.0", "8086:464d", group=controller)
    disks = ((port, "10000:e1:00.0", 0, ("nvme0n1p1", "nvme0n1p2")), (None, "10000:e2:00.0", 1, ()))
    for place, address, index, parts in disks:
        above = place or machine.bridge(behind, "10000:e0:1d.0", "8086:51b0", group=controller)
        nvme = machine.function(above, address, "144d:a80a", NVME, driver="nvme", group=controller)
        machine.disk(f"{nvme.path}/nvme/nvme{index}", f"nvme{index}n1", parts=parts)
    machine.mount("nvme0n1p2", "/")
    return machine.recording("Disks behind Intel VMD, in a PCI domain that libvirt cannot name")


def container_view() -> Recording:
    """The X710 server, as a pod without privileges sees it."""
    hidden = (
        "sys/firmware/",
        "sys/class/net/",
        "sys/devices/virtual/net/",
        "dev/",
        "proc/1/",
        "proc/2/",
        "proc/net/",
        "run/",
    )
    entries = {
        path: entry
        for path, entry in two_socket_x710().entries.items()
        if not path.startswith(hidden) and "/net/" not in path
    }
    machine = Builder()
    machine.entries = {}
    machine.netdev("virtual", "eth0")
    machine.route("eth0")
    entries |= machine.entries
    entries |= {path: entry for path, entry in machine.recording("").entries.items() if path.startswith("proc/net/")}
    machine.entries = entries
    machine.names("sys/firmware")
    machine.file(
        "proc/self/mountinfo",
        "980 810 0:90 / / rw,relatime - overlay overlay rw",
        "995 980 253:0 /var/lib/kubelet/pods/x/etc-hosts /etc/hosts rw,relatime - ext4 /dev/mapper/vg0-root rw",
    )
    return Recording(note="The X710 server as a pod sees it: no firmware, host network, /dev/vfio", entries=entries)


MACHINES = (empty, no_iommu, noiommu, vmd, container_view)
