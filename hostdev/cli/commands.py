"""The table of commands. It imports nothing of what the commands do."""

from __future__ import annotations

from hostdev.cli.command import Argument, Command, Complete

SEVERITIES = ("warning", "error")

DEBUG = Argument(("--debug",), "show a traceback when something goes wrong", flag=True)
HELP = Argument(("-h", "--help"), "show this text", flag=True)
VERSION = Argument(("--version",), "show the versions of passgate, Python, lxml and libxml2", flag=True)
COMMON = (DEBUG, HELP)
"""What every command takes."""

HOST = Argument(
    ("--host",),
    "where to look: a directory that holds sys/ and proc/, or a recorded machine (.toml)",
    metavar="ROOT|MACHINE.toml",
    default="/",
    complete=Complete.FILE,
)
PCI_IDS = Argument(
    ("--pci-ids",),
    "the list of PCI names to use instead of the system's",
    metavar="FILE",
    complete=Complete.FILE,
)
COLOR = Argument(
    ("--color",),
    "colour the output: auto means on a terminal; a NO_COLOR in the environment always wins",
    choices=("auto", "always", "never"),
    default="auto",
)
DEVICE = Argument(("ADDRESS",), "a PCI address, such as 0000:3d:02.2 or 3d:02.2", complete=Complete.ADDRESS)
DEVICES = Argument(("ADDRESS",), "PCI addresses, such as 0000:3d:02.2 or 3d:02.2", nargs="*", complete=Complete.ADDRESS)


def _output(*formats: str, help: str = "how to print it") -> Argument:  # noqa: A002  as argparse calls it
    return Argument(("-o", "--output"), help, choices=formats, default=formats[0])


def _fail_on(default: str | None = None) -> Argument:
    until = "never when not given" if default is None else f"default: {default}"
    return Argument(
        ("--fail-on",), f"end with 1 when there is a finding this bad ({until})", choices=SEVERITIES, default=default
    )


GROUPS = {
    "": "Gives PCI devices of the host to VMs, and gates what must not be given.",
    "node": "Look at this node's PCI devices, or at a recorded machine's.",
}
"""The words that only lead to other commands."""

