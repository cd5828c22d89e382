"""What KubeVirt refuses of a VM around its template, of pools and of replica sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hostdev.findings.admission import GATE_CLOSED, VM_REFUSED
from hostdev.lint.admission.releases import since, until
from hostdev.lint.admission.rule import EMPTY, Hit, Rule, Subject, at, each, gate_rule

STRATEGIES = ("Always", "Halted", "Manual", "RerunOnFailure", "Once")
_RECEIVER = "WaitAsReceiver"
_MATCHERS = ("instancetype", "preference")
_KINDS = {
    "instancetype": ("virtualmachineinstancetype", "virtualmachineclusterinstancetype",
                     "virtualmachineinstancetypes", "virtualmachineclusterinstancetypes"),
    "preference": ("virtualmachinepreference", "virtualmachineclusterpreference",
                   "virtualmachinepreferences", "virtualmachineclusterpreferences"),
}  # fmt: skip
_CLAIMED = frozenset({"pvc", "storage"})


def _vm(subject: Subject) -> Mapping[str, Any]:
    return subject.vm or EMPTY


def _no_strategy(subject: Subject) -> Iterator[Hit]:
    vm = _vm(subject)
    if "running" not in vm and not vm.get("runStrategy"):
        yield "spec.runStrategy", {}


def _two_strategies(subject: Subject) -> Iterator[Hit]:
    vm = _vm(subject)
    if "running" in vm and vm.get("runStrategy"):
        yield "spec.running", {}


def _strange_strategy(subject: Subject) -> Iterator[Hit]:
    strategy = _vm(subject).get("runStrategy")
    if strategy and strategy not in {*STRATEGIES, _RECEIVER}:
        yield "spec.runStrategy", {"strategy": strategy, "strategies": ", ".join(STRATEGIES)}


def _receiver(subject: Subject) -> Iterator[Hit]:
    if _vm(subject).get("runStrategy") == _RECEIVER:
        yield "spec.runStrategy", {"strategy": _RECEIVER, "strategies": ", ".join(STRATEGIES)}


def _matchers(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key in _MATCHERS:
        if _vm(subject).get(key) is not None:
            yield f"spec.{key}", _vm(subject)[key]


def _nameless_matcher(subject: Subject) -> Iterator[Hit]:
    for place, matcher in _matchers(subject):
        if not matcher.get("name") and not matcher.get("inferFromVolume"):
            yield place, {}


def _named_and_inferred(subject: Subject) -> Iterator[Hit]:
    for place, matcher in _matchers(subject):
        if matcher.get("name") and matcher.get("inferFromVolume"):
            yield f"{place}.name", {}


def _inferred_from_nothing(subject: Subject) -> Iterator[Hit]:
    volumes = {volume.get("name") for _, volume in subject.each("volumes")}
    for place, matcher in _matchers(subject):
        volume = matcher.get("inferFromVolume")
        if volume and not matcher.get("name") and volume not in volumes:
            yield f"{place}.inferFromVolume", {"volume": volume}


def _conflicts(subject: Subject) -> Iterator[Hit]:
    """The fields that an instance type has for itself."""
    if not at(_vm(subject), "instancetype.name"):
        return
    fields = ["cpu.cores", "cpu.sockets", "cpu.threads"]
    fields += [f"resources.{what}.{name}" for what in ("requests", "limits") for name in ("cpu", "memory")]
    for field in fields:
        if subject.at(f"domain.{field}"):
            yield f"spec.template.spec.domain.{field}", {"field": field}


def _memory_conflict(subject: Subject) -> Iterator[Hit]:
    if at(_vm(subject), "instancetype.name") and subject.at("domain.memory.guest") is not None:
        yield "spec.template.spec.domain.memory.guest", {"field": "memory.guest"}


def _any_memory_conflict(subject: Subject) -> Iterator[Hit]:
    if at(_vm(subject), "instancetype.name") and subject.at("domain.memory") is not None:
        yield "spec.template.spec.domain.memory", {"field": "memory"}


def _brought_conflicts(subject: Subject) -> Iterator[Hit]:
    brought = subject.instancetype
    checks = (
        ("domain.devices.gpus", bool(brought.get("gpus"))),
        ("domain.devices.hostDevices", bool(brought.get("hostDevices"))),
        ("domain.cpu.dedicatedCpuPlacement", at(brought, "cpu.dedicatedCPUPlacement") is not None),
        ("domain.launchSecurity", brought.get("launchSecurity") is not None),
        ("domain.ioThreadsPolicy", brought.get("ioThreadsPolicy") is not None),
    )
    for field, clashes in checks:
        if clashes and subject.at(field):
            yield f"spec.template.spec.{field}", {"field": field.removeprefix("domain.")}


def _strange_kind(subject: Subject) -> Iterator[Hit]:
    for place, matcher in _matchers(subject):
        kind = matcher.get("kind") or ""
        if kind and kind.lower() not in _KINDS[place.removeprefix("spec.")]:
            yield f"{place}.kind", {"kind": kind}


def _templates(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place, template in each(_vm(subject), "dataVolumeTemplates"):
        yield f"spec.{place}", template


def _nameless_template(subject: Subject) -> Iterator[Hit]:
    for place, template in _templates(subject):
        if not at(template, "metadata.name"):
            yield f"{place}.metadata.name", {}


def _storage(subject: Subject) -> Iterator[Hit]:
    for place, template in _templates(subject):
        if len(_CLAIMED & (template.get("spec") or EMPTY).keys()) != 1:
            yield f"{place}.spec", {}


def _no_source(subject: Subject) -> Iterator[Hit]:
    for place, template in _templates(subject):
        spec = template.get("spec") or EMPTY
        if not spec.get("source") and spec.get("sourceRef") is None and not _cloned(spec):
            yield f"{place}.spec", {}


def _cloned(spec: Mapping[str, Any]) -> bool:
    """A claim may bring its data itself."""
    claim = spec.get("pvc") or spec.get("storage") or EMPTY
    return any(claim.get(key) is not None for key in ("dataSource", "dataSourceRef"))


def _many_sources(subject: Subject) -> Iterator[Hit]:
    for place, template in _templates(subject):
        if len(at(template, "spec.source") or ()) > 1:
            yield f"{place}.spec.source", {}


def _unused_template(subject: Subject) -> Iterator[Hit]:
    used = {
        name
        for _, volume in subject.each("volumes")
        for name in (at(volume, "dataVolume.name"), at(volume, "persistentVolumeClaim.claimName"))
    }
    for place, template in _templates(subject):
        name = at(template, "metadata.name")
        if name and name not in used:
            yield f"{place}.metadata.name", {"name": name}


def _foreign_template(subject: Subject) -> Iterator[Hit]:
    for place, template in _templates(subject):
        namespace = at(template, "metadata.namespace")
        if namespace and subject.namespace and namespace != subject.namespace:
            yield f"{place}.metadata.namespace", {"namespace": namespace, "own": subject.namespace}


_FREE = "leave it out: the instancetype says it; or do without the instancetype"
_MATCH = "keep one of name and inferFromVolume"
_KIND = "write VirtualMachineInstancetype or VirtualMachinePreference, with Cluster after Machine for those of all"
_STRATEGY = "write one of {strategies}"
RULES = (
    Rule(VM_REFUSED, _no_strategy, "RunStrategy must be specified",
         "write runStrategy: Always, or Halted for one that is started by hand"),
    Rule(VM_REFUSED, _two_strategies, "Running and RunStrategy are mutually exclusive",
         "keep runStrategy; running is deprecated"),
    Rule(VM_REFUSED, _strange_strategy, "Invalid RunStrategy ({strategy})", _STRATEGY),
    Rule(VM_REFUSED, _receiver, "Invalid RunStrategy ({strategy})", _STRATEGY, until("1.5")),
    gate_rule(GATE_CLOSED, _receiver, "DecentralizedLiveMigration",
          "Invalid RunStrategy ({strategy}), DecentralizedLiveMigration feature gate is not enabled"),
    Rule(VM_REFUSED, _nameless_matcher, "Either name or inferFromVolume should be used", "write its name"),
    Rule(VM_REFUSED, _named_and_inferred, "Name should not be provided when InferFromVolume is used", _MATCH),
    Rule(VM_REFUSED, _inferred_from_nothing, "unable to find volume {volume} to infer defaults",
         "name a volume of the template"),
    Rule(VM_REFUSED, _conflicts, "VM field {field} conflicts with selected instance type", _FREE),
    Rule(VM_REFUSED, _memory_conflict, "VM field {field} conflicts with selected instance type", _FREE, since("1.7")),
    Rule(VM_REFUSED, _any_memory_conflict, "VM field {field} conflicts with selected instance type", _FREE,
         until("1.6")),
    Rule(VM_REFUSED, _brought_conflicts, "VM field {field} conflicts with selected instance type", _FREE),
    Rule(VM_REFUSED, _strange_kind, "got unexpected kind: {kind}", _KIND, until("1.5")),
    Rule(VM_REFUSED, _strange_kind, "got unexpected kind: {kind}, so that no VMI is made of it", _KIND, since("1.6"),
         vmi_only=True),
    Rule(VM_REFUSED, _nameless_template, "'name' field must not be empty for DataVolumeTemplate entry",
         "write metadata.name"),
    Rule(VM_REFUSED, _storage, "Data volume must have exactly one of PVC and Storage",
         "write exactly one of pvc, storage"),
    Rule(VM_REFUSED, _no_source, "Data volume should have either Source, SourceRef, or be externally populated",
         "write source, such as `source: {{blank: {{}}}}`"),
    Rule(VM_REFUSED, _many_sources, "Multiple dataVolume sources", "keep one of them"),
    Rule(VM_REFUSED, _unused_template,
         "DataVolumeTemplate entry {name} must be referenced in the VMI template's 'volumes' list",
         "add a volume with dataVolume.name: {name}"),
    Rule(VM_REFUSED, _foreign_template, "Embedded DataVolume namespace {namespace} differs from VM namespace {own}",
         "leave the namespace out"),
)  # fmt: skip
"""VMs, in the order of KubeVirt's checks; places are those of the whole object."""
