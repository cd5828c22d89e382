"""`passgate plan`: from a VM's manifest to where each device will sit in the guest, before anything exists."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from domxml.errors import BadInput, ExitCode, PassgateError
from domxml.finding import Finding, Severity
from domxml.version import LibvirtVersion
from hostdev.allocation.env_file import parse_env_file
from hostdev.allocation.environment import read_variables
from hostdev.inject.gather import read_file
from hostdev.inject.hook import Launcher
from hostdev.kubevirt.admission import Cluster
from hostdev.kubevirt.channels import Asked, Given
from hostdev.kubevirt.comparison import Move, compare
from hostdev.kubevirt.releases import NEWEST, POINT_RELEASES, RELEASES, Release, release_of
from hostdev.kubevirt.spec import EMPTY, get_map
from hostdev.kubevirt.vmplan import Item, VmPlan, plan_vm
from hostdev.lint.admission.releases import Cluster as LintCluster
from hostdev.lint.admission.releases import parse_release
from hostdev.lint.files import read_files
from hostdev.lint.neighbours import Neighbours, neighbours
from hostdev.lint.objects import VM_KINDS, Object
from hostdev.lint.repository import lint_objects, readable_objects
from hostdev.printing import output
from hostdev.printing.cells import Cell, Column, Fit, Tone, dash
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.findings import finding_rows, worst_exit_code
from hostdev.printing.screen import Screen
from hostdev.vmi.vmi import Vmi

WITHOUT_SIDECAR = "without-sidecar"
_MACHINE = re.compile(r"(?:pc|q35|virt|s390-ccw-virtio)(?:-[\w.-]+)?", re.ASCII)
_COLUMNS = (Column("GUEST"), Column("DEVICE"), Column("HOST"), Column("BY"), Column("NAME", Fit.CUT))
_MOVES = (Column("DEVICE"), Column("WAS"), Column("NOW"), Column("NAME", Fit.CUT))
_VMS = (Column("VM"), Column("PASSES"), Column("DEVICES"), Column("OURS"), Column("RESULT", Fit.WRAP))


class Planned(NamedTuple):
    """One VM of a run; `error` where no plan can be made."""

    vm: Object
    plan: VmPlan | None
    moves: tuple[Move, ...] | None = None
    """Against the other side, where one is named."""
    other: VmPlan | None = None
    error: PassgateError | None = None


def run(arguments: argparse.Namespace) -> int:
    """Read the files, plan every VM in them, print."""
    asked = read_asked(arguments, sidecar=not arguments.without_sidecar)
    objects = read_objects(arguments.file)
    around = neighbours(objects, VM_KINDS)
    done = [_planned(one, around, asked, arguments) for one in objects if one.kind in VM_KINDS]
    if not done:
        raise BadInput("bad-vmi", "no file holds a VM", hint="name the files that hold the VM and what it refers to")
    if len(done) == 1 and done[0].error is not None:
        raise done[0].error
    _print(arguments, asked, done)
    return _code(done, arguments)


def read_asked(arguments: argparse.Namespace, *, sidecar: bool = True) -> Asked:
    """What a plan is made for, as the command line tells it."""
    environment = read_variables(arguments.env or ())
    owners: dict[str, tuple[str, ...]] = {}
    for path in arguments.env_file or ():
        file = parse_env_file(read_file(path))
        for finding in file.findings:
            output.note(f"{finding.severity}: {path}: {finding.what} [{finding.code}]")
        environment |= file.variables
        owners |= file.resources
    network_info = read_file(arguments.network_info) if arguments.network_info else b""
    libvirt = LibvirtVersion.parse(arguments.libvirt) if arguments.libvirt else Launcher().libvirt
    machine = None
    if arguments.host != "none":
        from hostdev.cli.devices import machine_at  # noqa: PLC0415  without a host there is no gate

        machine = machine_at(arguments.host, bars=True)
    return Asked(
        _release(arguments.kubevirt or NEWEST),
        Given(environment, network_info, owners),
        machine=machine,
        sidecar=sidecar,
        launcher=Launcher(libvirt),
    )


def _release(text: str) -> Release:
    release = release_of(text)
    if release.name == "any":
        raise BadInput("bad-usage", "--kubevirt: a plan is for one release", hint=f"name one, such as {NEWEST}")
    return release


def read_objects(names: Sequence[str]) -> tuple[Object, ...]:
    """The objects of files; what cannot be read is refused."""
    return readable_objects(read_files(names or ["-"]))


def _planned(one: Object, around: Neighbours, asked: Asked, arguments: argparse.Namespace) -> Planned:
    try:
        plan = plan_object(one, around, asked)
        if arguments.output not in {"xml", "svg"}:
            # Of a thousand VMs the domains alone would fill the memory.
            plan = plan._replace(first=b"", last=b"", final=b"", vmi=Vmi())
        if not arguments.against:
            return Planned(one, plan)
        other = _other(one, around, asked, arguments.against)
        return Planned(one, plan, compare(plan, other), other)
    except PassgateError as error:
        return Planned(one, None, error=error)


def plan_object(one: Object, around: Neighbours, asked: Asked) -> VmPlan:
    """The plan of one VM, with what stands beside it."""
    found = around.of_kind("KubeVirt")
    annotations = get_map(found[0].value, "metadata", "annotations") if len(found) == 1 else EMPTY
    cluster = Cluster(around.kubevirt, annotations)
    plan = plan_vm(one.value, asked._replace(cluster=cluster, beside=around.beside(one)))
    return plan._replace(findings=(*_lint(one, around, asked.release), *plan.findings))


def _lint(one: Object, around: Neighbours, release: Release) -> Iterator[Finding]:
    """What `passgate lint` says of this VM, for this release."""
    minor = ".".join(release.name.split(".")[:2])
    for result in lint_objects([one, *around.objects], LintCluster((parse_release(minor),))):
        if result.kind == one.kind and result.name == one.name:
            yield result.finding


def _other(one: Object, around: Neighbours, asked: Asked, against: str) -> VmPlan:
    """The other side: a release, a machine type, the VM without the sidecar, or as another file has it."""
    if against == WITHOUT_SIDECAR:
        return plan_object(one, around, asked._replace(sidecar=False))
    if against in RELEASES or against.removeprefix("v") in POINT_RELEASES:
        return plan_object(one, around, asked._replace(release=_release(against)))
    if Path(against).exists():
        others = read_objects([against])
        same = [each for each in others if each.kind in VM_KINDS and each.name == one.name]
        same = same or [each for each in others if each.kind in VM_KINDS]
        if len(same) != 1:
            what = f"{len(same)} VMs could be the other side of {one}"
            raise BadInput("bad-usage", f"--against: {what}", subject=against, hint="name a file with that one VM")
        return plan_object(same[0], neighbours((*around.objects, *others), VM_KINDS), asked)
    if _MACHINE.fullmatch(against):
        return plan_object(_with_machine(one, against), around, asked)
    hint = f"a release such as {NEWEST}, a machine type such as pc-q35-9.2, {WITHOUT_SIDECAR}, or a file"
    raise BadInput("bad-usage", f"--against: {against[:60]!r} is nothing to compare with", hint=hint)


def _with_machine(one: Object, machine: str) -> Object:
    def changed(value: Mapping[str, Any], *path: str) -> dict[str, Any]:
        if not path:
            return {**value, "type": machine}
        return {**value, path[0]: changed(get_map(value, path[0]), *path[1:])}

    inner = ("domain", "machine")
    path = ("spec", *inner) if one.kind == "VirtualMachineInstance" else ("spec", "template", "spec", *inner)
    if one.kind == "VirtualMachinePool":
        path = ("spec", "virtualMachineTemplate", *path)
    return one._replace(value=changed(one.value, *path))


def _code(done: Sequence[Planned], arguments: argparse.Namespace) -> int:
    if any(one.error is not None for one in done):
        return ExitCode.REFUSED
    plans = [plan for one in done for plan in (one.plan, one.other) if plan is not None]
    if any(plan.items == () for plan in plans) and arguments.against:
        return ExitCode.FINDINGS
    if any(move.moves for one in done for move in one.moves or ()):
        return ExitCode.FINDINGS
    severities: list[Severity] = [f.severity for one in done if one.plan is not None for f in one.plan.findings]
    return worst_exit_code(severities, arguments.fail_on)


def _print(arguments: argparse.Namespace, asked: Asked, done: Sequence[Planned]) -> None:
    form = arguments.output
    if form in {"json", "yaml"}:
        documents = [_document(one, asked) for one in done]
        emit(documents[0] if len(documents) == 1 else document("VmPlanList", items=documents), form)
        return
    if form in {"xml", "svg"}:
        if len(done) > 1 or done[0].plan is None:
            raise BadInput("bad-usage", f"-o {form} shows one VM, and there are {len(done)}", hint="name one file")
        output.write_bytes(_drawn(done[0].plan) if form == "svg" else _xml(done[0].plan))
        return
    screen = Screen.of(arguments.color)
    if arguments.against:
        for one in done:
            _show_moves(screen, one, arguments.against, several=len(done) > 1)
    elif len(done) == 1 and done[0].plan is not None:
        _show(screen, done[0].plan)
    else:
        screen.table(_VMS, [_row_of_vm(one) for one in done])


def _xml(plan: VmPlan) -> bytes:
    return plan.final or plan.first


def _drawn(plan: VmPlan) -> bytes:
    from hostdev.cli.drawing.guesttree import draw_guest  # noqa: PLC0415  only for a picture

    return draw_guest(plan).encode()


def _show(screen: Screen, plan: VmPlan) -> None:
    word = "pass" if plan.passes == 1 else "passes"
    screen.line(Cell(plan.vm, Tone.STRONG), f" on KubeVirt {plan.release.name}, {plan.passes} {word}")
    devices = [item for item in plan.items if not item.is_port]
    if devices:
        screen.table(_COLUMNS, [_row(item) for item in devices])
    ports = len(plan.items) - len(devices)
    if ports:
        output.write(f"{ports} PCI controllers below them; -o json has them all\n")
    for line in plan.unknown:
        screen.line(Cell("UNKNOWN  ", Tone.WARN), line)
    for finding in plan.findings:
        for row in finding_rows(finding):
            screen.line(*row)


def _row(item: Item) -> tuple[Cell | str, ...]:
    host = "assumed" if item.assumed else dash(item.source)
    label = item.alias.removeprefix("ua-") or item.model
    by = Cell("passgate", Tone.GOOD) if item.ours else "-"
    return (dash(item.guest), f"{item.element} {label}".strip(), host, by, dash(item.name))


def _row_of_vm(one: Planned) -> tuple[Cell | str, ...]:
    if one.plan is None:
        return (str(one.vm), "-", "-", "-", Cell(str(one.error), Tone.BAD))
    devices = [item for item in one.plan.items if not item.is_port]
    worst = max((finding.severity for finding in one.plan.findings), default=None, key=list(Severity).index)
    told = f"{len(one.plan.unknown)} unknown, " if one.plan.unknown else ""
    result = f"{told}{worst or 'no findings'}"
    return (str(one.vm), str(one.plan.passes), str(len(devices)), str(sum(i.ours for i in devices)), result)


def _show_moves(screen: Screen, one: Planned, against: str, *, several: bool) -> None:
    if one.plan is None or one.other is None:
        screen.line(Cell(f"{one.vm}: ", Tone.STRONG), Cell(str(one.error), Tone.BAD))
        return
    for line in dict.fromkeys((*one.plan.unknown, *one.other.unknown)):
        screen.line(Cell("UNKNOWN  ", Tone.WARN), line)
    if not (one.plan.items and one.other.items):
        screen.line(Cell(f"{one.vm}: ", Tone.STRONG), "what libvirt makes of it is not known: nothing can be compared")
    elif not one.moves:
        screen.line(Cell(f"{one.vm}: ", Tone.STRONG), f"nothing in the guest is different against {against}")
    else:
        if several:
            screen.line(Cell(str(one.vm), Tone.STRONG))
        screen.table(_MOVES, [_row_of_move(move) for move in one.moves])


def _row_of_move(move: Move) -> tuple[Cell | str, ...]:
    was, now = move.was, move.now
    names = [item.name for item in (was, now) if item is not None and item.name]
    name = " -> ".join(dict.fromkeys(names))
    return (move.label, "-" if was is None else dash(was.guest), "-" if now is None else dash(now.guest), dash(name))


def _document(one: Planned, asked: Asked) -> Document:
    plan = one.plan or VmPlan(str(one.vm), asked.release)
    found = document(
        "VmPlan",
        vm=plan.vm,
        kubevirt=plan.release.name,
        passes=plan.passes,
        items=[_item(item) for item in plan.items],
        unknown=list(plan.unknown),
        findings=[finding.as_dict() for finding in plan.findings],
    )
    if one.error is not None:
        found["error"] = {"code": one.error.code, "message": one.error.sentence()}
    if one.moves is not None:
        found["moves"] = [
            {"label": m.label, "was": m.was and _item(m.was), "now": m.now and _item(m.now)} for m in one.moves
        ]
    return found


def _item(item: Item) -> Document:
    return {
        "element": item.element,
        "model": item.model or None,
        "alias": item.alias or None,
        "name": item.name or None,
        "guest": None if item.guest is None else str(item.guest),
        "ours": item.ours,
        "source": None if item.source is None or item.assumed else str(item.source),
        "assumed": item.assumed,
    }
