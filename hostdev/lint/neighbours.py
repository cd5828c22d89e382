"""The objects beside the VMs, and what they say of them: instance types, networks, policies, the KubeVirt CR."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hostdev.kubevirt.admission import Beside
from hostdev.lint.admission.releases import Cluster
from hostdev.lint.admission.rule import EMPTY, at
from hostdev.lint.objects import Object

RESOURCE = "k8s.v1.cni.cncf.io/resourceName"
OPERATOR_PREFIX = "openshift.io"
"""What the SR-IOV operator puts in front of its resources, unless it is told otherwise."""


class Neighbours(NamedTuple):
    """Every object of a run that is no VM."""

    objects: tuple[Object, ...] = ()

    def of_kind(self, *kinds: str) -> list[Object]:
        """The objects of some kinds."""
        return [one for one in self.objects if one.kind in kinds]

    @property
    def kubevirt(self) -> Mapping[str, Any] | None:
        """spec.configuration of the KubeVirt CR; None where none is there, or several: those are several clusters'."""
        found = self.of_kind("KubeVirt")
        if len(found) != 1:
            return None
        configuration = at(found[0].value, "spec.configuration")
        return configuration if isinstance(configuration, Mapping) else EMPTY

    def cluster(self, told: Cluster) -> Cluster:
        """What is told of the cluster, and what the KubeVirt CR says where nothing is told."""
        configuration = self.kubevirt
        if configuration is None:
            return told
        developer = at(configuration, "developerConfiguration")
        gates, disabled = (_names(developer, key) for key in ("featureGates", "disabledFeatureGates"))
        # Where it says nothing of gates, what completes it elsewhere may.
        speaks = isinstance(developer, Mapping) and "featureGates" in developer
        named = gates if told.named is None and speaks else told.named
        return told._replace(named=named, disabled=told.disabled | disabled, switches=configuration)

    def beside(self, vm: Object) -> Beside:
        """The instance type and the preference of a VM."""
        presets = [one for one in self.of_kind("VirtualMachineInstancePreset") if one.namespace == vm.namespace]
        specs = tuple(spec for one in presets if isinstance(spec := one.value.get("spec"), Mapping))
        return Beside(self._spec(vm, "instancetype"), self._spec(vm, "preference"), specs)

    def _spec(self, vm: Object, key: str) -> Mapping[str, Any] | None:
        spec = vm.value.get("spec")
        if vm.kind == "VirtualMachinePool":
            spec = at(spec, "virtualMachineTemplate.spec")
        matcher = at(spec, key)
        if not isinstance(matcher, Mapping):
            return EMPTY
        plain = f"VirtualMachine{key.capitalize()}".lower()
        wanted = str(matcher.get("kind") or f"VirtualMachineCluster{key.capitalize()}").lower()
        for one in self.objects:
            reached = wanted != plain or not vm.namespace or one.namespace in {"", vm.namespace}
            if one.kind.lower() == wanted and one.name == matcher.get("name") and one.name and reached:
                found = one.value.get("spec")
                return found if isinstance(found, Mapping) else EMPTY
        return None

    def resource_of(self, definition: str, namespace: str) -> str:
        """The resource behind a NetworkAttachmentDefinition; empty where the files do not tell."""
        for one, resource in self.definitions():
            if _meets(one, definition, namespace):
                return resource
        return ""

    def definitions(self) -> Iterable[tuple[tuple[str, str], str]]:
        """Every network that is made here: its namespace and name, and its resource."""
        for one in self.of_kind("NetworkAttachmentDefinition"):
            yield (one.namespace, one.name), _annotation(one.value, RESOURCE)
        for one in self.of_kind("SriovNetwork"):
            name = at(one.value, "spec.resourceName")
            resource = f"{OPERATOR_PREFIX}/{name}" if isinstance(name, str) else ""
            yield (network_namespace(one), one.name), resource


def network_namespace(network: Object) -> str:
    """Where a SriovNetwork makes its definition; empty where it does not say."""
    found = at(network.value, "spec.networkNamespace")
    return found if isinstance(found, str) else network.namespace


def _meets(one: tuple[str, str], definition: str, namespace: str) -> bool:
    """Whether a VM of a namespace means this definition; a namespace that is not told may be any."""
    wanted, _, name = definition.rpartition("/")
    wanted = wanted or namespace
    return one[1] == name and (not wanted or not one[0] or one[0] == wanted)


def _annotation(value: Mapping[str, Any], name: str) -> str:
    annotations = at(value, "metadata.annotations")
    found = annotations.get(name) if isinstance(annotations, Mapping) else None
    return found if isinstance(found, str) else ""


def _names(value: Any, key: str) -> frozenset[str]:
    found = value.get(key) if isinstance(value, Mapping) else None
    return frozenset(one for one in found or () if isinstance(one, str)) if isinstance(found, list) else frozenset()


def config_of(definition: Object) -> Mapping[str, Any]:
    """The CNI configuration in a NetworkAttachmentDefinition, as far as it is JSON."""
    text = at(definition.value, "spec.config")
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    return found if isinstance(found, Mapping) else EMPTY


def neighbours(objects: Sequence[Object], vm_kinds: frozenset[str]) -> Neighbours:
    """Those that are no VMs."""
    return Neighbours(tuple(one for one in objects if one.kind not in vm_kinds))
