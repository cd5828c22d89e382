"""What declares a node's state, and makes it so."""

from __future__ import annotations

from hostdev.cli.commands.common import COLOR, HOST, output_in
from hostdev.commandline import Argument, Command, Complete

FILE = Argument(("FILE",), "a NodeState file; - is standard input", complete=Complete.FILE)
NODE = Argument(("--node",), "the node's name in the cluster (default: its host name)", metavar="NAME")

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

STATUS = Command(
    "node state status",
    "Tell how each entry of a NodeState file stands on this node.",
    "Each device is held, drifted (what differs, and what wrote it last where that is known), waiting (for a VM that "
    "has it), refused or unknown. Parameters of the kernel that the file declares are compared with those it was "
    "booted with. Nothing is written.",
    (FILE, HOST, NODE, output_in("table", "json", "yaml"), COLOR),
    run="hostdev.cli.node.state:show_status",
    examples=(("passgate node state status node-state.yaml || echo drifted", "a check for a script"),),
)

COMMANDS = (EXPORT, STATUS)
