"""A small kernel for the host and its guests: all they need is built in, it starts faster, and it has iommufd."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.vmhost import recipe
from tests.vmhost.debian import install, logged

PACKAGES = ("bc", "bison", "flex", "gcc", "libc6-dev", "libelf-dev", "linux-source", "make", "xz-utils")

OFF = ("CC_OPTIMIZE_FOR_SIZE", "EXPERT", "EMBEDDED", "HZ_250")
ON = (
    *("CC_OPTIMIZE_FOR_PERFORMANCE", "64BIT", "SMP", "PRINTK", "TTY", "SERIAL_8250", "SERIAL_8250_CONSOLE"),
    *("BINFMT_ELF", "BINFMT_SCRIPT", "BLK_DEV_INITRD", "MODULES", "MODULE_UNLOAD", "KALLSYMS", "BUG", "ELFCORE"),
    *("PROC_FS", "SYSFS", "TMPFS", "DEVTMPFS", "SHMEM", "HUGETLBFS", "TRANSPARENT_HUGEPAGE", "MAGIC_SYSRQ"),
    *("MULTIUSER", "SYSVIPC", "POSIX_MQUEUE", "POSIX_TIMERS", "FILE_LOCKING", "FHANDLE", "INOTIFY_USER"),
    *("FUTEX", "EPOLL", "SIGNALFD", "TIMERFD", "EVENTFD", "AIO", "IO_URING", "MEMBARRIER", "ADVISE_SYSCALLS"),
    *("UNIX98_PTYS", "CGROUPS", "NAMESPACES", "SECCOMP", "SECCOMP_FILTER", "HIGH_RES_TIMERS", "NO_HZ_IDLE", "HZ_100"),
    *("HYPERVISOR_GUEST", "PVH", "DMI", "RTC_CLASS", "HPET_TIMER", "X86_X2APIC", "X86_MPPARSE", "PM"),
    *("NUMA", "X86_64_ACPI_NUMA", "ACPI", "ACPI_NUMA", "PCI", "PCI_MSI", "PCI_IOV", "PCI_MMCONFIG", "PCI_QUIRKS"),
    *("PCIEPORTBUS", "PCI_ATS", "PCI_PRI", "PCI_PASID", "HOTPLUG_PCI", "HOTPLUG_PCI_PCIE", "HOTPLUG_PCI_ACPI"),
    *("IOMMU_SUPPORT", "INTEL_IOMMU", "INTEL_IOMMU_DEFAULT_ON", "IRQ_REMAP", "IOMMU_DEFAULT_DMA_STRICT", "IOMMUFD"),
    *("VFIO", "VFIO_PCI", "VFIO_GROUP", "VFIO_CONTAINER", "VFIO_IOMMU_TYPE1", "VFIO_DEVICE_CDEV"),
    *("NET", "UNIX", "INET", "NETDEVICES", "ETHERNET", "NET_VENDOR_INTEL", "IGB", "IGBVF", "E1000", "E1000E", "TUN"),
    *(
        "NET_9P",
        "NET_9P_VIRTIO",
        "NETWORK_FILESYSTEMS",
        "9P_FS",
        "VIRTIO_MENU",
        "VIRTIO_PCI",
        "VIRTIO_BLK",
        "VIRTIO_NET",
    ),
    *("BLOCK", "BLK_DEV", "EXT4_FS", "BLK_DEV_NVME", "ATA", "SATA_AHCI", "SOUND", "SND", "SND_PCI", "SND_HDA_INTEL"),
)
"""On top of the smallest configuration there is."""

SCRIPT = f"""
set -e
cd /usr/src
tar --extract --file linux-source-*.tar.xz
cd linux-source-*/
make --silent tinyconfig
for option in {" ".join(OFF)}; do scripts/config --disable $option; done
for option in {" ".join(ON)}; do scripts/config --enable $option; done
make --silent olddefconfig
for option in {" ".join(ON)}; do grep -qx "CONFIG_$option=y" .config || echo "not built in: $option"; done
make --silent --jobs=$(nproc) vmlinux
strip -o /kernel vmlinux
"""


def make(target: Path, log: Path) -> None:
    """Leave the small kernel in a directory."""
    log.unlink(missing_ok=True)
    root = target / "root"
    install(root, PACKAGES, log, left_out=recipe.LEFT_OUT)
    logged(["chroot", str(root), "sh", "-c", SCRIPT], log)
    (root / "kernel").rename(target / "kernel")
    shutil.rmtree(root)
