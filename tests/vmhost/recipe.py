"""What the passthrough host is made of: Debian packages, kernel modules, files."""

from __future__ import annotations

from collections.abc import Mapping

SUITE = "trixie"
"""The first release with SR-IOV in QEMU's igb and nvme, and a libvirt that KubeVirt ships."""

VERSIONS = "Linux 6.12, libvirt 11.3, QEMU 10.0"
"""What it has; updates of a release change only what comes after."""

KERNEL_PACKAGE = "linux-image-amd64"
NEWER = "sid"
"""Where a newer kernel comes from. The rest of the host stays: what differs is the kernel's doing."""

PACKAGES = (
    "btrfs-progs",
    "busybox-static",
    "driverctl",
    "e2fsprogs",
    "iproute2",
    "kmod",
    "libvirt-clients",
    "libvirt-daemon",
    "libvirt-daemon-driver-nodedev",
    "libvirt-daemon-driver-qemu",
    KERNEL_PACKAGE,
    "lvm2",
    "mdadm",
    "open-iscsi",
    "openssl",
    "pciutils",
    "python3",
    "python3-libvirt",
    "qemu-system-x86",
    "seabios",
    "systemd",
    "tgt",
    "udev",
    "zstd",
)

LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/i18n/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/usr/share/zoneinfo/*",
    "/usr/lib/udev/hwdb.d/*",
    "/usr/lib/x86_64-linux-gnu/gconv/*",
    # libvirt starts each emulator it finds to ask what it can do: 3 seconds each here.
    "/usr/bin/qemu-system-i386",
    "/usr/bin/qemu-system-x86_64-microvm",
)
"""Paths that dpkg does not unpack."""

INITRAMFS_MODULES = ("virtio_blk", "ext4", "9pnet_virtio", "9p")
HOST_MODULES = (
    "vfio-pci",
    "vfio_iommu_type1",
    "kvm-amd",
    "pci-stub",
    "igb",
    "igbvf",
    "nvme",
    "e1000",
    "e1000e",
    "snd-hda-intel",
    "bochs",
    "ahci",
    "i2c-i801",
    "lpc_ich",
    "virtio_net",
    "tun",
    "bridge",
    "bonding",
    "dummy",
    # What can lie on a disk.
    "dm-mod",
    "dm-crypt",
    "cbc",
    "dm-multipath",
    "dm-round-robin",
    "raid1",
    "btrfs",
    "loop",
    "nvmet",
    "sd_mod",
    "iscsi_tcp",
)
"""Kept, with all they need; every other module of the kernel package is dropped."""

FILES: Mapping[str, str] = {
    # The display has no driver until a scenario loads it.
    "etc/modprobe.d/display.conf": "blacklist bochs\n",
    # No systemd, no cgroups, no virtlogd, no unprivileged user: this host runs libvirt and nothing else.
    "etc/libvirt/qemu.conf": """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
remember_owner = 0
""",
    "etc/libvirt/libvirtd.conf": """\
auth_unix_ro = "none"
auth_unix_rw = "none"
log_filters = "3:qemu 3:libvirt 4:object 4:json 4:event 3:util"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
""",
}
MOUNT_POINTS = ("image", "share", "var/log/libvirt/qemu")
DISK_SIZE = "1G"
"""Sparse; what is not used takes no room."""
GUEST_KERNEL = "guest-kernel"
"""The file on the share that guests of the host boot."""
