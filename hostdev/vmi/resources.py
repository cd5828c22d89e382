"""Resources of a container's limits that stand for devices: for each of them a channel must say which device it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NO_DEVICES: Mapping[str, str] = MappingProxyType(
    {
        "devices.kubevirt.io/": "KubeVirt's own: /dev/kvm, /dev/net/tun, /dev/vhost-net, SEV, TDX, vsock",
        "kubernetes.io/": "names of Kubernetes itself",
        "attachable-volumes-": "volumes",
        "hugepages-": "memory",
        "requests.": "the prefix of quotas",
    }
)
"""How the names of resources begin that are no devices for the guest, and what they are."""


def is_device_resource(name: str) -> bool:
    """An extended resource, which a device plugin or a DRA class serves: its name has a domain and a slash."""
    domain = name.partition("/")[0] + "/"
    own = domain == "kubernetes.io/" or domain.endswith(".kubernetes.io/")
    return "/" in name and not own and not name.startswith(tuple(NO_DEVICES))
