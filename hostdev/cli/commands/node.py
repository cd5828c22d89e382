"""What looks at a node."""

from __future__ import annotations

from hostdev.cli.commands.cluster import NODE_EXPLAIN
from hostdev.cli.commands.common import (
    COLOR,
    DESPITE,
    DEVICES,
    HOST,
    INSTEAD_OF_SELECTORS,
    NODE,
    PCI_IDS,
    SELECTOR_OPTIONS,
    SELECTORS,
    TABLE_OPTIONS,
    fail_on,
    output_in,
)
from hostdev.commandline import Argument, Command, Complete

LIST = Command(
    "node list",
    "List PCI devices: what they are, who drives them, whether they can be passed through.",
    "One line for each device that a guest could have. PASSTHROUGH is yes, or the code of what stands in the way; "
    "`passgate node explain CODE` tells more about it. VFs of one PF that are alike are one line; bridges and parts of "
    "the board are counted below.",
    (
        SELECTORS,
        *SELECTOR_OPTIONS,
        HOST,
        Argument(("--all",), "one line for each PCI function", flag=True),
        *TABLE_OPTIONS,
        DESPITE,
        output_in("table", "wide", "csv", "json", "jsonl", "yaml", "name"),
        fail_on(),
        COLOR,
        PCI_IDS,
    ),
    run="hostdev.cli.node.listing:run",
    instead=INSTEAD_OF_SELECTORS,
    examples=(
        ("passgate node list", "the devices of this node"),
        ("passgate node list gpu not-ready numa=0", "graphics cards of one NUMA node that no VM can have yet"),
        ("passgate node list -d 8086: ready -o csv --columns address,driver,group", "a list for a script"),
        ("passgate node list --host machine.toml -o wide", "the same of a recorded machine, with more columns"),
    ),
)

GROUPS = Command(
    "node groups",
    "List IOMMU groups and say which can go to a VM.",
    "Devices of one group go to one owner together. A group is viable when nothing in it is held by a driver of the "
    "host; the members that block it are marked.",
    (
        SELECTORS._replace(
            names=("GROUP",),
            help="groups by their numbers or by devices in them (43, 01:00.0, ens1f0), or selectors that a member "
            "must fit, as `passgate node list` takes them",
            metavar="GROUP|SELECTOR",
        ),
        *SELECTOR_OPTIONS,
        HOST,
        *TABLE_OPTIONS,
        output_in("table", "wide", "csv", "json", "jsonl", "yaml", "name"),
        fail_on(),
        COLOR,
        PCI_IDS,
    ),
    run="hostdev.cli.node.groups:run",
    instead=INSTEAD_OF_SELECTORS,
    examples=(
        ("passgate node groups 7 12", "two groups and who blocks them"),
        ("passgate node groups 01:00.0", "the group of a device, with all that is in it"),
    ),
)

UNITS = Command(
    "node units",
    "List what can be given to one VM as a whole: functions, slots with companions, IOMMU groups.",
    "A unit is the smallest whole that the IOMMU groups allow, unless --unit says otherwise. Its primary function is "
    "the one for which a VM wants it: a display before all else, audio, USB and UCSI beside a display last. Its ID "
    "stays the same over reboots and whatever else is plugged in.",
    (
        SELECTORS,
        *SELECTOR_OPTIONS,
        HOST,
        Argument(
            ("--unit",),
            "what holds a unit together, instead of the smallest whole: the function alone, its slot, or all endpoints "
            "of its IOMMU group",
            choices=("function", "slot", "group"),
        ),
        Argument(
            ("--state",),
            "a NodeState file: the resource that it offers each unit as, and what it cannot offer",
            metavar="FILE",
            complete=Complete.FILE,
        ),
        Argument(("--sets",), "a UnitSets file: the sets that each unit is in", metavar="FILE", complete=Complete.FILE),
        NODE,
        Argument(("--all",), "one line for each unit, where VFs that are alike would be one line", flag=True),
        *TABLE_OPTIONS,
        output_in("table", "wide", "csv", "json", "jsonl", "yaml", "name"),
        fail_on(),
        COLOR,
        PCI_IDS,
    ),
    run="hostdev.cli.node.units:run",
    notes="READY says by a code what keeps a unit from a VM: `passgate explain CODE`. Which units are offered to "
    "kubelet tells `passgate node state plan FILE`, and docs/offer.md why one is not.",
    instead=INSTEAD_OF_SELECTORS,
    examples=(
        ("passgate node units", "all that this node could give to VMs"),
        ("passgate node units gpu --unit group -o wide", "graphics cards with all that shares their IOMMU groups"),
        ("passgate node units ready -o name", "the IDs of what is ready"),
        ("passgate node units --state node-state.yaml", "which resource counts which unit"),
    ),
)

