"""Servers: network cards with VFs, QuickAssist, Arm, AMD."""

from __future__ import annotations

from hostdev.inventory.recorded.recording import Recording
from tests.hostdev.machines.builder import ARM_MSI, MSI, Builder, Place

X710 = "8086:1572"
X710_VF = "8086:154c"
NET = 0x020000
SATA = 0x010601
NVME = 0x010802
USB = 0x0C0330
VGA = 0x030000
QAT = 0x0B4000


def board(machine: Builder, *, node: int = -1) -> Place:
    """What every Intel server has on its first bus: host bridge, USB, SATA with the boot disk, LPC, BMC."""
    root = machine.root("pci0000:00", node=node)
    machine.function(root, "0000:00:00.0", "8086:2020", 0x060000, reset=None)
    usb = machine.function(root, "0000:00:14.0", "8086:a1af", USB, driver="xhci_hcd", reset="pm")
    machine.root_hub(usb)
    machine.region(usb.group, "0x000000006f7a0000 0x000000006f7bffff direct-relaxable", MSI)
    sata = machine.function(root, "0000:00:17.0", "8086:a182", SATA, driver="ahci", reset=None)
    machine.disk(f"{sata.path}/ata1/host0/target0:0:0/0:0:0:0/block", "sda", parts=("sda1", "sda2", "sda3"))
    machine.mapped("dm-0", "vg0-root", "sda3")
    machine.mapped("dm-1", "vg0-swap", "sda3")
    machine.mount("sda1", "/boot/efi")
    machine.mount("sda2", "/boot")
    machine.mount("dm-0", "/")
    machine.mount("dm-0", "/etc/hosts", root="/var/lib/kubelet/pods/etc-hosts")
    machine.swap("dm-1")
    port = machine.bridge(root, "0000:00:1c.0", "8086:a194")
    bmc = machine.bridge(port, "0000:02:00.0", "1a03:1150", driver=None)
    vga = machine.function(bmc, "0000:03:00.0", "1a03:2000", VGA, driver="ast", group=bmc, reset=None)
    machine.file(f"{vga.path}/boot_vga", "1")
    lpc = machine.function(root, "0000:00:1f.0", "8086:a1c1", 0x060100, reset=None)
    machine.function(root, "0000:00:1f.4", "8086:a1a3", 0x0C0500, driver="i801_smbus", group=lpc, reset=None)
    return root


def two_socket_x710() -> Recording:
    machine = Builder()
    machine.nodes("0-23,48-71", "24-47,72-95")
    board(machine, node=0)
    machine.vfio()
    root = machine.root("pci0000:3a", node=0)
    port = machine.bridge(root, "0000:3a:00.0")
    first = machine.function(port, "0000:3b:00.0", X710, NET, driver="i40e", subsystem="8086:0007", reset="flr pm bus")
    second = machine.function(port, "0000:3b:00.1", X710, NET, driver="i40e", subsystem="8086:0000", reset="flr pm bus")
    machine.netdev(first, "ens1f0")
    machine.netdev(second, "ens1f1")
    drivers = ["vfio-pci"] * 4 + ["iavf", "iavf", None, None]
    vfs = machine.vfs(first, "0000:3b:02.0", X710_VF, NET, drivers, total=64)
    machine.netdev(vfs[4], "ens1f0v4", up=False)
    machine.netdev(vfs[5], "ens1f0v5")
    machine.sriov(second, total=64)
    root = machine.root("pci0000:ae", node=1)
    port = machine.bridge(root, "0000:ae:00.0")
    third = machine.function(port, "0000:af:00.0", X710, NET, driver="i40e", subsystem="8086:0007", reset="flr pm bus")
    fourth = machine.function(port, "0000:af:00.1", X710, NET, driver="i40e", subsystem="8086:0000", reset="flr pm bus")
    machine.netdev(third, "ens2f0", up=False)
    machine.netdev(fourth, "ens2f1")
    machine.vfs(third, "0000:af:02.0", X710_VF, NET, ["vfio-pci"] * 8, total=64)
    machine.sriov(fourth, total=64)
    for name, kind in (("bond0", "bond"), ("bond0.100", "vlan"), ("br-storage", "bridge")):
        machine.netdev("virtual", name, kind=kind)
    for lower, upper in (
        ("ens1f1", "bond0"),
        ("ens2f1", "bond0"),
        ("bond0", "bond0.100"),
        ("bond0.100", "br-storage"),
    ):
        machine.upper(lower, upper)
    machine.file("sys/class/net/bonding_masters", "bond0")
    machine.route("bond0")
    machine.route("br-storage", "000200C0", "00FFFFFF")
    root = machine.root("pci0000:d7", node=1)
    port = machine.bridge(root, "0000:d7:00.0")
    raid = machine.function(port, "0000:d8:00.0", "1000:005d", 0x010400, driver="megaraid_sas", reset="bus")
    machine.region(raid.group, "0x000000007a3e9000 0x000000007a3e9fff direct", MSI)
    machine.disk(f"{raid.path}/host1/target1:2:0/1:2:0:0/block", "sdb")
    machine.mount("sdb", "/var/lib/longhorn")
    return machine.recording("Two sockets, four X710 ports with VFs; the default route goes over a bond")


