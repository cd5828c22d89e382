"""What is done to a domain."""

from __future__ import annotations

from hostdev.cli.commands.common import CHECKED_HOST, COLOR, NETWORK_INFO, TABLE_OPTIONS, fail_on, output_in
from hostdev.commandline import Argument, Command, Complete

_DOMAIN = Argument(
    ("DOMAIN",),
    "the domain XML, or the manifest of a VM; - or nothing is standard input; with --connect the name of a domain",
    nargs="?",
    complete=Complete.FILE,
)
_CONNECT = Argument(("--connect",), "take the domain of that name from the libvirt at this URI", metavar="URI")
_GIVEN = (
    Argument(
        ("--device",),
        "a host device: a PCI address or the UUID of a mediated device, with settings after commas: name, guest, "
        "functions, numa, managed, rom.bar, rom.file, rom.enabled, bootOrder, acpiIndex, driverModel, display, "
        "ramfb, teaming; `passgate help settings` explains them",
        metavar="SPEC",
        repeat=True,
        complete=Complete.SPEC,
    ),
    Argument(
        ("--vmi",),
        "the VM or VMI, as YAML or JSON: its annotations say which devices, and where",
        metavar="FILE",
        complete=Complete.FILE,
    ),
    Argument(
        ("--env-file",),
        "what the device plugins told the compute container, as lines NAME=VALUE",
        metavar="FILE",
        repeat=True,
        complete=Complete.FILE,
    ),
    Argument(("--env",), "one such variable", metavar="NAME=VALUE", repeat=True),
    Argument(("--env-from-process",), "read such variables of this process's own environment", flag=True),
)
"""Which devices go in: named, asked for by the VM, told by device plugins."""
INJECT = Command(
    "inject",
    "Put host devices into a libvirt domain and print the new domain.",
    "Reads a libvirt domain and prints it with the named devices in it, each at a guest address that never moves. "
    "The XML goes to standard output, findings go to standard error. A device that is there already is kept as it is "
    "and repaired where needed; nothing else of the domain changes.",
    (
        _DOMAIN,
        _CONNECT,
        *_GIVEN,
        NETWORK_INFO,
        CHECKED_HOST,
        Argument(
            ("--libvirt",), "write for this version of libvirt; without it only what 9.0 knows", metavar="VERSION"
        ),
        Argument(
            ("--kubevirt",), "tell what this release of KubeVirt will do to the domain afterwards", metavar="RELEASE"
        ),
        Argument(
            ("--remove",),
            "take a device out, with the ports that were written for it: a host address, the UUID of a mediated "
            "device, an alias, or the name that it was given",
            metavar="DEVICE",
            repeat=True,
            takes_away=True,
        ),
        Argument(("--prune",), "take out devices of an earlier run that are not named now", flag=True, takes_away=True),
        Argument(("--validate",), "let the libvirt at this URI define the result, then forget it", metavar="URI"),
        output_in(
            "xml",
            "diff",
            "plan",
            "wide",
            "json",
            "hostdev",
            help="how to print it: the domain, a patch, what is done and why (wide: with every PCI controller), "
            "that for programs, or a <hostdev> for `virsh attach-device`, for which no DOMAIN is needed (default: xml)",
        ),
        fail_on(),
    ),
    run="hostdev.cli.inject:run",
    instead={
        "--dry-run": "nothing is ever written: -o diff or -o plan shows what would change",
        "--print-diff": "-o diff shows what would change",
        "--print-xml": "the XML is what is printed; -o diff shows what would change",
        "--hostdev": "a device is named with --device 3d:02.2",
        "--add-device": "a device is named with --device 3d:02.2",
        "--host-device": "a device is named with --device 3d:02.2",
        "--define": "hand it over: passgate inject … | virsh define /dev/stdin",
        "--domain": "the domain is named without an option",
    },
    examples=(
        ("passgate inject vm.xml --device 0000:3d:02.2", "add one device"),
        (
            "passgate inject vm.xml --device 3d:02.2,guest=10:00.0,rom.bar=off",
            "with settings: at this guest address, and without its ROM",
        ),
        ("virsh dumpxml vm | passgate inject --device 3d:02.2 -o diff", "show what would change"),
        ("passgate inject vm.xml --remove 3d:02.2", "take it out again, with its ports"),
        ("passgate inject --device 3d:02.2 -o hostdev", "what `virsh attach-device` takes"),
    ),
)

