"""A spec against the fields of its kind: unknown keys, wrong types, what is missing; and the spec that is left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from hostdev.jsonutil import join_path, show_value
from hostdev.lint.admission.fields import Field
from hostdev.lint.admission.releases import ALL, Releases
from hostdev.lint.rendering import Unknown

_QUANTITY = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[KMGTPE]i|[numkMGTPE]?|[eE][+-]?[0-9]+)", re.ASCII)
_METADATA = frozenset(
    {
        *("name", "generateName", "namespace", "labels", "annotations", "creationTimestamp", "uid", "finalizers"),
        *("resourceVersion", "generation", "selfLink", "ownerReferences", "managedFields", "deletionTimestamp"),
        "deletionGracePeriodSeconds",
    }
)
_RANGES = {
    "i": (-(1 << 31), (1 << 31) - 1),
    "l": (-(1 << 63), (1 << 63) - 1),
    "u": (0, (1 << 32) - 1),
    "U": (0, (1 << 64) - 1),
}
_PULL = ("Always", "IfNotPresent", "Never")
_ENUMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
        "containerDisk.imagePullPolicy": _PULL,
        "container.imagePullPolicy": _PULL,
        "tolerations.operator": ("Equal", "Exists"),
        "tolerations.effect": ("NoExecute", "NoSchedule", "PreferNoSchedule"),
        "matchExpressions.operator": ("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"),
        "matchFields.operator": ("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"),
        "topologySpreadConstraints.whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
        "topologySpreadConstraints.nodeAffinityPolicy": ("Honor", "Ignore"),
        "topologySpreadConstraints.nodeTaintsPolicy": ("Honor", "Ignore"),
        "httpGet.scheme": ("HTTP", "HTTPS"),
    }
)
"""Words of core Kubernetes, which KubeVirt's schema has taken over with their values."""
_ENUM_KEYS = frozenset(name.rpartition(".")[2] for name in _ENUMS)


class Flaw(NamedTuple):
    """One thing that is wrong, and where: `unknown`, `younger`, `type`, `missing` or `forbidden`."""

    kind: str
    path: str
    message: str
    releases: Releases = ALL
    """Where it is wrong; of a `younger` key: where it is known."""


class Checked(NamedTuple):
    """What was found, and what is left of the value once KubeVirt has dropped what it does not know."""

    value: Any
    flaws: tuple[Flaw, ...]
    younger: tuple[tuple[int, str, Releases], ...]
    """Keys that not every release has: the id of what holds them, their name, and which releases do."""
    unknown: tuple[str, ...]
    """Places whose value is not known before a template is filled in."""

    def as_of(self, release: int) -> Any:
        """The value as a release sees it."""
        gone = {(holder, key) for holder, key, releases in self.younger if release not in releases}
        return _without(self.value, gone) if gone else self.value


def check(value: Any, field: Field, path: str, *, strict: bool) -> Checked:
    """Look at a spec. `strict`: texts that are required are asked for too, as for pools and replica sets."""
    checker = _Checker(strict=strict)
    left = checker.value(value, field, path)
    return Checked(left, tuple(checker.flaws), tuple(checker.younger), tuple(checker.unknown))


def is_quantity(text: str) -> bool:
    """Whether Kubernetes can read an amount."""
    return _QUANTITY.fullmatch(text) is not None


def check_texts(value: Any, path: str) -> Iterable[Flaw]:
    """Labels, annotations and selectors: maps of texts."""
    if not isinstance(value, dict):
        yield _wrong(path, "object", value)
        return
    for key, text in value.items():
        if text is not None and not isinstance(text, str):
            yield _wrong(join_path(path, key), "string", text)


def _without(value: Any, gone: set[tuple[int, str]]) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner, gone) for key, inner in value.items() if (id(value), key) not in gone}
    return [_without(inner, gone) for inner in value] if isinstance(value, list) else value


