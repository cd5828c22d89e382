"""A NodeState file: from its bytes to states, or to all mistakes in it with their lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from domxml.errors import BadInput
from domxml.finding import Finding
from domxml.text import listed
from hostdev.binding.drift import Places
from hostdev.binding.state import NodeState
from hostdev.binding.statereader import CODE, KIND, SETS_KIND, Reader, document_flaw
from hostdev.findings.nodestate import BAD_NODE_STATE, NODE_STATE_VERSION
from hostdev.inventory.machine import Machine
from hostdev.jsontext import Format, check_plain, check_size, parse_json
from hostdev.jsonutil import JsonObject, as_object
from hostdev.printing.documents import API_VERSION
from hostdev.vmi.yamltext import Document, mark_at, path_steps, position, read_yaml

NO_LIBRARY = "module-missing"
LARGEST = 4 << 20
_PLACE = re.compile(r" \(line (\d+), column (\d+)\)$")
_GROUP = API_VERSION.partition("/")[0]
_KINDS = (KIND, SETS_KIND)


class Flaw(NamedTuple):
    """A mistake, and where it stands."""

    finding: Finding
    file: str
    line: int = 0
    column: int = 0

    @property
    def place(self) -> str:
        """As compilers write it: FILE:LINE:COLUMN."""
        return ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])


class BadState(BadInput):
    """The file is not taken: all that is wrong with it."""

    def __init__(self, flaws: tuple[Flaw, ...]) -> None:
        first = flaws[0]
        more = f", and {len(flaws) - 1} more" if len(flaws) > 1 else ""
        found = first.finding
        super().__init__(found.code, f"{found.what}{more}", subject=first.place, hint=found.hint)
        self.flaws = flaws


def read_states(data: bytes, file: str) -> tuple[NodeState, ...]:
    """Every document of a file; a `BadState` where one of them has a mistake."""
    return _states(_objects(data, file), file)


def read_states_among(data: bytes, file: str) -> tuple[NodeState, ...]:
    """The same of a file that may hold objects of other kinds and projects beside them, which are passed over."""
    return _states([one for one in _objects(data, file) if _is_ours(one.value)], file)


def _is_ours(value: JsonObject) -> bool:
    version = value.fields.get("apiVersion")
    foreign = isinstance(version, str) and version.partition("/")[0] != _GROUP and "/" in version
    return value.fields.get("kind") in _KINDS and not foreign


def _objects(data: bytes, file: str) -> list[_Object]:
    format_ = Format(file, CODE, LARGEST)
    try:
        check_size(data, format_)
        return [found for one in _documents(data, format_) for found in _unfolded(one, format_)]
    except BadInput as error:
        raise BadState((_unreadable(error, file),)) from None


def _states(documents: list[_Object], file: str) -> tuple[NodeState, ...]:
    newer = tuple(flaw for one in documents if (flaw := _version_flaw(one, file)))
    if newer:
        raise BadState(newer)
    many = len(documents) > 1
    read = [_read(one, file, _prefix(one, index) if many else "") for index, one in enumerate(documents)]
    flaws = tuple(sorted((flaw for _, found in read for flaw in found), key=lambda flaw: (flaw.line, flaw.column)))
    if flaws:
        raise BadState(flaws)
    return tuple(state for state, _ in read)


def state_for(states: Iterable[NodeState], machine: Machine, node: str | None) -> NodeState | None:
    """What a file declares for one node; None where no document is for it."""
    places = Places(machine)
    fitting = [state for state in states if _is_for(state, places, node)]
    joined: NodeState | None = None
    for state in fitting:
        joined = state if joined is None else joined.joined(state)
    return joined


def _is_for(state: NodeState, places: Places, node: str | None) -> bool:
    names, has = state.nodes
    if names and node is None:
        what = f"the document {state.name or KIND} is for nodes of certain names, and this one's is not known"
        raise BadInput("node-unknown", what, hint=f"say which node it is: --node NAME; named are {listed(names)}")
    functions = places.machine.functions.values()
    there = all(any(places.fits(function, match) for function in functions) for match in has)
    return there and (not names or node in names)


class _Object(NamedTuple):
    """An object of a file: a document, or an item of a list of them."""

    value: JsonObject
    document: Document
    path: str = ""


def _documents(data: bytes, format_: Format) -> Iterator[Document]:
    """JSON is YAML, but for hosts without a library for that."""
    try:
        yield from read_yaml(data, format_)
    except BadInput as error:
        if error.code != NO_LIBRARY or data.lstrip()[:1] != b"{":
            raise
        yield Document(parse_json(data, format_), {})


def _unreadable(error: BadInput, file: str) -> Flaw:
    """No document can be taken from the file, which may say where that shows."""
    place = _PLACE.search(error.message)
    found = BAD_NODE_STATE.found("", _PLACE.sub("", error.message), hint=error.hint)
    if error.code == NO_LIBRARY:
        return Flaw(found._replace(code=NO_LIBRARY), file)
    return Flaw(found, error.subject or file, *(map(int, place.groups()) if place else ()))


def _prefix(one: _Object, index: int) -> str:
    """What stands before the places of a document's entries: its name, or its number."""
    metadata = one.value.fields.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{name if isinstance(name, str) and name else index}/"


def _unfolded(document: Document, format_: Format) -> Iterator[_Object]:
    check_plain(document.value, format_)
    whole = as_object(document.value, "", CODE)
    kind = whole.fields.get("kind")
    if isinstance(kind, str) and kind in {"List", f"{KIND}List"}:
        for item in whole.get_objects("items"):
            yield _Object(item._replace(path=""), document, item.path)
    else:
        yield _Object(whole, document)


def _version_flaw(one: _Object, file: str) -> Flaw | None:
    """A document of our kind in another version than this one; the version of what is no NodeState says nothing."""
    version = one.value.fields.get("apiVersion")
    if one.value.fields.get("kind") not in _KINDS or version in (None, API_VERSION):
        return None
    known = isinstance(version, str) and version.startswith(f"{_GROUP}/")
    said = str(version)[:60]
    what = f"is {said}, and this Passgate reads {API_VERSION}; nothing of the file is done"
    hint = None if known else f"write apiVersion: {API_VERSION}"
    return _flaw(one, file, NODE_STATE_VERSION.found("apiVersion", what, hint=hint))


def _read(one: _Object, file: str, prefix: str) -> tuple[NodeState, tuple[Flaw, ...]]:
    wrong = document_flaw(one.value)
    reader = Reader(prefix)
    read = reader.sets if one.value.fields.get("kind") == SETS_KIND else reader.state
    state = read(one.value) if wrong is None else NodeState()
    found = [wrong] if wrong else reader.flaws
    flaws = [_flaw(one, file, BAD_NODE_STATE.found(flaw.subject, flaw.message, hint=flaw.hint)) for flaw in found]
    return state, (*flaws, *_repeated(one, file))


def _repeated(one: _Object, file: str) -> Iterator[Flaw]:
    for again in one.document.repeated:
        if again.path.startswith(one.path):
            first = position(again.first)[0]
            what = f"has the key {again.key[:60]!r} twice, for the first time in line {first}"
            finding = BAD_NODE_STATE.found(again.path, what, hint="keep one of them")
            yield Flaw(finding, file, *position(again.mark))


def _flaw(one: _Object, file: str, finding: Finding) -> Flaw:
    path = f"{one.path}.{finding.subject}" if one.path else finding.subject
    steps: Any = path_steps(path)
    mark = mark_at(one.document.value, steps, one.document.marks, one.document.mark)
    return Flaw(finding, file, *position(mark))
