"""One hook call as a process, the way KubeVirt's sidecar-shim makes it: arguments in, the answer on standard output."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from domxml.errors import OUTPUT_LOST, ExitCode, OutputLost, PassgateError
from domxml.finding import Finding
from domxml.kubevirt import places_again
from domxml.version import OLDEST, LibvirtVersion
from hooksidecar.container import channels
from hooksidecar.flags import answer_help, read_seconds
from hooksidecar.options import VERSIONS
from hostdev.argumentparser import read_arguments
from hostdev.commandline import HELP, Argument, Command, Complete
from hostdev.inject.hook import HookCore, Launcher
from hostdev.inventory.scan import looker
from hostdev.printing import output

KUBEVIRT, LIBVIRT = "PASSGATE_KUBEVIRT", "PASSGATE_LIBVIRT"
"""Variables of the sidecar's container."""
LIMIT = 20.0
"""virt-handler gives all the calls of a boot together so many seconds."""


class Reply(NamedTuple):
    """The lines for standard output, and those for standard error."""

    data: bytes
    findings: Iterable[Finding] = ()
    trouble: str = ""


def answer_call(call: Callable[[float], Reply]) -> int:
    """Make the call with its deadline (of time.monotonic), print its reply, and tell how it ended."""
    try:
        reply = call(time.monotonic() + LIMIT)
    except PassgateError as error:
        output.note(error.sentence())
        return error.exit_code
    for finding in reply.findings:
        output.note(f"{finding.severity}: {finding.code}: {finding.subject}: {finding.message}")
    if reply.trouble:
        output.note(f"error: {reply.trouble}")
    try:
        output.write_bytes(reply.data)
        output.flush()
    except (OutputLost, BrokenPipeError) as error:
        output.note(f"error: {error} [output-lost]")
        # Python tries once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return OUTPUT_LOST
    return ExitCode.DONE


def seconds(text: str) -> float:
    """How long to wait: a call has no more than virt-handler gives it."""
    value = read_seconds(text, LIMIT)
    if value is None:
        raise ValueError(f"{text[:20]!r} is no number of seconds from 0 to {LIMIT:g}")
    return value


def argument_bytes(text: str) -> bytes:
    """Undo Python's decoding: the bytes of an argument as they came."""
    return text.encode(errors="surrogateescape")


def run_shim(command: Command, words: Sequence[str], act: Callable[[dict[str, Any]], int]) -> int:
    """Answer a question about the program, or act on its arguments; a mistake is a sentence."""
    if answer_help(words, command):
        return ExitCode.DONE
    try:
        arguments = read_arguments(command, words)
    except PassgateError as error:
        output.note(error.sentence())
        return error.exit_code
    return act(arguments)


VMI = Argument(("--vmi",), "the VirtualMachineInstance", metavar="JSON", required=True)
VERSION = Argument(
    ("--version",),
    "of KubeVirt's hook protocol: the call is the same in all of them; alone it shows the versions of passgate",
    choices=VERSIONS,
)
GENERAL = (Argument(("-V",), "show the versions, as --version alone does", flag=True), HELP)
PROGRAM = Command(
    "",
    "Answer one call of KubeVirt's hook OnDefineDomain.",
    "Put the devices that were allocated to a VM's pod into its libvirt domain.",
    (
        VMI,
        Argument(("--domain",), "the domain", metavar="XML", required=True),
        Argument(
            ("--host",),
            "where to check the devices",
            metavar="ROOT|MACHINE.toml|none",
            default="/",
            complete=Complete.FILE,
        ),
        Argument(
            ("--socket-dir",),
            "the hook volume of this container",
            metavar="DIR",
            default="/var/run/kubevirt-hooks",
            complete=Complete.DIRECTORY,
        ),
        Argument(
            ("--wait",),
            "how long to wait for an allocation file (default 2)",
            metavar="SECONDS",
            default=2.0,
            type=seconds,
        ),
        Argument(
            ("--kubevirt",),
            f"the cluster's KubeVirt, such as 1.7.4 (default ${KUBEVIRT})",
            metavar="RELEASE",
        ),
        Argument(
            ("--libvirt",),
            f"virt-launcher's libvirt (default ${LIBVIRT}, or {OLDEST})",
            metavar="VERSION",
        ),
        VERSION,
    ),
    # KubeVirt's shim gives --vmi and --domain alone: what it cannot say comes from the image, or a script before it.
    run="hooksidecar.shim:run",
    program="onDefineDomain",
    general=GENERAL,
    codes={0: "done", 2: "unreadable input", 4: "host not readable", 5: "refused", 74: "output lost"},
    notes="""The new domain goes to standard output, everything else to standard error.
The allocation is read from DIR/userdata/passgate/allocation.env, the environment and /etc/podinfo/network-info.
KubeVirt fails the start for any exit code but 0.""",
)


def run() -> int:
    """Start from the console script."""
    return main(sys.argv[1:])


def launcher_of(kubevirt: str | None, libvirt: str | None, environment: Mapping[str, str]) -> Launcher:
    """What is known of virt-launcher: from options, else from the container's variables; an empty one says nothing."""
    version = libvirt or environment.get(LIBVIRT, "")
    release = kubevirt or environment.get(KUBEVIRT, "")
    return Launcher(LibvirtVersion.parse(version) if version else OLDEST, places_again(release) if release else None)


def main(argv: Sequence[str]) -> int:
    """Answer one call."""
    return run_shim(PROGRAM, argv, _answer)


def _answer(arguments: dict[str, Any]) -> int:
    def call(deadline: float) -> Reply:
        core = HookCore(
            lambda: channels(arguments["socket_dir"], os.environ),
            looker(arguments["host"], bars=True),
            wait=arguments["wait"],
            launcher=launcher_of(arguments["kubevirt"], arguments["libvirt"], os.environ),
        )
        given = core.define(argument_bytes(arguments["domain"]), argument_bytes(arguments["vmi"]), deadline=deadline)
        trouble = f"{given.trouble}; a domain is defined already, so it goes back as it came" if given.trouble else ""
        return Reply(given.xml, given.findings, trouble)

    return answer_call(call)
