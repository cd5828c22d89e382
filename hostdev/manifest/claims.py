"""Objects of resource claims: a class for each resource, and the claims of a VM's pods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from domxml.errors import BadInput
from domxml.text import listed
from hostdev.claims.devices import resource_value
from hostdev.claims.slices import API_VERSION
from hostdev.kubelet.resourcename import DRIVER
from hostdev.lint.admission.releases import GATES, NAMES
from hostdev.manifest.entries import Device, devices
from hostdev.manifest.pool import By, Document, Pool, Wanted

CLAIM = "devices"
"""What a VM calls its claim: one, since each claim sets the variables of its resources anew."""
_MOST_REQUESTS = 32


def device_classes(pools: Iterable[Pool]) -> Iterator[Document]:
    """A class for each resource, by which a VM that was written for a device plugin may ask, too."""
    for pool in pools:
        if pool.by is By.CLAIM:
            yield {
                "apiVersion": API_VERSION,
                "kind": "DeviceClass",
                "metadata": {"name": pool.name},
                "spec": {
                    "selectors": [{"cel": {"expression": selector_of(pool.resource)}}],
                    "extendedResourceName": pool.resource,
                },
            }


def selector_of(resource: str) -> str:
    """The CEL expression that means the units of a resource, whichever node has them."""
    value = resource_value(resource)
    return f'device.driver == "{DRIVER}" && device.attributes["{DRIVER}"].resource == "{value}"'


def claim_templates(pools: Iterable[Pool], wanted: Wanted) -> Iterator[Document]:
    """The claim of each of the VM's pods: one device a request, as KubeVirt reads it."""
    asked = list(_claimed(pools, wanted))
    if len(asked) > _MOST_REQUESTS:
        what = f"a claim has {_MOST_REQUESTS} requests at most, and these are {len(asked)} devices"
        raise BadInput("bad-usage", what, hint="name fewer, or give the VM the others with --by passgate")
    if asked:
        requests = [
            {
                "name": one.name,
                "exactly": {"deviceClassName": one.pool.name, "allocationMode": "ExactCount", "count": 1},
            }
            for one in asked
        ]
        yield {
            "apiVersion": API_VERSION,
            "kind": "ResourceClaimTemplate",
            "metadata": {"name": wanted.name, "namespace": wanted.namespace},
            "spec": {"spec": {"devices": {"requests": requests}}},
        }


def pod_claims(pools: Iterable[Pool], wanted: Wanted) -> Document:
    """What the VM's spec says of its claim."""
    if not any(_claimed(pools, wanted)):
        return {}
    return {"resourceClaims": [{"name": CLAIM, "resourceClaimTemplateName": wanted.name}]}


def asks_by_claim(pool: Pool, wanted: Wanted) -> bool:
    """Whether the VM asks for it by a claim, of which KubeVirt's lists of resources know nothing."""
    return pool.by is By.CLAIM and not wanted.extended


def _claimed(pools: Iterable[Pool], wanted: Wanted) -> Iterator[Device]:
    return (one for one in devices(pools) if asks_by_claim(one.pool, wanted))


def claim_gates(pools: Sequence[Pool], wanted: Wanted) -> tuple[str, ...]:
    """The feature gates of KubeVirt for devices by claim."""
    shown = {pool.display for pool in pools if asks_by_claim(pool, wanted)}
    return tuple(name for name, is_gpu in (("GPUsWithDRA", True), ("HostDevicesWithDRA", False)) if is_gpu in shown)


def claim_notes(pools: Sequence[Pool], wanted: Wanted) -> Iterator[str]:
    """What claims need of the cluster, and what stands beside another of the same name."""
    if gates := claim_gates(pools, wanted):
        opened = NAMES[GATES[gates[0]].open_from]
        verb = "is" if len(gates) == 1 else "are"
        yield f"{listed(gates)} {verb} open by default from KubeVirt {opened} on"
        yield "KubeVirt finds devices by claim from 1.8.1 on; before, --extended does"
    resources = [pool.resource for pool in pools if pool.by is By.CLAIM]
    if resources:
        yield "claims need Kubernetes 1.34, asking by the resource's name 1.36, and the overlay claims on the nodes"
        yield (
            f"as long as a node's status counts {listed(resources)} of a device plugin above 0, pods that ask by that "
            "name are given the plugin's, and not those of the class"
        )