INJECT = Command(
    "inject",
    "Put host devices into a libvirt domain and print the new domain.",
    "Reads a libvirt domain and prints it with the named devices in it, each at a guest address that never moves. "
    "The XML goes to standard output, findings go to standard error. A device that is there already is kept as it is "
    "and repaired where needed; nothing else of the domain changes.",
    (
        Argument(("DOMAIN",), "the domain XML; - is standard input", nargs="?", default="-", complete=Complete.FILE),
        Argument(
            ("--device",),
            "a host device: a PCI address or the UUID of a mediated device, with settings after commas",
            metavar="SPEC",
            repeat=True,
            complete=Complete.ADDRESS,
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
        Argument(
            ("--network-info",),
            "the pod's network information, as in /etc/podinfo/network-info",
            metavar="FILE",
            complete=Complete.FILE,
        ),
        Argument(
            ("--host",),
            "check the devices on a host: a root directory, a recorded machine (.toml), or none",
            metavar="ROOT|MACHINE.toml|none",
            default="none",
            complete=Complete.FILE,
        ),
        Argument(
            ("--libvirt",), "write for this version of libvirt; without it only what 9.0 knows", metavar="VERSION"
        ),
        Argument(("--prune",), "take out devices of an earlier run that are not named now", flag=True),
        Argument(("--validate",), "let the libvirt at this URI define the result, then forget it", metavar="URI"),
        _output("xml", "diff", "plan", "json"),
        _fail_on(),
    ),
    run="hostdev.cli.inject:run",
    examples=(
        ("passgate inject vm.xml --device 0000:3d:02.2", "add one device"),
        ("virsh dumpxml vm | passgate inject --device 3d:02.2 -o diff", "show what would change"),
    ),
)

LINT = Command(
    "lint",
    "Tell what is wrong with a VM before it is applied.",
    "Reads a VM or VMI, as YAML or JSON, and looks at its annotations and at what it asks kubelet and KubeVirt for. "
    "Needs no cluster and no host.",
    (
        Argument(("--vmi",), "the manifest; - is standard input", metavar="FILE", default="-", complete=Complete.FILE),
        _output("table", "json", "yaml"),
        _fail_on("error"),
        COLOR,
    ),
    run="hostdev.cli.lint:run",
    examples=(
        ("passgate lint --vmi vm.yaml", "everything that is wrong, not only the first"),
        ("passgate lint --vmi vm.yaml --fail-on warning -o json", "a gate for a pipeline"),
    ),
)

MANIFEST = Command(
    "manifest",
    "Write the cluster's objects for devices of a machine, and a VM that gets them.",
    "Devices are named by address, by vendor:device, by class as `passgate node list` shows it, or by a type of "
    "mediated devices. Devices of network cards become SR-IOV policies and networks, all others lines of the KubeVirt "
    "object. The documents go to standard output, findings to standard error; nothing is applied.",
    (
        Argument(
            ("DEVICE",),
            "devices to hand out: 3d:02.2, 8086:37c9, crypto or nvidia-222",
            nargs="*",
            complete=Complete.ADDRESS,
        ),
        HOST,
        Argument(
            ("--by",),
            "who hands them out: KubeVirt itself, another device plugin, the SR-IOV network operator, or the SR-IOV "
            "plugin and CNI without it (default: operator for VFs of network cards, kubevirt for others)",
            choices=("kubevirt", "plugin", "operator", "cni"),
        ),
        Argument(("--resource",), "the name under which they are handed out, instead of one made of their names"),
        Argument(("--only",), "one part of the documents", choices=("cluster", "vm")),
        Argument(("--name",), "the VM's name", default="passgate"),
        Argument(("--namespace",), "the namespace of the VM and its networks", default="default"),
        Argument(("--node",), "the name of the node, if only it shall be configured and run the VM"),
        Argument(("--image",), "the image of Passgate's sidecar", default="registry.example/passgate:latest"),
        Argument(("--disk",), "the VM's container disk", metavar="IMAGE", default="registry.example/disk:latest"),
        Argument(
            ("--vfs",), "how many VFs a port shall have (default: as many as now, else all)", metavar="N", type=int
        ),
        Argument(("--vlan",), "the VLAN of the networks", metavar="ID", type=int),
        Argument(("--kubevirt",), "the KubeVirt object", metavar="NAMESPACE/NAME", default="kubevirt/kubevirt"),
        Argument(
            ("--operator-namespace",),
            "the namespace of the SR-IOV network operator",
            metavar="NAMESPACE",
            default="sriov-network-operator",
        ),
        _output("yaml", "json"),
        _fail_on(),
        PCI_IDS,
    ),
    run="hostdev.cli.manifest:run",
    examples=(
        ("passgate manifest 10de:1eb8 > t4.yaml", "KubeVirt hands out the Tesla T4s, and a VM gets one"),
        ("passgate manifest 3b:00.0 --vfs 8 --vlan 100", "eight VFs of a network port, by the operator"),
        ("passgate manifest 8086:37c9 --by plugin --only vm", "a VM with what Intel's QAT plugin hands out"),
    ),
)

LIST = Command(
    "node list",
    "List PCI devices: what they are, who drives them, whether they can be passed through.",
    "One line for each PCI function. PASSTHROUGH is yes, or the code of what stands in the way; "
    "`passgate node explain CODE` tells more about it.",
    (DEVICES, HOST, _output("table", "wide", "json", "yaml", "name"), _fail_on(), COLOR, PCI_IDS),
    run="hostdev.cli.node.listing:run",
    examples=(
        ("passgate node list", "every PCI function of this node"),
        ("passgate node list --host machine.toml -o wide", "the same of a recorded machine, with more columns"),
    ),
)

GROUPS_COMMAND = Command(
    "node groups",
    "List IOMMU groups and say which can go to a VM.",
    "Devices of one group go to one owner together. A group is viable when nothing in it is held by a driver of the "
    "host; the members that block it are marked.",
    (
        Argument(("GROUP",), "numbers of groups", nargs="*", metavar="GROUP"),
        HOST,
        _output("table", "wide", "json", "yaml", "name"),
        _fail_on(),
        COLOR,
        PCI_IDS,
    ),
    run="hostdev.cli.node.groups:run",
    examples=(("passgate node groups 7 12", "two groups and who blocks them"),),
)

SHOW = Command(
    "node show",
    "Show all that is known about one device.",
    "Identity, driver, IOMMU group and its members, SR-IOV, NUMA, network and disks, and every finding.",
    (DEVICE, HOST, _output("text", "json", "yaml"), _fail_on(), COLOR, PCI_IDS),
    run="hostdev.cli.node.show:run",
    examples=(("passgate node show 3d:02.2", "a short address means PCI domain 0000"),),
)

DOCTOR = Command(
    "node doctor",
    "Check that this node can pass devices through, and say what to repair.",
    "Looks at the kernel, the IOMMU and VFIO, then at the devices named, or at every device that is set up for "
    "passthrough. Prints what is right as well as what is wrong.",
    (DEVICES, HOST, _output("text", "json", "yaml"), _fail_on("error"), COLOR),
    run="hostdev.cli.node.doctor:run",
    examples=(("passgate node doctor 3d:02.2 || echo not ready", "a gate for a script"),),
)

EXPLAIN = Command(
    "node explain",
    "Explain a finding, or an error message of QEMU, libvirt or the kernel.",
    "Takes the code of a finding or of an error, or the text of an error as it was met; - reads the text from standard "
    "input. "
    "Without one it lists the codes.",
    (
        Argument(("CODE",), "a code, or words of an error message", nargs="*", complete=Complete.CODE),
        _output("text", "json", "yaml"),
        COLOR,
    ),
    run="hostdev.cli.node.explain:run",
    examples=(
        ("passgate node explain group-not-viable", "what it means and what to do"),
        ("journalctl -u virtqemud | passgate node explain -", "find known errors in a log"),
    ),
)

WHO = Command(
    "node who",
    "Tell who holds a device: which process, which pod, which domain.",
    "Looks through the processes of this node for an open VFIO file or a QEMU that was given the device, asks kubelet "
    "which pod it was granted to, and, with --connect, libvirt. The best source stands first; where they name "
    "different pods, that is a finding. Says so when it may not look.",
    (
        DEVICE,
        HOST,
        Argument(
            ("--kubelet-dir",),
            "kubelet's directory, or a copy of it (default: var/lib/kubelet of the host, if it is there)",
            metavar="DIR",
            complete=Complete.DIRECTORY,
        ),
        Argument(("--connect",), "also ask the libvirt at this URI", metavar="URI"),
        _output("table", "wide", "json", "yaml"),
        _fail_on(),
        COLOR,
    ),
    run="hostdev.cli.node.who:run",
    examples=(
        ("passgate node who 3d:02.2 -o wide", "with the containers and the UIDs of the pods"),
        ("passgate node who 3d:02.2 --connect qemu:///system", "also asks libvirt for the domain"),
    ),
)

SNAPSHOT = Command(
    "node snapshot",
    "Record this machine as one TOML file.",
    "The file holds what passgate reads of a host, so that every other command gives the same answers with "
    "--host FILE. Serial numbers, MAC addresses and machine names are replaced.",
    (
        HOST,
        Argument(("--keep-identity",), "keep serial numbers, MAC addresses and names as they are", flag=True),
        _output("toml", "json", help="the recording, or the picture passgate makes of it"),
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
        _output("table", "json", "yaml"),
        _fail_on(),
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
        _output("text", "svg", "dot"),
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
        _output("text", "json"),
        COLOR,
    ),
    run="hostdev.cli.node.watch:run",
    examples=(("passgate node watch 3d:02.2 --timeout 60 -o json", "one JSON object a line, for a minute"),),
)

COMPLETION = Command(
    "completion",
    "Print a completion script for a shell.",
    "The script asks passgate itself, so that it also offers the addresses of this node's devices.",
    (Argument(("SHELL",), "the shell", choices=("bash", "zsh", "fish")),),
    run="hostdev.cli.completion:run",
    examples=(("source <(passgate completion bash)", "for this shell; put it into ~/.bashrc for all"),),
)

MAN = Command(
    "man",
    "Write the manual pages.",
    "One page for each command, into a directory.",
    (Argument(("DIRECTORY",), "where to write them", complete=Complete.DIRECTORY),),
    run="hostdev.cli.manpage:run",
    examples=(("passgate man /usr/local/share/man/man1", "then read passgate(1)"),),
)

COMMANDS = {
    command.name: command
    for command in (
        INJECT,
        LINT,
        MANIFEST,
        LIST,
        GROUPS_COMMAND,
        SHOW,
        DOCTOR,
        WHO,
        EXPLAIN,
        SNAPSHOT,
        COMPARE,
        DRAW,
        WATCH,
        COMPLETION,
        MAN,
    )
}
"""Every command by its words, in the order of reading."""


def below(prefix: str) -> tuple[str, ...]:
    """The words that can follow a prefix: `node` and the plain commands after nothing, `list`, … after `node`."""
    start = f"{prefix} " if prefix else ""
    rest = (name.removeprefix(start).split(" ")[0] for name in COMMANDS if name.startswith(start))
    return tuple(dict.fromkeys(rest))
