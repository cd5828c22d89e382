"""All files of a run together: what is wrong with each VM, and with what stands beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from domxml.errors import BadInput
from domxml.finding import Finding, Severity
from hostdev.binding.statereader import KIND
from hostdev.findings.admission import (
    FIELD_BY_RELEASE,
    GATE_CLOSED,
    UNKNOWN_FIELD,
    WRONG_TYPE,
)
from hostdev.findings.files import DUPLICATE_KEY, KUSTOMIZE_PATCH, NOT_RENDERED
from hostdev.findings.spec import SIDECAR_GATE
from hostdev.jsonutil import JsonObject
from hostdev.kubevirt.defaults import with_instancetype
from hostdev.lint.admission import releases as releases_
from hostdev.lint.admission.keys import key_hint
from hostdev.lint.admission.releases import Cluster
from hostdev.lint.admission.rule import at
from hostdev.lint.admission.verdict import Refusal, read_subject, refusals
from hostdev.lint.claims import Claims
from hostdev.lint.effects import Effects
from hostdev.lint.files import File
from hostdev.lint.lint import lint
from hostdev.lint.neighbours import Neighbours, neighbours
from hostdev.lint.nodestates import NODE_STATE_TEXT, read_node_states
from hostdev.lint.objects import VM_KINDS, Contents, Object, read_objects, without_path
from hostdev.lint.offers import Offered, offer_results, offers_of, permitted_findings
from hostdev.lint.plugins import plugin_findings
from hostdev.lint.rendering import SHELL, VM_TEXT, Engine, command, engine_of, without_unknown
from hostdev.lint.results import Counts, Report, Result, result_at, sorted_results
from hostdev.lint.sriovobjects import Wired, object_findings
from hostdev.lint.suppressions import Suppressions, suppressions
from hostdev.lint.view import view_of
from hostdev.vmi.file import Manifest, manifest_of
from hostdev.vmi.vmi import CODE, TEMPLATES

_MOST_ERRORS = 10
_LINE = re.compile(r"\(line (\d+), column (\d+)\)$")


class Gathered(NamedTuple):
    """What the files hold, and what is to be said of the files themselves."""

    objects: tuple[Object, ...]
    results: tuple[Result, ...]
    counts: Counts
    offered: tuple[Offered, ...] = ()
    """What the NodeStates among them offer."""


def gather(files: Iterable[File]) -> Gathered:
    """Read every file."""
    objects: list[Object] = []
    results: list[Result] = []
    offered: list[Offered] = []
    number = others = templates = nodes = 0
    for file in files:
        number += 1
        contents = Contents(error=file.error) if file.error else read_objects(file.data, file.name)
        engine = _engine(file, contents)
        states = read_node_states(file)
        results += states.results
        offered += states.offered
        nodes += states.documents
        broken = contents.error if file.is_named or VM_TEXT.search(file.data) else None
        if states.is_unreadable:
            # Told with the words of `passgate node state plan`.
            continue
        if broken and engine is None:
            results.append(_unreadable(file, broken))
        elif engine is not None:
            templates += 1
            results += _not_rendered(file, engine, contents)
        if file.overlay:
            templates += 1
            results.append(_patch(file))
        elif contents.objects:
            objects += contents.objects
        elif engine is None and not broken and not states.documents:
            others += 1
    counts = Counts(number, len(objects) + nodes, others, templates)
    return Gathered(tuple(objects), tuple(results), counts, tuple(offered))


def readable_objects(files: Iterable[File]) -> tuple[Object, ...]:
    """The objects of files; what cannot be read is refused."""
    gathered = gather(files)
    for result in gathered.results:
        if result.unreadable:
            found = result.finding
            raise BadInput(found.code, found.message, subject=result.place, hint=found.hint)
    return gathered.objects


def _engine(file: File, contents: Contents) -> Engine | None:
    """The template language of a file with a VM in it, where it is one."""
    if contents.error:
        looked_at = file.is_named or VM_TEXT.search(file.data) or NODE_STATE_TEXT.search(file.data)
        return engine_of(file.data) if looked_at else None
    if any(one.placeholders for one in contents.objects if one.kind in VM_KINDS and not one.path):
        return engine_of(file.data) or SHELL
    return None


def _not_rendered(file: File, engine: Engine, contents: Contents) -> Iterator[Result]:
    hint = f"render it first: {command(engine, file.name, file.chart)}"
    if contents.error:
        what = f"is a template of {engine.name}, and no YAML before it is rendered: what is in it was not looked at"
        yield Result(NOT_RENDERED.found(file.name, what, hint=hint), file.name, 1, 1)
    for one in contents.objects:
        if one.placeholders:
            what = f"{one.placeholders} of its values are only known once {engine.name} has filled them in"
            finding = NOT_RENDERED.found("metadata", what, hint=hint, severity=Severity.INFO)
            yield result_at(one, finding)


def _patch(file: File) -> Result:
    what = f"is a patch of the kustomization in {file.overlay}"
    hint = f"kustomize build {file.overlay} | passgate lint -"
    return Result(KUSTOMIZE_PATCH.found(file.name, what, hint=hint), file.name, 1, 1)


def _unreadable(file: File, error: BadInput) -> Result:
    subject = "" if error.subject == file.name else error.subject.removeprefix(f"{file.name}: ")
    finding = Finding(error.code, Severity.ERROR, subject or file.name, error.message, error.hint)
    where = _LINE.search(error.message)
    line, column = (int(where[1]), int(where[2])) if where else (0, 0)
    return Result(finding, file.name, line, column, unreadable=True)


def report(gathered: Gathered, found: Iterable[Result], ignored: Sequence[str]) -> Report:
    """The results of a run without those that shall be left out."""
    results = sorted_results((*gathered.results, *found))
    met = {result.finding.code for result in results}
    kept = tuple(result for result in results if result.finding.code not in ignored)
    unused = tuple(code for code in ignored if code not in met)
    return Report(kept, gathered.counts, unused, gathered.objects)


def lint_objects(objects: Sequence[Object], told: Cluster, offered: Sequence[Offered] = ()) -> Iterator[Result]:
    """What is wrong with each VM, with what stands beside them, and with what NodeStates offer."""
    beside = neighbours(objects, VM_KINDS)
    cluster = beside.cluster(told)
    wired: list[Wired] = []
    vms = [one for one in objects if one.kind in VM_KINDS]
    claims = Claims(beside, offered)
    for one in vms:
        found = chain(_vm_findings(one, cluster, beside, wired), claims.vm_findings(one, cluster))
        yield from _quieted(one, found)
    findings: dict[int, list[Finding]] = {}
    for one, finding in (
        *object_findings(beside, wired),
        *permitted_findings(beside, offered),
        *claims.class_findings(),
    ):
        findings.setdefault(id(one.value), []).append(finding)
    for one in beside.objects:
        mine = [*(_repeated(one)), *_object_findings(one, cluster, vms), *findings.get(id(one.value), ())]
        yield from _quieted(one, iter(mine))
    yield from offer_results(beside, offered)
    yield from claims.offer_results()


def document_findings(documents: Iterable[dict[str, Any]]) -> tuple[Finding, ...]:
    """What is wrong with a VM and with the objects that were made for it, also between them; no infos."""
    objects = [Object(document) for document in documents]
    offered = [offer for one in objects if one.kind == KIND for offer in offers_of(one.value)]
    results = lint_objects([one for one in objects if one.kind != KIND], Cluster(), offered)
    return tuple(one.finding for one in results if one.finding.severity is not Severity.INFO)


def _quieted(one: Object, findings: Iterator[Finding]) -> Iterator[Result]:
    quiet = _suppressions(one)
    met: set[str] = set()
    for finding in (*quiet.errors, *findings):
        met.add(finding.code)
        if finding.code not in quiet.codes:
            yield result_at(one, finding)
    yield from (result_at(one, finding) for finding in quiet.unused(met))


def _suppressions(one: Object) -> Suppressions:
    return suppressions(one.value, ".".join(TEMPLATES.get(one.kind, ())))


def _repeated(one: Object) -> Iterator[Finding]:
    for repeated in one.repeated:
        path = repeated.path.removeprefix(one.path).removeprefix(".")
        place = f"{path}.{repeated.key}" if path else repeated.key
        what = f"the key {repeated.key} is there twice, in lines {repeated.first >> 20} and {repeated.mark >> 20}"
        yield DUPLICATE_KEY.found(place, what)


def _object_findings(one: Object, cluster: Cluster, vms: Sequence[Object]) -> Iterator[Finding]:
    if one.kind == "Plugin":
        yield from plugin_findings(one, cluster, vms)
    if one.kind.endswith(("type", "Preference")):
        for refusal in refusals(one.value, cluster):
            yield _of_refusal(refusal, one, cluster)


def _vm_findings(one: Object, cluster: Cluster, beside: Neighbours, wired: list[Wired]) -> Iterator[Finding]:
    yield from _repeated(one)
    met: set[tuple[str, str]] = set()
    refused = list(refusals(one.value, cluster, beside.beside(one)))
    for refusal in refused:
        # The rule of the sidecar's annotation says it where no gate is told.
        if refusal.kind is SIDECAR_GATE and refusal.is_open is None:
            continue
        finding = _of_refusal(refusal, one, cluster)
        met.add((finding.code, finding.subject))
        yield finding
    manifest, unreadable = read_manifest(one, beside)
    told = {refusal.path for refusal in refused}
    for error in unreadable:
        # KubeVirt takes less than no memory, and says itself what else it does not take.
        if error.subject not in told and not error.subject.endswith(".memory.guest"):
            yield WRONG_TYPE.found(error.subject or "spec", error.message, hint=error.hint or None)
    if manifest is None:
        return
    wired += [
        Wired(str(one), one.namespace, interface)
        for interface in manifest.vmi.interfaces
        if interface.is_sriov and interface.definition
    ]
    subject = read_subject(one.value, cluster)
    found = [*lint(manifest), *Effects(view_of(manifest), subject, beside).find()]
    for finding in found:
        known = finding.code == SIDECAR_GATE.code and cluster.named is not None
        if not known and (finding.code, finding.subject) not in met and not one.is_unknown_at(finding.subject):
            yield finding


def read_manifest(one: Object, beside: Neighbours) -> tuple[Manifest | None, list[BadInput]]:
    """The VM as the rules about devices read it, without what cannot be read."""
    value = one.value if one.kind in TEMPLATES else {**one.value, "kind": "VirtualMachine"}
    value = without_unknown(value) if one.placeholders else value
    instancetype = beside.beside(one).instancetype
    if instancetype:
        value = _expanded(value, instancetype)
    errors: list[BadInput] = []
    while len(errors) < _MOST_ERRORS:
        try:
            manifest = manifest_of(JsonObject(value, "", CODE))
        except BadInput as error:
            errors.append(error)
            value = without_path(value, error.subject)
        else:
            return manifest._replace(instancetype="") if instancetype else manifest, errors
    return None, errors


def _expanded(value: dict[str, Any], instancetype: Any) -> dict[str, Any]:
    """The VM with what its instance type brings."""
    template = at(value, "spec.template")
    spec = template.get("spec") if isinstance(template, dict) else None
    if not isinstance(template, dict) or not isinstance(spec, dict | None):
        return value
    inner = with_instancetype(spec or {}, instancetype)
    return {**value, "spec": {**value["spec"], "template": {**template, "spec": inner}}}


def _of_refusal(refusal: Refusal, one: Object, cluster: Cluster) -> Finding:
    if refusal.kind is UNKNOWN_FIELD:
        what, hint = "KubeVirt does not know this key, and drops it", key_hint(refusal.path, one.kind)
        return UNKNOWN_FIELD.found(refusal.path, what, hint=hint)
    if refusal.kind is FIELD_BY_RELEASE:
        where = releases_.shown(refusal.releases)
        severity = Severity.WARNING if len(refusal.releases) == len(cluster.releases) else None
        what = f"KubeVirt has this key {refusal.message}; {where} drops it"
        return FIELD_BY_RELEASE.found(refusal.path, what, severity=severity)
    if refusal.gate and refusal.is_open is None:
        everywhere = len(refusal.releases) == len(cluster.releases) > 1
        who = "KubeVirt" if everywhere else releases_.shown(refusal.releases)
        what = f"needs the feature gate {refusal.gate} ({who})"
        return GATE_CLOSED.found(refusal.path, what, hint=refusal.hint, severity=Severity.INFO)
    message = _refused(refusal, cluster)
    return refusal.kind.found(refusal.path, message, hint=refusal.hint, severity=_severity(refusal, cluster))


def _refused(refusal: Refusal, cluster: Cluster) -> str:
    everywhere = len(refusal.releases) == len(cluster.releases) > 1
    who = "KubeVirt" if everywhere else releases_.shown(refusal.releases)
    verb = "refuse" if who.endswith("later") or " to " in who.removeprefix("KubeVirt up to") else "refuses"
    if refusal.vmi_only:
        return f"{who} accept{verb.removeprefix('refuse')} the VM and {verb} its VMI: {refusal.message}"
    return f"{who} {verb} it: {refusal.message}"


def _severity(refusal: Refusal, cluster: Cluster) -> Severity:
    """Refused everywhere is an error; by the newest only a warning, by older ones only worth knowing."""
    if len(refusal.releases) == len(cluster.releases):
        return Severity.ERROR
    return Severity.WARNING if max(cluster.releases) in refusal.releases else Severity.INFO
