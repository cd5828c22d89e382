"""What changes a node."""

from __future__ import annotations

from hostdev.cli.commands.common import COLOR, DEVICE, DEVICES, HOST, NODE, PCI_IDS, output_in
from hostdev.commandline import Argument, Command, Complete

STATE_DIR = Argument(
    ("--state-dir",),
    "where the journal of changes is kept",
    metavar="DIR",
    default="/var/lib/passgate",
    complete=Complete.DIRECTORY,
)
DRY_RUN = Argument(("--dry-run",), "print what would be written, and write nothing", flag=True)
YES = Argument(("-y", "--yes"), "do it without asking", flag=True, takes_away=True)
WITH_GROUP = Argument(
    ("--with-group",),
    "also the other members of the IOMMU groups that would keep them from a VM",
    flag=True,
    takes_away=True,
)
DESPITE = Argument(
    ("--despite",),
    "go on although a finding with this code stands against a device that was named",
    metavar="CODE",
    repeat=True,
    complete=Complete.CODE,
)
DEADLINE = Argument(
    ("--deadline",), "how long a write may take before it is left alone", metavar="SECONDS", type=float, default=30
)
CONSENT = (WITH_GROUP, DESPITE, DRY_RUN, YES, DEADLINE, STATE_DIR)
"""What every change of devices takes."""
_NAMED = DEVICES._replace(nargs="+")
_HOW = (
    "Prints every write and asks, on a terminal, before the first one. Everything that could forbid a write is asked "
    "again right before it; what fails is undone. --dry-run works on recorded machines, too."
)

BIND = Command(
    "node bind",
    "Put devices on the vfio driver that fits, so that VMs can have them.",
    f"{_HOW} Only for the group as a whole can a VM have a member: --with-group binds the others, too.",
    (
        _NAMED,
        HOST,
        Argument(
            ("--driver",), "the vfio driver (default: the one made for the device, else vfio-pci)", metavar="NAME"
        ),
        *CONSENT,
        output_in("text", "json", "yaml"),
        COLOR,
        PCI_IDS,
    ),
    run="hostdev.cli.node.bind:bind",
    examples=(
        ("passgate node bind 3d:02.2 --dry-run", "the writes, and what stands against them"),
        ("passgate node bind 01:00.0 --with-group --yes", "a graphics card with its audio function, for a script"),
    ),
)

UNBIND = Command(
    "node unbind",
    "Give devices back to the host.",
    f"{_HOW} A device goes to the driver that had it, as the journal tells, else to one that is made for it.",
    (
        _NAMED,
        HOST,
        Argument(("--to",), "the driver that shall have them", metavar="DRIVER"),
        *CONSENT,
        output_in("text", "json", "yaml"),
        COLOR,
        PCI_IDS,
    ),
    run="hostdev.cli.node.bind:unbind",
    examples=(("passgate node unbind 3d:02.2", "back to the driver that had it"),),
)

VFS = Command(
    "node vfs",
    "Give a PF so many VFs, and put them on a driver.",
    f"{_HOW} A number changes over 0, and only where no VF is held or used. The host's drivers are kept off the new "
    "VFs while they are made; the settings come before a vfio driver has them. What was really made is counted.",
    (
        DEVICE._replace(metavar="PF"),
        Argument(("COUNT",), "how many VFs it shall have", type=int),
        HOST,
        Argument(
            ("--driver",),
            "the driver of the VFs: vfio-pci, none, host for whichever takes them, or a name",
            metavar="NAME",
            default="vfio-pci",
        ),
        Argument(
            ("--set",),
            "a setting of the VFs, or of one: 0.mac=…; mac, vlan, vgpu_type, vram_quota, exec_quantum_ms, "
            "preempt_timeout_us, sched_priority, cfg_services",
            metavar="KEY=VALUE",
            repeat=True,
        ),
        *(one for one in CONSENT if one is not WITH_GROUP),
        output_in("text", "json", "yaml"),
        COLOR,
    ),
    run="hostdev.cli.node.vfs:run",
    examples=(
        ("passgate node vfs 3d:00.0 8 --dry-run", "the writes that make 8 VFs, and what stands against them"),
        ("passgate node vfs ens1f0 2 --set 0.mac=02:00:00:00:00:01 --set vlan=100 --yes", "with settings"),
    ),
)

