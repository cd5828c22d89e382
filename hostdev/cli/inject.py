"""`passgate inject`: the offline transform, as a filter."""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from domxml.apply import ADDED
from domxml.document import MAX_BYTES, Domain
from domxml.editfindings import DEVICE_MOVES, DEVICE_RENAMED, LAYOUT_NOT_KEPT, SETTING_IGNORED
from domxml.errors import BadInput, ExitCode, about_file
from domxml.finding import Finding, Severity
from domxml.kubevirt import coming_ports, places_again
from domxml.placement.ports import node_of
from domxml.source import parse_host_device
from domxml.splice import NotSpliced, SourceText
from domxml.text import listed
from domxml.transform import Transformed, transform
from domxml.version import OLDEST, LibvirtVersion
from hostdev.inject.plan import Inputs, Plan, plan
from hostdev.printing import output
from hostdev.vmi.request import Request, parse_device

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from domxml.source import HostDevice
    from hostdev.allocation.allocation import Gathered
    from hostdev.cli.livelibvirt import Connection
    from hostdev.inventory.machine import Machine
    from hostdev.vmi.vmi import Vmi


_PLAIN = re.compile(rb"\s*<domain[\s>]")
_MAY_NAME_DEVICES = ("PCI", "MDEV_", "USB_", "QAT", "VFIO_", "SRIOV")
"""How the variables of all dialects begin: a look at few letters, before the table of them is loaded."""


class Run(NamedTuple):
    """One run: the plan, what came of it, and what there is to say."""

    domain: Domain
    plan: Plan
    result: Transformed
    findings: tuple[Finding, ...]


def run(arguments: argparse.Namespace) -> int:
    """Read, inject, print. Nothing is printed on standard output unless everything went well."""
    machine = _machine(arguments.host)
    named = read_named(arguments, machine)
    version = LibvirtVersion.parse(arguments.libvirt) if arguments.libvirt else None
    if arguments.output == "hostdev":
        return _snippets(arguments, machine, named, version or OLDEST)
    name = arguments.domain or "-"
    readers = [*(arguments.env_file or ()), arguments.vmi, arguments.network_info, arguments.host]
    if not arguments.domain and "-" in readers:
        what = "DOMAIN and an option: standard input can be read once"
        raise BadInput("bad-usage", what, hint="name a file for all but one of them")
    with about_file(name):
        data, taken_out = _domain(arguments, name)
        domain = Domain.parse(data)
    connection = _connect(arguments.validate)
    done = _inject(arguments, domain, machine, named, version or (connection.version if connection else OLDEST))
    if connection is not None:
        note = connection.validate(domain.data, done.result.xml)
        if note:
            output.note(note)
    for finding in (*taken_out, *done.findings):
        output.note(_finding(finding))
    if _fails(done.findings, arguments.fail_on):
        return ExitCode.FINDINGS
    output.write_bytes(_render(arguments.output, done))
    return ExitCode.DONE


def _domain(arguments: argparse.Namespace, name: str) -> tuple[bytes, tuple[Finding, ...]]:
    """The domain that is named; of a VM that has none yet, the one that KubeVirt will make."""
    path = arguments.domain
    if path is None and arguments.vmi and arguments.vmi != "-" and sys.stdin is not None and sys.stdin.isatty():
        path = arguments.vmi
    if arguments.connect or path in {None, "-"} or str(path).endswith(".xml"):
        return read_domain(name, arguments.connect, inactive=True)
    from hostdev.cli.madedomain import is_manifest, made_domain  # noqa: PLC0415  a domain is what is usually there

    if not is_manifest(path):
        return read_domain(name, arguments.connect, inactive=True)
    arguments.vmi = arguments.vmi or path
    return made_domain(arguments, path), ()


def read_named(arguments: argparse.Namespace, machine: Machine | None) -> tuple[Request, ...]:
    """The devices of `--device`."""
    return tuple(parse_device(spec, partial(_find_device, machine=machine)) for spec in arguments.device or ())


def _find_device(word: str, machine: Machine | None) -> HostDevice:
    """The device of a `--device`: where there is a host to look at, it may be named as everywhere else."""
    try:
        return parse_host_device(word)
    except BadInput as error:
        if machine is None:
            error.hint = f"{error.hint}; with --host an interface, a disk, ids or a group, too"
            raise
    from hostdev.inventory.devicenames import find_one  # noqa: PLC0415  an offline run has addresses

    return find_one(machine, word)


