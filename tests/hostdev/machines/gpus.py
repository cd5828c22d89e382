"""Machines with graphics cards and other accelerators."""

from __future__ import annotations

from hostdev.inventory.recorded.recording import Recording
from tests.hostdev.machines.builder import MSI, Builder
from tests.hostdev.machines.resources import describe_processor
from tests.hostdev.machines.servers import NET, NVME, USB, VGA, board

T4_TYPES = {
    "nvidia-222": ("GRID T4-1B", 14),
    "nvidia-223": ("GRID T4-2B", 0),
    "nvidia-225": ("GRID T4-1A", 0),
    "nvidia-229": ("GRID T4-16A", 0),
    "nvidia-230": ("GRID T4-1Q", 0),
    "nvidia-232": ("GRID T4-4Q", 0),
    "nvidia-234": ("GRID T4-16Q", 0),
}
H100_BARS = ("0: 16M pref64", "2: 128G pref64", "4: 32M pref64")
"""A dump of a config space tells three 64-bit prefetchable BARs; its addresses leave room for 128 GiB and 32 MiB. The
first one's size is general knowledge."""
T4_BARS = ("0: 16M mem32", "1: 256M pref64", "3: 32M pref64")
"""General knowledge, as are the BARs of the consumer's card: read `resource` where it matters."""
CARD_BARS = ("0: 16M mem32", "1: 256M pref64", "3: 32M pref64", "5: 128 io")
T4_MDEVS = ("a1b2c3d4-0001-4000-8000-0000000000a1", "a1b2c3d4-0002-4000-8000-0000000000a2")


def hgx_h100() -> Recording:
    machine = Builder(cmdline="root=/dev/sda2 ro intel_iommu=on iommu=pt vfio-pci.ids=10de:2330,10de:22a3")
    board(machine, node=0)
    machine.vfio("iommufd")
    describe_processor(machine.entries, "GenuineIntel", 52)
    machine.nodes("0-55,112-167", "56-111,168-223")
    for index, (bus, node) in enumerate(((0x17, 0), (0x48, 0), (0x8A, 1), (0xC9, 1))):
        root = machine.root(f"pci0000:{bus - 1:02x}", node=node)
        port = machine.bridge(root, f"0000:{bus - 1:02x}:01.0", "8086:352a")
        upstream = machine.bridge(port, f"0000:{bus:02x}:00.0", "1000:c030")
        endpoints = (
            ("10de:2330", 0x030200, "vfio-pci", "10de:16c1"),
            ("10de:2330", 0x030200, "vfio-pci", "10de:16c1"),
            ("15b3:1021", 0x020700, "mlx5_core", "15b3:0041"),
            ("144d:a80a", NVME, "nvme", "144d:aa8c"),
        )
        for slot, (ids, class_code, driver, subsystem) in enumerate(endpoints):
            down = machine.bridge(upstream, f"0000:{bus + 1:02x}:{slot:02x}.0", "1000:c030")
            place = machine.function(
                down, f"0000:{bus + 2 + slot:02x}:00.0", ids, class_code, driver=driver, subsystem=subsystem
            )
            if ids == "10de:2330":
                machine.bars(place, *H100_BARS)
            if driver == "nvme":
                machine.disk(f"{place.path}/nvme/nvme{index}", f"nvme{index}n1")
            if driver == "mlx5_core":
                machine.netdev(place, f"ibp{bus + 2 + slot}s0")
                machine.sriov(place, total=16)
    root = machine.root("pci0000:d0", node=1)
    port = machine.bridge(root, "0000:d0:01.0", "8086:352a")
    upstream = machine.bridge(port, "0000:d1:00.0", "1000:c030")
    for slot in range(4):
        down = machine.bridge(upstream, f"0000:d2:{slot:02x}.0", "1000:c030")
        machine.function(down, f"0000:{0xD3 + slot:02x}:00.0", "10de:22a3", 0x068000, driver="vfio-pci", reset="bus")
    machine.file("dev/iommu")
    return machine.recording("Eight H100 and four NVSwitches behind PCIe switches")


def tesla_t4() -> Recording:
    machine = Builder(release="5.14.0-503.11.1.el9_5.x86_64", arch=None, vfio_dev=False)
    board(machine, node=0)
    machine.vfio("mdev", "vfio_mdev", "nvidia_vgpu_vfio")
    describe_processor(machine.entries, "GenuineIntel", 46, iommu="8d2078c106f0466")
    root = machine.root("pci0000:3a", node=0)
    port = machine.bridge(root, "0000:3a:00.0")
    gpu = machine.function(port, "0000:3b:00.0", "10de:1eb8", 0x030200, driver="nvidia", subsystem="10de:12a2")
    machine.bars(gpu, *T4_BARS)
    for name, (title, available) in T4_TYPES.items():
        machine.mdev_type(gpu, name, title, available)
    for uuid in T4_MDEVS:
        machine.mdev(gpu, uuid, "nvidia-222")
    port = machine.bridge(root, "0000:3a:02.0")
    gpu = machine.function(port, "0000:5e:00.0", "10de:2235", 0x030200, driver="nvidia", subsystem="10de:145a")
    vfs = machine.vfs(gpu, "0000:5e:00.4", "10de:2235", 0x030200, ["nvidia"] * 3, total=32)
    for vf, kind in zip(vfs, ("557", "0", "0"), strict=True):
        machine.file(f"{vf.path}/nvidia/current_vgpu_type", kind)
    return machine.recording("A Tesla T4 with two mediated devices; an A40 whose VFs carry the vendor's vGPUs")


