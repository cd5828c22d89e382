"""Resources of a container's limits that stand for devices: for each of them a channel must say which device it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NO_DEVICES: Mapping[str, str] = MappingProxyType(
    {
        "kubernetes.io/": "names of Kubernetes itself",
        "attachable-volumes-": "volumes",
        "hugepages-": "memory",
        "requests.": "the prefix of quotas",
    }
)
"""How the names of resources begin that are no devices for the guest, and what they are."""

_KUBEVIRTS = "devices.kubevirt.io/"
_NODES = frozenset({"kvm", "mshv", "tun", "vhost-net", "vhost-vsock", "sev", "sev-snp", "tdx", "iommufd", "pr-helper"})
"""What KubeVirt itself offers under its name: device nodes. An administrator's pool may bear that name as well."""


def is_device_resource(name: str) -> bool:
    """An extended resource, which a device plugin or a DRA class serves: its name has a domain and a slash."""
    domain = name.partition("/")[0] + "/"
    own = domain == "kubernetes.io/" or domain.endswith(".kubernetes.io/")
    if name.startswith(_KUBEVIRTS):
        return name.removeprefix(_KUBEVIRTS) not in _NODES
    return "/" in name and not own and not name.startswith(tuple(NO_DEVICES))
