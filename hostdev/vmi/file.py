"""A file that is about to be applied: YAML or JSON, with a VM or VMI in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from domxml.errors import BadInput
from hostdev.jsontext import Format, check_plain, check_size, parse_json
from hostdev.jsonutil import JsonObject, as_object
from hostdev.vmi.vmi import CODE, MAX_BYTES, TEMPLATES, Vmi, kind_of, vmi_of
from hostdev.vmi.yamltext import position, read_yaml

FILE = Format("the manifest", CODE, MAX_BYTES)
_XML = re.compile(rb"\s*<[?!A-Za-z]")


class Manifest(NamedTuple):
    """An object of KubeVirt's, and the VMI it makes."""

    kind: str
    vmi: Vmi
    own_annotations: Mapping[str, str] = MappingProxyType({})
    """The annotations of the object itself, where they do not become the VMI's."""
    instancetype: str = ""
    """Brings devices of its own that the manifest does not show."""

    def __str__(self) -> str:
        return f"{self.kind} {self.vmi}"


def parse_manifest(data: bytes) -> Manifest:
    """The one VM in a file; documents and list items of other kinds are passed over."""
    return manifest_of(find_vm(data))


def find_vm(data: bytes) -> JsonObject:
    """The object itself, as it is written; KubeVirt leaves the kind out when it hands a VMI to a hook."""
    if data.lstrip()[:1] == b"{":
        alone = as_object(parse_json(data, FILE), "", CODE)
        if "kind" not in alone.fields and alone.has("spec"):
            return alone
    found = [document for document in _documents(data) if document.get_str("kind") in TEMPLATES]
    if not found:
        what = f"holds none of {', '.join(TEMPLATES)}"
        raise BadInput(CODE, what, subject=FILE.name, hint="name the file that holds the VM")
    if len(found) > 1:
        names = ", ".join(str(manifest_of(document)) for document in found[:5])
        raise BadInput(CODE, f"holds {len(found)} VMs: {names}", subject=FILE.name, hint="give one VM at a time")
    return found[0]


def manifest_of(document: JsonObject) -> Manifest:
    """An object of KubeVirt's, as far as its devices go."""
    vmi = vmi_of(document)
    instancetype = document.get_object("spec").get_object("instancetype").get_str("name") or ""
    own = {} if not vmi.place else document.get_object("metadata").get_texts("annotations")
    return Manifest(kind_of(document), vmi, own, instancetype)


def check_no_xml(data: bytes, name: str = "") -> None:
    """Refuse what is no manifest, but perhaps a domain."""
    if _XML.match(data):
        what = "is XML, perhaps that of a libvirt domain; a VM is YAML or JSON"
        raise BadInput(CODE, what, subject=name, hint="`passgate inject DOMAIN.xml` reads a domain")


def _documents(data: bytes) -> Iterator[JsonObject]:
    check_size(data, FILE)
    check_no_xml(data)
    # As kubectl tells them apart.
    values = [parse_json(data, FILE)] if data.lstrip()[:1] == b"{" else _yaml(data)
    for value in values:
        document = as_object(value, "", CODE)
        if document.fields.get("kind") == "List":
            yield from (item._replace(path="") for item in document.get_objects("items"))
        else:
            yield document


def _yaml(data: bytes) -> list[Any]:
    found = list(read_yaml(data, FILE))
    for document in found:
        for repeated in document.repeated:
            line = position(repeated.mark)[0]
            what = f"has the key {repeated.key[:60]!r} twice, for the second time in line {line}"
            raise BadInput(CODE, what, subject=FILE.name, hint="keep one of them")
        check_plain(document.value, FILE)
    return [document.value for document in found]
