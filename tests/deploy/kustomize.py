"""As much of kustomize as deploy/ uses; anything else is an error.

No Debian release that the tests run on has a kustomize that knows components, so this is what renders everywhere. Where
a kubectl is that does know them, a test compares the two.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from hostdev.vmi.file import _yaml
from tests.deploy.admission import apply

Object = dict[str, Any]
KNOWN = {
    *("apiVersion", "kind", "resources", "components", "namespace", "labels", "images", "patches", "sortOptions"),
    *("transformers", "configMapGenerator"),
}
CLUSTER = {
    *("Namespace", "Plugin", "PriorityClass", "ClusterRole", "ClusterRoleBinding"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
    *("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingPolicy"),
}
"""Kinds that belong to no namespace."""
MERGED = {"containers": "name", "volumes": "name", "volumeMounts": "mountPath", "ports": "containerPort"}
"""Lists of a pod that are merged, and by what; the others are replaced as a whole."""
SELECTORS = (("spec", "selector", "matchLabels"), ("spec", "template", "metadata", "labels"))


def render(folder: Path) -> list[Object]:
    """What `kubectl kustomize FOLDER` prints."""
    return [one for one in _build(folder, []) if not _is_local(one)]


def _is_local(one: Object) -> bool:
    return bool(one["metadata"].get("annotations", {}).get("config.kubernetes.io/local-config") == "true")


def documents(file: Path) -> list[Object]:
    """The objects of a file, read as kubectl reads YAML."""
    return _yaml(file.read_bytes())


def _build(folder: Path, objects: list[Object]) -> list[Object]:
    """The objects of a kustomization; a component gets those that are there, and changes them."""
    written = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(written) <= KNOWN, set(written) - KNOWN
    for name in written.get("resources", ()):
        place = folder / name
        objects += _build(place, []) if place.is_dir() else documents(place)
    objects += [_config_map(one, folder) for one in written.get("configMapGenerator", ())]
    for patch in written.get("patches", ()):
        objects = _patched(objects, patch, folder)
    for one in objects:
        _change(one, written)
    for name in written.get("components", ()):
        objects = _build(folder / name, objects)
    for transformer in (one for name in written.get("transformers", ()) for one in _build(folder / name, [])):
        _transform(objects, transformer)
    return objects


def _config_map(generator: Mapping[str, Any], folder: Path) -> Object:
    options = generator["options"]
    assert options["disableNameSuffixHash"], "a name with a hash is not known here"
    metadata = {"name": generator["name"], "namespace": generator["namespace"], "labels": dict(options["labels"])}
    data = {name: (folder / name).read_text() for name in generator["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _change(one: Object, written: Mapping[str, Any]) -> None:
    if "namespace" in written:
        _place(one, written["namespace"])
    for labels in written.get("labels", ()):
        _label(one, labels)
    for image in written.get("images", ()):
        _rename(one, image)


def _transform(objects: list[Object], transformer: Object) -> None:
    assert transformer["kind"] == "ReplacementTransformer"
    for replacement in transformer["replacements"]:
        _replace(objects, replacement)


def _replace(objects: list[Object], replacement: Mapping[str, Any]) -> None:
    """A value from one object's field to others' fields, or to a part of them between delimiters."""
    source = replacement["source"]
    (found,) = (one for one in objects if (one["kind"], one["metadata"]["name"]) == (source["kind"], source["name"]))
    holder, last = _field(found, source["fieldPath"])
    for target in replacement["targets"]:
        key, _, value = target["select"].get("labelSelector", "").partition("=")
        for one in objects:
            if one["kind"] == target["select"]["kind"] and one["metadata"].get("labels", {}).get(key) == value:
                for path in target["fieldPaths"]:
                    _put(*_field(one, path), holder[last], target.get("options"))


def _put(holder: Object, last: str, value: str, options: Mapping[str, Any] | None) -> None:
    if not options:
        assert last in holder
        holder[last] = value
        return
    parts = holder[last].split(options["delimiter"])
    parts[options["index"]] = value
    holder[last] = options["delimiter"].join(parts)


def _field(one: Any, path: str) -> tuple[Any, str]:
    """What holds the field of a path, and its key there; `[name=x]` is an element, `[a.b/c]` a key with dots."""
    *way, last = re.findall(r"\[([^]]+)\]|([^.\[\]]+)", path)
    for inside, plain in way:
        key, equals, value = inside.partition("=")
        if equals:
            (one,) = (element for element in one if element[key] == value)
        else:
            one = one[plain or inside]
    return one, "".join(last)


def _place(one: Object, namespace: str) -> None:
    if one["kind"] == "Namespace":
        one["metadata"]["name"] = namespace
    elif one["kind"] not in CLUSTER:
        one["metadata"]["namespace"] = namespace


def _label(one: Object, labels: Mapping[str, Any]) -> None:
    assert set(labels) <= {"pairs", "includeSelectors"}
    _deep(one, ("metadata", "labels")).update(labels["pairs"])
    if labels.get("includeSelectors") and one["kind"] == "DaemonSet":
        for way in SELECTORS:
            _deep(one, way).update(labels["pairs"])


def _deep(one: Object, way: tuple[str, ...]) -> Object:
    for step in way:
        one = one.setdefault(step, {})
    return one


def _rename(one: Object, image: Mapping[str, str]) -> None:
    assert set(image) <= {"name", "newName", "newTag", "digest"}
    template = one.get("template") if one["kind"] == "PodTemplate" else one.get("spec", {}).get("template")
    for container in (template or {}).get("spec", {}).get("containers", ()):
        name, _, tag = container["image"].partition(":")
        if name == image["name"]:
            tag = image.get("newTag", tag)
            behind = f"@{image['digest']}" if "digest" in image else f":{tag}" if tag else ""
            container["image"] = image.get("newName", name) + behind


def _patched(objects: list[Object], patch: Mapping[str, Any], folder: Path) -> list[Object]:
    text = patch["patch"] if "patch" in patch else (folder / patch["path"]).read_text()
    change = yaml.safe_load(text)
    target = patch.get("target") or {"kind": change["kind"], "name": change["metadata"]["name"]}
    hit = [one for one in objects if one["kind"] == target["kind"]]
    # A name is a pattern for all of it.
    hit = [one for one in hit if re.fullmatch(target["name"], one["metadata"]["name"])]
    assert hit, f"nothing is there that {target} means"
    if isinstance(change, list):
        for one in hit:
            kind = one["kind"]
            apply(one, change)
            assert one["kind"] == kind or patch.get("options", {}).get("allowKindChange")
        return objects
    if change.get("$patch") == "delete":
        return [one for one in objects if one not in hit]
    for one in hit:
        _merge(one, change)
    return objects


def _merge(one: Object, change: Mapping[str, Any]) -> None:
    """A strategic merge."""
    for key, value in change.items():
        if isinstance(value, Mapping):
            _merge(one.setdefault(key, {}), value)
        elif key in MERGED and key in one:
            one[key] = list(_merged(one[key], value, MERGED[key]))
        else:
            one[key] = copy.deepcopy(value)


def _merged(there: list[Object], new: list[Object], key: str) -> Iterator[Object]:
    known = {one[key]: one for one in there}
    for one in new:
        if one[key] in known:
            _merge(known[one[key]], one)
        else:
            # kustomize puts what is new before what is there.
            yield copy.deepcopy(one)
    yield from there
