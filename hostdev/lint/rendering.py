"""Text that is no YAML yet: which tool makes it of this, and how it is called."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

VM_TEXT = re.compile(
    rb"\bkind[\"']?\s*:\s*[\"']?(?:Offline)?VirtualMachine(?:Instance(?:ReplicaSet)?|Pool|Template)?\b"
)
"""A VM is written here, even if the file cannot be read."""
_HELM = re.compile(rb"\{\{-?[^}]*(?:\.Values\b|\.Release\b|\.Chart\b|\binclude \"|\btpl \b|\.Capabilities\b)")
_JINJA = re.compile(rb"\{%-?\s*\w+")
_GO = re.compile(rb"\{\{-?\s*(?:\$?\.|if |range |with |end\b|template |define )")
_HUGO = re.compile(rb"\{\{[%<]")
_PATTERN = re.compile(r"\$\{\{?\w+\}?\}|\$\(\w+\)|\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_ANY = re.compile(rb"\{\{|\{%")


class Engine(NamedTuple):
    """What renders such a file."""

    name: str
    command: str


HELM = Engine("Helm", "helm template {chart} | passgate lint -")
JINJA = Engine("Jinja", "jinja2 {file} | passgate lint -, or what else renders it, such as Ansible's template module")
HUGO = Engine("Hugo", "hugo, then lint the manifest of the page")
GO = Engine("Go", "gomplate -f {file} | passgate lint -, or what else renders it")
SHELL = Engine("envsubst", "envsubst < {file} | passgate lint -")


def engine_of(data: bytes) -> Engine | None:
    """The template language of a text; None where it looks like none."""
    if not _ANY.search(data):
        return None
    kinds = ((_HELM, HELM), (_HUGO, HUGO), (_JINJA, JINJA), (_GO, GO))
    return next((engine for pattern, engine in kinds if pattern.search(data)), JINJA)


def command(engine: Engine, file: str, chart: str) -> str:
    """The command that renders a file."""
    return engine.command.format(file=file, chart=chart or "CHART")


class Unknown(str):
    """The text that stands for such a value."""

    __slots__ = ()


def has_placeholder(text: str) -> bool:
    """Whether a text of one line has something in it that another tool fills in."""
    return ("$" in text or "{" in text) and "\n" not in text and _PATTERN.search(text) is not None


def without_unknown(value: Any) -> Any:
    """A value with what is known of it only; names stay, since others refer to them."""
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if key == "name" or not isinstance(inner, Unknown)}
        return {key: without_unknown(inner) for key, inner in kept.items()}
    if isinstance(value, list):
        return [without_unknown(inner) for inner in value if not isinstance(inner, Unknown)]
    return value
