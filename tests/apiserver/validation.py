"""What the API server 1.36 refuses in objects of resource.k8s.io: limits and words were seen, or read in its source."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Object = dict[str, Any]

DEVICES, ADVANCED_DEVICES = 128, 64
COUNTER_SETS, COUNTERS, CONSUMPTIONS = 8, 32, 2
ATTRIBUTES, VALUE, IDENTIFIER, NAME, TAINTS = 32, 64, 32, 63, 16
EFFECTS = ("NoExecute", "NoSchedule", "None")

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUANTITY = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_VERSION = re.compile(
    r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?"
)
_NODES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_ONE_OF = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
_RFC = "a lowercase RFC 1123 %s must consist of lower case alphanumeric characters"


def slice_errors(new: Object, old: Object | None) -> Iterator[str]:
    """Of a ResourceSlice."""
    spec = new.get("spec") or {}
    yield from _domain(spec.get("driver", ""), "spec.driver")
    yield from _pool(spec.get("pool") or {})
    if old:
        yield from _unchanged(spec, old["spec"])
    placed = [name for name in _NODES if spec.get(name)]
    if len(placed) != 1:
        told = "{" + ", ".join(f"`{name}`" for name in placed) + "}"
        more = f"{_ONE_OF}, but multiple fields are set"
        yield _invalid("spec", told, more) if placed else f"spec: Required value: {_ONE_OF}"
    if "devices" in spec and "sharedCounters" in spec:
        yield _invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed")
    devices, sets = spec.get("devices") or [], spec.get("sharedCounters") or []
    is_advanced = any(device.get("taints") or device.get("consumesCounters") for device in devices)
    yield from _set(devices, ADVANCED_DEVICES if is_advanced else DEVICES, "name", "spec.devices", _device)
    yield from _set(sets, COUNTER_SETS, "name", "spec.sharedCounters", _counter_set)


def class_errors(new: Object, _old: Object | None) -> Iterator[str]:
    """Of a DeviceClass."""
    spec = new.get("spec") or {}
    for number, selector in enumerate(spec.get("selectors") or []):
        if not (selector.get("cel") or {}).get("expression"):
            yield f"spec.selectors[{number}].cel.expression: Required value"
    name = spec.get("extendedResourceName")
    if name is not None and not re.fullmatch(r"[a-z0-9.-]+/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", name):
        yield _invalid("spec.extendedResourceName", name, "must match the shape of an extended resource")


def claim_errors(new: Object, old: Object | None) -> Iterator[str]:
    """Of a ResourceClaim, whose spec stays what it was."""
    if old:
        if new.get("spec") != old.get("spec"):
            yield "spec: Invalid value: field is immutable"
        return
    requests = ((new.get("spec") or {}).get("devices") or {}).get("requests") or []
    yield from _set(requests, 32, "name", "spec.devices.requests", _request)


def with_defaults(claim: Object) -> Object:
    """A claim as it is stored."""
    for request in ((claim.get("spec") or {}).get("devices") or {}).get("requests") or []:
        for wanted in [request["exactly"]] if "exactly" in request else request.get("firstAvailable", []):
            if wanted.setdefault("allocationMode", "ExactCount") == "ExactCount":
                wanted.setdefault("count", 1)
    return claim


def of_template(template: Object) -> Object:
    """A template as it is stored: what it makes has the defaults already."""
    template["spec"].setdefault("metadata", {})
    with_defaults(template["spec"])
    return template


def _request(request: Object, path: str) -> Iterator[str]:
    yield from _label(request.get("name", ""), f"{path}.name")
    given = [key for key in ("exactly", "firstAvailable") if request.get(key)]
    if len(given) != 1:
        yield f"{path}: Required value: exactly one of `exactly` or `firstAvailable` is required"
    elif given == ["exactly"] and not request["exactly"].get("deviceClassName"):
        yield f"{path}.exactly.deviceClassName: Required value"


def _unchanged(spec: Object, old: Object) -> Iterator[str]:
    kept = {"spec.pool.name": (spec.get("pool") or {}).get("name"), "spec.driver": spec.get("driver")}
    before = {"spec.pool.name": old["pool"]["name"], "spec.driver": old["driver"], "spec.nodeName": old.get("nodeName")}
    for path, value in (kept | {"spec.nodeName": spec.get("nodeName")}).items():
        if value != before[path]:
            yield _invalid(path, value, "field is immutable")


def _pool(pool: Object) -> Iterator[str]:
    name = pool.get("name", "")
    if not name:
        yield "spec.pool.name: Required value"
    for part in name.split("/") if name else ():
        yield from _domain(part, "spec.pool.name", 253)
    if pool.get("resourceSliceCount", 0) <= 0:
        yield _invalid("spec.pool.resourceSliceCount", pool.get("resourceSliceCount", 0), "must be greater than zero")
    if pool.get("generation", 0) < 0:
        yield _invalid("spec.pool.generation", pool["generation"], "must be greater than or equal to zero")


def _device(device: Object, path: str) -> Iterator[str]:
    yield from _label(device.get("name", ""), f"{path}.name")
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    if (many := len(attributes) + len(capacity)) > ATTRIBUTES:
        yield _invalid(path, many, f"the total number of attributes and capacities must not exceed {ATTRIBUTES}")
    for name, value in attributes.items():
        yield from _qualified(name, f"{path}.attributes[{name}]")
        yield from _attribute(value, f"{path}.attributes[{name}]")
    for name, value in capacity.items():
        yield from _qualified(name, f"{path}.capacity[{name}]")
        yield from _quantity(value, f"{path}.capacity[{name}].value")
    taints, consumed = device.get("taints") or [], device.get("consumesCounters") or []
    yield from _set(taints, TAINTS, None, f"{path}.taints", _taint)
    yield from _set(consumed, CONSUMPTIONS, "counterSet", f"{path}.consumesCounters", _consumption)


def _attribute(value: Object, path: str) -> Iterator[str]:
    given = [key for key in ("int", "bool", "string", "version") if value.get(key) is not None]
    if len(given) != 1:
        yield _invalid(path, "" if not given else value, "exactly one value must be specified")
    for key in ("string", "version"):
        if len(str(value.get(key) or "").encode()) > VALUE:
            yield f"{path}.{key}: Too long: may not be more than {VALUE} bytes"
    if value.get("version") is not None and not _VERSION.fullmatch(value["version"]):
        yield _invalid(f"{path}.version", value["version"], "must be a string compatible with semver.org spec 2.0.0")


def _taint(taint: Object, path: str) -> Iterator[str]:
    if not taint.get("key"):
        yield f"{path}.key: Required value: name part must be non-empty"
    if taint.get("effect") not in EFFECTS:
        told = ", ".join(f'"{effect}"' for effect in EFFECTS)
        yield f'{path}.effect: Unsupported value: "{taint.get("effect", "")}": supported values: {told}'


def _counter_set(counters: Object, path: str) -> Iterator[str]:
    yield from _label(counters.get("name", ""), f"{path}.name")
    yield from _counters(counters, path)


def _consumption(consumed: Object, path: str) -> Iterator[str]:
    yield from _label(consumed.get("counterSet", ""), f"{path}.counterSet")
    yield from _counters(consumed, path)


def _counters(holder: Object, path: str) -> Iterator[str]:
    counters = holder.get("counters") or {}
    if not counters:
        yield f"{path}.counters: Required value"
    if len(counters) > COUNTERS:
        yield _too_many(f"{path}.counters", len(counters), COUNTERS)
    for name, value in counters.items():
        yield from _label(name, f"{path}.counters[{name}]")
        yield from _quantity(value, f"{path}.counters[{name}].value")


def _quantity(holder: Mapping[str, Any], path: str) -> Iterator[str]:
    if not _QUANTITY.fullmatch(str(holder.get("value", ""))):
        yield _invalid(path, holder.get("value"), "quantities must match the regular expression of Kubernetes")


def _qualified(name: str, path: str) -> Iterator[str]:
    domain, slash, identifier = name.rpartition("/")
    if slash:
        yield from _domain(domain, path)
    if len(identifier) > IDENTIFIER:
        yield f"{path}: Too long: may not be more than {IDENTIFIER} bytes"
    if not _IDENTIFIER.fullmatch(identifier):
        what = "a valid C identifier must start with alphabetic character or '_'"
        yield _invalid(path, identifier, f"{what}, followed by a string of alphanumeric characters or '_'")


def _label(name: str, path: str) -> Iterator[str]:
    if not name:
        yield f"{path}: Required value"
        return
    if len(name) > NAME:
        yield _invalid(path, name, f"must be no more than {NAME} bytes")
    if not _LABEL.fullmatch(name):
        what = f"{_RFC % 'label'} or '-', and must start and end with an alphanumeric character"
        yield _invalid(path, name, what)


def _domain(name: str, path: str, most: int = NAME) -> Iterator[str]:
    if not name:
        yield f"{path}: Required value"
        return
    if len(name) > most:
        yield f"{path}: Too long: may not be more than {most} bytes"
    if not _SUBDOMAIN.fullmatch(name.lower() if most == NAME else name):
        what = f"{_RFC % 'subdomain'}, '-' or '.', and must start and end with an alphanumeric character"
        yield _invalid(path, name, what)


def _set(
    items: list[Object], most: int, key: str | None, path: str, errors: Callable[[Object, str], Iterator[str]]
) -> Iterator[str]:
    if len(items) > most:
        yield _too_many(path, len(items), most)
        return
    names = set()
    for number, item in enumerate(items):
        yield from errors(item, f"{path}[{number}]")
        if key and item.get(key) in names:
            yield f"{path}[{number}]: Duplicate value: {json.dumps(item[key])}"
        names.add(item.get(key or ""))


def _too_many(path: str, many: int, most: int) -> str:
    return f"{path}: Too many: {many}: must have at most {most} items"


def _invalid(path: str, value: object, why: str) -> str:
    return f"{path}: Invalid value: {json.dumps(value)}: {why}"