FIT = Command(
    "fit",
    "Tell whether the guest's firmware finds room for the BARs of every device.",
    "Reads a libvirt domain, or the manifest of a VM, with devices as `passgate inject` names them, and computes where "
    "the firmware puts their BARs: which fit, which get no address, whether the guest loses all of PCI, or QEMU does "
    "not start. Sizes are read of --host, from `resource` in sysfs; no device is opened. What is not known here is "
    "told with what would follow.",
    (
        _DOMAIN,
        _CONNECT,
        *_GIVEN,
        NETWORK_INFO,
        CHECKED_HOST._replace(
            help="the host whose devices they are, and where the VM runs: a root directory, a recorded machine "
            "(.toml), or none"
        ),
        Argument(
            ("--firmware",),
            "the guest's firmware: ovmf-2025.02, seabios-1.16.3, aavmf-2025.02, only the family, or the image "
            "(default: what the domain says)",
            metavar="NAME|FILE",
            complete=Complete.FILE,
        ),
        Argument(
            ("--physical-bits",),
            "how many bits of physical addresses the guest's processor shows (default: as the domain and --host tell)",
            metavar="N",
            type=int,
        ),
        Argument(
            ("--cpu-vendor",), "who made the host's processor (default: as --host tells)", choices=("intel", "amd")
        ),
        Argument(("--libvirt",), "predict for this version of libvirt", metavar="VERSION"),
        Argument(("--kubevirt",), "of a manifest: the release that makes the domain (default: 1.9)", metavar="RELEASE"),
        output_in(
            "table",
            "wide",
            "json",
            "yaml",
            "svg",
            help="how to print it; wide lists the emulated devices, too, svg draws windows and BARs",
        ),
        COLOR,
    ),
    run="hostdev.cli.fit:run",
    examples=(
        ("passgate fit vm.xml --host /", "the devices of a domain, on the node"),
        ("passgate fit vm.xml --device 3b:00.0 --host gpu-node.toml", "before it is injected, by a recorded machine"),
        ("passgate fit vm.yaml --env-file devices.env --host gpu-node.toml", "of a VM that has no domain yet"),
        ("passgate fit vm.xml --host / --firmware ovmf-2025.02 -o svg > fit.svg", "a picture"),
    ),
)

SLOTS = Command(
    "slots",
    "List every device of a libvirt domain with its guest PCI address.",
    "Reads a libvirt domain and lists what is on its PCI buses, in the order of the guest: where each device is, what "
    "it has of the host, on which PCI controller it sits, and how its place is known: it is written down, or libvirt "
    "will put it there (planned), or that is unknown, and why. Devices on other buses, such as SATA disks, are not "
    "listed.",
    (
        _DOMAIN,
        _CONNECT,
        Argument(("--libvirt",), "predict for this version of libvirt", metavar="VERSION"),
        *TABLE_OPTIONS,
        output_in("table", "wide", "csv", "json", "yaml", help="how to print it; wide lists the PCI controllers, too"),
        COLOR,
    ),
    run="hostdev.cli.slots:run",
    examples=(
        ("passgate slots vm.xml", "what is where"),
        ("passgate slots --connect qemu:///system vm", "of a domain that libvirt knows"),
        ("virsh dumpxml vm | passgate slots -o csv --columns guest-address,source", "for a script"),
    ),
)

COMMANDS = (INJECT, SLOTS, FIT)
