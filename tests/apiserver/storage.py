"""Objects in versions, as etcd and the API server keep them: what was changed can be followed from any version."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.apiserver import validation
from tests.apiserver.status import Refusal, already_exists, expired, invalid, modified, not_found

Object = dict[str, Any]
Key = tuple[str, str, str]
Selector = Callable[[Object], bool]
BORN = "2026-11-27T18:51:03Z"


class Resource(NamedTuple):
    """A kind of object: where it is served, how it is checked."""

    group: str
    plural: str
    kind: str
    namespaced: bool = False
    counted: bool = False
    """Has a metadata.generation that counts changes of its spec."""
    fields: tuple[str, ...] = ("metadata.name",)
    errors: Callable[[Object, Object | None], Iterator[str]] = lambda _new, _old: iter(())
    defaults: Callable[[Object], Object] = lambda new: new

    @property
    def qualified(self) -> str:
        """As messages call it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def version(self) -> str:
        """Its apiVersion."""
        return f"{self.group}/v1" if self.group else "v1"


_DRA = "resource.k8s.io"
_SLICE_FIELDS = ("metadata.name", "spec.nodeName", "spec.driver")
RESOURCES = {
    row.plural: row
    for row in (
        Resource("", "nodes", "Node"),
        Resource("", "pods", "Pod", namespaced=True),
        Resource(
            *(_DRA, "resourceslices", "ResourceSlice"),
            counted=True,
            fields=_SLICE_FIELDS,
            errors=validation.slice_errors,
        ),
        Resource(
            *(_DRA, "resourceclaims", "ResourceClaim", True),
            errors=validation.claim_errors,
            defaults=validation.with_defaults,
        ),
        Resource(
            _DRA, "resourceclaimtemplates", "ResourceClaimTemplate", namespaced=True, defaults=validation.of_template
        ),
        Resource(_DRA, "deviceclasses", "DeviceClass", counted=True, errors=validation.class_errors),
    )
}


class Change(NamedTuple):
    """What became of an object, and what it was before."""

    version: int
    type: str
    plural: str
    object: Object
    before: Object | None


