"""What looks at many nodes at once, by their snapshots."""

from __future__ import annotations

from hostdev.cli.commands.common import COLOR, PCI_IDS, TABLE_OPTIONS, fail_on, output_in
from hostdev.commandline import Argument, Command, Complete

FLEET = Argument(
    ("--from", "--fleet"),
    "the directory with the snapshots: a file NODE.toml for each node",
    metavar="DIR",
    default=".",
    complete=Complete.DIRECTORY,
)
MAX_AGE = Argument(
    ("--max-age",),
    "a snapshot that is older than this says `unknown` where it would say yes: 12h, 7d, or any",
    metavar="AGE",
    default="7d",
)

PAGE = Argument(
    ("--html",),
    "write one page of all nodes to this file instead: it needs no server, and loads nothing; - is standard output",
    metavar="FILE",
    complete=Complete.FILE,
)

COLLECT = Command(
    "fleet collect",
    "Gather a snapshot of each node into a directory: from the agents of a cluster, by a command, or from files.",
    "With --kubectl it finds the pods of Passgate's agents through your own kubectl, and runs `passgate node snapshot` "
    "in each, many at the same time. Each file is written whole or not at all; where a node does not answer, its older "
    "file stays, and both are said. Serial numbers, MAC addresses and names are left out, as `passgate node snapshot` "
    "does.",
    (
        Argument(
            ("NODE",),
            "snapshots as files (NODE.toml) or directories of them; with --kubectl or --exec names of nodes, which "
            "--kubectl does without",
            nargs="*",
            metavar="FILE|NODE",
            complete=Complete.FILE,
        ),
        Argument(
            ("--out",),
            "the directory; made, if it is not there",
            metavar="DIR",
            required=True,
            complete=Complete.DIRECTORY,
        ),
        Argument(
            ("--kubectl",),
            "ask the agents of the cluster of this kubectl context (without a name: of the current one)",
            metavar="[CONTEXT]",
            nargs="?",
        ),
        Argument(
            ("--exec",),
            "run this for each node, with {node} as its name; words are separated as in a shell, and no shell runs",
            metavar="COMMAND",
        ),
        Argument(("--deadline",), "how long one node may take", metavar="SECONDS", type=float, default=60),
        Argument(("--keep-identity",), "keep serial numbers, MAC addresses and names as they are", flag=True),
        output_in("table", "json", "yaml"),
        fail_on("error"),
        COLOR,
    ),
    run="hostdev.cli.fleet.collect:run",
    examples=(
        ("passgate fleet collect --out snapshots --kubectl", "all nodes of the cluster"),
        ("passgate fleet collect --out all --exec 'ssh {node} passgate node snapshot' n1", "by ssh"),
        ("passgate fleet collect --out snapshots machine-*.toml", "from files"),
    ),
)

LIST = Command(
    "fleet list",
    "List the nodes of a fleet: units that are ready, held or blocked, by what, and the age of that.",
    "One line for each snapshot. A unit is what one VM can be given as a whole. READY units are free as well: nothing "
    "has them open. Files that are no snapshots get a sentence, and the rest goes on.",
    (
        FLEET,
        MAX_AGE,
        *TABLE_OPTIONS,
        output_in("table", "wide", "csv", "json", "jsonl", "yaml", "name"),
        PAGE,
        fail_on(),
        COLOR,
    ),
    run="hostdev.cli.fleet.listing:run",
    examples=(
        ("passgate fleet list --from snapshots", "all nodes"),
        ("passgate fleet list --from snapshots --sort -ready -o wide", "those with the most first"),
        ("passgate fleet list --from snapshots --html fleet.html", "a page to look at, search and print"),
    ),
)

