"""virt-launcher's side of a Plugin's sidecar: it waits for the socket that the Plugin names, and calls MutateDomain."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from pathlib import Path

from domxml.document import Domain
from domxml.errors import BadInput, Refused
from hooksidecar.rehearsal.launcher import Sidecar, call
from hooksidecar.stubs import plugin_v1alpha1_pb2 as plugins
from hostdev.kubevirt.releases import POINT_RELEASES, Release, release_of

SOCKET = "domain.sock"
"""In the directory that a Plugin's sidecar shares with virt-launcher."""
METHOD = "/kubevirt.hooks.plugins.v1alpha1.DomainHookService/MutateDomain"
TICK = 0.5
CALL = 5.0
"""What deploy/overlays/plugin gives a call; without a word KubeVirt gives it 30 s."""


class PluginSidecar(Sidecar):
    """A socket that is there: nothing asks it for Info, nor for Shutdown."""

    @property
    def call_name(self) -> str:
        """What it is called with."""
        return "MutateDomain"

    def define(self, domain: bytes, vmi: bytes) -> bytes:
        """MutateDomain of a boot."""
        context = plugins.SidecarContext(invocation_context="Boot")
        request = plugins.MutateDomainRequest(domain_type="libvirt", domain=domain, vmi=vmi, sidecar_context=context)
        return require_modes(call(self.path, METHOD, request, plugins.MutateDomainResponse, CALL).domain)


def plugin_release(name: str) -> Release:
    """The release that is played; `any` is the one of those with the API that makes the most passes."""
    release = POINT_RELEASES["head"] if name == "any" else release_of(name)
    if not release.has_plugins:
        what = f"--mode plugin: KubeVirt {release.name} has no Plugin API"
        raise BadInput("bad-usage", what, hint="1.9 is the first that has it")
    return release


def await_socket(mount: str, timeout: float, check: Callable[[], None]) -> PluginSidecar:
    """Wait for the socket, as long as the sidecar lives."""
    path = Path(mount, SOCKET)
    until = time.monotonic() + timeout
    while not path.exists():
        check()
        if time.monotonic() > until:
            what = f"there is no {SOCKET} after {timeout:.0f} s; KubeVirt would fail the start"
            raise Refused("sidecars-missing", what, subject=mount, hint="make the socket that the Plugin names")
        time.sleep(TICK)
    if stat.S_ISLNK(path.lstat().st_mode):
        what = "is a symbolic link, which KubeVirt does not follow"
        raise Refused("sidecars-missing", what, subject=str(path), hint="make the socket itself there")
    return PluginSidecar(str(path), SOCKET, "plugin v1alpha1", ("MutateDomain",))


def require_modes(xml: bytes) -> bytes:
    """The same domain, if KubeVirt can read it for its Plugins: it fails over a PCI device without `mode`.

    That is kubevirt/kubevirt#18861: the domain that KubeVirt itself writes for a device of the spec has none.
    """
    for hostdev in Domain.parse(xml).devices.iterfind("hostdev[@type='pci']"):
        if hostdev.get("mode") is None:
            alias = hostdev.find("alias")
            raise Refused(
                "plugin-needs-mode",
                "KubeVirt cannot read this device once there is a Plugin (Missing 'mode' attribute on domain hostdev)",
                subject="a hostdev" if alias is None else alias.get("name", ""),
                hint="take a release in which kubevirt/kubevirt#18861 is repaired, or hook sidecars",
            )
    return xml