SHOW = Command(
    "node show",
    "Show all that is known about a device, or about several.",
    "Identity, driver, IOMMU group and its members, SR-IOV, NUMA, network and disks, and every finding.",
    (
        SELECTORS,
        *SELECTOR_OPTIONS,
        HOST,
        DESPITE,
        output_in("text", "json", "jsonl", "yaml"),
        fail_on(),
        COLOR,
        PCI_IDS,
    ),
    run="hostdev.cli.node.show:run",
    instead=INSTEAD_OF_SELECTORS,
    examples=(
        ("passgate node show 3d:02.2", "a short address means PCI domain 0000"),
        ("passgate node show ens1f0 nvme0n1 group:43", "several, by whatever they are called"),
    ),
)

DOCTOR = Command(
    "node doctor",
    "Check that this node can pass devices through, and say what to repair.",
    "Looks at the kernel, the IOMMU and VFIO, then at the devices named, or at every device that is set up for "
    "passthrough. Prints what is right as well as what is wrong.",
    (
        SELECTORS,
        *SELECTOR_OPTIONS,
        HOST,
        Argument(
            ("--problems",), "print only what is wrong: a line for each cause, with all devices that have it", flag=True
        ),
        DESPITE,
        output_in("text", "json", "yaml"),
        fail_on("error"),
        COLOR,
    ),
    run="hostdev.cli.node.doctor:run",
    instead=INSTEAD_OF_SELECTORS,
    examples=(
        ("passgate node doctor 3d:02.2 || echo not ready", "a gate for a script"),
        ("passgate node doctor --problems gpu nic", "what is wrong with graphics and network cards"),
    ),
)

WHO = Command(
    "node who",
    "Tell who holds a device: which process, which pod, which domain.",
    "Looks through the processes of this node for an open VFIO file or a QEMU that was given the device, asks kubelet "
    "which pod it was granted to, and, with --connect, libvirt. The best source stands first; where they name "
    "different pods, that is a finding. Says so when it may not look.",
    (
        SELECTORS,
        *SELECTOR_OPTIONS,
        HOST,
        Argument(
            ("--kubelet-dir",),
            "kubelet's directory, or a copy of it (default: var/lib/kubelet of the host, if it is there)",
            metavar="DIR",
            complete=Complete.DIRECTORY,
        ),
        Argument(("--connect",), "also ask the libvirt at this URI", metavar="URI"),
        *TABLE_OPTIONS,
        output_in("table", "wide", "csv", "json", "jsonl", "yaml"),
        fail_on(),
        COLOR,
    ),
    run="hostdev.cli.node.who:run",
    instead=INSTEAD_OF_SELECTORS,
    examples=(
        ("passgate node who 3d:02.2 -o wide", "with the containers and the UIDs of the pods"),
        ("passgate node who 3d:02.2 ens1f0 43", "of several devices, and of a whole IOMMU group"),
        ("passgate node who 3d:02.2 --connect qemu:///system", "also asks libvirt for the domain"),
    ),
)

