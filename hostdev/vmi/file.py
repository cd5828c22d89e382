"""A file that somebody is about to apply: YAML or JSON, with a VM or VMI in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from domxml.errors import BadInput
from hostdev.jsontext import Format, check_plain, check_size, duplicate_key, parse_json
from hostdev.jsonutil import JsonObject, as_object
from hostdev.vmi.vmi import CODE, MAX_BYTES, TEMPLATES, Vmi, kind_of, vmi_of

FILE = Format("the manifest", CODE, MAX_BYTES)
_TEXT = "tag:yaml.org,2002:str"
_NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})


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
    found = [document for document in _documents(data) if document.fields.get("kind") in TEMPLATES]
    if not found:
        what = f"holds none of {', '.join(TEMPLATES)}"
        raise BadInput(CODE, what, subject=FILE.name, hint="name the file that holds the VM")
    if len(found) > 1:
        names = ", ".join(str(_manifest(document)) for document in found[:5])
        raise BadInput(CODE, f"holds {len(found)} VMs: {names}", subject=FILE.name, hint="give one VM at a time")
    return _manifest(found[0])


def _manifest(document: JsonObject) -> Manifest:
    vmi = vmi_of(document)
    instancetype = document.get_object("spec").get_object("instancetype").get_str("name") or ""
    own = {} if not vmi.place else document.get_object("metadata").get_texts("annotations")
    return Manifest(kind_of(document), vmi, own, instancetype)


def _documents(data: bytes) -> Iterator[JsonObject]:
    check_size(data, FILE)
    # As kubectl tells them apart.
    values = [parse_json(data, FILE)] if data.lstrip()[:1] == b"{" else _yaml(data)
    for value in values:
        document = as_object(value, "", CODE)
        if document.fields.get("kind") == "List":
            yield from (item._replace(path="") for item in document.get_objects("items"))
        else:
            yield document


def _yaml(data: bytes) -> list[Any]:
    try:
        import yaml  # noqa: PLC0415  only files come as YAML
    except ImportError:
        what = "this needs PyYAML, which is not installed"
        raise BadInput("module-missing", what, hint="pip install 'passgate[cli]', or give JSON") from None
    try:
        values = [value for value in yaml.load_all(data, _loader(yaml)) if value is not None]
    except BadInput:
        raise
    except RecursionError:
        raise BadInput(CODE, "is nested too deep", subject=FILE.name) from None
    except Exception as error:  # noqa: BLE001  a tag on a value that it does not fit raises anything
        what = " ".join(f"is not YAML: {error}".split())
        raise BadInput(CODE, what[:200], subject=FILE.name, hint="indent with spaces; quote what is text") from None
    for value in values:
        check_plain(value, FILE)
    return values


def _loader(yaml: Any) -> Any:
    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """The safe loader; of two equal keys it would silently keep the last, and it counts to base 60."""

        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            tag = super().resolve(kind, value, implicit)
            # kubectl reads 0000:00:05.0 as text.
            return _TEXT if tag in _NUMBERS and ":" in value else tag

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  as PyYAML has it
            repeated = duplicate_key(f"{key.tag} {key.value}" for key, _ in node.value if isinstance(key.value, str))
            if repeated is not None:
                key = repeated.rpartition(" ")[2][:60]
                what = f"has the key {key!r} twice, in line {node.start_mark.line + 1} or below"
                raise BadInput(CODE, what, subject=FILE.name, hint="keep one of them")
            return super().construct_mapping(node, deep)

    return Loader