def consumer_gpu() -> Recording:
    machine = Builder(release="6.17.0-8-generic", units=("dmar0",))
    machine.vfio()
    root = machine.root("pci0000:00")
    machine.function(root, "0000:00:00.0", "8086:4660", 0x060000, reset=None)
    port = machine.bridge(root, "0000:00:01.0", "8086:460d")
    card = (
        ("1e04", VGA, "vfio-pci"),
        ("10f7", 0x040300, "snd_hda_intel"),
        ("1ad6", USB, "xhci_hcd"),
        ("1ad7", 0x0C8000, "nvidia-gpu"),
    )
    gpu, sound, usb, ucsi = (
        machine.function(
            port, f"0000:01:00.{function}", f"10de:{device}", class_code, driver=driver, group=port, reset="bus"
        )
        for function, (device, class_code, driver) in enumerate(card)
    )
    machine.bars(gpu, *CARD_BARS, rom=512 << 10)
    machine.bars(sound, "0: 16K mem32")
    machine.bars(usb, "0: 256K pref64", "2: 64K pref64")
    machine.bars(ucsi, "0: 4K mem32")
    machine.node(f"{sound.path}/sound/card1/controlC1", "116:9")
    machine.root_hub(usb)
    igpu = machine.function(root, "0000:00:02.0", "8086:4680", VGA, driver="i915", reset="flr")
    machine.region(igpu.group, "0x000000007c800000 0x00000000807fffff direct-relaxable", MSI)
    machine.file(f"{igpu.path}/boot_vga", "1")
    port = machine.bridge(root, "0000:00:06.0", "8086:464d")
    nvme = machine.function(port, "0000:02:00.0", "144d:a80c", NVME, driver="nvme")
    machine.disk(f"{nvme.path}/nvme/nvme0", "nvme0n1", parts=("nvme0n1p1", "nvme0n1p2"))
    machine.mapped("dm-0", "luks-root", "nvme0n1p2")
    machine.mount("nvme0n1p1", "/boot/efi")
    machine.mount("dm-0", "/")
    nic = machine.function(root, "0000:00:1f.6", "8086:1a1d", NET, driver="e1000e", reset="flr pm")
    machine.netdev(nic, "eno1")
    machine.route("eno1")
    return machine.recording("A graphics card whose sound, USB and USB-C functions share its group")


def intel_igpu() -> Recording:
    machine = Builder(
        release="6.8.12-15-pve",
        cmdline="initrd=initrd.img root=/dev/nvme0n1p2 intel_iommu=on i915.enable_guc=3 i915.max_vfs=7",
    )
    machine.vfio()
    root = machine.root("pci0000:00")
    machine.function(root, "0000:00:00.0", "8086:4621", 0x060000, reset=None)
    igpu = machine.function(root, "0000:00:02.0", "8086:46a6", VGA, driver="i915", reset="flr")
    machine.region(igpu.group, "0x000000004c800000 0x00000000507fffff direct-relaxable", MSI)
    machine.file(f"{igpu.path}/boot_vga", "1")
    machine.vfs(igpu, "0000:00:02.1", "8086:46a6", VGA, ["vfio-pci"] * 7)
    port = machine.bridge(root, "0000:00:06.0", "8086:464d")
    nvme = machine.function(port, "0000:01:00.0", "15b7:5030", NVME, driver="nvme")
    machine.disk(f"{nvme.path}/nvme/nvme0", "nvme0n1", parts=("nvme0n1p2",))
    machine.mount("nvme0n1p2", "/")
    nic = machine.function(root, "0000:00:1f.6", "8086:1a1e", NET, driver="e1000e", reset="flr pm")
    machine.netdev(nic, "eno1")
    machine.netdev("virtual", "vmbr0", kind="bridge")
    machine.upper("eno1", "vmbr0")
    machine.route("vmbr0")
    return machine.recording("Integrated graphics with seven VFs")


def nvme_in_gpu_group() -> Recording:
    machine = Builder(release="6.4.0-150600.23.60-default", cmdline="root=LABEL=COS_STATE intel_iommu=on")
    machine.vfio()
    root = machine.root("pci0000:00")
    machine.function(root, "0000:00:00.0", "8086:3ec2", 0x060000, reset=None)
    port = machine.bridge(root, "0000:00:01.0", "8086:1901")
    gpu = machine.function(port, "0000:01:00.0", "10de:2571", VGA, driver="vfio-pci", group=port, reset="bus")
    machine.function(port, "0000:01:00.1", "10de:228e", 0x040300, driver="vfio-pci", group=gpu, reset="bus")
    # A port without ACS: what is behind it joins the group of its neighbour.
    second = machine.bridge(root, "0000:00:01.1", "8086:1905", group=port)
    nvme = machine.function(second, "0000:02:00.0", "144d:a808", NVME, driver="nvme", group=port)
    machine.disk(f"{nvme.path}/nvme/nvme0", "nvme0n1", parts=("nvme0n1p1", "nvme0n1p5"))
    machine.mount("nvme0n1p1", "/oem")
    machine.mount("nvme0n1p5", "/usr/local")
    return machine.recording("After an upgrade the boot disk is in the graphics card's group")


def group_zero() -> Recording:
    machine = Builder(units=("dmar0",))
    machine.vfio()
    root = machine.root("pci0000:00")
    machine.function(root, "0000:00:02.0", "8086:5917", VGA, driver="vfio-pci", reset="flr", group=0)
    machine.function(root, "0000:00:00.0", "8086:5914", 0x060000, reset=None)
    return machine.recording("A device that can go to a VM, in group 0")


MACHINES = (hgx_h100, tesla_t4, consumer_gpu, intel_igpu, nvme_in_gpu_group, group_zero)
