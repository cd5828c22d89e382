"""`passgate-hook rehearse`: its options, its inputs, and how it ends."""

from __future__ import annotations

import json
import shlex
import signal
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from domxml import errors
from domxml.document import Domain
from domxml.errors import BadInput, about_file
from domxml.kubevirt import is_interface
from hooksidecar import options
from hooksidecar.flags import answer_help
from hooksidecar.log import LEVELS
from hooksidecar.rehearsal import table
from hooksidecar.rehearsal.play import Script, play
from hooksidecar.rehearsal.plugin import SOCKET, plugin_release
from hooksidecar.rehearsal.process import OWN, OWN_PLUGIN, PLACE, Server
from hooksidecar.rehearsal.readback import read_back
from hostdev.allocation.env_file import parse_env_file
from hostdev.argumentparser import read_arguments
from hostdev.commandline import COLOR, HELP, Argument, Command, Complete
from hostdev.inject.gather import read_file
from hostdev.jsonutil import JsonObject
from hostdev.kubevirt.channels import Asked, Given
from hostdev.kubevirt.ports import count_ports
from hostdev.kubevirt.releases import NEWEST, RELEASES, Release, release_of
from hostdev.kubevirt.vmplan import Made, make_domain
from hostdev.printing import output
from hostdev.printing.documents import emit, emit_error
from hostdev.printing.screen import Screen
from hostdev.vmi.file import find_vm
from hostdev.vmi.vmi import vmi_of

TWICE = "1.9.0"
"""The newest of the releases that have spare ports and no read-back without placeholders."""
EXAMPLE = Path(__file__).with_name("example")
"""A server with QuickAssist adapters, and a VM that asks for one of their virtual functions."""


class Inputs(NamedTuple):
    """Read and found to be what they should be."""

    script: Script
    allocation: bytes
    host: str
    command: Sequence[str]
    """Starts the sidecar."""


def read_inputs(arguments: Namespace) -> Inputs:
    """Read what is named; where no VM is named, the example's."""
    if arguments.domain and not arguments.vmi:
        hint = "give it too, or --vmi alone: the domain is made of it"
        raise BadInput("bad-usage", "--vmi is missing", hint=hint)
    own = bool(arguments.vmi)
    env_files = arguments.env_file or ([] if own else [str(EXAMPLE / "allocation.env")])
    # What is no release is told before any file is read.
    release = plugin_release(arguments.kubevirt) if arguments.mode == "plugin" else release_of(arguments.kubevirt)
    domain = arguments.domain or (None if own else str(EXAMPLE / "domain.xml"))
    allocation = b"\n".join(read_file(path) for path in env_files)
    script = _script(domain, arguments.vmi or str(EXAMPLE / "vmi.json"), release, allocation)
    script = script._replace(kubevirt=arguments.kubevirt, mode=arguments.mode)
    # Another sidecar, in a container perhaps, has not got the example's machine.
    host = arguments.host or ("none" if own or arguments.server else str(EXAMPLE / "machine.toml"))
    command = _command(arguments.server, OWN_PLUGIN if arguments.mode == "plugin" else OWN)
    return Inputs(script, allocation, host, command)


def _command(text: str | None, own: Sequence[str]) -> Sequence[str]:
    if text is None:
        return own
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadInput("bad-usage", f"--server: {error}", subject=text, hint="quote it as for a shell") from None
    if not any(PLACE in word for word in words):
        what = f"--server does not say where {PLACE}, the directory of the socket, goes"
        raise BadInput("bad-usage", what, subject=text, hint=f"such as --server 'passgate-hook --socket-dir {PLACE}'")
    return words


def _script(domain_path: str | None, vmi_path: str, release: Release, allocation: bytes) -> Script:
    """Read a VMI as KubeVirt hands it out with its domain, or make either of a manifest that is yet to be admitted."""
    data = read_file(vmi_path)
    with about_file(vmi_path):
        document = find_vm(data)
        vmi = vmi_of(document)
        if not vmi.name:
            hint = "name a file with a VM, or kubectl get vmi NAME -o json > FILE"
            raise BadInput("bad-vmi", "has no metadata.name, so it is no VirtualMachineInstance", hint=hint)
        made = _made(document, release, allocation) if domain_path is None or vmi.place else None
        if vmi.place or data.lstrip()[:1] != b"{":
            data = json.dumps(made.vmi if made is not None else document.fields).encode()
    if domain_path is None:
        assert made is not None  # noqa: S101
        for line in made.unknown:
            output.note(f"unknown: {line}")
        return Script(made.domain, data)
    domain = read_file(domain_path)
    with about_file(domain_path):
        parsed = Domain.parse(domain)
    if extra := max(0, sum(map(is_interface, parsed.devices)) - len(vmi.interfaces)):
        what = f"{extra} more than the spec of {vmi_path}; KubeVirt counts those of the spec"
        output.note(f"warning: {domain_path} has interfaces that the VM does not know: {what}")
    return Script(domain, data)


def _made(document: JsonObject, release: Release, allocation: bytes) -> Made:
    # One that plays any release converts as the newest does.
    converts = release_of(NEWEST) if release.name == "any" else release
    return make_domain(document.fields, Asked(converts, Given(parse_env_file(allocation).variables)))


def _file(name: str, about: str, *, repeat: bool = False) -> Argument:
    return Argument((name,), about, metavar="FILE", repeat=repeat, complete=Complete.FILE)


def _meaning(name: str, row: Release) -> str:
    return row.meaning if name == row.name else f"{row.name}: {row.meaning}"


