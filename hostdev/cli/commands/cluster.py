"""What is written for a cluster, or read of it."""

from __future__ import annotations

from domxml.errors import MEANINGS, ExitCode
from hostdev.cli.commands.common import CHECKED_HOST, COLOR, HOST, NETWORK_INFO, PCI_IDS, fail_on, output_in
from hostdev.commandline import Argument, Command, Complete
from hostdev.manifest.images import DISK
from hostdev.manifest.images import HOOK as HOOK_IMAGE

LINT = Command(
    "lint",
    "Tell what is wrong with VMs before they are applied.",
    "Reads files, directories or patterns with VMs and what stands beside them: instance types, preferences, networks, "
    "SR-IOV policies, the KubeVirt object; lists and templates are unfolded. Tells what KubeVirt would refuse, by "
    "release and feature gate, what it would drop, and what it accepts that would not work. Needs no cluster and no "
    "host. What holds no VM is passed over and counted; text that must be rendered first is named with its command.",
    (
        Argument(("FILE",), "files, directories or patterns; - is standard input", nargs="*", complete=Complete.FILE),
        Argument(("--vmi",), "one file with one VM (default: -)", metavar="FILE", complete=Complete.FILE),
        Argument(
            ("--kubevirt",),
            "the release of KubeVirt: 1.5 to 1.9, or head (default: 1.7 and later, and what they have in common)",
            metavar="RELEASE",
        ),
        Argument(("--against",), "tell what an upgrade from --kubevirt to this one changes", metavar="RELEASE"),
        Argument(
            ("--feature-gates",),
            "the gates that the cluster names, separated by commas, or all, or none (default: those of a KubeVirt "
            "object among the files; else gates are told as info)",
            metavar="NAMES",
        ),
        CHECKED_HOST._replace(
            help="also tell whether the guests have room for the BARs of devices of this host: a root directory, a "
            "recorded machine (.toml), or none"
        ),
        Argument(("--ignore",), "leave a finding out", metavar="CODE", repeat=True, complete=Complete.CODE),
        output_in("table", "json", "yaml", "sarif", "junit", "github"),
        fail_on("error"),
        COLOR,
    ),
    run="hostdev.cli.lint:run",
    examples=(
        ("passgate lint --vmi vm.yaml", "everything that is wrong, not only the first"),
        ("passgate lint deploy/ --kubevirt 1.9 --fail-on warning -o sarif", "a gate for a pipeline"),
        ("passgate lint vms/ --kubevirt 1.8 --against 1.9", "what an upgrade changes"),
        ("passgate lint - < rendered.yaml", "what helm template or kustomize build wrote"),
    ),
)