JOURNAL = Command(
    "node journal",
    "List, show, undo and recover changes of this node.",
    "Every change is written down before it is made. `undo` puts the devices of a change back where they were before; "
    "`recover` finds out how changes ended that were cut off or had to wait, and undoes what was left half done. After "
    "a reboot a change is history: drivers and VFs begin anew.",
    (
        Argument(
            ("ACTION",),
            "what to do",
            nargs="?",
            choices=("list", "show", "undo", "recover"),
            default="list",
            takes_away=True,
        ),
        Argument(("ID",), "the change, by the beginning of its ID", nargs="?"),
        Argument(("--despite",), DESPITE.help, metavar="CODE", repeat=True, complete=Complete.CODE),
        DRY_RUN,
        YES,
        DEADLINE,
        STATE_DIR,
        output_in("text", "json", "yaml"),
        COLOR,
    ),
    run="hostdev.cli.node.journal:run",
    examples=(
        ("passgate node journal", "all changes, the latest last"),
        ("passgate node journal recover", "after a crash, or when a VM has let its device go"),
    ),
)


FILE = Argument(("FILE",), "a NodeState file; - is standard input", complete=Complete.FILE)
_SHOWN = output_in("text", "json", "yaml")

EXPORT = Command(
    "node state export",
    "Write what this node is now as a NodeState file.",
    "Devices on vfio drivers, PFs with their VFs, and the kernel parameters and options of VFIO's modules that decide "
    "about passthrough. The file plans to nothing on this node: it is what to begin with.",
    (
        HOST,
        Argument(("--name",), "what to call it (default: the node's name)", metavar="NAME"),
        Argument(
            ("--by",),
            "how entries find their devices again: by address, or by the way through bridges, which other cards do "
            "not change",
            choices=("address", "path"),
            default="address",
        ),
        output_in("yaml", "json"),
    ),
    run="hostdev.cli.node.state:export_state",
    examples=(("passgate node state export > node-state.yaml", "adopt a node as it is"),),
)

PLAN = Command(
    "node state plan",
    "Show what would make this node as a NodeState file says.",
    "For each entry the writes that would be made, or that nothing is to do, or what forbids it. Nothing is written. "
    "Works on recorded machines, too.",
    (FILE, HOST, NODE, DESPITE, STATE_DIR, DEADLINE, _SHOWN, COLOR),
    run="hostdev.cli.node.state:show_plan",
    examples=(("passgate node state plan node-state.yaml --host machine.toml", "on a recorded machine"),),
)

APPLY = Command(
    "node state apply",
    "Make this node as a NodeState file says.",
    "Entry by entry what `plan` shows, VFs first. What one entry is refused, or fails, does not stop the others. "
    "Prints the plan and asks, on a terminal, before the first write. A second run has nothing to do. It ends as the "
    "worst of its entries: 7, 6, 8, 5 or 0.",
    (FILE, HOST, NODE, DESPITE, DRY_RUN, YES, DEADLINE, STATE_DIR, _SHOWN, COLOR),
    run="hostdev.cli.node.state:apply_state",
    examples=(("passgate node state apply node-state.yaml --yes", "without asking, as the systemd service does"),),
)

STATUS = Command(
    "node state status",
    "Tell how each entry of a NodeState file stands on this node.",
    "Each device is held, drifted (what differs, and what wrote it last where that is known), waiting (for a VM that "
    "has it), refused or unknown. Parameters of the kernel that the file declares are compared with those it was "
    "booted with. Nothing is written.",
    (FILE, HOST, NODE, DESPITE, STATE_DIR, DEADLINE, output_in("table", "json", "yaml"), COLOR),
    run="hostdev.cli.node.state:show_status",
    examples=(("passgate node state status node-state.yaml || echo drifted", "a check for a script"),),
)

INSTALL = Command(
    "node state install",
    "Have this node as a NodeState file says after each boot, before kubelet starts.",
    "Writes the file and a systemd service that applies it: after udev has settled, and before kubelet. With --for it "
    "prints what other kinds of hosts take, and writes nothing. Kernel parameters and options of modules are never "
    "written: --for grub prints where they go.",
    (
        FILE,
        HOST,
        NODE,
        Argument(
            ("--for",),
            "print the form for this kind of host instead: grub, machineconfig, talos, cloud-init or harvester",
            metavar="KIND",
            choices=("grub", "machineconfig", "talos", "cloud-init", "harvester"),
        ),
        Argument(
            ("--image",),
            "the node image, where the form needs one",
            metavar="IMAGE",
            default="registry.example/passgate-node:latest",
        ),
        DRY_RUN,
    ),
    run="hostdev.cli.node.install:install_state",
    examples=(
        ("passgate node state install node-state.yaml --dry-run", "the files that would be written"),
        ("passgate node state install node-state.yaml --for machineconfig", "for OpenShift"),
    ),
)

COMMANDS = (BIND, UNBIND, VFS, JOURNAL, EXPORT, PLAN, APPLY, STATUS, INSTALL)
