"""The fields of KubeVirt's objects, by release: read from `fields.json` when they are first asked for.

A field is a word such as `[o!@1.8`: a list of objects, required, from 1.8 on; `=` and `*` lead to another tree.
"""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from hostdev.lint.admission.releases import NAMES, Releases, between

_WORD = re.compile(r"(?P<list>\[?)(?P<type>[=*]?\w+)(?P<required>!?)(?:@(?P<since>[\w.]+))?(?:-(?P<until>[\w.]+))?")
_SAME = {
    "OfflineVirtualMachine": "VirtualMachine",
    "VirtualMachineClusterInstancetype": "VirtualMachineInstancetype",
    "VirtualMachineClusterPreference": "VirtualMachinePreference",
}


class Field(NamedTuple):
    """One field."""

    type: str
    """s(tring), b(oolean), q(uantity), x (integer or string), M(etadata), o(bject), the integers i (int32), l (int64),
    u (uint32) and U (uint64), or the maps ms (of strings) and mq (of quantities)."""
    many: bool
    required: bool
    releases: Releases
    fields: Mapping[str, Field]


@cache
def kinds() -> Mapping[str, Field]:
    """The spec of each kind."""
    return {kind: spec["spec"] for kind, spec in _all().items() if "spec" in spec}


def spec_of(kind: str) -> Field | None:
    """What the spec of a kind may hold."""
    return kinds().get(_SAME.get(kind, kind))


@cache
def places(key: str) -> tuple[str, ...]:
    """Where in a VMI's spec a key is known: paths without indexes."""
    return tuple(path for path in _paths(kinds()["VirtualMachineInstance"], "") if path.rpartition(".")[2] == key)


def young_fields(release: int) -> list[str]:
    """The fields that a release is the first to have: the outermost only, by kind."""
    found: list[str] = []
    for kind, field in kinds().items():
        found += _young(field, f"{kind}.spec", release)
    return list(dict.fromkeys(found))


def _young(field: Field, path: str, release: int) -> Iterator[str]:
    for key, inner in field.fields.items():
        place = f"{path}.{key}"
        if inner.releases.first == release:
            yield place
        elif not (path.endswith(".template") and key == "spec") and key != "virtualMachineTemplate":
            yield from _young(inner, place, release)


def _paths(field: Field, path: str) -> Iterator[str]:
    for key, inner in field.fields.items():
        place = f"{path}.{key}" if path else key
        yield place
        yield from _paths(inner, place)


@cache
def _all() -> Mapping[str, Mapping[str, Field]]:
    data = json.loads(pkgutil.get_data(__name__, "fields.json") or b"{}")
    reader = _Reader(data)
    for kind in ("VirtualMachineInstance", "VirtualMachine", *data["kinds"]):
        reader.kind(kind)
    return reader.kinds


class _Reader:
    def __init__(self, data: Any) -> None:
        self.data = data
        self.kinds: dict[str, Mapping[str, Field]] = {}
        self.types: dict[str, Field] = {}

    def kind(self, name: str) -> Mapping[str, Field]:
        if name not in self.kinds:
            self.kinds[name] = {key: self.field(word) for key, word in self.data["kinds"][name].items()}
        return self.kinds[name]

    def field(self, written: Any) -> Field:
        word = written if isinstance(written, str) else written[""]
        match = _WORD.fullmatch(word)
        if match is None:
            raise ValueError(word)
        type_, fields = match["type"], {}
        if type_[0] == "=":
            type_, fields = "o", dict(self.kind(type_[1:])["spec"].fields)
        elif type_[0] == "*":
            type_, fields = "o", dict(self.type(type_[1:]).fields)
        elif isinstance(written, dict):
            fields = {key: self.field(inner) for key, inner in written.items() if key}
        releases = between(match["since"] or NAMES[0], match["until"] or NAMES[-1])
        return Field(type_, bool(match["list"]), bool(match["required"]), releases, fields)

    def type(self, name: str) -> Field:
        if name not in self.types:
            self.types[name] = self.field(self.data["types"][name])
        return self.types[name]
