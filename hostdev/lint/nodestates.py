"""NodeState files of a repository: with the errors that `passgate node state plan` tells, and the same places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from domxml.errors import BadInput
from hostdev.binding.statefile import BadState, Flaw, read_states_among
from hostdev.binding.statereader import KIND
from hostdev.jsontext import Format
from hostdev.lint.files import File
from hostdev.lint.objects import LARGEST
from hostdev.lint.offers import Offered, offers_of
from hostdev.lint.rendering import VM_TEXT, engine_of
from hostdev.lint.results import Result
from hostdev.vmi.vmi import CODE
from hostdev.vmi.yamltext import Document, mark_at, path_steps, position, read_yaml

Placed = TypeVar("Placed", Flaw, Offered)
NODE_STATE_TEXT = re.compile(rb"kind[\"']?\s*:\s*[\"']?(?:NodeState(?:List)?|UnitSets)\b")
"""What a file with one says somewhere."""
_INNER = re.compile(r"^kind\s*:\s*[\"']?(?:NodeState|UnitSets)\b", re.MULTILINE)


class NodeStates(NamedTuple):
    """The documents of a file, and what is wrong with them."""

    documents: int = 0
    results: tuple[Result, ...] = ()
    offered: tuple[Offered, ...] = ()
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
            return NodeStates(1, told, is_unreadable=bool(told))
    documents = list(read_yaml(file.data, Format(file.name, CODE, LARGEST)))
    offered = [one for document in documents for one in _offered(document, file.name)]
    for inner in _in_config_maps(documents):
        number, flaws, offers = _of_text(file, inner)
        own += number
        found += flaws
        offered += offers
    return NodeStates(own, tuple(_result(flaw) for flaw in found), tuple(offered))


def _offered(document: Document, file: str) -> Iterator[Offered]:
    """What the NodeStates of a document offer, those of a list too."""
    value = document.value if isinstance(document.value, dict) else {}
    items = value.get("items") if str(value.get("kind")).endswith("List") else None
    states = [(f"items[{i}].", one) for i, one in enumerate(items)] if isinstance(items, list) else [("", value)]
    for prefix, state in states:
        if isinstance(state, dict) and state.get("kind") == KIND:
            for one in offers_of(state):
                steps = path_steps(f"{prefix}{one.place}")
                line, column = position(mark_at(document.value, steps, document.marks, document.mark))
                yield one._replace(file=file, line=line, column=column)


def _result(flaw: Flaw, *, unreadable: bool = False) -> Result:
    return Result(flaw.finding, flaw.file, flaw.line, flaw.column, "NodeState", unreadable=unreadable)


def _is_unreadable(file: File) -> bool:
    try:
        return not list(read_yaml(file.data, Format(file.name, CODE, LARGEST)))
    except BadInput:
        return True


class _Inner(NamedTuple):
    """A text in a ConfigMap, and where it begins."""

    text: str
    line: int
    column: int


def _in_config_maps(documents: Iterable[Document]) -> Iterator[_Inner]:
    for document in documents:
        value = document.value
        if not isinstance(value, dict) or value.get("kind") != "ConfigMap" or not isinstance(value.get("data"), dict):
            continue
        for key, text in value["data"].items():
            if isinstance(text, str) and _INNER.search(text):
                yield _Inner(text, *position(mark_at(value, ["data", key], document.marks, document.mark)))


def _of_text(file: File, inner: _Inner) -> tuple[int, list[Flaw], list[Offered]]:
    outer = file.data.decode("utf-8", "replace").splitlines()
    try:
        number = len(read_states_among(inner.text.encode(), file.name))
    except BadState as error:
        return 1, [_moved(flaw, inner, outer) for flaw in error.flaws], []
    documents = read_yaml(inner.text.encode(), Format(file.name, CODE, LARGEST))
    return number, [], [_moved(one, inner, outer) for document in documents for one in _offered(document, file.name)]


def _moved(one: Placed, inner: _Inner, outer: list[str]) -> Placed:
    """The place in the file; where the text is no block, that of the whole text."""
    lines, there = inner.text.splitlines(), inner.line + one.line
    if 0 < one.line <= len(lines) and there <= len(outer):
        said, stands = lines[one.line - 1], outer[there - 1]
        if stands.endswith(said) and not stands[: len(stands) - len(said)].strip():
            return one._replace(line=there, column=one.column + len(stands) - len(said))
    return one._replace(line=inner.line, column=inner.column)