class Storage:
    """Any thread may use it; `changed` is notified with every change."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.version = 10_000
        self._objects: dict[Key, Object] = {}
        self._changes: list[Change] = []
        self._forgotten = self.version
        self._pages: dict[str, list[Object]] = {}

    def get(self, plural: str, name: str, namespace: str = "") -> Object:
        """One object."""
        with self.changed:
            found = self._objects.get((plural, namespace, name))
            if found is None:
                raise not_found(RESOURCES[plural].qualified, name)
            return copy.deepcopy(found)

    def select(self, plural: str, selector: Selector = lambda _: True, namespace: str = "") -> list[Object]:
        """All that a selector takes, by name."""
        with self.changed:
            found = sorted(self._objects.items())
            return [
                copy.deepcopy(one)
                for (kind, space, _), one in found
                if kind == plural and namespace in {"", space} and selector(one)
            ]

    def page(self, objects: list[Object], limit: int) -> tuple[list[Object], str, int]:
        """The first of them, what to ask for the rest with, and how many that are."""
        if not limit or len(objects) <= limit:
            return objects, "", 0
        with self.changed:
            self._pages[token := uuid.uuid4().hex] = objects[limit:]
            return objects[:limit], token, len(objects) - limit

    def rest(self, token: str) -> list[Object]:
        """What a list has left."""
        with self.changed:
            if token not in self._pages:
                raise expired("The provided continue parameter is too old to display a consistent list result")
            return self._pages[token]

    def create(self, plural: str, new: Object, namespace: str = "") -> Object:
        """A new object."""
        resource, new = RESOURCES[plural], copy.deepcopy(new)
        metadata = new.setdefault("metadata", {})
        if "name" not in metadata and metadata.get("generateName"):
            metadata["name"] = f"{metadata['generateName']}{uuid.uuid4().hex[:5]}"
        name = metadata.get("name", "")
        if not name:
            raise invalid(f"{resource.kind}.{resource.group}", "", ["metadata.name: Required value"])
        if metadata.get("resourceVersion"):
            raise Refusal(400, "resourceVersion should not be set on objects to be created")
        with self.changed:
            if (plural, namespace, name) in self._objects:
                raise already_exists(resource.qualified, name)
            new = resource.defaults(new)
            self._check(resource, new, None)
            metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": BORN}
            metadata |= {"generation": 1} if resource.counted else {}
            metadata |= {"namespace": namespace} if resource.namespaced else {}
            return self._store("ADDED", resource, {"kind": resource.kind, "apiVersion": resource.version, **new}, None)

    def update(self, plural: str, new: Object, namespace: str = "") -> Object:
        """Another state of an object."""
        resource, name = RESOURCES[plural], new["metadata"]["name"]
        with self.changed:
            old = self.get(plural, name, namespace)
            metadata = {**new["metadata"]}
            if metadata.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
                why = f"Precondition failed: UID in precondition: {metadata['uid']}, "
                raise modified(resource.qualified, name, f"{why}UID in object meta: {old['metadata']['uid']}")
            if metadata.get("resourceVersion") not in {None, "", old["metadata"]["resourceVersion"]}:
                raise modified(resource.qualified, name)
            kept = ("uid", "creationTimestamp", "generation", "namespace", "deletionTimestamp")
            metadata |= {key: old["metadata"][key] for key in kept if key in old["metadata"]}
            changed = {
                "kind": resource.kind,
                "apiVersion": resource.version,
                **copy.deepcopy(new),
                "metadata": metadata,
            }
            self._check(resource, changed, old)
            return self._settle(resource, changed, old)

    def delete(self, plural: str, name: str, namespace: str = "", uid: str = "", version: str = "") -> Object:
        """Mark it as deleted where it has finalizers, else take it away."""
        resource = RESOURCES[plural]
        with self.changed:
            old = self.get(plural, name, namespace)
            for wanted, key, what in ((uid, "uid", "UID"), (version, "resourceVersion", "ResourceVersion")):
                if wanted and wanted != old["metadata"][key]:
                    why = f"Precondition failed: {what} in precondition: {wanted}, "
                    raise modified(resource.qualified, name, f"{why}{what} in object meta: {old['metadata'][key]}")
            marked = copy.deepcopy(old)
            marked["metadata"].setdefault("deletionTimestamp", BORN)
            return self._settle(resource, marked, old)

    def delete_all(self, plural: str, selector: Selector) -> None:
        """What a selector takes, one by one."""
        for one in self.select(plural, selector):
            self.delete(plural, one["metadata"]["name"], one["metadata"].get("namespace", ""))

    def compact(self) -> None:
        """Forget how it came to be what it is."""
        with self.changed:
            self._changes.clear()
            self._pages.clear()
            self._forgotten = self.version

    def branch(self) -> Storage:
        """One that has the same objects, and goes its own way from here."""
        made = Storage()
        with self.changed:
            made.version = made._forgotten = self.version
            made._objects = copy.deepcopy(self._objects)
        return made

    def changes(self, plural: str, after: int) -> list[Change]:
        """What happened since a version."""
        with self.changed:
            if after < self._forgotten:
                raise expired(f"too old resource version: {after} ({self._forgotten})")
            return [change for change in self._changes if change.version > after and change.plural == plural]

    def _check(self, resource: Resource, new: Object, old: Object | None) -> None:
        if errors := list(resource.errors(new, old)):
            raise invalid(f"{resource.kind}.{resource.group}", new["metadata"]["name"], errors)

    def _settle(self, resource: Resource, new: Object, old: Object) -> Object:
        metadata = new["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            return self._store("DELETED", resource, new, old)
        if _content(new) == _content(old):
            return old
        if resource.counted and new.get("spec") != old.get("spec"):
            metadata["generation"] = old["metadata"]["generation"] + 1
        return self._store("MODIFIED", resource, new, old)

    def _store(self, type_: str, resource: Resource, new: Object, old: Object | None) -> Object:
        self.version += 1
        metadata = new["metadata"]
        metadata["resourceVersion"] = str(self.version)
        key = (resource.plural, metadata.get("namespace", ""), metadata["name"])
        if type_ == "DELETED":
            del self._objects[key]
        else:
            self._objects[key] = new
        self._changes.append(Change(self.version, type_, resource.plural, copy.deepcopy(new), old))
        self.changed.notify_all()
        return copy.deepcopy(new)


def _content(one: Object) -> Object:
    ignored = ("resourceVersion", "managedFields")
    metadata = {key: value for key, value in one["metadata"].items() if key not in ignored}
    return {**one, "metadata": metadata}