def qat() -> Recording:
    machine = Builder()
    board(machine, node=0)
    machine.vfio("qat_vfio_pci")
    # Generation 4 is an integrated endpoint: PF and VFs sit on a root bus.
    root = machine.root("pci0000:6b", node=0)
    pf = machine.function(root, "0000:6b:00.0", "8086:4940", QAT, driver="4xxx", reset="flr")
    drivers = ["qat_vfio_pci"] * 2 + ["vfio-pci"] * 10 + ["4xxxvf"] * 2 + [None] * 2
    machine.vfs(pf, "0000:6b:00.1", "8086:4941", QAT, drivers)
    root = machine.root("pci0000:3a", node=0)
    for port, address, first in (("0", "0000:3d:00.0", "0000:3d:01.0"), ("1", "0000:3f:00.0", "0000:3f:01.0")):
        bridge = machine.bridge(root, f"0000:3a:0{port}.0")
        pf = machine.function(bridge, address, "8086:37c8", QAT, driver="c6xx", subsystem="8086:35cf", reset="flr bus")
        machine.vfs(pf, first, "8086:37c9", QAT, ["vfio-pci" if port == "0" else "c6xxvf"] * 16)
    machine.file("sys/module/vfio_pci/parameters/disable_denylist", "Y")
    machine.file("proc/crypto", "driver       : qat_aes_cbc", "refcnt       : 1")
    return machine.recording("QuickAssist of generation 4 (16 VFs on the root bus) and two C62x with 16 VFs each")


def kunpeng() -> Recording:
    units = [f"smmu3.0x00000001{n}8000000" for n in ("0", "4", "8")]
    machine = Builder(
        release="5.10.0-216.0.0.115.oe2203sp4.aarch64",
        cmdline="BOOT_IMAGE=/vmlinuz root=/dev/nvme0n1p2 ro iommu.passthrough=1",
        arch=None,
        units=units,
        tables=("IORT",),
        group_type="identity",
        regions=(ARM_MSI,),
        vfio_dev=False,
    )
    machine.vfio("vfio_virqfd")
    machine.nodes("0-31", "32-63", "64-95", "96-127")
    root = machine.root("pci0000:00", node=0)
    port = machine.bridge(root, "0000:00:00.0", "19e5:a120", reset=None)
    nvme = machine.function(port, "0000:01:00.0", "19e5:3714", NVME, driver="nvme", reset=None)
    machine.disk(f"{nvme.path}/nvme/nvme0", "nvme0n1", parts=("nvme0n1p1", "nvme0n1p2"))
    machine.mount("nvme0n1p2", "/")
    root = machine.root("pci0000:80", node=2)
    for slot, bus in ((0, 0x83), (8, 0x84)):
        port = machine.bridge(root, f"0000:80:{slot:02x}.0", "19e5:a120", reset=None)
        pf = machine.function(port, f"0000:{bus:02x}:00.0", "19e5:1822", NET, driver="hinic", reset=None)
        machine.netdev(pf, f"enp{bus}s0")
        machine.vfs(pf, f"0000:{bus:02x}:02.0", "19e5:375e", NET, ["vfio-pci"] * 6 + ["hinic"] * 2, total=120)
    machine.route("enp131s0")
    root = machine.root("pci0000:74", node=0)
    port = machine.bridge(root, "0000:74:01.0", "19e5:a121", reset=None)
    sec = machine.function(port, "0000:76:00.0", "19e5:a255", 0x100000, driver="hisi_sec2", reset=None)
    machine.vfs(sec, "0000:76:00.1", "19e5:a256", 0x100000, ["hisi_acc_vfio_pci"] * 3, total=63)
    for entries in [path for path in machine.entries if path.endswith("/reset_method")]:
        del machine.entries[entries]
    machine.file("sys/devices/system/cpu/modalias", "cpu:type:aarch64:feature:,0000,0001,0002,0003,0004,0005,0006")
    return machine.recording("Kunpeng 920: SMMUv3, two Hi1822 with VFs, an accelerator on a variant driver")


