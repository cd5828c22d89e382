"""The options of the node agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from domxml import errors
from domxml.errors import BadInput
from hooksidecar import flags
from hooksidecar.nodewatch.options import HOST, HOST_ROOT, KUBELET, LEVEL, LISTEN, LOG_LEVEL, NODE, kubelet_dir
from hostdev.argumentparser import read_given
from hostdev.binding.lock import STATE_DIR
from hostdev.commandline import Argument, Command, Complete


class Options(NamedTuple):
    """The options of the agent."""

    kubelet_dir: str = KUBELET
    host: str = HOST
    node_hook_socket: str = ""
    listen: str = ""
    features_dir: str = ""
    expect: str = ""
    manage: str = ""
    node: str = ""
    state_dir: str = STATE_DIR
    offer: bool = False
    observe: bool = False
    once: bool = False
    log_level: str = LEVEL

    @property
    def expected(self) -> frozenset[str]:
        """The codes of findings that are as they should be on this node."""
        return frozenset(self.expect.split(",")) if self.expect else frozenset()


_DEFAULTS = Options()
OPTIONS = (
    kubelet_dir("device-plugins", "pods", "pod-resources"),
    HOST_ROOT,
    Argument(
        ("--node-hook-socket",),
        "serve KubeVirt's node hooks there: check devices before a VM starts",
        metavar="PATH",
        complete=Complete.FILE,
    ),
    LISTEN,
    Argument(
        ("--features-dir",),
        "write labels for Node Feature Discovery there",
        metavar="DIR",
        complete=Complete.DIRECTORY,
    ),
    Argument(
        ("--expect",),
        "findings that are as they should be on this node, such as no-iommu: told as info",
        metavar="CODE[,CODE]…",
        complete=Complete.CODE,
    ),
    Argument(
        ("--manage",),
        "keep the node as this NodeState file declares it: drivers, VFs",
        metavar="FILE",
        complete=Complete.FILE,
    ),
    NODE,
    Argument(
        ("--state-dir",),
        "where the journal of changes is kept, with --manage",
        metavar="DIR",
        default=_DEFAULTS.state_dir,
        complete=Complete.DIRECTORY,
    ),
    Argument(("--offer",), "offer kubelet the units that the file of --manage names under spec.offer", flag=True),
    Argument(("--observe",), "write nothing into pods: tell only", flag=True),
    Argument(("--once",), "one sweep over all pods, then end", flag=True),
    LOG_LEVEL,
)
PROGRAM = Command(
    "",
    "Watch which devices kubelet gives to VMs.",
    "Watches which devices kubelet gives to the VMs of this node, and puts that into the volumes of their sidecars.",
    OPTIONS,
    run="hooksidecar.agent.main:run",
    program="passgate-agent",
    general=flags.GENERAL,
    usage=("passgate-agent [OPTION]…",),
    # Those an agent ends with; SIGTERM and SIGINT are ends as they should be.
    codes={code: errors.MEANINGS[code] for code in (0, 1, 2, 3, 4, 5, errors.INTERNAL)}
    | {1: "a file could not be written"},
    notes="With --once: 4 if kubelet's record cannot be read, 1 if a file could not be written.",
)


def parse(words: Sequence[str]) -> Options:
    """Read the words after the program's name."""
    options = Options(**read_given(PROGRAM, words))
    if options.once and (options.listen or options.node_hook_socket or options.offer):
        raise PROGRAM.wrong("--once ends at once, and serves nothing")
    if options.host == "none" and (options.node_hook_socket or options.features_dir):
        raise PROGRAM.wrong("--node-hook-socket and --features-dir tell of a host, and --host is none")
    if options.manage and options.observe:
        raise PROGRAM.wrong("--manage changes the node, and --observe changes nothing")
    if options.manage and options.host != "/":
        raise PROGRAM.wrong("--manage changes the running node, and --host names another")
    if options.offer and not options.manage:
        raise PROGRAM.wrong("--offer offers what a NodeState file names, and there is none: give one with --manage")
    for code in options.expected:
        _check_code(code)
    return options


def _check_code(code: str) -> None:
    from hostdev.findings.registry import kind  # noqa: PLC0415  rarely asked for

    try:
        kind(code)
    except BadInput as error:
        raise PROGRAM.wrong(f"--expect: {error.message}", error.hint) from None