FIND = Command(
    "fleet find",
    "Find devices on all nodes by what they are, such as class=gpu ready numa=0.",
    "The selectors of `passgate node list`, and host=, kernel=, state=; ready, held, blocked, unknown. Of selectors "
    "with the same key one is enough, of different keys all count, and not- or ! turns one round. Only devices that a "
    "guest could have are looked at.",
    (
        Argument(
            ("EXPRESSION",),
            "selectors, in one word or several; without any, all devices",
            nargs="*",
            complete=Complete.SELECTOR,
        ),
        FLEET,
        *TABLE_OPTIONS,
        output_in("table", "wide", "csv", "json", "jsonl", "yaml", "name"),
        fail_on(),
        COLOR,
        PCI_IDS,
    ),
    run="hostdev.cli.fleet.find:run",
    examples=(
        ("passgate fleet find --from snapshots class=gpu ready", "graphics cards that are free"),
        ("passgate fleet find --from snapshots 10de: not-ready -o wide", "NVIDIA's devices that no VM can have"),
        ("passgate fleet find --from snapshots 'vf numa=0 host=worker-1*' -o name", "the nodes that have such"),
    ),
)

COMPARE = Command(
    "fleet compare",
    "Compare two fleets, or one before and after an upgrade: what changed on how many nodes.",
    "The findings of `passgate node compare` for every node that is in both, added up by what changed; -o wide has "
    "them node by node. Nodes that came and went are named.",
    (
        Argument(("OLD",), "a directory of snapshots", complete=Complete.DIRECTORY),
        Argument(("NEW",), "the same, later", complete=Complete.DIRECTORY),
        MAX_AGE,
        output_in("table", "wide", "json", "yaml"),
        fail_on(),
        COLOR,
    ),
    run="hostdev.cli.fleet.compare:run",
    examples=(
        ("passgate fleet compare before after", "what a new kernel did to all nodes"),
        ("passgate fleet compare before after --fail-on error", "a gate for a rollout"),
    ),
)

_ABOUT_A_VM = (
    Argument(
        ("FILE",),
        "the VM, and what it refers to: KubeVirt object, SR-IOV policies and networks, NodeStates, instance type; "
        "files, directories or patterns; - is standard input",
        nargs="*",
        complete=Complete.FILE,
    ),
    FLEET,
    Argument(
        ("--nodes",),
        "also look at labels, taints and allocatable resources in these Node objects (`kubectl get nodes -o json`)",
        metavar="FILE",
        complete=Complete.FILE,
    ),
    Argument(
        ("--resource",),
        "the devices that a resource stands for, where no file says it: nvidia.com/T4=id=10de:1eb8",
        metavar="NAME=SELECTOR",
        repeat=True,
    ),
    Argument(("--same-numa",), "all devices of a VM shall be on one NUMA node", flag=True),
    MAX_AGE,
    output_in("table", "wide", "json", "yaml"),
)

CAPACITY = Command(
    "fleet capacity",
    "Count how many such VMs the nodes have room for now, by their devices.",
    "Of each node it tells how many VMs can have their devices at the same time: a number where it can be counted, "
    "else at least and at most. What is held counts as taken, an IOMMU group goes to one VM as a whole, and limits of "
    "an offer are kept. Other pods' CPU and memory are not looked at: this is no scheduler.",
    (*_ABOUT_A_VM, fail_on(), COLOR),
    run="hostdev.cli.fleet.why:run_capacity",
    examples=(
        ("passgate fleet capacity vm.yaml kubevirt.yaml --from snapshots", "how many more of them fit"),
        (
            "passgate fleet capacity vm.yaml --resource nvidia.com/T4=id=10de:1eb8",
            "without the object",
        ),
    ),
)

WHY = Command(
    "fleet why",
    "Tell on which nodes a VM can run, and of every other why not: never, not now, or unknown.",
    "`never` is hardware, firmware or what the scheduler is told; `not now` what is held, not bound, or tainted; "
    "`unknown` what the snapshot or the files do not tell, and what is too old. Each with code, device and, with -o "
    "wide, what to do. Node selectors, affinity, taints and resources are looked at in the Node objects of --nodes.",
    (*_ABOUT_A_VM, PAGE, fail_on(), COLOR),
    run="hostdev.cli.fleet.why:run",
    examples=(
        ("passgate fleet why vm.yaml kubevirt.yaml --from snapshots --nodes nodes.json", "node by reason"),
        ("passgate fleet why vm.yaml kubevirt.yaml --from snapshots -o wide", "every reason, and what to do"),
        ("passgate fleet why vm.yaml kubevirt.yaml --from snapshots --html fleet.html", "beside all nodes, as a page"),
    ),
)

COMMANDS = (COLLECT, LIST, FIND, WHY, CAPACITY, COMPARE)
