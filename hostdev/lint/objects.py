"""The objects of a file: in documents, lists and templates, each with the place of all that is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from domxml.errors import BadInput
from hostdev.jsontext import Format, check_plain, check_size, parse_json
from hostdev.lint.rendering import Unknown, has_placeholder
from hostdev.vmi.vmi import CODE, TEMPLATES
from hostdev.vmi.yamltext import Document, Marks, Repeated, mark_at, path_steps, position, read_yaml, step_in

LARGEST = 64 << 20
"""A chart that was rendered may hold a whole cluster."""
VM_KINDS = frozenset({*TEMPLATES, "OfflineVirtualMachine"})
BESIDE_KINDS = frozenset(
    {
        *("VirtualMachineInstancetype", "VirtualMachineClusterInstancetype"),
        *("VirtualMachinePreference", "VirtualMachineClusterPreference", "VirtualMachineInstancePreset"),
        *("SriovNetwork", "SriovNetworkNodePolicy", "NetworkAttachmentDefinition", "PCIDeviceClaim", "KubeVirt"),
        *("Plugin", "DeviceClass", "ResourceClaim", "ResourceClaimTemplate"),
    }
)
"""What is looked at together with the VMs."""
GROUPS = {
    "Plugin": "plugin.kubevirt.io/",
    **dict.fromkeys(("DeviceClass", "ResourceClaim", "ResourceClaimTemplate"), "resource.k8s.io/"),
}
"""Whose kinds they are, of those that other projects have, too."""
_FREE_TEXT = frozenset({"userData", "networkData", "userDataBase64", "networkDataBase64", "annotations"})
"""Where `{{ }}` and `$` mean something to the guest, or to what reads the annotation."""
_PARAMETER = re.compile(r"\$\{\{(\w+)\}\}|\$\{(\w+)\}")
_ANNOTATION = re.compile(r"[\w.-]+/[\w-]+(?=$|[\[.])")


class Object(NamedTuple):
    """One object, and where it stands."""

    value: dict[str, Any]
    file: str = ""
    path: str = ""
    """Its place in the document: `objects[0]` of a template; empty for one that stands alone."""
    marks: Marks = {}  # noqa: RUF012  one document's, shared by its objects
    root: Any = None
    start: int = 1 << 20 | 1
    placeholders: int = 0
    """How many of its values only another tool knows."""
    repeated: tuple[Repeated, ...] = ()

    @property
    def kind(self) -> str:
        """Of the object, empty where it is none."""
        return self._text("kind")

    @property
    def name(self) -> str:
        """Its name, or what it begins with."""
        metadata = self.value.get("metadata")
        if not isinstance(metadata, dict):
            return ""
        found = metadata.get("name") or metadata.get("generateName") or ""
        return found if isinstance(found, str) else ""

    @property
    def namespace(self) -> str:
        """Its namespace, empty where it says none."""
        metadata = self.value.get("metadata")
        found = metadata.get("namespace") if isinstance(metadata, dict) else ""
        return found if isinstance(found, str) else ""

    def __str__(self) -> str:
        name = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.kind} {name}".strip()

    def _text(self, key: str) -> str:
        found = self.value.get(key)
        return found if isinstance(found, str) else ""

    def locate(self, subject: str) -> tuple[int, int]:
        """Line and column of what a finding is about, or of the nearest thing around it."""
        return position(mark_at(self.value, self._steps(subject), self.marks, self._start()))

    def is_unknown_at(self, subject: str) -> bool:
        """Whether what a finding is about is only known once a template is filled in."""
        value: Any = self.value
        for key in self._steps(subject) if self.placeholders else ():
            found = step_in(value, key)
            if found is None:
                break
            value = value[found]
        return self.placeholders > 0 and isinstance(value, Unknown)

    def _steps(self, subject: str) -> Iterator[str]:
        """The keys that lead to a place; one inside an annotation ends at the annotation."""
        annotation = _ANNOTATION.match(subject)
        if annotation is None:
            yield from path_steps(subject)
            return
        inner = [*TEMPLATES.get(self.kind, ()), "metadata", "annotations"]
        there = at_path(self.value, inner)
        holds = isinstance(there, dict) and annotation[0] in there
        yield from (*(inner if holds else ("metadata", "annotations")), annotation[0])

    def _start(self) -> int:
        return mark_at(self.root, path_steps(self.path), self.marks, self.start)


def at_path(value: Any, keys: list[str]) -> Any:
    """What stands at the end of some keys."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def without_path(value: Any, path: str) -> Any:
    """A copy without what stands at a place."""
    return _without(value, list(path_steps(path)))


def _without(value: Any, keys: list[str]) -> Any:
    found = step_in(value, keys[0]) if keys else None
    if found is None:
        return value
    if isinstance(value, list):
        inner = [value[found]] if keys[1:] else []
        return [*value[:found], *(_without(one, keys[1:]) for one in inner), *value[found + 1 :]]
    if not keys[1:]:
        return {key: inner for key, inner in value.items() if key != found}
    return {**value, found: _without(value[found], keys[1:])}