MANIFEST = Command(
    "manifest",
    "Write the cluster's objects for devices of a machine, and a VM that gets them.",
    "Devices are named by address, by vendor:device, by class as `passgate node list` shows it, or by a type of "
    "mediated devices; after a comma come settings, as for `passgate inject --device`. Devices of network "
    "cards become SR-IOV policies and networks, all others lines of the KubeVirt object. The "
    "documents go to standard output, findings to standard error; nothing is applied.",
    (
        Argument(
            ("DEVICE",),
            "devices to hand out: 3d:02.2, 8086:37c9, crypto or nvidia-222, with settings as in 3d:02.2,guest=10:00.0",
            nargs="*",
            complete=Complete.ADDRESS,
        ),
        HOST,
        Argument(
            ("--by",),
            "who hands them out: KubeVirt itself, another device plugin, Passgate's agent, Passgate's driver of "
            "resource claims, the SR-IOV network operator, or the SR-IOV plugin and CNI without it (default: operator "
            "for VFs of network cards, plugin for those that Intel's device plugins hand out, kubevirt for others)",
            choices=("kubevirt", "plugin", "passgate", "claim", "operator", "cni"),
        ),
        Argument(("--resource",), "the name under which they are handed out, instead of one made of their names"),
        Argument(
            ("--only",),
            "one part of the documents; node is the NodeState of --by passgate and claim",
            choices=("node", "cluster", "vm"),
        ),
        Argument(
            ("--extended",),
            "with --by claim the VM asks for the resource by its name, as one for a device plugin does",
            flag=True,
        ),
        Argument(("--name",), "the VM's name", default="passgate"),
        Argument(("--namespace",), "the namespace of the VM and its networks", default="default"),
        Argument(("--node",), "the name of the node, if only it shall be configured and run the VM"),
        Argument(
            ("--guest",), "the guest address of a device, in the order of the devices", metavar="ADDRESS", repeat=True
        ),
        Argument(
            ("--functions",),
            "the functions of a card that are one device in the guest: one, all, or 0+1",
            metavar="N+N",
        ),
        Argument(("--bond",), "make one interface of the VM's SR-IOV interfaces, by cloud-init", flag=True),
        Argument(("--image",), "the image of Passgate's sidecar", default=HOOK_IMAGE),
        Argument(("--disk",), "the VM's container disk", metavar="IMAGE", default=DISK),
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
        output_in("yaml", "json"),
        fail_on(),
        PCI_IDS,
    ),
    run="hostdev.cli.manifest:run",
    instead={
        "--dry-run": "nothing is applied: the documents go to standard output, and `… | kubectl diff -f -` compares"
    },
    examples=(
        ("passgate manifest 10de:1eb8 > t4.yaml", "KubeVirt hands out the Tesla T4s, and a VM gets one"),
        ("passgate manifest 3b:00.0 --vfs 8 --vlan 100", "eight VFs of a network port, by the operator"),
        ("passgate manifest 8086:37c9 --guest 0000:10:00.0", "a QAT VF, at an address that never moves"),
        ("passgate manifest 01:00.0 01:00.1", "a graphics card with its audio function as one device"),
        ("passgate manifest 10de:1e04 --by passgate", "whole groups with such a card, offered by the agent"),
        ("passgate manifest 10de:1e04 --by claim", "the same by resource claims (DRA)"),
        ("passgate manifest 3b:00.0 af:00.0 --bond", "VFs of two ports, bonded in the guest"),
    ),
)

PLAN = Command(
    "plan",
    "Show where each device of a VM will sit in the guest, before the VM exists.",
    "Reads a VM's manifest, and makes of it what a release of KubeVirt makes: the domain, its passes, the sidecar's "
    "part, libvirt's addresses. Needs no cluster, no host and no libvirt. What only the cluster knows is told as "
    "unknown, with what was taken for it; host devices that nothing names are assumed, as many as are asked for. "
    "Several VMs give a table.",
    (
        Argument(
            ("FILE",),
            "the VM, and what it refers to: instance type, preference, the KubeVirt object; files, directories or "
            "patterns; - is standard input",
            nargs="*",
            complete=Complete.FILE,
        ),
        Argument(
            ("--kubevirt",), "the release: 1.5 to 1.9, 1.7.4, head (default 1.9)", metavar="RELEASE", default="1.9"
        ),
        Argument(
            ("--against",),
            "what moves in the guest against another release, another machine type such as pc-q35-9.2, "
            "without-sidecar, or the VM as another file has it",
            metavar="OTHER",
            complete=Complete.FILE,
        ),
        Argument(("--without-sidecar",), "as it is without Passgate", flag=True),
        Argument(("--env",), "a variable of a device plugin", metavar="NAME=VALUE", repeat=True),
        Argument(
            ("--env-file",), "such variables, as lines NAME=VALUE", metavar="FILE", repeat=True, complete=Complete.FILE
        ),
        NETWORK_INFO,
        CHECKED_HOST,
        Argument(("--libvirt",), "the sidecar writes for this version of libvirt", metavar="VERSION"),
        output_in("table", "json", "yaml", "xml", "svg"),
        fail_on("error"),
        COLOR,
    ),
    run="hostdev.cli.plan:run",
    examples=(
        ("passgate plan vm.yaml", "the guest's devices, with their addresses and names"),
        ("passgate plan vm.yaml --kubevirt 1.8 --against 1.9", "which NIC or disk an upgrade moves"),
        ("passgate plan old.yaml --against new.yaml", "what an edit moves"),
        ("passgate plan vm.yaml -o svg > vm.svg", "the guest's tree as a picture"),
    ),
)

