"""NodeState files of a repository: with the errors that `passgate node state plan` tells, and the same places."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from domxml.errors import BadInput
from hostdev.binding.statefile import BadState, Flaw, read_states_among
from hostdev.jsontext import Format
from hostdev.lint.files import File
from hostdev.lint.objects import LARGEST
from hostdev.lint.rendering import VM_TEXT, engine_of
from hostdev.lint.results import Result
from hostdev.vmi.vmi import CODE
from hostdev.vmi.yamltext import mark_at, position, read_yaml

NODE_STATE_TEXT = re.compile(rb"kind[\"']?\s*:\s*[\"']?NodeState(?:List)?\b")
"""What a file with one says somewhere."""
_INNER = re.compile(r"^kind\s*:\s*[\"']?NodeState\b", re.MULTILINE)


class NodeStates(NamedTuple):
    """The documents of a file, and what is wrong with them."""

    documents: int = 0
    results: tuple[Result, ...] = ()
    is_unreadable: bool = False
    """The file holds nothing that can be read, and no VM by its text."""


def read_node_states(file: File) -> NodeStates:
    """The NodeStates of a file: its own documents, and those in a ConfigMap, as the agent reads them."""
    if not NODE_STATE_TEXT.search(file.data) or engine_of(file.data):
        return NodeStates()
    try:
        own = len(read_states_among(file.data, file.name))
        found: list[Flaw] = []
    except BadState as error:
        own, found = 1, list(error.flaws)
        if _is_unreadable(file):
            # What cannot be read may hold a VM, too: then it is told once, as a file of VMs.
            told = () if VM_TEXT.search(file.data) else tuple(_result(flaw, unreadable=True) for flaw in found)
            return NodeStates(1, told, bool(told))
    for number, flaws in _in_config_maps(file):
        own += number
        found += flaws
    return NodeStates(own, tuple(_result(flaw) for flaw in found))


def _result(flaw: Flaw, *, unreadable: bool = False) -> Result:
    return Result(flaw.finding, flaw.file, flaw.line, flaw.column, "NodeState", unreadable=unreadable)


def _is_unreadable(file: File) -> bool:
    try:
        return not list(read_yaml(file.data, Format(file.name, CODE, LARGEST)))
    except BadInput:
        return True


def _in_config_maps(file: File) -> Iterator[tuple[int, list[Flaw]]]:
    for document in read_yaml(file.data, Format(file.name, CODE, LARGEST)):
        value = document.value
        if not isinstance(value, dict) or value.get("kind") != "ConfigMap" or not isinstance(value.get("data"), dict):
            continue
        for key, text in value["data"].items():
            if isinstance(text, str) and _INNER.search(text):
                line, column = position(mark_at(value, ["data", key], document.marks, document.mark))
                yield _of_text(file, text, line, column)


def _of_text(file: File, text: str, line: int, column: int) -> tuple[int, list[Flaw]]:
    try:
        return len(read_states_among(text.encode(), file.name)), []
    except BadState as error:
        lines = file.data.decode("utf-8", "replace").splitlines()
        return 1, [_moved(flaw, text.splitlines(), lines, line, column) for flaw in error.flaws]


def _moved(flaw: Flaw, inner: list[str], outer: list[str], line: int, column: int) -> Flaw:
    """The place in the file; where the text is no block, that of the whole text."""
    there = line + flaw.line
    if 0 < flaw.line <= len(inner) and there <= len(outer):
        said, stands = inner[flaw.line - 1], outer[there - 1]
        if stands.endswith(said) and not stands[: len(stands) - len(said)].strip():
            return flaw._replace(line=there, column=flaw.column + len(stands) - len(said))
    return flaw._replace(line=line, column=column)