class Contents(NamedTuple):
    """What a file holds."""

    objects: tuple[Object, ...] = ()
    others: int = 0
    """Documents of other kinds, which are passed over."""
    error: BadInput | None = None
    """Why reading ended before the end of the file."""


def read_objects(data: bytes, file: str) -> Contents:
    """Every object that is looked at, as far as the file can be read."""
    format_ = Format(file, CODE, LARGEST)
    found: list[Object] = []
    others = 0
    try:
        for document in _documents(data, format_):
            inner = list(_unfolded(document.value, "", document, file)) if isinstance(document.value, dict) else []
            kept = [one for one in inner if _is_looked_at(one)]
            others += not kept
            found += kept
    except BadInput as error:
        return Contents(tuple(found), others, error)
    return Contents(tuple(found), others)


def _is_looked_at(one: Object) -> bool:
    ours = str(one.value.get("apiVersion")).startswith(GROUPS.get(one.kind, ""))
    return one.kind in VM_KINDS | BESIDE_KINDS and ours


def _documents(data: bytes, format_: Format) -> Iterator[Document]:
    check_size(data, format_)
    if data.lstrip()[:1] == b"{" and not data.lstrip().startswith((b"{{", b"{%")):
        value = parse_json(data, format_)
        try:
            # JSON is YAML nearly always, and only that way its places are known.
            twin = next(read_yaml(data, format_), None)
        except BadInput:
            twin = None
        yield twin if twin is not None and twin.value == value else Document(value, {})
        return
    for document in read_yaml(data, format_):
        check_plain(document.value, format_)
        yield document


def _unfolded(value: dict[str, Any], path: str, document: Document, file: str) -> Iterator[Object]:
    kind = value.get("kind")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(value.get("items"), list):
        yield from _items(value["items"], f"{path}.items" if path else "items", document, file)
    elif kind == "Template" and isinstance(value.get("objects"), list):
        _fill(value["objects"], value.get("parameters"))
        yield from _items(value["objects"], f"{path}.objects" if path else "objects", document, file)
    elif kind == "VirtualMachineTemplate":
        yield from _of_template(value, path, document, file)
    else:
        # A template's VM is one of KubeVirt's, whether it says so or not.
        yield _object(value, path, document, file)


def _items(items: list[Any], path: str, document: Document, file: str) -> Iterator[Object]:
    for index, item in enumerate(items):
        if isinstance(item, dict):
            yield from _unfolded(item, f"{path}[{index}]", document, file)


def _of_template(value: dict[str, Any], path: str, document: Document, file: str) -> Iterator[Object]:
    spec = value.get("spec")
    inner = spec.get("virtualMachine") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(inner, dict):
        return
    _fill([inner], spec.get("parameters"))
    inner.setdefault("kind", "VirtualMachine")
    inner.setdefault("apiVersion", "kubevirt.io/v1")
    metadata = inner.setdefault("metadata", {})
    if isinstance(metadata, dict) and not metadata.get("name"):
        # The one who uses the template names the VM.
        metadata["name"] = Unknown("")
    yield _object(inner, f"{path}.spec.virtualMachine".lstrip("."), document, file)


def _object(value: dict[str, Any], path: str, document: Document, file: str) -> Object:
    kind = value.get("kind")
    placeholders = _mark_unknown(value, set()) if isinstance(kind, str) and kind in VM_KINDS | BESIDE_KINDS else 0
    mine = tuple(one for one in document.repeated if one.path.startswith(path))
    return Object(value, file, path, document.marks, document.value, document.mark, placeholders, mine)


def _fill(objects: list[Any], parameters: Any) -> None:
    """Put the parameters' values in; the places of values stay, since containers are changed and not replaced."""
    values: dict[str, Any] = {}
    for parameter in parameters if isinstance(parameters, list) else ():
        if isinstance(parameter, dict) and isinstance(parameter.get("name"), str):
            values[parameter["name"]] = parameter.get("value")
    _replace(objects, values)


def _replace(value: Any, values: Mapping[str, Any]) -> None:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        if isinstance(inner, dict | list):
            _replace(inner, values)
        elif isinstance(inner, str) and "${" in inner:
            value[key] = _filled(inner, values)


def _filled(text: str, values: Mapping[str, Any]) -> Any:
    whole = re.fullmatch(r"\$\{\{(\w+)\}\}", text)
    if whole and isinstance(values.get(whole[1]), str):
        try:
            return json.loads(values[whole[1]])
        except ValueError:
            return values[whole[1]]
    missing = [name for match in _PARAMETER.finditer(text) if values.get(name := match[1] or match[2]) is None]
    filled = _PARAMETER.sub(lambda match: str(values.get(match[1] or match[2]) or match[0]), text)
    return Unknown(filled) if missing else filled


def _mark_unknown(value: Any, seen: set[int]) -> int:
    """Mark what another tool fills in; how many values that are."""
    if id(value) in seen:
        return 0
    seen.add(id(value))
    count = 0
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        if isinstance(inner, dict | list):
            count += 0 if key in _FREE_TEXT else _mark_unknown(inner, seen)
        elif isinstance(inner, Unknown):
            count += 1
        elif isinstance(inner, str) and key not in _FREE_TEXT and has_placeholder(inner):
            value[key] = Unknown(inner)
            count += 1
    return count
