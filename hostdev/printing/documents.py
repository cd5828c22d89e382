"""Documents for programs, as JSON or YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from domxml.errors import OutputLost, PassgateError
from domxml.pciaddress import PciAddress
from hostdev.printing import optional, output

API_VERSION = "passgate.dev/v1"
Document = dict[str, Any]


def document(kind: str, **content: Any) -> Document:
    return {"apiVersion": API_VERSION, "kind": kind, **content}


def emit(wanted: Document, form: str) -> None:
    """Print a document as `json`, `jsonl` (on one line) or `yaml`."""
    if form == "yaml":
        yaml = optional.module("yaml", "PyYAML", extra="cli", instead="say -o json")
        text = yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True)
        # YAML lets marks through that turn the direction of writing.
        if not text.replace("\n", "").isprintable():
            text = yaml.safe_dump(wanted, sort_keys=False)
        output.write(text)
    else:
        import json  # noqa: PLC0415  a table needs none

        output.write(json.dumps(wanted, indent=None if form == "jsonl" else 2) + "\n")


def emit_error(error: PassgateError, code: int, argv: Sequence[str]) -> None:
    """Print an error where a program looks for its answer, if the command line asked for such."""
    form = _asked_form(argv)
    if form:
        about = {"subject": error.subject or None, "message": error.message, "hint": error.hint or None}
        with suppress(OutputLost, OSError, PassgateError):
            emit(document("Error", code=error.code, **about, exitCode=int(code)), form)
            output.flush()


def _asked_form(argv: Sequence[str]) -> str:
    """The form for programs that a command line asks for, as far as words that may be wrong tell it."""
    for word, after in zip(argv, (*argv[1:], ""), strict=True):
        name, equals, value = word.partition("=")
        if name in {"-o", "--output", "--format"}:
            asked = value if equals else after
        else:
            asked = word.removeprefix("-o") if word[:2] == "-o" else word.removeprefix("--")
        if asked in {"json", "jsonl", "yaml"} and word != asked:
            return asked
    return ""


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
