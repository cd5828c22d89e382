"""What changes a node."""

from __future__ import annotations

from hostdev.cli.commands.common import COLOR, DEVICES, HOST, PCI_IDS, output_in
from hostdev.commandline import Argument, Command, Complete

STATE_DIR = Argument(
    ("--state-dir",),
    "where the journal of changes is kept",
    metavar="DIR",
    default="/var/lib/passgate",
    complete=Complete.DIRECTORY,
)
DRY_RUN = Argument(("--dry-run",), "print what would be written, and write nothing", flag=True)
YES = Argument(("-y", "--yes"), "do it without asking", flag=True)
WITH_GROUP = Argument(
    ("--with-group",), "also the other members of the IOMMU groups that would keep them from a VM", flag=True
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

JOURNAL = Command(
    "node journal",
    "List, show, undo and recover changes of this node.",
    "Every change is written down before it is made. `undo` puts the devices of a change back where they were before; "
    "`recover` finds out how changes ended that were cut off or had to wait, and undoes what was left half done. After "
    "a reboot a change is history: drivers and VFs begin anew.",
    (
        Argument(("ACTION",), "what to do", nargs="?", choices=("list", "show", "undo", "recover"), default="list"),
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

COMMANDS = (BIND, UNBIND, JOURNAL)