PROGRAM = Command(
    "rehearse",
    "Rehearse the boot of a VM with its sidecar.",
    "Play virt-launcher against the real sidecar: collect it, make all passes of a boot, shut it down.",
    (
        _file("--vmi", "the VM or VirtualMachineInstance, YAML or JSON"),
        _file("--domain", "the domain of the first pass as XML (default: made of the VM, as KubeVirt does)"),
        _file("--env-file", "the pod's allocation: lines of NAME=VALUE", repeat=True),
        Argument(
            ("--host",),
            "where to check the devices (default none, or the example's)",
            metavar="ROOT|MACHINE.toml|none",
            complete=Complete.FILE,
        ),
        Argument(
            ("--server",),
            f"start this sidecar instead of our own; {PLACE} stands for the directory where it makes its socket",
            metavar="COMMAND",
        ),
        Argument(("--connect",), "the libvirt that reads each answer back", metavar="URI", default=""),
        Argument(
            ("--kubevirt",),
            "the release that is played, and told to our own sidecar (default any); see below",
            metavar="RELEASE",
            default="any",
        ),
        Argument(
            ("--mode",),
            "as the sidecar has it: a hook sidecar, or a Plugin's",
            choices=options.MODES,
            default=options.MODES[0],
        ),
        Argument(("--version",), "as the sidecar has it: of the hook protocol", choices=options.VERSIONS),
        Argument(("--cloud-init",), "as the sidecar has it: PreCloudInitIso too", flag=True),
        Argument(("--libvirt",), "as the sidecar has it (default 9.0.0)", metavar="VERSION"),
        Argument(("--wait",), "as the sidecar has it (default 0)", metavar="SECONDS", default=0.0, type=float),
        Argument(("--log-level",), "of the sidecar's log", choices=tuple(LEVELS), default="warning"),
        Argument(("-o", "--output"), "how to report", choices=("table", "json"), default="table"),
        COLOR,
    ),
    run="hooksidecar.rehearsal.command:rehearse",
    program="passgate-hook",
    general=(HELP,),
    codes={
        0: "every pass went well, all devices stayed, nothing else moved, and the sidecar ended with 0",
        1: "it went through, but a device lost something or moved, another device moved, or the sidecar ended badly",
        2: "wrong usage, input that cannot be read, or a libvirt that cannot be reached",
        5: "the sidecar or libvirt refused, died, or did not answer as virt-launcher needs it",
        errors.INTERNAL: "a defect of passgate",
        errors.INTERRUPTED: "interrupted",
    },
    notes="""Without --vmi and --domain an example is played: a QAT virtual function on a recorded machine.
Nothing of this machine is changed.
Without --connect a stand-in reads back in libvirt's place; the report says what it cannot prove.
Releases of KubeVirt; a point release such as 1.7.1 is one too, and may count otherwise:
"""
    + "\n".join(f"{name:>6}  {_meaning(name, row)}" for name, row in RELEASES.items()),
)


def rehearse(words: Sequence[str]) -> int:
    """Rehearse, and report on standard output."""
    # What ends us ends the server too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if HELP.names[0] in words or HELP.names[1] in words or words[:1] == ["help"]:
            answer_help(words, PROGRAM)
            return errors.ExitCode.DONE
        return _rehearse(*_read(words))
    except KeyboardInterrupt:
        return errors.INTERRUPTED
    except BrokenPipeError:
        return errors.BROKEN_PIPE
    except errors.OutputLost as error:
        output.note(f"error: {error}")
        return errors.OUTPUT_LOST


def _read(words: Sequence[str]) -> tuple[Namespace, Inputs]:
    try:
        arguments = Namespace(**read_arguments(PROGRAM, words))
        return arguments, read_inputs(arguments)
    except errors.PassgateError as error:
        emit_error(error, error.exit_code, words)
        raise


def _rehearse(arguments: Namespace, given: Inputs) -> int:
    flags = _server_flags(arguments, given)
    mode = ["--mode", "plugin", "--plugin-socket", SOCKET] if arguments.mode == "plugin" else []
    options.parse([*mode, *flags])  # What the server would refuse is this command's wrong usage.
    with read_back(arguments.connect) as back:
        told = play(given.script, Server(flags, given.allocation, given.command), back)
    for line in told.log:
        output.note(line)
    if given.script.kubevirt == "any" and given.script.mode == "hook" and is_placed_twice(given.script):
        output.note(
            f"note: KubeVirt {TWICE} and some before it place such a VM's devices twice; --kubevirt {TWICE} plays it"
        )
    if arguments.output == "json":
        emit(told.document(), "json")
    else:
        table.show(told, Screen.of(arguments.color))
    output.flush()
    if told.error is not None:
        raise told.error
    return told.exit_code


def _server_flags(arguments: Namespace, given: Inputs) -> list[str]:
    """The flags of the sidecar, but for those that --server has already: none may be given twice."""
    pairs = {"--host": given.host, "--wait": str(arguments.wait), "--log-level": arguments.log_level}
    pairs |= {"--libvirt": arguments.libvirt} if arguments.libvirt else {}
    pairs |= {"--version": arguments.version} if arguments.version else {}
    # Another sidecar's command says itself what it is told.
    told = arguments.kubevirt != "any" and not arguments.server and arguments.mode == "hook"
    pairs |= {"--kubevirt": arguments.kubevirt} if told else {}
    there = {word.partition("=")[0] for word in given.command}
    flags = [word for name, value in pairs.items() if name not in there for word in (name, value)]
    return [*flags, *["--cloud-init"] * arguments.cloud_init]


def is_placed_twice(script: Script) -> bool:
    """Whether some releases define the first domain again with ports, and without what libvirt said of it."""
    ports = count_ports(script.guest, Domain.parse(script.domain), release_of(TWICE))
    return ports.last and not ports.placeholders
