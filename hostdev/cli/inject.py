"""`passgate inject`: the offline transform, as a filter."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from domxml.document import MAX_BYTES, Domain
from domxml.errors import BadInput, ExitCode
from domxml.finding import Finding, Severity
from domxml.transform import Transformed
from domxml.version import OLDEST, LibvirtVersion
from hostdev.inject.plan import Injection, Options, Wanted, inject
from hostdev.inventory.look import looker
from hostdev.printing import output
from hostdev.vmi.request import Request, parse_device

if TYPE_CHECKING:
    from hostdev.cli.livelibvirt import Connection
    from hostdev.inject.vmplan import Prepared
    from hostdev.vmi.vmi import Vmi


def prepared(
    arguments: argparse.Namespace, domain: Domain, requests: tuple[Request, ...], options: Options
) -> Prepared:
    """Read them all, and say what is wanted."""
    from hostdev.inject.gather import Channels, gather  # noqa: PLC0415  devices named outright need none of it
    from hostdev.inject.vmplan import prepare, resources  # noqa: PLC0415

    vmi = _vmi(arguments.vmi)
    channels = Channels(
        files=tuple(arguments.env_file or ()),
        environment=dict(_variable(text) for text in arguments.env or ()),
        network_info=arguments.network_info or "",
    )
    gathered = gather(channels, domain, vmi, resources(vmi, requests))
    return prepare(vmi, requests, gathered, options)


def _vmi(path: str | None) -> Vmi | None:
    if path is None:
        return None
    from hostdev.inject.gather import read_file  # noqa: PLC0415
    from hostdev.vmi.file import parse_manifest  # noqa: PLC0415

    return parse_manifest(read_file(path)).vmi


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise BadInput("bad-variable", f"{text[:60]!r} is not NAME=VALUE", hint="write it as `env` prints it")
    return name, value


def run(arguments: argparse.Namespace) -> int:
    """Read, inject, print. Nothing is printed on standard output unless everything went well."""
    requests = tuple(parse_device(spec) for spec in arguments.device or ())
    version = LibvirtVersion.parse(arguments.libvirt) if arguments.libvirt else None
    domain = Domain.parse(_read(arguments.domain))
    connection = _connect(arguments.validate)
    options = Options(version or (connection.version if connection else OLDEST), prune=arguments.prune)
    injection = _inject(arguments, domain, requests, options)
    if connection is not None:
        note = connection.validate(domain.data, injection.result.xml)
        if note:
            output.note(note)
    for finding in injection.findings:
        output.note(_finding(finding))
    if _fails(injection, arguments.fail_on):
        return ExitCode.FINDINGS
    output.write_bytes(_render(arguments.output, domain, injection))
    return ExitCode.DONE


def _inject(
    arguments: argparse.Namespace, domain: Domain, requests: tuple[Request, ...], options: Options
) -> Injection:
    machine = looker(arguments.host)()
    if not (arguments.vmi or arguments.env or arguments.env_file or arguments.network_info):
        return inject(domain, Wanted(requests), machine, options)
    from hostdev.inject.vmplan import carry_out  # noqa: PLC0415

    return carry_out(domain, prepared(arguments, domain, requests, options), machine)


def _read(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with open(name, "rb") as file:  # noqa: PTH123  pathlib costs a start 5 ms
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(
            "unreadable-file",
            f"cannot read the domain XML: {error.strerror}",
            subject=name,
            hint="name a file, or - for standard input",
        ) from None


def _connect(uri: str | None) -> Connection | None:
    if uri is None:
        return None
    from hostdev.cli.livelibvirt import Connection  # noqa: PLC0415  libvirt costs 46 ms

    return Connection(uri)


def _fails(injection: Injection, fail_on: str | None) -> bool:
    if fail_on is None:
        return False
    limit = Severity(fail_on).rank
    return any(finding.severity.rank >= limit for finding in injection.findings)


def _render(form: str, domain: Domain, injection: Injection) -> bytes:
    result: Transformed = injection.result
    if form == "xml":
        return result.xml
    from hostdev.cli import planview  # noqa: PLC0415  the plain filter goes without

    if form == "diff":
        return planview.diff(domain.data, result.xml).encode()
    view = planview.as_json if form == "json" else planview.story
    return view(domain, injection).encode()


def _finding(finding: Finding) -> str:
    lines = [f"{finding.severity}: {finding.code}: {finding.subject}: {finding.message}"]
    if finding.hint:
        lines.append(f"  hint: {finding.hint}")
    lines += [f"  seen: {evidence.file}: {evidence.content}" for evidence in finding.evidence]
    return "\n".join(lines)
