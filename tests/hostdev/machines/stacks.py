"""Machines whose disks carry layers at random, one of them the root; and what each layer lies on, known beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from tests.hostdev.machines.builder import Builder, Place

UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1{:03d}"
LAYERS = ("dm", "md", "loop", "multipath")
FILE_SYSTEMS = ("ext4", "vfat", "btrfs", "bcachefs", "zfs", "swap")
LOST = ("run/udev/data", "proc/1/mountinfo", "proc/1/fd", "proc/2/comm", "proc/swaps", "sys/fs", "sys/dev/char")
"""What a container, an ordinary user or an older recording does not show."""


@dataclass
class Stack:
    """A machine in the making; `carried` tells by the name of a block device which functions it lies on."""

    machine: Builder = field(default_factory=Builder)
    free: list[str] = field(default_factory=list)
    carried: dict[str, set[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    root: set[str] = field(default_factory=set)
    made: int = 0

    def controller(self, draw: st.DrawFn, number: int, groups: list[Place]) -> None:
        """A controller, alone or behind VMD, in a group of its own or in that of another one."""
        group = draw(st.sampled_from([None, *groups]))
        top = self.machine.root("pci0000:00")
        address, above = f"0000:00:{number + 2:02x}.0", {f"0000:00:{number + 2:02x}.0"}
        kind = draw(st.sampled_from(["ahci", "nvme", "vmd"]))
        if kind == "vmd":
            vmd = self.machine.function(top, address, "8086:467f", 0x010400, driver="vmd", group=group)
            top = self.machine.root(f"pci1000{number}:e0", below=vmd.path)
            address, group = f"1000{number}:e1:00.0", vmd
            above.add(address)
        code = 0x010601 if kind == "ahci" else 0x010802
        place = self.machine.function(top, address, "144d:a80a", code, driver=kind.replace("vmd", "nvme"), group=group)
        groups.append(place)
        for disk in range(draw(st.integers(1, 2))):
            name = f"sd{'abcdefghij'[2 * number + disk]}"
            parts = [f"{name}{part}" for part in range(1, draw(st.integers(1, 3)))]
            self.machine.disk(f"{place.path}/host{number}/block", name, parts=parts)
            for one in parts or [name]:
                self.carried[one] = set(above)
                self.free.append(one)

    def take(self, draw: st.DrawFn, most: int = 3) -> tuple[list[str], set[str]]:
        """Some of the devices that nothing lies on, and the functions they lie on."""
        taken = draw(st.lists(st.sampled_from(self.free), min_size=1, max_size=most, unique=True))
        self.free = [name for name in self.free if name not in taken]
        return taken, set().union(*(self.carried[name] for name in taken))

    def layer(self, draw: st.DrawFn) -> None:
        """A block device on others."""
        kind = draw(st.sampled_from(LAYERS))
        taken, carried = self.take(draw, 1 if kind == "loop" else 3)
        name, directory = f"{'dm-' if kind != 'loop' else 'loop'}{self.made}", "sys/devices/virtual/block"
        self.made += 1
        if kind == "loop":
            self.machine.disk(directory, name)
            self.machine.file(f"{directory}/{name}/loop/backing_file", f"/dev/{taken[0]}")
            self.machine.device_node(taken[0])
        elif kind == "md":
            name = f"md{self.made}"
            self.machine.disk(directory, name)
            for lower in taken:
                self.machine.label(lower, "linux_raid_member")
                self.machine.hold(lower, name)
        else:
            for lower in taken:
                self.machine.label(lower, "mpath_member" if kind == "multipath" else "LVM2_member")
            self.machine.mapped(name, f"{kind}-{self.made}", *taken)
        self.carried[name] = carried
        self.used |= carried
        self.free.append(name)

    def file_system(self, draw: st.DrawFn, point: str) -> None:
        """A file system or swap on some devices, the root on no swap."""
        kind = draw(st.sampled_from([k for k in FILE_SYSTEMS if point != "/" or k != "swap"]))
        taken, carried = self.take(draw, 3 if kind in {"btrfs", "bcachefs", "zfs"} else 1)
        machine, number = self.machine, f"0:{90 + self.made}"
        self.made += 1
        for name in taken:
            machine.label(name, "zfs_member" if kind == "zfs" else kind, f"E:ID_FS_LABEL=pool{self.made}")
        if kind == "swap":
            machine.swap(taken[0])
        elif kind == "zfs":
            machine.mount_line(number, point, f"zfs pool{self.made}/data rw")
        elif kind == "bcachefs":
            machine.mount_line(number, point, f"bcachefs {':'.join(f'/dev/{name}' for name in taken)} rw")
        elif kind == "btrfs":
            machine.names(f"sys/fs/btrfs/{UUID.format(self.made)}/devices", *taken)
            machine.mount_line(number, point, f"btrfs /dev/{taken[0]} rw")
        else:
            machine.mount(taken[0], point)
            machine.label(taken[0], kind)
        self.used |= carried
        if point == "/":
            self.root = carried


@st.composite
def stacks(draw: st.DrawFn) -> Stack:
    """Two to five controllers, layers on their disks, one root."""
    stack = Stack()
    groups: list[Place] = []
    for number in range(draw(st.integers(2, 5))):
        stack.controller(draw, number, groups)
    for _ in range(draw(st.integers(0, 4))):
        stack.layer(draw)
    stack.file_system(draw, "/")
    for number in range(draw(st.integers(0, 2))):
        if stack.free:
            stack.file_system(draw, f"/srv{number}")
    return stack
