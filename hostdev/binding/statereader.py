"""A NodeState document as it is read: strictly, with the place of every mistake."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from domxml.text import did_you_mean
from hostdev.binding.obstacles import DECLARABLE
from hostdev.binding.state import (
    By,
    DeviceEntry,
    Ids,
    Match,
    ModuleOption,
    Nodes,
    NodeState,
    OfferEntry,
    Parameter,
    UnitKind,
    UnitSet,
    VfEntry,
    name_clashes,
)
from hostdev.findings.nodestate import BAD_NODE_STATE
from hostdev.inventory.pciids import CLASSES, SUBCLASSES
from hostdev.jsonutil import JsonObject, show_value
from hostdev.kubelet.resourcename import NAME_HINT, name_flaw
from hostdev.printing.documents import API_VERSION

KIND = "NodeState"
SETS_KIND = "UnitSets"
CODE = BAD_NODE_STATE.code
MOST_VFS = 65535
MOST_UNITS = 65535

T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)

_IDS = re.compile(r"([0-9a-f]{4}):([0-9a-f]{4})", re.ASCII | re.IGNORECASE)
_PATH = re.compile(r"pci[0-9a-f]{4,8}:[0-9a-f]{2}(?:/[01][0-9a-f]\.[0-7])+(?:/vf[0-9]{1,5})?", re.ASCII)
_DRIVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}", re.ASCII)
_CLASS = re.compile(r"[0-9a-f]{2}(?:[0-9a-f]{2}){0,2}", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", re.ASCII)
_MODULE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
CLASS_NAMES = frozenset({*CLASSES.values(), *SUBCLASSES.values()})


class Reader:
    """Reads one document, and goes on after a mistake: all of them are told at once."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        """Stands before the places of entries, where a file has several documents."""
        self.flaws: list[BadInput] = []

    def state(self, document: JsonObject) -> NodeState:
        """The document's state; only of use where no flaw was found."""
        head, spec = self._head(document), self._object(document, "spec")
        self._keys(spec, ("devices", "virtualFunctions", "kernel", "offer"))
        kernel = self._object(spec, "kernel")
        self._keys(kernel, ("parameters", "moduleOptions"))
        return head._replace(
            devices=tuple(map(self._device, self._objects(spec, "devices"))),
            vfs=tuple(map(self._vfs, self._objects(spec, "virtualFunctions"))),
            parameters=self._parameters(kernel),
            options=self._options(self._object(kernel, "moduleOptions")),
            offers=self._offers(spec),
        )

    def sets(self, document: JsonObject) -> NodeState:
        """The same of a document that names sets of units."""
        spec = self._object(document, "spec")
        self._keys(spec, ("sets",))
        return self._head(document)._replace(sets=tuple(map(self._set, self._objects(spec, "sets"))))

    def _head(self, document: JsonObject) -> NodeState:
        self._keys(document, ("apiVersion", "kind", "metadata", "spec"))
        metadata = self._object(document, "metadata")
        self._keys(metadata, ("name", "nodes", "labels", "annotations"))
        name = self._take(lambda: metadata.get_parsed("name", _named), None) or ""
        return NodeState(name, self._nodes(self._object(metadata, "nodes")))

    def _nodes(self, nodes: JsonObject) -> Nodes:
        self._keys(nodes, ("names", "has"))
        names = self._texts(nodes, "names")
        return Nodes(names, tuple(map(self._match_of, self._objects(nodes, "has"))))

    def _device(self, entry: JsonObject) -> DeviceEntry:
        self._keys(entry, ("match", "driver", "withGroup", "despite"))
        with_group = bool(self._take(lambda: entry.get_bool("withGroup"), None))
        match, driver = self._match(entry), self._driver(entry, needed=True)
        if driver == "none":
            hint = "leave the entry out, or name a driver of the host"
            self.flaws.append(
                entry.refused("driver", "is for VFs: a device of its own is not kept from drivers", hint=hint)
            )
        return DeviceEntry(self._entry(entry), match, driver, with_group, self._despite(entry, match))

    def _vfs(self, entry: JsonObject) -> VfEntry:
        self._keys(entry, ("match", "count", "driver", "settings", "despite"))
        count = self._take(lambda: entry.get_int("count", most=MOST_VFS), None)
        if not entry.has("count"):
            self.flaws.append(entry.refused("count", "is missing", hint="say how many VFs each PF shall have"))
        match, driver = self._match(entry), self._driver(entry, needed=False)
        settings, despite = self._settings(entry), self._despite(entry, match)
        return VfEntry(self._entry(entry), match, count or 0, driver, settings, despite)

    def _offers(self, spec: JsonObject) -> tuple[OfferEntry, ...]:
        entries = self._objects(spec, "offer")
        found = tuple(map(self._offer, entries))
        for number, what in name_clashes(found):
            self.flaws.append(entries[number].refused("resource", what, hint="choose another name"))
        return found

    def _offer(self, entry: JsonObject) -> OfferEntry:
        self._keys(entry, ("resource", "match", "unit", "limit", "by"))
        if not entry.has("resource"):
            self.flaws.append(entry.refused("resource", "is missing", hint=NAME_HINT))
        return OfferEntry(
            self._entry(entry),
            self._take(lambda: entry.get_parsed("resource", _resource), None) or "",
            self._match(entry),
            self._take(lambda: entry.get_parsed("unit", _word_of(UnitKind)), None),
            self._take(lambda: entry.get_int("limit", least=1, most=MOST_UNITS), None),
            self._take(lambda: entry.get_parsed("by", _word_of(By)), None) or By.PLUGIN,
        )

    def _set(self, entry: JsonObject) -> UnitSet:
        self._keys(entry, ("name", "functions", "whole"))
        if not entry.has("name"):
            self.flaws.append(entry.refused("name", "is missing", hint="say how messages shall call the set"))
        matches = self._objects(entry, "functions")
        if not matches:
            self.flaws.append(entry.refused("functions", "is missing", hint="list its functions by address or path"))
        functions = tuple(map(self._match_of, matches))
        for match, found in zip(matches, functions, strict=True):
            if match.fields and not found.has_place:
                hint = "name one function, by address or path; id may say what must be there"
                self.flaws.append(BadInput(CODE, "names no place", subject=match.path, hint=hint))
        name = self._take(lambda: entry.get_parsed("name", _named), None) or ""
        is_whole = bool(self._take(lambda: entry.get_bool("whole"), None))
        return UnitSet(self._entry(entry), name, functions, is_whole)

    def _despite(self, entry: JsonObject, match: Match) -> frozenset[str]:
        codes = self._texts(entry, "despite")
        if codes and not match.has_place:
            what = "is accepted of one device, which the entry does not name"
            self.flaws.append(entry.refused("despite", what, hint="write its address or its path into match"))
        for index, code in enumerate(codes):
            if code not in DECLARABLE:
                place = f"{entry.place('despite')}[{index}]"
                hint = did_you_mean(code, DECLARABLE, f"a file may accept {', '.join(sorted(DECLARABLE))}")
                what = f"{show_value(code)} cannot be accepted for good"
                self.flaws.append(BadInput(CODE, what, subject=place, hint=hint))
        return frozenset(codes)

    def _settings(self, entry: JsonObject) -> Mapping[str, str]:
        settings = self._object(entry, "settings")
        found: dict[str, str] = {}
        for key, value in settings.fields.items():
            if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
                found[key] = str(value)
            else:
                self.flaws.append(settings.wrong(key, "a text or a number"))
        return found

    def _match(self, entry: JsonObject) -> Match:
        if not entry.has("match"):
            hint = "name the device by address, id, subsystem, path, numa, class or driver"
            self.flaws.append(entry.refused("match", "is missing", hint=hint))
        return self._match_of(self._object(entry, "match"), needed=entry.has("match"))

    def _match_of(self, match: JsonObject, *, needed: bool = True) -> Match:
        self._keys(match, ("address", "id", "subsystem", "path", "numa", "class", "driver"))
        if needed and not match.fields:
            self.flaws.append(BadInput(CODE, "fits every device", subject=match.path, hint="say which are meant"))
        return Match(
            self._take(lambda: match.get_parsed("address", PciAddress.parse), None),
            self._take(lambda: match.get_parsed("path", _path), None) or "",
            self._take(lambda: match.get_parsed("id", _ids), None),
            self._take(lambda: match.get_parsed("subsystem", _ids), None),
            self._take(lambda: _class(match), None) or "",
            self._take(lambda: match.get_int("numa"), None),
            self._take(lambda: match.get_parsed("driver", _driver), None) or "",
        )

    def _driver(self, entry: JsonObject, *, needed: bool) -> str:
        if needed and not entry.has("driver"):
            hint = "vfio-pci; auto, for the vfio driver that fits best; or the name of a driver of the host"
            self.flaws.append(entry.refused("driver", "is missing", hint=hint))
        return self._take(lambda: entry.get_parsed("driver", _driver), None) or ""

    def _parameters(self, kernel: JsonObject) -> tuple[Parameter, ...]:
        found = self._texts(kernel, "parameters")
        for index, text in enumerate(found):
            if not text or '"' in text or not text.isprintable() or " " in text:
                what = f"is not one parameter: {show_value(text)}"
                place = f"{kernel.place('parameters')}[{index}]"
                self.flaws.append(BadInput(CODE, what, subject=place, hint="write each as an item: intel_iommu=on"))
        return tuple(Parameter(f"{self._prefix}kernel.parameters[{i}]", text) for i, text in enumerate(found))

    def _options(self, modules: JsonObject) -> tuple[ModuleOption, ...]:
        found: list[ModuleOption] = []
        for module in modules.fields:
            options = self._object(modules, module)
            for option, value in options.fields.items():
                text = _option_text(value)
                if text is None or not _MODULE.fullmatch(module) or not _MODULE.fullmatch(option):
                    what = f"must be a text, a number or a truth value, is {show_value(value)}"
                    self.flaws.append(options.refused(option, what))
                else:
                    place = f"{self._prefix}kernel.moduleOptions.{module}.{option}"
                    found.append(ModuleOption(place, module.replace("-", "_"), option, text))
        return tuple(found)

    def _entry(self, entry: JsonObject) -> str:
        return self._prefix + entry.path.removeprefix("spec.")

    def _keys(self, found: JsonObject, known: Iterable[str]) -> None:
        for key in found.fields:
            if key not in known:
                hint = did_you_mean(key, known)
                self.flaws.append(BadInput(CODE, "is no key that is known", subject=found.place(key), hint=hint))

    def _object(self, found: JsonObject, key: str) -> JsonObject:
        return self._take(lambda: found.get_object(key), JsonObject({}, found.place(key), CODE))

    def _texts(self, found: JsonObject, key: str) -> tuple[str, ...]:
        none: tuple[str, ...] = ()
        return self._take(lambda: found.get_strings(key), none)

    def _objects(self, found: JsonObject, key: str) -> tuple[JsonObject, ...]:
        none: tuple[JsonObject, ...] = ()
        return self._take(lambda: found.get_objects(key), none)

    def _take(self, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except BadInput as flaw:
            self.flaws.append(flaw)
            return otherwise


def document_flaw(document: JsonObject) -> BadInput | None:
    """What makes a document none that is read here: another kind."""
    kind, version = document.fields.get("kind"), document.fields.get("apiVersion")
    if kind not in (KIND, SETS_KIND):
        what = f"must be {KIND}, is {show_value(kind)}" if kind is not None else f"is missing: {KIND} is read here"
        return document.refused("kind", what, hint=f"write `apiVersion: {API_VERSION}` and `kind: {KIND}`")
    if version is None:
        return document.refused("apiVersion", "is missing", hint=f"write apiVersion: {API_VERSION}")
    return None


def _ids(text: str) -> Ids:
    match = _IDS.fullmatch(text)
    if match is None:
        raise BadInput(CODE, f"must be vendor:device, is {show_value(text)}", hint="four hex digits each: 8086:1572")
    return int(match[1], 16), int(match[2], 16)


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        what = f"must be a host bridge and the functions below it, is {show_value(text)}"
        raise BadInput(CODE, what, hint="as `passgate node show` tells it: pci0000:3a/00.0/00.0")
    return text


def _driver(text: str) -> str:
    if not _DRIVER.fullmatch(text):
        raise BadInput(CODE, f"must be the name of a driver, is {show_value(text)}", hint="such as vfio-pci, or auto")
    return text


def _resource(text: str) -> str:
    flaw = name_flaw(text)
    if flaw:
        raise BadInput(CODE, f"kubelet takes no such name: {show_value(text)} {flaw}", hint=NAME_HINT)
    return text


def _word_of(words: type[W]) -> Callable[[str], W]:
    def parse(text: str) -> W:
        if text not in list(words):
            hint = did_you_mean(text, list(words), f"it is one of {', '.join(words)}")
            raise BadInput(CODE, f"cannot be {show_value(text)}", hint=hint)
        return words(text)

    return parse


def _named(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise BadInput(CODE, f"must be a name, is {show_value(text)}", hint="letters, digits, -, _ and .")
    return text


def _class(match: JsonObject) -> str | None:
    text = match.fields.get("class")
    if isinstance(text, int) and not isinstance(text, bool):
        raise match.wrong("class", "text", hint="put the class into quotes: YAML reads it as a number")
    name = match.get_str("class")
    if name is None or name in CLASS_NAMES or _CLASS.fullmatch(name):
        return name
    hint = did_you_mean(name, sorted(CLASS_NAMES), 'write a class as `passgate node list` does, or in hex: "0200"')
    raise match.refused("class", f"is no class that is known: {show_value(name)}", hint=hint)


def _option_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "Y" if value else "N"
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) and value.isprintable() and " " not in value and '"' not in value else None
