"""KubeVirt's own verdicts on 283 manifests, by release and gates: what is refused is an error at the right place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from domxml.finding import Finding, Severity
from hostdev.lint.admission.releases import GATES, NAMES, Cluster, parse_gates, parse_release
from hostdev.lint.objects import Object
from hostdev.lint.repository import lint_objects
from tests.house import ROOT

FIXTURES = ROOT / "tests/fixtures/admission"
CASES = json.loads((FIXTURES / "cases.json").read_text(encoding="utf-8"))
BESIDE = tuple(Object(value) for value in json.loads((FIXTURES / "beside.json").read_text(encoding="utf-8")))
EVERYWHERE = [f"{release} {gates}" for release in NAMES for gates in ("all", "none")]
UNKNOWABLE = {
    # What is not in the cluster nobody can tell from the files.
    "vm-it-revision-missing": "1.5 looks for the revision of an instance type",
    "vm-it-unknown": "1.5 refuses an instance type that is not there",
    "vm-pref-unknown": "1.5 refuses a preference that is not there",
}
DROPPED = {"unknown-field", "field-by-release"}
WORKS_NOT = {
    "gpu-dup-name": "device-name-twice",  # libvirt refuses two equal aliases
    "if-pci-same-twice": "guest-address-taken",  # and one address for two devices
    "if-sriov-pod": "sriov-without-multus",  # no VF comes from the pod network
    "mem-guest-lower-m": "memory-tiny",  # half a byte
    "mem-guest-zero": "memory-tiny",  # nothing at all
    "res-unknown-resource": "resource-limits-differ",  # Kubernetes refuses a pod with a request and no limit
}
"""What KubeVirt takes and would not work."""


SAID: dict[tuple[str, ...], list[Finding]] = {}
"""What lint says, once for all tests."""


class Verdict(NamedTuple):
    """What KubeVirt said in one release with some gates."""

    name: str
    manifest: dict[str, Any]
    release: str
    gates: str
    allowed: bool
    fields: list[str]
    unknown: list[str]
    vmi: list[str]

    @property
    def cluster(self) -> Cluster:
        release = (parse_release(self.release),)
        if self.gates == "off":
            return Cluster(release, frozenset(), frozenset(GATES))
        return Cluster(release, parse_gates(self.gates, release))

    def findings(self) -> list[Finding]:
        key = (self.name, self.release, self.gates)
        if key not in SAID:
            mine = Object(self.manifest)
            results = lint_objects([mine, *BESIDE], self.cluster)
            SAID[key] = [result.finding for result in results if result.name == mine.name]
        return SAID[key]


def _verdicts() -> Iterator[Verdict]:
    for case in CASES:
        for verdict in case["verdicts"]:
            for where in EVERYWHERE if verdict["in"] == "all" else verdict["in"]:
                release, gates = where.split()
                lists = (verdict.get(key, []) for key in ("fields", "unknown", "vmi"))
                yield Verdict(case["name"], case["manifest"], release, gates, verdict["allowed"], *lists)


VERDICTS = list(_verdicts())


def test_every_release_is_asked() -> None:
    assert len(CASES) == 283
    assert {verdict.release for verdict in VERDICTS} == set(NAMES)
    assert len(VERDICTS) > 3400


def errors(verdict: Verdict) -> list[Finding]:
    return [finding for finding in verdict.findings() if finding.severity is Severity.ERROR]


def refused_words(finding: Finding) -> bool:
    return "refuses it: " in finding.message


@pytest.mark.parametrize("release", NAMES)
def test_what_kubevirt_refuses_is_an_error(release: str) -> None:
    missed = {
        f"{verdict.name} {verdict.gates}"
        for verdict in VERDICTS
        if verdict.release == release and not verdict.allowed and not any(map(refused_words, errors(verdict)))
    }

    assert {name.split()[0] for name in missed} == (set(UNKNOWABLE) if release == "1.5" else set())


@pytest.mark.parametrize("release", NAMES)
def test_what_kubevirt_takes_is_not_said_to_be_refused(release: str) -> None:
    wrong = {
        f"{verdict.name} {verdict.gates}": [finding.what for finding in errors(verdict)]
        for verdict in VERDICTS
        if verdict.release == release and verdict.allowed and any(map(refused_words, errors(verdict)))
    }

    assert wrong == {}


def test_what_kubevirt_takes_is_told_only_where_it_would_not_work() -> None:
    """A VM whose VMI would be refused is another matter: it never runs."""
    told: dict[str, set[str]] = {}
    for verdict in VERDICTS:
        if verdict.allowed and not verdict.vmi and verdict.name not in {*UNKNOWABLE, "vm-it-bad-kind"}:
            for finding in verdict.findings():
                if finding.severity is not Severity.INFO and finding.code not in DROPPED:
                    told.setdefault(verdict.name, set()).add(finding.code)

    assert told == {name: {code} for name, code in WORKS_NOT.items()}


@pytest.mark.parametrize("release", NAMES)
def test_a_vm_whose_vmi_is_refused_is_told(release: str) -> None:
    """But for one whose instance type is not among the files: it may bring the memory."""
    for verdict in VERDICTS:
        if verdict.release == release and verdict.allowed and verdict.name not in {*UNKNOWABLE, "vm-it-bad-kind"}:
            said = any("refuses its VMI" in finding.message for finding in verdict.findings())
            assert said == bool(verdict.vmi), (verdict.name, verdict.gates)


@pytest.mark.parametrize("release", NAMES)
def test_every_unknown_key_is_told_and_no_other(release: str) -> None:
    for verdict in VERDICTS:
        if verdict.release != release or verdict.name == "type-volumes-map":
            continue
        told = {
            finding.subject
            for finding in verdict.findings()
            if finding.code in DROPPED and finding.severity is Severity.WARNING
        }
        assert told == set(verdict.unknown), (verdict.name, verdict.gates)


def _exists(manifest: dict[str, Any], field: str) -> bool:
    """Whether a path, but for its last key, leads somewhere: several of KubeVirt's causes name none that there is."""
    value: Any = manifest
    if field in ODD:
        return False
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", field.rpartition(".")[0]):
        if index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        elif name and isinstance(value, dict) and name in value:
            value = value[name]
        else:
            return False
    return field.rpartition(".")[2].partition("[")[0] not in ODD


ODD = {
    "nameservers",
    "spec.domain.volumes[0]",
    "GPUs",
    "HostDevices",
    "Sound",
    "video",
    "launchSecurity",
    "acpi",
    "spec",
    "slicNameRef",
}
"""Keys that KubeVirt's causes have at places where no object has them."""


def test_the_place_is_that_of_kubevirt_or_inside_it_or_around_it() -> None:
    far = {}
    for verdict in VERDICTS:
        if verdict.allowed or verdict.name in UNKNOWABLE:
            continue
        places = [finding.subject for finding in errors(verdict)]
        for field in filter(None, verdict.fields):
            near = any(place.startswith(field) or field.startswith(place) for place in places)
            if _exists(verdict.manifest, field) and not near:
                far[verdict.name] = (field, places)

    assert far == {}
