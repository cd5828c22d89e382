"""A rule of KubeVirt's admission: a row with what it says, where it holds, and the check that finds what breaks it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from domxml.errors import BadInput
from domxml.finding import FindingKind
from hostdev.jsonutil import parse_quantity
from hostdev.lint.admission.releases import ALL, GATES, Gate, Releases

MILLI = 1000
MEBI, GIBI = 1 << 20, 1 << 30
AMD64, ARM64, S390X = "amd64", "arm64", "s390x"
EMPTY: Mapping[str, Any] = MappingProxyType({})


class Subject(NamedTuple):
    """A VM as KubeVirt's checks see it: pruned of what is not known, with the defaults of its mutating webhooks."""

    spec: Mapping[str, Any]
    """The VMI's."""
    metadata: Mapping[str, Any] = EMPTY
    vm: Mapping[str, Any] | None = None
    """The spec of the VM around it, if there is one."""
    namespace: str = ""
    switches: Mapping[str, Any] = EMPTY
    instancetype: Mapping[str, Any] = EMPTY
    """The spec of the instance type that it names, where that is there."""

    @property
    def architecture(self) -> str:
        """Of the guest; a cluster's default is taken for the usual one."""
        return self.spec.get("architecture") or AMD64

    def at(self, path: str) -> Any:
        """What stands at a path of keys; None where it does not go on."""
        return at(self.spec, path)

    def each(self, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The objects of a list, each with its place."""
        return each(self.spec, path)


Hit = tuple[str, Mapping[str, object]]
"""The place of what breaks a rule, and the values for its words."""
Check = Callable[[Subject], Iterator[Hit]]


class Rule(NamedTuple):
    """One row."""

    kind: FindingKind
    check: Check
    says: str
    """What KubeVirt says, with the check's values in it."""
    hint: str
    releases: Releases = ALL
    gate: Gate | None = None
    """What the check finds is refused only while this gate is closed."""
    vmi_only: bool = False
    """A VM is admitted nevertheless, and its VMI is not."""
    vm_only: bool = False
    configured: bool = False
    """The cluster's configuration may say otherwise, so that an object it has taken already is left alone."""


def gate_rule(kind: FindingKind, check: Check, gate: str, says: str, releases: Releases | None = None) -> Rule:
    """A rule that a feature gate lifts."""
    row = GATES[gate]
    hint = f"name {gate} in featureGates of the KubeVirt CR"
    return Rule(kind, check, says, hint, row.releases if releases is None else releases, row)


def at(value: Any, path: str) -> Any:
    """What stands at a path of keys."""
    for key in path.split("."):
        # A dict is what YAML and JSON make; to ask for any mapping takes five times as long.
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def each(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a list, each with its place."""
    found = at(value, path)
    for index, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, dict):
            yield f"{path}[{index}]", item


def find_repeated(subject: Subject, path: str, key: str = "name") -> Iterator[tuple[str, str]]:
    """The places of objects whose name an earlier one has, and the name."""
    met: set[str] = set()
    for place, item in subject.each(path):
        name = item.get(key)
        if isinstance(name, str) and name in met:
            yield f"{place}.{key}", name
        elif isinstance(name, str):
            met.add(name)


def amount(value: Any) -> int | None:
    """An amount in thousandths; None where nothing is written, or what cannot be read."""
    if value is None or isinstance(value, bool):
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    sign = -1 if text.startswith("-") else 1
    try:
        return sign * parse_quantity(text.removeprefix("-"), scale=MILLI)
    except BadInput:
        return None


def written(value: Any) -> str:
    """An amount as it was written."""
    return value if isinstance(value, str) else json.dumps(value)
