"""What an upgrade of KubeVirt changes: for some VMs, and as a table for all.

`python -m hostdev.lint.upgrade docs/upgrade.md` writes the table.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from domxml.finding import Finding, Severity
from hostdev.findings.admission import FIELD_BY_RELEASE, UPGRADE_ADMITS, UPGRADE_CHANGES, UPGRADE_REFUSES
from hostdev.lint.admission.fields import young_fields
from hostdev.lint.admission.policies import HOOKS
from hostdev.lint.admission.releases import GATES, HEAD, NAMES, Cluster
from hostdev.lint.admission.rule import EMPTY, Rule, Subject, at
from hostdev.lint.admission.verdict import RULES, Refusal, read_subject, refusals
from hostdev.lint.neighbours import neighbours
from hostdev.lint.objects import VM_KINDS, Object
from hostdev.lint.results import Result, result_at
from hostdev.vmi.vmi import TEMPLATES

Touches = Callable[[Subject], str]
"""The place that a change is about; empty where a VM has nothing to do with it."""


class Change(NamedTuple):
    """Something that a release does otherwise than the one before, and no rule of admission shows."""

    release: str
    touches: Touches
    what: str
    severity: Severity = Severity.INFO


def _hooked(subject: Subject) -> str:
    annotations = subject.metadata.get("annotations")
    there = annotations.get(HOOKS) if isinstance(annotations, Mapping) else None
    return f"metadata.annotations[{HOOKS}]" if there else ""


def _claimed(subject: Subject) -> str:
    paths = ("domain.devices.gpus", "domain.devices.hostDevices")
    return next((place for path in paths for place, device in subject.each(path) if device.get("claimName")), "")


def _networked(subject: Subject) -> str:
    return next((place for place, one in subject.each("domain.devices.interfaces") if "sriov" in one), "")


def _running(subject: Subject) -> str:
    return "/spec.running" if "running" in (subject.vm or EMPTY) else ""


def _typed(subject: Subject) -> str:
    return "/spec.instancetype" if at(subject.vm, "instancetype.name") else ""


def _limited(subject: Subject) -> str:
    guest, limit = (subject.at(f"domain.{path}") for path in ("memory.guest", "resources.limits"))
    return "domain.memory.guest" if guest is not None and (limit or EMPTY).get("memory") else ""


def _passed_through(subject: Subject) -> str:
    paths = ("domain.devices.gpus", "domain.devices.hostDevices")
    return next((path for path in paths if subject.at(path)), "") or _networked(subject)


def _paged(subject: Subject) -> str:
    return "domain.memory.hugepages" if _typed(subject) and subject.at("domain.memory.hugepages") else ""


def _all_alike(_: Subject) -> str:
    """For the page only: every VM has to do with it."""
    return ""


CHANGES = (
    Change("1.6", _typed, "an instance type or preference that does not exist is no longer refused: the VM is accepted "
           "and its VMI is never made"),
    Change("1.6", _limited, "VMs are updated live by default, so that guest memory above the limit is accepted"),
    Change("1.6", _hooked, "each hook sidecar has a directory of its own for its socket"),
    Change("1.7", _paged, "huge pages beside an instance type are no conflict any more; guest memory still is"),
    Change("1.7", _networked, "SR-IOV devices are found in the network information only; the variables of device "
           "plugins (PCIDEVICE_…) are no longer read", Severity.WARNING),
    Change("1.8", _claimed, "the addresses of claimed devices come from files of the DRA driver, and no longer from "
           "the VMI's status; each device needs both claimName and requestName"),
    Change("1.8", _all_alike, "VMs get the annotation kubevirt.io/pci-topology-version: v3, as from 1.6.4 and 1.7.2 "
           "on; virt-launcher does not read it"),
    Change("1.9", _hooked, "hook sidecars are deprecated in favour of plugins; nothing is removed yet"),
    Change("1.9", _all_alike, "feature gates of the stage Beta are open unless they are disabled by name"),
    Change("head", _passed_through, "the limit of locked memory is lifted for VMs with VFIO devices, however many "
           "they are"),
)  # fmt: skip
"""Defaults and mechanisms, from the notes and sources of the releases."""


def upgrade_results(objects: Sequence[Object], told: Cluster, to: int) -> Iterator[Result]:
    """What changes for each VM between the release that is told and another one."""
    beside = neighbours(objects, VM_KINDS)
    old = beside.cluster(told)
    new = old._replace(releases=(to,))
    for one in objects:
        if one.kind in VM_KINDS:
            before, after = (list(refusals(one.value, cluster, beside.beside(one))) for cluster in (old, new))
            for finding in (*_compared(before, after, old, new), *_changes(one, old, to)):
                yield result_at(one, finding)


def _compared(before: Sequence[Refusal], after: Sequence[Refusal], old: Cluster, new: Cluster) -> Iterator[Finding]:
    known, later = ({_key(one): one for one in some} for some in (before, after))
    names = [NAMES[cluster.releases[0]] for cluster in (old, new)]
    for key, one in later.items():
        if key not in known and not _same_place(one, before):
            yield _refused_now(one, *names)
    for key, one in known.items():
        if key not in later and not _same_place(one, after):
            if one.kind is FIELD_BY_RELEASE:
                what = f"KubeVirt {names[1]} reads this key, which {names[0]} drops"
                yield UPGRADE_CHANGES.found(one.path, what)
            else:
                yield UPGRADE_ADMITS.found(one.path, f"KubeVirt {names[1]} no longer refuses it: {one.message}")


def _refused_now(one: Refusal, old: str, new: str) -> Finding:
    if one.kind is FIELD_BY_RELEASE:
        return UPGRADE_CHANGES.found(one.path, f"KubeVirt {new} drops this key, which {old} reads")
    if one.gate and one.is_open is None:
        what = f"KubeVirt {new} wants the feature gate {one.gate} for it, which {old} does not"
        return UPGRADE_REFUSES.found(one.path, what, hint=one.hint, severity=Severity.WARNING)
    who = "refuses the VMI of" if one.vmi_only else "refuses"
    return UPGRADE_REFUSES.found(one.path, f"KubeVirt {new} {who} what {old} takes: {one.message}", hint=one.hint)


def _key(one: Refusal) -> tuple[str, str, str]:
    return one.kind.code, one.path, one.gate or one.message


def _same_place(one: Refusal, others: Sequence[Refusal]) -> bool:
    """Both refuse it, in other words: nothing changes."""
    return any(other.path == one.path and other.kind.code == one.kind.code for other in others)


def _changes(one: Object, old: Cluster, to: int) -> Iterator[Finding]:
    start = old.releases[0]
    subject = read_subject(one.value, old)
    for change in CHANGES:
        place = change.touches(subject)
        if place and start < NAMES.index(change.release) <= to:
            path = place[1:] if place.startswith("/") else f"spec.{place}".replace("spec.metadata", "metadata")
            what = f"from KubeVirt {change.release} on {change.what}"
            yield UPGRADE_CHANGES.found(_outer(one, path), what, severity=change.severity)


def _outer(one: Object, path: str) -> str:
    steps = TEMPLATES.get(one.kind, ())
    own = path in {"spec.running", "spec.instancetype"}
    return path if own else ".".join((*steps, path))


def page() -> str:
    """docs/upgrade.md."""
    lines = [
        "# What an upgrade of KubeVirt changes",
        "",
        "From the tables of `passgate lint`; written by `python -m hostdev.lint.upgrade docs/upgrade.md`.",
        "For your own VMs: `passgate lint FILES --kubevirt 1.8 --against 1.9`.",
        "Releases known: " + ", ".join(NAMES) + ".",
        "",
        "A VM that exists is not judged again by an upgrade.",
        "What is refused now is refused when the VM is created, changed or started.",
    ]
    for release in range(1, len(NAMES)):
        lines += ["", f"## {NAMES[release - 1]} to {NAMES[release]}", *_section(release)]
    return "\n".join(lines) + "\n"


def _section(release: int) -> Iterator[str]:
    name = NAMES[release]
    begun = _rules(lambda rule: rule.releases.first == release and rule.gate is None)
    ended = _rules(lambda rule: rule.releases.last == release - 1 and rule.gate is None)
    groups = (
        ("Changes", [change.what for change in CHANGES if change.release == name]),
        ("Refused from here on", sorted(begun - ended)),
        ("No longer refused", sorted(ended - begun)),
        ("Feature gates", list(_gates(release))),
        ("New fields", [f"`{path}`" for path in young_fields(release)]),
    )
    empty = True
    for title, rows in groups:
        if rows:
            empty = False
            yield ""
            yield f"### {title}"
            yield ""
            yield from (f"- {row[0].upper()}{row[1:]}." for row in rows)
    if empty:
        yield ""
        yield "Nothing that the tables know."


def _rules(chosen: Callable[[Rule], bool]) -> set[str]:
    return {f"`{rule.kind.code}`: {_readable(rule.says)}" for rule in RULES if chosen(rule)}


def _readable(says: str) -> str:
    parts = ((text, field) for text, field, _, _ in string.Formatter().parse(says))
    return "".join(text + ("…" if field else "") for text, field in parts).replace("|", "\\|")


def _gates(release: int) -> Iterator[str]:
    for gate in GATES.values():
        if gate.releases.first == release:
            yield f"`{gate.name}` is new" + (", and open by default" if gate.open_from == release else "")
        elif gate.open_from == release:
            yield f"`{gate.name}` is open by default"
        if gate.releases.last == release - 1 and release - 1 < HEAD:
            yield f"`{gate.name}` is gone: what it guarded is always possible"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
