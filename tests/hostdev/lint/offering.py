"""NodeStates that offer a graphics card, and KubeVirt objects that permit it."""

from __future__ import annotations

GPU = "example.com/GPU"


def state(*resources: str, more: str = "") -> str:
    entries = "".join(f"  - {{resource: {name}, match: {{id: '10de:1e04'}}{more}}}\n" for name in resources)
    return f"apiVersion: passgate.dev/v1\nkind: NodeState\nmetadata: {{name: gpus}}\nspec:\n  offer:\n{entries}"


def kubevirt(*rows: str, key: str = "pciHostDevices") -> str:
    listed = "".join(f"      - {row}\n" for row in rows)
    return (
        "apiVersion: kubevirt.io/v1\nkind: KubeVirt\nmetadata: {name: kubevirt, namespace: kubevirt}\nspec:\n"
        "  configuration:\n    developerConfiguration: {featureGates: [HostDevices]}\n"
        f"    permittedHostDevices:\n      {key}:\n{listed}"
    )


def row(resource: str = GPU, ids: str = "10DE:1E04", *, external: bool = True) -> str:
    more = ", externalResourceProvider: true" if external else ""
    return f"{{pciVendorSelector: '{ids}', resourceName: {resource}{more}}}"