def amd_epyc() -> Recording:
    machine = Builder(
        cmdline="BOOT_IMAGE=/vmlinuz root=/dev/nvme0n1p2 ro iommu=pt",
        units=("ivhd0", "ivhd1", "ivhd2", "ivhd3"),
        tables=("IVRS",),
        group_type="identity",
        regions=(MSI, "0x000000fd00000000 0x000000ffffffffff reserved"),
    )
    machine.vfio("mlx5_vfio_pci")
    machine.nodes("0-63,128-191", "64-127,192-255")
    root = machine.root("pci0000:00", node=0)
    machine.function(root, "0000:00:00.0", "1022:1480", 0x060000, reset=None)
    machine.function(root, "0000:00:00.2", "1022:1481", 0x080600, grouped=False, reset=None)
    dummy = machine.function(root, "0000:00:01.0", "1022:1482", 0x060000, reset=None)
    port = machine.bridge(root, "0000:00:01.1", "1022:1483", group=dummy)
    nvme = machine.function(port, "0000:01:00.0", "144d:a80a", NVME, driver="nvme", group=dummy)
    # Native multipath: the head hangs below a virtual subsystem, a hidden path below the controller.
    machine.disk(f"{nvme.path}/nvme/nvme0", "nvme0c0n1")
    head = "sys/devices/virtual/nvme-subsystem/nvme-subsys0"
    machine.disk(head, "nvme0n1", parts=("nvme0n1p1", "nvme0n1p2"))
    machine.mount("nvme0n1p1", "/boot/efi")
    machine.mount("nvme0n1p2", "/")
    root = machine.root("pci0000:40", node=0)
    port = machine.bridge(root, "0000:40:01.1", "1022:1483")
    gpu = machine.function(port, "0000:41:00.0", "1002:740f", 0x038000, driver="vfio-pci", reset="bus")
    machine.region(gpu.group, MSI)
    root = machine.root("pci0000:80", node=1)
    port = machine.bridge(root, "0000:80:01.1", "1022:1483")
    nic = machine.function(port, "0000:81:00.0", "15b3:101d", NET, driver="mlx5_core", reset="flr bus")
    machine.netdev(nic, "enp129s0np0")
    drivers = ["mlx5_vfio_pci"] * 2 + ["vfio-pci", "mlx5_core"]
    vfs = machine.vfs(nic, "0000:81:00.2", "15b3:101e", NET, drivers, total=16)
    machine.netdev(vfs[3], "enp129s0v3")
    machine.route("enp129s0np0")
    machine.platform_member(None, "AMDI0095:00")
    return machine.recording("AMD: IVRS, ivhd, identity groups, mlx5_vfio_pci, the boot disk under multipath")


def old_kernel() -> Recording:
    machine = Builder(
        release="5.15.0-119-generic",
        cmdline="BOOT_IMAGE=/vmlinuz root=/dev/sda2 ro intel_iommu=on",
        arch=None,
        vfio_dev=False,
        group_type="DMA",
    )
    board(machine)
    machine.vfio("vfio_virqfd")
    machine.file("sys/devices/system/cpu/modalias", "cpu:type:x86,ven0000fam0006mod0055:feature:,0000,0001,0002,0003")
    root = machine.root("pci0000:16")
    port = machine.bridge(root, "0000:16:00.0", reset=None)
    pci = machine.bridge(port, "0000:17:00.0", "10b5:8112", driver="shpchp")
    machine.function(pci, "0000:18:04.0", "10e8:5920", 0x118000, driver="vfio-pci", group=pci, reset=None)
    nic = machine.function(port, "0000:19:00.0", "8086:10fb", NET, driver="ixgbe", reset="flr pm bus")
    machine.netdev(nic, "ens4")
    machine.vfs(nic, "0000:19:10.0", "8086:10ed", NET, ["vfio-pci", "ixgbevf"], total=63)
    machine.route("ens4")
    return machine.recording("Linux 5.15: no vfio-dev; a bridge on shpchp shares a group, which was allowed then")


MACHINES = (two_socket_x710, qat, kunpeng, amd_epyc, old_kernel)