def _snippets(
    arguments: argparse.Namespace, machine: Machine | None, named: tuple[Request, ...], libvirt: LibvirtVersion
) -> int:
    """Print a <hostdev> for each device; no domain is read where none is named."""
    from domxml.hotplug import make_snippets, no_domain  # noqa: PLC0415  the plain filter goes without

    if arguments.remove or arguments.prune:
        hint = "`virsh detach-device` takes the <hostdev> that `virsh dumpxml` prints"
        raise BadInput("bad-usage", "-o hostdev is for devices that come, not for those that go", hint=hint)
    known = bool(arguments.domain or arguments.connect)
    found: tuple[Finding, ...] = ()
    domain = no_domain()
    if known:
        with about_file(arguments.domain or "-"):
            data, found = read_domain(arguments.domain or "-", arguments.connect)
            domain = Domain.parse(data)
    elif output.is_fed():
        output.note("note: no domain was named, and standard input was not read; name - to have it read")
    planned = plan(domain, read_inputs(arguments, domain, named), machine)
    if not planned.slots:
        raise BadInput("bad-usage", "no device is named", hint="name one: --device 3d:02.2")
    done = make_snippets(domain, planned.slots, known=known, libvirt=libvirt)
    findings = (*found, *planned.findings, *done.findings)
    for finding in findings:
        output.note(_finding(finding))
    if _fails(findings, arguments.fail_on):
        return ExitCode.FINDINGS
    output.write_bytes(b"".join(done.xml))
    return ExitCode.DONE


def _inject(
    arguments: argparse.Namespace,
    domain: Domain,
    machine: Machine | None,
    named: tuple[Request, ...],
    libvirt: LibvirtVersion,
) -> Run:
    inputs = read_inputs(arguments, domain, named)
    planned = plan(domain, inputs, machine)
    again = places_again(arguments.kubevirt) if arguments.kubevirt else None
    source, ports = SourceText(domain), coming_ports(domain)
    remove = _leaving(domain, arguments.remove)
    result = transform(
        domain, planned.slots, libvirt=libvirt, prune=arguments.prune, again=again, remove=remove, mark=True
    )
    room = _room(result.xml, machine, ports, libvirt)
    findings = (*planned.findings, *result.findings, *_edits(domain, result), *_guards(inputs, result), *room)
    if result.xml is not domain.data:
        try:
            result = result._replace(xml=source.rewrite())
        except NotSpliced as reason:
            findings = (*findings, LAYOUT_NOT_KEPT.found(domain.name, str(reason)))
    return Run(domain, planned, result, findings)


def _room(xml: bytes, machine: Machine | None, ports: int, libvirt: LibvirtVersion) -> tuple[Finding, ...]:
    if machine is None:
        return ()
    from hostdev.inject.room import room_findings  # noqa: PLC0415  without a host there are no BARs

    return room_findings(xml, machine, ports=ports, libvirt=libvirt)


def _edits(domain: Domain, result: Transformed) -> Iterator[Finding]:
    """What a device that was there has become, and what was asked of it in vain."""
    for change in result.changes:
        placed, function = change.placed, change.placed.function
        if change.was_at is not None:
            text = f"its guest address becomes {placed.address} instead of {change.was_at}"
            yield DEVICE_MOVES.found(change.alias, text)
        if change.was_called:
            yield DEVICE_RENAMED.found(change.alias, f"{function.device} had the alias {change.was_called}")
        elif function.renames and change.alias != function.alias:
            text = f"name={placed.slot.name}: the device keeps the alias by which KubeVirt knows it"
            yield SETTING_IGNORED.found(change.alias, text)
        node = placed.slot.node
        if node is not None and change.action != ADDED and node_of(domain, placed.address) != node:
            text = f"numa={node}: the device stays where it is, at {placed.address}, which is not on guest node {node}"
            yield SETTING_IGNORED.found(change.alias, text)


def _leaving(domain: Domain, words: Sequence[str] | None) -> tuple[HostDevice, ...]:
    if not words:
        return ()
    from domxml.removal import find_devices  # noqa: PLC0415  most runs take nothing out

    return find_devices(domain, words)


def _machine(host: str) -> Machine | None:
    if host == "none":
        return None
    from hostdev.inventory.scan import looker  # noqa: PLC0415  an offline run looks at no host

    return looker(host, use=True, bars=True)()


def read_inputs(arguments: argparse.Namespace, domain: Domain, named: tuple[Request, ...]) -> Inputs:
    """Read what is told about the VM and its allocations: files, variables, the VM itself."""
    own = _own_environment(arguments)
    if not (arguments.vmi or own or arguments.env or arguments.env_file or arguments.network_info):
        return Inputs(named=named)
    from hostdev.allocation.environment import read_variables  # noqa: PLC0415  devices named outright need none of it
    from hostdev.inject.gather import Channels, gather  # noqa: PLC0415
    from hostdev.inject.vmplan import account_inputs, resources, vm_inputs  # noqa: PLC0415

    vmi = _vmi(arguments.vmi)
    channels = Channels(
        files=tuple(arguments.env_file or ()),
        environment={**own, **read_variables(arguments.env or ())},
        network_info=arguments.network_info or "",
    )
    gathered = gather(channels, domain, vmi, resources(vmi, named))
    inputs = account_inputs(vm_inputs(vmi, named, gathered), gathered)
    silent = (*_silent_files(channels.files, gathered), *_silent_environment(own))
    return inputs._replace(findings=(*silent, *inputs.findings))


