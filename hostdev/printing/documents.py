"""Documents for programs, as JSON or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from domxml.pciaddress import PciAddress
from hostdev.printing import optional, output

API_VERSION = "passgate.dev/v1"
Document = dict[str, Any]


def document(kind: str, **content: Any) -> Document:
    return {"apiVersion": API_VERSION, "kind": kind, **content}


def emit(wanted: Document, form: str) -> None:
    """Print a document as `json` or `yaml`."""
    if form == "yaml":
        yaml = optional.module("yaml", "PyYAML", extra="cli")
        text = yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True)
        # YAML lets marks through that turn the direction of writing.
        if not text.replace("\n", "").isprintable():
            text = yaml.safe_dump(wanted, sort_keys=False)
        output.write(text)
    else:
        import json  # noqa: PLC0415  a table needs none

        output.write(json.dumps(wanted, indent=2) + "\n")


def plain(value: Any) -> Any:
    """A value of the core as JSON has it: names in camel case, addresses as text."""
    if isinstance(value, PciAddress):
        return str(value)
    if isinstance(value, Enum):
        return str(value)
    if is_dataclass(value):
        return {_camel(field.name): plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
