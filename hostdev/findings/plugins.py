"""Findings about Plugins of KubeVirt beside the VMs."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

PLUGIN_BY_RELEASE = FindingKind(
    code="plugin-by-release",
    severity=Severity.ERROR,
    title="The Plugin is written for another release of KubeVirt",
    cause=(
        "The Plugin API is alpha, and its words change. KubeVirt 1.9 calls the hooks of virt-launcher `domainHooks`; "
        "the second alpha, planned for 1.10, calls them `launcherHooks`; releases before 1.9 have no Plugin at all. "
        "An API server drops a field that it does not know, and the hook is never called: a VM then starts without "
        "its devices."
    ),
    hint="apply the overlay of the cluster's release: plugin for KubeVirt 1.9, sidecar for older ones",
    remedy=(
        "`kubectl explain plugin.spec` tells which of the two a cluster knows. `deploy/overlays/plugin` has "
        "`domainHooks`, `deploy/overlays/plugin-launcher-hooks` has `launcherHooks`; up to KubeVirt 1.8 use "
        "`deploy/overlays/sidecar`."
    ),
    issues=("kubevirt/kubevirt#19160",),
)

PLUGIN_DROPS_MODE = FindingKind(
    code="plugin-drops-mode",
    severity=Severity.WARNING,
    title="KubeVirt's Plugin API loses an attribute of PCI host devices",
    cause=(
        "As soon as the cluster has one Plugin object, KubeVirt 1.9.0, as head of August 2026, sends each domain "
        "through a library that demands the attribute `mode`, which KubeVirt itself does not write. Every VM with a "
        "PCI host device in its spec fails, whether it uses the plugin or not; a device that Passgate alone puts in "
        "has the attribute."
    ),
    hint="delete the Plugin objects and use the hook sidecar, or a KubeVirt in which this is repaired",
    remedy=(
        "`kubectl get plugins.plugin.kubevirt.io` lists the objects. The overlay `deploy/overlays/sidecar` does the "
        "same by a hook sidecar. The defect is kubevirt/kubevirt#18861."
    ),
    says=("Missing 'mode' attribute on domain hostdev",),
    issues=("kubevirt/kubevirt#18861", "kubevirt/kubevirt#18866"),
)

KINDS: tuple[FindingKind, ...] = (PLUGIN_BY_RELEASE, PLUGIN_DROPS_MODE)