def _own_environment(arguments: argparse.Namespace) -> Mapping[str, str]:
    """The variables of this process, where they are to be read; else those that name devices are told of."""
    if arguments.env_from_process:
        return os.environ
    if any(name.startswith(_MAY_NAME_DEVICES) for name in os.environ):
        from hostdev.allocation.environment import naming_variables  # noqa: PLC0415  few environments have any

        given = {text.partition("=")[0] for text in arguments.env or ()}
        names = [name for name in naming_variables(os.environ) if name not in given]
        if names:
            verb = "are" if len(names) > 1 else "is"
            how = "--env-from-process reads them" if len(names) > 1 else "--env-from-process reads it"
            output.note(f"note: {listed(names)} of the environment {verb} not read; {how}")
    return {}


def _silent_files(paths: tuple[str, ...], gathered: Gathered) -> Iterator[Finding]:
    """Files that were given and name no device: there was a reason to give them."""
    from hostdev.allocation.allocation import ALLOCATION_FILE, channel_of  # noqa: PLC0415
    from hostdev.findings.matching import FILE_NAMES_NOTHING  # noqa: PLC0415

    told = any(channel_of(one) == ALLOCATION_FILE for allocation in gathered.allocations for one in allocation.told_by)
    if paths and not told:
        yield FILE_NAMES_NOTHING.found(listed(paths), "no variable in it names a device")


def _silent_environment(own: Mapping[str, str]) -> Iterator[Finding]:
    if own:
        from hostdev.allocation.environment import naming_variables  # noqa: PLC0415  rarely asked for
        from hostdev.findings.matching import FILE_NAMES_NOTHING  # noqa: PLC0415

        if not naming_variables(own):
            hint = "leave --env-from-process out, or set what a device plugin would"
            yield FILE_NAMES_NOTHING.found("the environment", "no variable in it names a device", hint=hint)


def _guards(inputs: Inputs, result: Transformed) -> tuple[Finding, ...]:
    if inputs.vmi is None:
        return ()
    from hostdev.inject.vmplan import guards  # noqa: PLC0415

    return guards(inputs.vmi, result.ours)


def _vmi(path: str | None) -> Vmi | None:
    if path is None:
        return None
    from hostdev.inject.gather import read_file  # noqa: PLC0415
    from hostdev.vmi.annotations import check_own_annotations  # noqa: PLC0415
    from hostdev.vmi.file import parse_manifest  # noqa: PLC0415

    with about_file(path):
        manifest = parse_manifest(read_file(path))
    check_own_annotations(manifest.kind, manifest.own_annotations)
    return manifest.vmi


def read_domain(name: str, uri: str | None, *, inactive: bool = False) -> tuple[bytes, tuple[Finding, ...]]:
    """Read the domain XML: from a file, from `-`, or by the domain's name from the libvirt at a URI.

    `inactive` asks for what the next `virsh define` replaces, with its secrets.
    """
    if uri is None:
        return _take_out(_read(name))
    from hostdev.cli.livelibvirt import Connection  # noqa: PLC0415  libvirt costs 46 ms

    if name == "-":
        hint = "name a domain as `virsh list --all` shows it"
        raise BadInput("bad-usage", "--connect needs the name of a domain", hint=hint)
    return Connection(uri, read_only=not inactive).dump(name, inactive=inactive), ()


def _read(name: str) -> bytes:
    try:
        if name == "-":
            return output.read_input(MAX_BYTES + 1)
        with open(name, "rb") as file:  # noqa: PTH123  pathlib costs a start 5 ms
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(
            "unreadable-file",
            f"cannot read the domain XML: {error.strerror}",
            subject=name,
            hint="name a file, or - for standard input; with --connect URI the name of a domain",
        ) from None


def _take_out(data: bytes) -> tuple[bytes, tuple[Finding, ...]]:
    if _PLAIN.match(data):
        return data, ()
    from domxml.container import take_out_domain  # noqa: PLC0415  most domains stand in nothing

    inner, finding = take_out_domain(data)
    return inner, () if finding is None else (finding,)


def _connect(uri: str | None) -> Connection | None:
    if uri is None:
        return None
    from hostdev.cli.livelibvirt import Connection  # noqa: PLC0415  libvirt costs 46 ms

    return Connection(uri)


def _fails(findings: tuple[Finding, ...], fail_on: str | None) -> bool:
    if fail_on is None:
        return False
    limit = Severity(fail_on).rank
    return any(finding.severity.rank >= limit for finding in findings)


def _render(form: str, done: Run) -> bytes:
    if form == "xml":
        return done.result.xml
    from hostdev.cli import planview  # noqa: PLC0415  the plain filter goes without

    if form == "diff":
        return planview.diff(done.domain.data, done.result.xml)
    if form == "json":
        return planview.as_json(done.plan, done.result, done.findings).encode()
    return planview.story(done.domain, done.plan, done.result, wide=form == "wide").encode()


def _finding(finding: Finding) -> str:
    lines = [f"{finding.severity}: {finding.code}: {finding.subject}: {finding.message}"]
    if finding.hint:
        lines.append(f"  hint: {finding.hint}")
    lines += [f"  seen: {evidence.file}: {evidence.content}" for evidence in finding.evidence]
    return "\n".join(lines)