class _Checker:
    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.flaws: list[Flaw] = []
        self.younger: list[tuple[int, str, Releases]] = []
        self.unknown: list[str] = []

    def value(self, value: Any, field: Field, path: str) -> Any:
        if not field.many:
            return self.one(value, field, path)
        if isinstance(value, Unknown):
            self.unknown.append(path)
            return []
        if not isinstance(value, list):
            self.flaws.append(_wrong(path, "array", value))
            return []
        return [self.one(item, field, f"{path}[{index}]") for index, item in enumerate(value)]

    def one(self, value: Any, field: Field, path: str) -> Any:
        if isinstance(value, Unknown):
            self.unknown.append(path)
            return value if field.type in "sqx" else None
        if field.type == "o":
            return self.object(value, field, path)
        if field.type == "M":
            return self.metadata(value, path)
        if field.type in {"ms", "mq"}:
            return self.texts(value, path, amounts=field.type == "mq")
        message = _SCALARS[field.type](value, path)
        if not message and path.rpartition(".")[2] in _ENUM_KEYS:
            message = _enum(value, path)
        if message:
            self.flaws.append(Flaw("type", path, message, field.releases))
            return None
        return value

    def object(self, value: Any, field: Field, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.flaws.append(_wrong(path, "object", value))
            return {}
        left: dict[str, Any] = {}
        for key, inner in value.items():
            known = field.fields.get(key)
            if known is None:
                self.flaws.append(Flaw("unknown", join_path(path, key), ""))
            # Nulls vanish before anything looks at them.
            elif inner is not None:
                kept = self.value(inner, known, f"{path}.{key}")
                if kept is not None:
                    left[key] = kept
                if known.releases != ALL:
                    self.flaws.append(Flaw("younger", f"{path}.{key}", "", known.releases))
                    self.younger.append((id(left), key, known.releases))
        for key, known in field.fields.items():
            if known.required and value.get(key) is None and (self.strict or known.type not in "sx" or known.many):
                self.flaws.append(Flaw("missing", f"{path}.{key}", "is required", known.releases))
        return left

    def metadata(self, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            self.flaws.append(_wrong(path, "object", value))
            return {}
        for key in value:
            if key not in _METADATA:
                # KubeVirt's CRD keeps unknown keys here, so that its own check meets them.
                self.flaws.append(Flaw("forbidden", join_path(path, key), "is a forbidden property"))
        for key in ("labels", "annotations"):
            if value.get(key) is not None:
                self.flaws += check_texts(value[key], f"{path}.{key}")
        for key in ("name", "namespace", "generateName"):
            if value.get(key) is not None and not isinstance(value[key], str):
                self.flaws.append(_wrong(f"{path}.{key}", "string", value[key]))
        return {key: inner for key, inner in value.items() if inner is not None}

    def texts(self, value: Any, path: str, *, amounts: bool) -> Any:
        if not isinstance(value, dict):
            self.flaws.append(_wrong(path, "object", value))
            return {}
        left = {}
        for key, inner in value.items():
            if inner is None:
                continue
            place = join_path(path, key)
            message = "" if isinstance(inner, Unknown) else _SCALARS["q" if amounts else "s"](inner, place)
            if message:
                self.flaws.append(Flaw("type", place, message))
            else:
                left[key] = inner
            if isinstance(inner, Unknown):
                self.unknown.append(place)
        return left


def _wrong(path: str, wanted: str, value: Any) -> Flaw:
    return Flaw("type", path, _type_message(wanted, value))


def _type_message(wanted: str, value: Any) -> str:
    return f"must be of type {wanted}, is {_named(value)}"


def _named(value: Any) -> str:
    if isinstance(value, dict | list):
        return show_value(value)
    kind = {bool: "the boolean", int: "the number", float: "the number", str: "the text", type(None): "null"}
    return f"{kind[bool if isinstance(value, bool) else type(value)]} {show_value(value)}".replace("null null", "null")


def _text(value: Any, _path: str) -> str:
    return "" if isinstance(value, str) else _type_message("string", value)


def _boolean(value: Any, _path: str) -> str:
    return "" if isinstance(value, bool) else _type_message("boolean", value)


def _integer(kind: str) -> Callable[[Any, str], str]:
    least, most = _RANGES[kind]

    def problem(value: Any, _path: str) -> str:
        if isinstance(value, bool) or not isinstance(value, int):
            return _type_message("integer", value)
        return (
            "" if least <= value <= most else f"must be a whole number from {least} to {most}, is {show_value(value)}"
        )

    return problem


def _amount(value: Any, _path: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return _type_message("quantity", value)
    if isinstance(value, str) and not is_quantity(value):
        return f"{show_value(value)} is no quantity: KubeVirt reads 512Mi, 2G or 500m, and no other units"
    return ""


def _either(value: Any, _path: str) -> str:
    good = isinstance(value, int | str) and not isinstance(value, bool)
    return "" if good else _type_message("integer or string", value)


def _enum(value: Any, path: str) -> str:
    steps = re.sub(r"\[\d+\]", "", path).split(".")
    wanted = _ENUMS.get(".".join(steps[-2:])) or _ENUMS.get(steps[-1] if steps[-1] == "dnsPolicy" else "")
    if wanted is None or value in wanted or not value:
        return ""
    return f"should be one of {', '.join(wanted)}, is {show_value(value)}"


_SCALARS: Mapping[str, Callable[[Any, str], str]] = MappingProxyType(
    {
        "s": _text,
        "b": _boolean,
        "q": _amount,
        "x": _either,
        **{kind: _integer(kind) for kind in _RANGES},
    }
)
