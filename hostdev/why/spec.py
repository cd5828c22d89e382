"""The VM as it is written, and KubeVirt's own doors: lint, feature gates, and causes that no text tells."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from domxml.errors import PassgateError
from domxml.finding import Finding, Severity
from domxml.text import listed
from hostdev.findings import admission
from hostdev.findings.allocation import NETWORK_WITHOUT_DEVICE
from hostdev.findings.boot import GENERIC, HOTPLUG_DISK_BESIDE_DEVICE
from hostdev.findings.release import Release, is_mended
from hostdev.kubevirt.spec import get_list, get_map, get_text
from hostdev.lint.admission.releases import Cluster, parse_release
from hostdev.lint.neighbours import RESOURCE
from hostdev.lint.objects import BESIDE_KINDS, Object
from hostdev.lint.repository import lint_objects
from hostdev.lint.results import Result as LintResult
from hostdev.why.hook import read_vmi
from hostdev.why.item import Item, Result, failure_of, kubectl, mark_passed, mark_unknown, shorten
from hostdev.why.sayings import Saying
from hostdev.why.steps import Check
from hostdev.why.subject import Subject

_ADMISSION = frozenset(kind.code for kind in admission.KINDS)
_UNREADABLE = "what is told of the VM has no spec that lint could read"
_GATES = frozenset({"gate-closed", "sidecar-gate", "resource-not-permitted"})


class KnownCause(NamedTuple):
    """A cause in the spec that nothing speaks of, and what it looks like."""

    since: Check
    """The step that it keeps from going well."""
    explains: frozenset[str]
    """Codes of what is said when it does."""


CAUSES: Mapping[str, KnownCause] = MappingProxyType(
    {
        "vfio-overcommit": KnownCause(
            Check.STARTED,
            frozenset({"memlock-not-raised", "memlock-refused", "launcher-killed", "launcher-ended", "start-failed"}),
        ),
        "resource-without-address": KnownCause(
            Check.DEFINED, frozenset({"no-address-left", "address-variable-missing"})
        ),
        "network-without-device": KnownCause(
            Check.ALLOCATED, frozenset({"network-without-device", "no-address-left", "address-variable-missing"})
        ),
        "hotplug-disk-beside-device": KnownCause(
            Check.DEFINED,
            frozenset(
                {
                    *("no-iommu", "vfio-module-missing", "vfio-node-missing", "iommu-disabled", "vfio-not-in-pod"),
                    "hotplug-disk-beside-device",
                }
            ),
        ),
    }
)


class Linted(NamedTuple):
    """What lint says of the VM, as far as it could look."""

    findings: tuple[Finding, ...] = ()
    looked: str = ""
    why: str = ""
    """Why it could not; empty where it could."""


def lint_subject(subject: Subject) -> Linted:
    """Ask lint, and the causes that lint cannot see without the release and the networks."""
    value = subject.vm if get_map(subject.vm, "spec", "template", "spec", "domain") else subject.vmi
    if not get_map(value, "spec"):
        why = subject.evidence.gap("virtualmachines", "virtualmachineinstances")
        known = subject.vm or subject.vmi
        return Linted(why=why or (_UNREADABLE if known else "neither the VM nor its VMI is told"))
    beside = [one for one in subject.evidence.objects if one.get("kind") in BESIDE_KINDS]
    objects = [Object(dict(value)), *(Object(dict(one)) for one in beside)]
    try:
        results = list(lint_objects(objects, _cluster(subject)))
    except PassgateError as error:
        return Linted(why=error.what)
    findings = tuple(one.finding for one in results if _is_about(one, value.get("kind"), subject))
    looked = f"{value.get('kind')} {subject.name}" + (f", {len(beside)} objects beside it" if beside else "")
    return Linted((*findings, *_unsaid(subject)), looked)


def _is_about(result: LintResult, kind: object, subject: Subject) -> bool:
    return result.kind == kind and result.name == subject.name


def _cluster(subject: Subject) -> Cluster:
    try:
        return Cluster((parse_release(subject.release),)) if subject.release else Cluster()
    except PassgateError:
        return Cluster()


def _unsaid(subject: Subject) -> Iterator[Finding]:
    vmi = read_vmi(subject)
    if vmi is None:
        return
    for interface in vmi.interfaces:
        if interface.is_sriov and interface.definition:
            yield from _network(subject, interface.definition)
    plugged = [get_text(one, "name") for one in get_list(subject.spec, "volumes") if _is_pluggable(one)]
    running = Release.parse(f"KubeVirt {subject.version}")
    if plugged and vmi.has_vfio and running and is_mended(HOTPLUG_DISK_BESIDE_DEVICE.mended, running) is False:
        what = f"the volume {listed(plugged)} is hot-pluggable, beside a host device, on {running}"
        yield HOTPLUG_DISK_BESIDE_DEVICE.found("spec.volumes", what)


def _network(subject: Subject, definition: str) -> Iterator[Finding]:
    space, _, name = definition.rpartition("/")
    for one in subject.evidence.of_kind("NetworkAttachmentDefinition"):
        there = get_text(one, "metadata", "namespace")
        meant = get_text(one, "metadata", "name") == name and there in {"", space or subject.namespace or there}
        if meant and RESOURCE not in get_map(one, "metadata", "annotations"):
            what = f"the network {definition} has no annotation {RESOURCE}: its pod asks for no VF"
            yield NETWORK_WITHOUT_DEVICE.found(definition, what, severity=Severity.WARNING)


def _is_pluggable(volume: Mapping[str, object]) -> bool:
    keys = ("persistentVolumeClaim", "dataVolume")
    return any(get_map(volume, key).get("hotpluggable") is True for key in keys)


def check_spec(subject: Subject, linted: Linted, others: Sequence[Item]) -> Item:
    """What is written can work; a cause without a text counts where it explains what happened, or nothing else does."""
    check = Check.SPEC
    if linted.why:
        command = kubectl(subject, "get", "vm,vmi", subject.name, "-o", "yaml")
        return mark_unknown(check, "VM, VMI", linted.why, command)
    findings = [one for one in linted.findings if one.code not in _GATES]
    admitted = bool(subject.phase) or bool(get_text(subject.vm, "metadata", "uid"))
    errors = [one for one in findings if one.severity is Severity.ERROR and not (admitted and _is_moot(one, subject))]
    if not subject.runs:
        first = next((one for one in others if one.result is Result.FAIL), None)
        causes = [one for one in findings if one.code in CAUSES and _explains(one.code, first, subject)]
        for one in (*errors, *causes):
            told = one._replace(severity=Severity.ERROR)
            command = shlex.join(("passgate", "lint", "--vmi", f"{subject.name}.yaml"))
            return Item(check, Result.FAIL, linted.looked, shorten(one.what), told, command)
    beside = listed(dict.fromkeys(one.code for one in findings if one.severity is not Severity.INFO), 5)
    if not beside:
        return mark_passed(check, linted.looked, "lint finds nothing that would keep it from starting")
    what = "it runs all the same" if subject.runs else "which is not what stands in its way"
    return mark_passed(check, linted.looked, f"lint tells {beside}, {what}")


def _is_moot(finding: Finding, subject: Subject) -> bool:
    """The cluster has taken what a table says it refuses: then the table does not know the cluster."""
    return finding.code in _ADMISSION and (bool(subject.phase) or "its VMI" not in finding.message)


def _explains(code: str, first: Item | None, subject: Subject) -> bool:
    if first is None or first.finding is None:
        return not subject.is_stopped
    cause = CAUSES[code]
    if first.one_of:
        return bool({code, *cause.explains} & set(first.one_of))
    if first.finding.code in cause.explains:
        return True
    return first.finding.code in GENERIC and first.check.rank >= cause.since.rank


def check_gates(subject: Subject, linted: Linted, sayings: Sequence[Saying]) -> Item:
    """KubeVirt's webhooks took the VMI, and the feature gates that it needs are open."""
    check = Check.GATES
    closed = [one for one in linted.findings if one.code in _GATES and one.severity is not Severity.INFO]
    for one in closed:
        if not subject.runs and not _was_let_in(one.code, subject):
            told = one._replace(severity=Severity.ERROR)
            return Item(check, Result.FAIL, f"KubeVirt's configuration, {linted.looked}", shorten(one.what), told)
    if not subject.vmi and not subject.pod and not subject.is_stopped:
        item = failure_of(subject, check, sayings, "vmi-refused")
        if item:
            return item
    if subject.phase or subject.pod:
        where = f"VMI {subject.name}" if subject.phase else f"pod {subject.pod_name}"
        return mark_passed(check, where, "KubeVirt has admitted the VMI")
    gap = subject.evidence.gap("virtualmachineinstances", "kubevirts")
    what = gap or ("the VM is stopped: nothing was asked of them" if subject.is_stopped else "no VMI of it is told")
    return mark_unknown(
        check, "VMI, events of the VM, KubeVirt", what, kubectl(subject, "describe", "vm", subject.name)
    )


def _was_let_in(code: str, subject: Subject) -> bool:
    """What is there although a gate is closed was made while it was open."""
    if code == "sidecar-gate":
        return bool(subject.hooks or subject.sidecars)
    return bool(subject.pod)