VITALS = Command(
    "node vitals",
    "Tell whether the devices of VMs arrived in their guests, as far as this host sees it.",
    "For devices that a VM holds, or those named: which process has it, whether a driver in the guest has set up "
    "interrupts, power state, errors, and what the kernel's log says since the VM's start. The verdict is arrived, not "
    "yet, no sign, trouble, not held or unknown, with what it rests on. Nothing is read that would wake a device or "
    "wait for it. With --connect libvirt tells the state of the domain and the guest address.",
    (
        SELECTORS._replace(
            help="devices by name, also mediated ones by UUID, or selectors, as `passgate node list` takes them; "
            "without any, all that a VM holds"
        ),
        *SELECTOR_OPTIONS,
        HOST,
        Argument(("--connect",), "also ask the libvirt at this URI about the domains", metavar="URI"),
        Argument(
            ("--ask-qemu",),
            "with --connect: ask QEMU itself, by a monitor command, where the guest's firmware put the device and its "
            "BARs; libvirt then marks the domain as tainted (custom-monitor) in its log",
            flag=True,
        ),
        Argument(
            ("--watch",), "look again and again, and print each verdict that changes, until all are made", flag=True
        ),
        Argument(
            ("--timeout",),
            "with --watch: end after this many seconds, with 1 if not all are made",
            metavar="SECONDS",
            type=float,
        ),
        *TABLE_OPTIONS,
        output_in("table", "wide", "csv", "json", "jsonl", "yaml"),
        COLOR,
    ),
    run="hostdev.cli.node.vitals:run",
    instead=INSTEAD_OF_SELECTORS,
    examples=(
        ("passgate node vitals", "all devices that VMs hold"),
        ("passgate node vitals 3d:02.2 -o wide", "one, with all that was seen of it"),
        ("passgate node vitals 3d:02.2 --watch --timeout 600", "waits until the guest's driver has it"),
        ("passgate node vitals --connect qemu:///system --ask-qemu", "also what the guest's firmware made of it"),
    ),
)

SNAPSHOT = Command(
    "node snapshot",
    "Record this machine as one TOML file.",
    "The file holds what passgate reads of a host, so that every other command gives the same answers with "
    "--host FILE. Serial numbers, MAC addresses, names that the owner gave, and words of the kernel command line that "
    "are not known to be harmless are replaced; docs/snapshot.md lists what stays.",
    (
        HOST,
        Argument(("--keep-identity",), "keep serial numbers, MAC addresses and names as they are", flag=True),
        output_in("toml", "json", help="the recording, or the picture passgate makes of it"),
    ),
    run="hostdev.cli.node.snapshot:run",
    examples=(("passgate node snapshot > machine.toml", "to attach to a question"),),
)

COMPARE = Command(
    "node compare",
    "Compare two machines, or one machine before and after an upgrade.",
    "Tells which devices came, went and moved, and whose driver, IOMMU group, VFs, NUMA node or verdict changed.",
    (
        Argument(("OLD",), "a root directory or a recorded machine", complete=Complete.FILE),
        Argument(("NEW",), "the same, later; / is this node", nargs="?", default="/", complete=Complete.FILE),
        output_in("table", "json", "yaml"),
        fail_on(),
        COLOR,
    ),
    run="hostdev.cli.node.compare:run",
    examples=(("passgate node compare before.toml --fail-on warning", "did the upgrade break anything?"),),
)

DRAW = Command(
    "node draw",
    "Draw the PCI tree, coloured by IOMMU group, driver or NUMA node.",
    "Text for a terminal, SVG for a browser, DOT for Graphviz.",
    (
        HOST,
        Argument(("--by",), "what the colours tell", choices=("group", "driver", "numa"), default="group"),
        output_in("text", "svg", "dot"),
        COLOR,
        PCI_IDS,
    ),
    run="hostdev.cli.node.draw:run",
    examples=(("passgate node draw -o svg > machine.svg", "a picture for a browser"),),
)

WATCH = Command(
    "node watch",
    "Follow devices as they come, go and change drivers, with the verdict before and after.",
    "Prints a line for each kernel event of a PCI device until it is interrupted. Only a running node has events.",
    (
        DEVICES,
        Argument(("--count",), "end after this many events", metavar="N", type=int),
        Argument(("--timeout",), "end after this many seconds", metavar="SECONDS", type=float),
        output_in("text", "json"),
        COLOR,
    ),
    run="hostdev.cli.node.watch:run",
    instead={"--host": "only this running node has events; `passgate node compare OLD NEW` tells two recordings apart"},
    examples=(("passgate node watch 3d:02.2 --timeout 60 -o json", "one JSON object a line, for a minute"),),
)

COMMANDS = (LIST, GROUPS, UNITS, SHOW, DOCTOR, WHO, VITALS, NODE_EXPLAIN, SNAPSHOT, COMPARE, DRAW, WATCH)
