"""Which releases a text names: of the kernel in an oops, of QEMU in its log, of KubeVirt in a pod's image."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from types import MappingProxyType

from hostdev.findings.release import Release

_LINUX = "Linux"
_MOST_LETTERS = 4 << 20
_MOST = 50
_SPELT: Mapping[str, tuple[re.Pattern[str], ...]] = MappingProxyType(
    {
        component: tuple(re.compile(f"{before}[\"']?v?(\\d[\\w.+~:-]*)") for before in spelt)
        for component, spelt in {
            _LINUX: (
                "linux version ",
                r"kernel: (?=\d+\.\d+\.\d+-)",
                r"linux [\w.-]{1,64} (?=\S{1,80} #\d)",
                r"tainted[^\n]{0,60}? (?=\S{1,80} #\d)",
            ),
            "QEMU": ("qemu emulator version ", "qemu version: ", "pve-qemu-kvm: "),
            "libvirt": ("libvirt version: ", r"libvirtd \(libvirt\) ", "using library: libvirt "),
            "KubeVirt": (
                "observedkubevirtversion[\"']?: ",
                "virt-(?:launcher|handler|controller|api|operator):",
                "kubevirt(?: version)?:? (?=v?\\d+\\.\\d+)",
            ),
            "Kubernetes": (
                "kubelet version: *",
                "server version: (?=v\\d)",
                "kubernetes(?: version)?:? (?=v?\\d+\\.\\d+)",
            ),
            "NVIDIA driver": ("kernel module  ", "driver version: *"),
        }.items()
    }
)
_BACKPORTS = re.compile(r"\.el\d|rhel")
"""Red Hat mends old versions: there a version says nothing of what is mended."""


def releases_in(text: str) -> tuple[Release, ...]:
    """The release of each component that the text names; a component with two of them is left out."""
    words = text[:_MOST_LETTERS].lower()
    named = {
        component: {found[1] for pattern in patterns for found in islice(pattern.finditer(words), _MOST)}
        for component, patterns in _SPELT.items()
    }
    return tuple(release for component, spelt in named.items() for release in _only(component, spelt))


def with_kernel(releases: tuple[Release, ...], kernel: str) -> tuple[Release, ...]:
    """The releases of a text, and the kernel of the host that was looked at where the text names none."""
    if any(release.component == _LINUX for release in releases):
        return releases
    return (*releases, *_only(_LINUX, (kernel,)))


def _only(component: str, spelt: Iterable[str]) -> tuple[Release, ...]:
    if any(map(_BACKPORTS.search, spelt)):
        return ()
    found = {Release.parse(f"{component} {one}") for one in spelt} - {None}
    return tuple(one for one in found if one) if len(found) == 1 else ()
