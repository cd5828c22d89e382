"""`passgate lint`: what is wrong with VMs and with what stands beside them, before they are applied."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain

from domxml.errors import BadInput, ExitCode, about_file
from domxml.finding import Severity
from hostdev.findings.files import SUPPRESSION_UNUSED
from hostdev.findings.registry import kind
from hostdev.inject.gather import read_file
from hostdev.lint.admission.releases import Cluster, parse_gates, parse_release
from hostdev.lint.files import File, read_files
from hostdev.lint.objects import VM_KINDS, Object
from hostdev.lint.repository import gather, lint_objects, report
from hostdev.lint.results import Report, Result
from hostdev.printing import output
from hostdev.printing.cells import Cell, Column, dash
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.findings import TONES, finding_rows, worst_exit_code
from hostdev.printing.screen import Screen
from hostdev.vmi.file import parse_manifest

TABLE = (Column("SEVERITY"), Column("CODE"), Column("WHERE"), Column("MESSAGE"), Column("HINT"))
_FILE = Column("FILE")


def run(arguments: argparse.Namespace) -> int:
    """Read the files, tell what is found."""
    ignored = [kind(code).code for code in arguments.ignore or ()]
    cluster = _cluster(arguments)
    if arguments.file and arguments.vmi:
        hint = "name all files without an option; --vmi takes exactly one VM, and no more"
        raise BadInput("bad-usage", "--vmi and FILE exclude each other", hint=hint)
    files = read_files(arguments.file) if arguments.file else [_the_vm(arguments.vmi or "-")]
    gathered = gather(files)
    if arguments.against:
        from hostdev.lint.upgrade import upgrade_results  # noqa: PLC0415  only for upgrades

        found = upgrade_results(gathered.objects, cluster, parse_release(arguments.against))
    else:
        found = chain(lint_objects(gathered.objects, cluster, gathered.offered), _room(arguments, gathered.objects))
    told = report(gathered, found, ignored)
    _print(arguments, told)
    for code in told.unused:
        output.note(f"note: --ignore {code}: {SUPPRESSION_UNUSED.title[0].lower()}{SUPPRESSION_UNUSED.title[1:]}")
    return _code(told, arguments.fail_on)


def _room(arguments: argparse.Namespace, objects: tuple[Object, ...]) -> Iterator[Result]:
    """Whether the guests have room for their devices, where a host is named."""
    if arguments.host == "none":
        return iter(())
    from hostdev.cli.devices import machine_at  # noqa: PLC0415  seldom asked for
    from hostdev.kubevirt.releases import NEWEST, release_of  # noqa: PLC0415
    from hostdev.lint.room import room_results  # noqa: PLC0415

    return room_results(objects, machine_at(arguments.host, bars=True), release_of(arguments.kubevirt or NEWEST))


def _cluster(arguments: argparse.Namespace) -> Cluster:
    releases = (parse_release(arguments.kubevirt),) if arguments.kubevirt else Cluster().releases
    if arguments.against and not arguments.kubevirt:
        hint = "give --kubevirt with the release that the cluster has"
        raise BadInput("bad-usage", "--against compares with --kubevirt, which is not given", hint=hint)
    if arguments.against and arguments.host != "none":
        raise BadInput("bad-usage", "--against and --host exclude each other", hint="ask for each by itself")
    gates = None if arguments.feature_gates is None else parse_gates(arguments.feature_gates, releases)
    return Cluster(releases, gates)


def _the_vm(name: str) -> File:
    """The one VM of `--vmi`: a file without one, or with two, is refused."""
    with about_file(name):
        data = read_file(name)
        parse_manifest(data)
    return File("the manifest" if name == "-" else name, data)


def _code(told: Report, fail_on: str) -> ExitCode:
    if any(result.unreadable for result in told.results):
        return ExitCode.USAGE
    return worst_exit_code((result.finding.severity for result in told.results), fail_on)


def _print(arguments: argparse.Namespace, told: Report) -> None:
    form = arguments.output
    if form in {"json", "yaml"}:
        emit(_document(told), form)
    elif form == "sarif":
        from hostdev.helptext import passgate_version  # noqa: PLC0415  only here
        from hostdev.lint.report import sarif  # noqa: PLC0415  only here

        emit(sarif(told, passgate_version()), "json")
    elif form == "junit":
        from hostdev.lint.report import junit  # noqa: PLC0415  loads lxml

        output.write_bytes(junit(told, Severity(arguments.fail_on)))
    elif form == "github":
        from hostdev.lint.report import github  # noqa: PLC0415  only here

        output.write("".join(f"{line}\n" for line in github(told)))
    else:
        _print_table(Screen.of(arguments.color), told, with_file=bool(arguments.file))
    if arguments.file and form in {"table", "github"}:
        output.note(_summary(told))


def _print_table(screen: Screen, told: Report, *, with_file: bool) -> None:
    if not told.results:
        if not with_file:
            output.note(f"note: nothing is wrong with {told.objects[0]}")
    elif screen.terminal:
        # Places are long, and a table on a terminal would cut them.
        for result in told.results:
            where = f"{result.place}: " if with_file else ""
            for row in finding_rows(result.finding._replace(message=where + result.finding.what)):
                screen.line(*row)
    else:
        columns = (*TABLE[:2], _FILE, *TABLE[2:]) if with_file else TABLE
        screen.table(columns, [_row(result, with_file=with_file) for result in told.results])


def _row(result: Result, *, with_file: bool) -> tuple[Cell | str, ...]:
    finding = result.finding
    severity = Cell(finding.severity, TONES[finding.severity])
    file = (result.place,) if with_file else ()
    return (severity, finding.code, *file, finding.subject, finding.message, dash(finding.hint))


def _summary(told: Report) -> str:
    counts = told.counts
    severities = [result.finding.severity for result in told.results]
    found = ", ".join(f"{severities.count(one)} {one}{_s(severities.count(one))}" for one in reversed(Severity))
    parts = [f"note: {counts.objects} object{_s(counts.objects)} in {counts.files} file{_s(counts.files)}: {found}"]
    if counts.others:
        parts.append(f"{counts.others} file{_s(counts.others)} without a VM passed over")
    if counts.templates:
        parts.append(f"{counts.templates} to be rendered first")
    return "; ".join(parts)


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _document(told: Report) -> Document:
    vms = [one for one in told.objects if one.kind in VM_KINDS]
    one = vms[0] if len(vms) == 1 else None
    return document(
        "Lint",
        object={"kind": one.kind, "namespace": one.namespace, "name": one.name} if one else None,
        items=[result.as_dict() for result in told.results],
        summary=told.counts.as_dict(told.results),
    )
