"""Everything that KubeVirt refuses of one object, release by release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from domxml.finding import FindingKind
from hostdev.findings.admission import (
    API_NOT_SERVED,
    FIELD_BY_RELEASE,
    FIELD_MISSING,
    METADATA_REFUSED,
    UNKNOWN_FIELD,
    VM_REFUSED,
    WRONG_TYPE,
)
from hostdev.kubevirt.admission import Beside
from hostdev.kubevirt.defaults import add_defaults, selects, with_instancetype, with_preference, with_preset
from hostdev.lint.admission import compute, devices, disks, firmware, interfaces, policies, ports, vm, volumes
from hostdev.lint.admission.fields import spec_of
from hostdev.lint.admission.metadata import SERVED, metadata_flaws, releases_serving, unknown_keys
from hostdev.lint.admission.releases import Cluster
from hostdev.lint.admission.rule import EMPTY, Hit, Rule, Subject, amount, at
from hostdev.lint.admission.schema import Checked, Flaw, check
from hostdev.lint.rendering import Unknown
from hostdev.vmi.vmi import TEMPLATES

RULES: tuple[Rule, ...] = (
    *(*vm.RULES, *policies.RULES, *interfaces.RULES, *ports.RULES, *devices.RULES),
    *(*compute.RULES, *disks.RULES, *volumes.RULES, *firmware.RULES),
)
"""The table of what is refused, in the order of the answers."""
_OF_VMI = tuple(rule for rule in RULES[len(vm.RULES) :] if not rule.vm_only)
_STRICT = frozenset({"VirtualMachineInstanceReplicaSet", "VirtualMachinePool"})
_FLAWS = {"type": WRONG_TYPE, "missing": FIELD_MISSING, "forbidden": METADATA_REFUSED, "metadata": METADATA_REFUSED}
_BROUGHT = frozenset(
    {
        *(f"domain.cpu.{key}" for key in ("isolateEmulatorThread", "dedicatedCpuPlacement")),
        *("domain.cpu.numa.guestMappingPassthrough", "domain.memory"),
    }
)
"""Places where an instance type that is not here may bring what is missing."""


class Refusal(NamedTuple):
    """One thing that is refused, dropped or behind a gate, and in which of the releases that are looked at."""

    kind: FindingKind
    path: str
    message: str
    hint: str
    releases: tuple[int, ...]
    gate: str = ""
    is_open: bool | None = False
    """Of a gate: None where it was not told."""
    vmi_only: bool = False


ALONE = Beside()


def read_subject(value: Mapping[str, Any], cluster: Cluster) -> Subject:
    """A VM as it is written, pruned of what KubeVirt does not know."""
    kind = value.get("kind") or "VirtualMachineInstance"
    field = spec_of(kind)
    spec = check(value.get("spec"), field, "spec", strict=False).value if field else {}
    return _subject(value, kind, spec, cluster) or Subject({})


def refusals(value: Mapping[str, Any], cluster: Cluster, beside: Beside = ALONE) -> Iterator[Refusal]:
    """What is wrong with an object, in the eyes of the API server and KubeVirt."""
    kind = value.get("kind") or "VirtualMachineInstance"
    if kind in SERVED or kind == "OfflineVirtualMachine":
        unserved = list(_versions(value, kind, cluster))
        yield from unserved
        if value.get("apiVersion") and any(refusal.releases == cluster.releases for refusal in unserved):
            yield from _keys_of_another_time(value, kind, cluster)
            return
    for flaw in metadata_flaws(value):
        yield Refusal(METADATA_REFUSED, flaw.path, flaw.message, METADATA_REFUSED.hint, cluster.releases)
    for path in unknown_keys(value):
        yield Refusal(UNKNOWN_FIELD, path, "", "", cluster.releases)
    field = spec_of(kind)
    if field is None:
        return
    spec = value.get("spec")
    if spec is None:
        yield Refusal(FIELD_MISSING, "spec", "is required", "write the spec", cluster.releases)
        return
    checked = check(spec, field, "spec", strict=kind in _STRICT)
    yield from _schema(checked, cluster)
    if not any(flaw.kind in {"type", "forbidden"} for flaw in checked.flaws):
        yield from _semantic(value, kind, checked, cluster, beside)


def _keys_of_another_time(value: Mapping[str, Any], kind: str, cluster: Cluster) -> Iterator[Refusal]:
    """Nothing but the version is looked at by the API server then; the keys will be next."""
    field = spec_of(kind)
    if field and isinstance(value.get("spec"), Mapping):
        for flaw in check(value["spec"], field, "spec", strict=False).flaws:
            if flaw.kind == "unknown":
                yield Refusal(UNKNOWN_FIELD, flaw.path, "", "", cluster.releases)


def _versions(value: Mapping[str, Any], kind: str, cluster: Cluster) -> Iterator[Refusal]:
    version = value.get("apiVersion")
    if (version is None and "kind" not in value) or isinstance(version, Unknown):
        return
    known = releases_serving(kind, version) if isinstance(version, str) else None
    wrong = tuple(release for release in cluster.releases if known is None or release not in known)
    if wrong:
        versions = " or ".join(SERVED.get(kind, SERVED["VirtualMachine"]))
        what = f'no matches for kind "{kind}" in version "{version}"' if version else "apiVersion is not set"
        hint = f"write apiVersion: {versions}" + (" and kind: VirtualMachine" if kind not in SERVED else "")
        yield Refusal(API_NOT_SERVED, "apiVersion" if version else "kind", what, hint, wrong)


def _schema(checked: Checked, cluster: Cluster) -> Iterator[Refusal]:
    gone: list[tuple[str, frozenset[int]]] = []
    for flaw in sorted(checked.flaws, key=lambda flaw: len(flaw.path)):
        if flaw.kind == "unknown":
            yield Refusal(UNKNOWN_FIELD, flaw.path, "", "", cluster.releases)
            continue
        there = tuple(release for release in cluster.releases if release in flaw.releases)
        if flaw.kind == "younger":
            without = frozenset(release for release in cluster.releases if release not in flaw.releases)
            # With what holds it the key is gone anyway.
            without -= frozenset().union(*(there for path, there in gone if _touches(path, flaw.path)))
            gone.append((flaw.path, without))
            if without:
                yield Refusal(
                    FIELD_BY_RELEASE, flaw.path, _shown_range(flaw), FIELD_BY_RELEASE.hint, tuple(sorted(without))
                )
        elif there:
            kind = _FLAWS[flaw.kind]
            yield Refusal(kind, flaw.path, flaw.message, kind.hint, there)


def _shown_range(flaw: Flaw) -> str:
    from hostdev.lint.admission.releases import HEAD, NAMES  # noqa: PLC0415  only here

    first, last = flaw.releases
    return f"from {NAMES[first]} on" if last == HEAD else f"up to {NAMES[last]}"


def _semantic(
    value: Mapping[str, Any], kind: str, checked: Checked, cluster: Cluster, beside: Beside
) -> Iterator[Refusal]:
    seen: dict[int, tuple[list[tuple[Rule, Hit]], list[int]]] = {}
    order: list[tuple[list[tuple[Rule, Hit]], list[int]]] = []
    for release in cluster.releases:
        spec = checked.as_of(release)
        known = seen.get(id(spec))
        if known is None:
            known = (list(_hits(value, kind, spec, cluster, beside)), [])
            seen[id(spec)] = known
            order.append(known)
        known[1].append(release)
    yield from _joined(order, cluster, kind, checked.unknown)


def _joined(
    order: Sequence[tuple[list[tuple[Rule, Hit]], list[int]]], cluster: Cluster, kind: str, unknown: Sequence[str]
) -> Iterator[Refusal]:
    """The same hit in several releases is one refusal."""
    found: dict[tuple[int, str, str], Refusal] = {}
    for hits, releases in order:
        for rule, (path, values) in hits:
            place = _place(kind, path)
            if any(_touches(place, one) for one in unknown):
                continue
            for refusal in _of_rule(rule, place, values, releases, cluster):
                if kind == "VirtualMachineInstance":
                    refusal = refusal._replace(vmi_only=False)  # noqa: PLW2901  there is no VM to be admitted
                key = (id(rule), place, f"{refusal.message}{refusal.is_open}")
                known = found.get(key)
                both = (*known.releases, *refusal.releases) if known else refusal.releases
                found[key] = refusal._replace(releases=both)
    yield from found.values()


def _of_rule(
    rule: Rule, place: str, values: Mapping[str, object], releases: Sequence[int], cluster: Cluster
) -> Iterator[Refusal]:
    message, hint = rule.says.format(**values), rule.hint.format(**values)
    there = [release for release in releases if release in rule.releases]
    if rule.gate is None:
        if there:
            yield Refusal(rule.kind, place, message, hint, tuple(there), vmi_only=rule.vmi_only)
        return
    for state in (False, None):
        closed = tuple(release for release in there if cluster.is_open(rule.gate, release) is state)
        if closed:
            yield Refusal(rule.kind, place, message, hint, closed, rule.gate.name, state)


def _touches(place: str, unknown: str) -> bool:
    """Whether one is part of the other."""
    short, long = sorted((place, unknown), key=len)
    return long.startswith(short) and (len(long) == len(short) or long[len(short)] in ".[")


def _place(kind: str, path: str) -> str:
    """The place in the whole object: of `/…` its own, of `spec.…` the VM's in it, of anything else the VMI's."""
    steps = TEMPLATES.get(kind, TEMPLATES["VirtualMachine"])
    if path.startswith("/"):
        return path[1:]
    if path.startswith("spec."):
        return ".".join((*steps[:-2], path))
    return ".".join((*steps, path if path.startswith("metadata.") else f"spec.{path}"))


def _hits(
    value: Mapping[str, Any], kind: str, spec: Mapping[str, Any], cluster: Cluster, beside: Beside
) -> Iterator[tuple[Rule, Hit]]:
    subject = _subject(value, kind, spec, cluster)
    if subject is None:
        # Without a template there is no VMI to be looked at.
        bare = Subject({}, vm=spec)
        yield from ((rule, hit) for rule in vm.RULES if kind == "VirtualMachine" for hit in rule.check(bare))
        return
    plain = subject._replace(instancetype=beside.instancetype or EMPTY)
    if beside.instancetype:
        subject = subject._replace(spec=with_instancetype(subject.spec, beside.instancetype))
    if beside.preference:
        subject = subject._replace(spec=with_preference(subject.spec, beside.preference))
    for preset in beside.presets:
        if selects(preset.get("selector"), subject.metadata.get("labels") or EMPTY):
            subject = subject._replace(spec=with_preset(subject.spec, preset))
    subject = subject._replace(spec=add_defaults(subject.spec))
    was_taken = bool(at(value, "status.phase"))
    for rule in RULES if subject.vm is not None else _OF_VMI:
        if rule.configured and was_taken:
            continue
        # What the VM itself writes is what may clash with its instance type.
        judged = plain if rule.kind is VM_REFUSED else subject
        for hit in rule.check(judged):
            if not _may_be_brought(hit[0], beside):
                yield rule, hit
    yield from ((_MISMATCH, hit) for hit in _selector(value, kind))
    yield from _requirements(subject, beside)


def _may_be_brought(path: str, beside: Beside) -> bool:
    if beside.instancetype is None and path in _BROUGHT:
        return True
    wants_smm = path == "domain.firmware.bootloader.efi"
    return beside.preference is None and (wants_smm or path.endswith("dedicatedIOThread"))


def _subject(value: Mapping[str, Any], kind: str, spec: Mapping[str, Any], cluster: Cluster) -> Subject | None:
    metadata = value.get("metadata")
    namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else ""
    steps = TEMPLATES.get(kind, TEMPLATES["VirtualMachine"])
    template: Any = {"metadata": metadata, "spec": spec}
    owner = None
    for step in steps:
        template = template.get(step)
        if not isinstance(template, Mapping):
            return None
        owner = template if step == "spec" else owner
    if kind == "VirtualMachineInstanceReplicaSet":
        owner = None
    inner = template.get("metadata")
    return Subject(
        template.get("spec") or {},
        inner if isinstance(inner, Mapping) else EMPTY,
        owner,
        namespace if isinstance(namespace, str) else "",
        cluster.switches,
    )


_MISMATCH = Rule(
    VM_REFUSED, lambda _: iter(()), "selector does not match labels", "give the template the labels of spec.selector"
)
_UNMET = Rule(
    VM_REFUSED,
    lambda _: iter(()),
    "failure checking preference requirements: insufficient {what} resources of {there}, preference requires {wanted}",
    "give the VM more, or name another preference",
)


def _selector(value: Mapping[str, Any], kind: str) -> Iterator[Hit]:
    """A pool or replica set selects its own template."""
    if kind not in _STRICT:
        return
    inner = "spec.virtualMachineTemplate" if kind == "VirtualMachinePool" else "spec.template"
    wanted = at(value, "spec.selector.matchLabels") or {}
    labels = at(value, f"{inner}.metadata.labels") or {}
    if not isinstance(wanted, Mapping) or not isinstance(labels, Mapping):
        return
    if any(labels.get(key) != label for key, label in wanted.items() if not isinstance(label, Unknown)):
        yield "/spec.selector", {}


def _requirements(subject: Subject, beside: Beside) -> Iterator[tuple[Rule, Hit]]:
    """What a preference asks of the VM's size."""
    cpus = at(beside.preference, "requirements.cpu.guest")
    if isinstance(cpus, int) and compute.vcpus(subject) < cpus:
        values = {"what": "CPU", "there": f"{compute.vcpus(subject)} vCPU", "wanted": f"{cpus} vCPU"}
        yield _UNMET, ("domain.cpu", values)
    memory = at(beside.preference, "requirements.memory.guest")
    there = compute.guest_memory(subject)
    if memory is not None and (amount(there) or 0) < (amount(memory) or 0):
        yield _UNMET, ("domain.memory", {"what": "memory", "there": there or 0, "wanted": memory})