WHY = Command(
    "why",
    "Tell why a VM does not start: from its spec to its guest slot, the first step that failed.",
    "Asks the cluster through your own kubectl (get, logs, exec), or reads what it printed (--from). Each step is "
    "PASS, FAIL or UNKNOWN, with what was looked at; the first that failed is explained. UNKNOWN is never "
    "taken for PASS: where nothing fails and the VM is not seen to run, it ends with 4.",
    (
        Argument(("VM",), "the VM by its name; vm/NAME, vmi/NAME, NAMESPACE/NAME and its pod's name are taken, too"),
        Argument(("-n", "--namespace"), "its namespace (default: that of the kubectl context)", metavar="NAMESPACE"),
        Argument(("--context",), "the kubectl context to use", metavar="NAME"),
        Argument(
            ("--from", "--source"),
            "read a dump instead of asking a cluster: a directory or one file with what `kubectl get -o json|yaml`, "
            "`kubectl describe` and `kubectl logs` printed, under any name; - is standard input",
            metavar="DUMP",
            complete=Complete.FILE,
        ),
        Argument(
            ("--collect",),
            "write such a dump into a new directory, without secrets, for a bug report, and end",
            metavar="DUMP",
            complete=Complete.DIRECTORY,
        ),
        Argument(
            ("--deadline",),
            "how long one call of kubectl may take",
            metavar="SECONDS",
            type=float,
            default=15,
        ),
        output_in("table", "json", "yaml"),
        COLOR,
    ),
    run="hostdev.cli.why:run",
    examples=(
        ("passgate why -n prod crypto", "ask the cluster"),
        ("passgate why --collect crypto-dump crypto", "write down what a bug report needs"),
        ("passgate why --from crypto-dump crypto -o json", "look at it elsewhere"),
        ("kubectl passgate why crypto", "the same, as a plugin of kubectl"),
    ),
    codes={
        **MEANINGS,
        int(ExitCode.DONE): "the VM runs, and nothing is seen to fail",
        int(ExitCode.FINDINGS): "a step failed: the first one is explained",
        int(ExitCode.HOST_UNREADABLE): "not known: nothing is seen to fail, and the VM is not seen to run",
    },
)

EXPLAIN = Command(
    "explain",
    "Explain a finding, an error message of QEMU, libvirt, the kernel or the cluster, or a whole log.",
    "Takes the code of a finding or of an error, a message or a part of it, or a file; what is piped into it is read, "
    "and - is standard input too. Of a log it tells the likely root first, then each finding with its line, how often "
    "it is there, how sure it is, and what to do. Lines that are harmless and lines that only pass on a failure are "
    "called so. On a node that has the device of the text it also tells what the gate says of it, and who holds it. "
    "Text that is not known ends with exit code 9, and is told apart by its layer. Without anything it lists the "
    "codes. `passgate node explain` is the same.",
    (
        Argument(("CODE",), "a code, a message, or a file", nargs="*", complete=Complete.CODE, dashed=True),
        Argument(("-f", "--file"), "a file with texts", metavar="FILE", repeat=True, complete=Complete.FILE),
        HOST._replace(
            help="look at the devices and groups that the text names on this host: a directory that holds sys/ and "
            "proc/ (/ is this machine), or a recorded machine (.toml)",
            default=None,
        ),
        output_in("text", "json", "yaml"),
        COLOR,
    ),
    run="hostdev.cli.explain:run",
    examples=(
        ("passgate explain group-not-viable", "what it means and what to do"),
        ("passgate explain 'Insufficient qat.intel.com/generic'", "words of an event"),
        ("kubectl get events | passgate explain", "which line means what, about which device"),
        ("passgate explain 'group 43 is not viable' --host /", "with the group as it is on this node"),
    ),
)

NODE_EXPLAIN = EXPLAIN._replace(
    name="node explain",
    examples=tuple(
        (line.replace("passgate explain", "passgate node explain"), what) for line, what in EXPLAIN.examples
    ),
)

COMMANDS = (LINT, MANIFEST, PLAN, WHY, EXPLAIN)
