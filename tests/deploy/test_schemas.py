"""Every manifest that we ship is one, strictly."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from tests.deploy import schemas
from tests.deploy.admission import admit
from tests.deploy.kustomize import documents, render
from tests.deploy.manifests import DEPLOY, FOLDERS, manifest
from tests.deploy.pods import DEVICES, SIDECAR, launcher

WRONG = (jsonschema.ValidationError, kubernetes_validate.ValidationError)
EXAMPLES = sorted(file for file in DEPLOY.glob("examples/*/*.yaml") if file.name != "kustomization.yaml")
CLUSTER = {
    "apiVersion": "kubevirt.io/v1",
    "kind": "KubeVirt",
    "metadata": {"name": "kubevirt", "namespace": "kubevirt"},
}


def shipped() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object, and where it comes from."""
    for folder in FOLDERS:
        yield from ((f"{folder}: {one['kind']}", one) for one in render(DEPLOY / folder))
    for file in [*EXAMPLES, *(DEPLOY / f"components/{name}/{name}.yaml" for name in ("podmonitor", "prometheusrule"))]:
        yield from ((f"{file.relative_to(DEPLOY)}: {one['kind']}", one) for one in documents(file))


SHIPPED = tuple(shipped())


@pytest.mark.parametrize("one", [one for _, one in SHIPPED], ids=[name for name, _ in SHIPPED])
def test_it_follows_its_schema(one: dict[str, Any]) -> None:
    schemas.check(one)


def test_schemas_that_are_not_published_are_few() -> None:
    """What `schemas` says in its first lines."""
    against = {one["kind"]: schemas.check(one) for _, one in SHIPPED}

    assert {kind for kind, source in against.items() if source == "written"} == {"Plugin", "PCIDeviceClaim"}


@pytest.mark.parametrize("kind", sorted({one["kind"] for _, one in SHIPPED} - {"ConfigMap"}))
def test_a_field_too_many_is_told(kind: str) -> None:
    """At every depth where the schema knows the fields."""
    original = next(one for _, one in SHIPPED if one["kind"] == kind)
    top = "metadata" if kind in {"Namespace", "ServiceAccount"} else "spec"
    for way in (way for way in _objects(original) if way and way[0] == top and not _free(way)):
        changed = copy.deepcopy(original)
        _at(changed, way)["unheardOf"] = "x"

        with pytest.raises(WRONG):
            schemas.check(changed)


@pytest.mark.parametrize("folder", ["overlays/sidecar", "overlays/plugin"])
@pytest.mark.parametrize("annotations", [SIDECAR, DEVICES])
def test_a_pod_is_still_one_after_the_policy(folder: str, annotations: dict[str, str]) -> None:
    pod = launcher(annotations, plugins=True)

    stored = admit(manifest(folder, "MutatingAdmissionPolicy"), pod)

    assert stored != pod
    schemas.check(stored)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.relative_to(DEPLOY)))
def test_json_within_yaml_is_json(file: Path) -> None:
    texts = [text for one in documents(file) for text in _json_texts(one)]

    for text in texts:
        json.loads(text)


def _json_texts(one: dict[str, Any]) -> list[str]:
    texts = {
        "ConfigMap": list(one.get("data", {}).values()),
        "NetworkAttachmentDefinition": [one.get("spec", {}).get("config")],
        "SriovNetwork": [one.get("spec", {}).get("capabilities")],
    }
    return texts.get(one["kind"], [])


def _objects(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in it there are objects."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield way
    yield from itertools.chain.from_iterable(_objects(one, (*way, key)) for key, one in items)


def _free(way: tuple[Any, ...]) -> bool:
    """Whether anything may stand there: labels, annotations, amounts by name, and what no schema says more about."""
    free = {"labels", "annotations", "matchLabels", "nodeSelector", "limits", "requests", "clock"}
    return any(step in free for step in way)


def _at(value: Any, way: tuple[Any, ...]) -> Any:
    for step in way:
        value = value[step]
    return value
