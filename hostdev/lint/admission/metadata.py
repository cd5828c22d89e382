"""What the API server refuses of an object before KubeVirt sees it: its apiVersion, its name, its labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from hostdev.jsonutil import join_path, show_value
from hostdev.lint.admission.policies import is_subdomain
from hostdev.lint.admission.releases import ALL, Releases, since
from hostdev.lint.admission.schema import Flaw, check_texts
from hostdev.lint.rendering import Unknown

_USUAL = MappingProxyType({"kubevirt.io/v1": ALL, "kubevirt.io/v1alpha3": ALL})
SERVED: Mapping[str, Mapping[str, Releases]] = MappingProxyType(
    {
        "VirtualMachine": _USUAL,
        "VirtualMachineInstance": _USUAL,
        "VirtualMachineInstanceReplicaSet": _USUAL,
        "VirtualMachinePool": MappingProxyType(
            {"pool.kubevirt.io/v1alpha1": ALL, "pool.kubevirt.io/v1beta1": since("1.7")}
        ),
    }
)
"""Which releases serve which version of a kind."""
_LABEL = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_KNOWN = frozenset(
    {
        *("name", "generateName", "namespace", "labels", "annotations", "creationTimestamp", "uid", "finalizers"),
        *("resourceVersion", "generation", "selfLink", "ownerReferences", "managedFields", "deletionTimestamp"),
        "deletionGracePeriodSeconds",
    }
)
_ROOT = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


def releases_serving(kind: str, version: str) -> Releases | None:
    """The releases that serve a version of a kind; None: no known one does."""
    return SERVED.get(kind, {}).get(version)


def unknown_keys(value: Mapping[str, Any]) -> Iterator[str]:
    """Keys at the root and in the metadata, which the API server drops."""
    yield from (join_path("", key) for key in value if key not in _ROOT)
    metadata = value.get("metadata")
    if isinstance(metadata, dict):
        yield from (join_path("metadata", key) for key in metadata if key not in _KNOWN)


def metadata_flaws(value: Mapping[str, Any]) -> Iterator[Flaw]:
    """Everything that is wrong with an object's own metadata."""
    metadata = value.get("metadata")
    if metadata is None:
        yield Flaw("metadata", "metadata.name", "name or generateName is required")
        return
    if not isinstance(metadata, dict):
        yield Flaw("metadata", "metadata", f"must be an object, is {show_value(metadata)}")
        return
    yield from _name_flaws(metadata)
    for key in ("labels", "annotations"):
        if metadata.get(key) is not None:
            yield from (flaw._replace(kind="metadata") for flaw in check_texts(metadata[key], f"metadata.{key}"))
    labels = metadata.get("labels")
    for key, label in labels.items() if isinstance(labels, dict) else ():
        if isinstance(label, str) and not isinstance(label, Unknown) and not _LABEL.fullmatch(label):
            what = f"{show_value(label)} is no value of a label: at most 63 letters, digits, -, _ and ."
            yield Flaw("metadata", join_path("metadata.labels", key), what)


def _name_flaws(metadata: Mapping[str, Any]) -> Iterator[Flaw]:
    if not metadata.get("name") and not metadata.get("generateName"):
        yield Flaw("metadata", "metadata.name", "name or generateName is required")
    for key in ("name", "namespace"):
        name = metadata.get(key)
        if name is None or isinstance(name, Unknown) or name == "":
            continue
        if not isinstance(name, str):
            yield Flaw("metadata", f"metadata.{key}", f"must be text, is {show_value(name)}: put it into quotes")
        elif not is_subdomain(name) or (key == "namespace" and ("." in name or len(name) > 63)):
            what = f"{show_value(name)} is no name in Kubernetes: lower-case letters, digits, - and ., at most 253"
            yield Flaw("metadata", f"metadata.{key}", what)
