"""The steps of a VM's start, and which of them a sentence is about."""

from __future__ import annotations

import re
from enum import StrEnum

from hostdev.findings import device, driver, group, holders, hostuse, platform, sriov
from hostdev.findings.explain import EXPLAINED


class Check(StrEnum):
    """The steps from a VM to its guest slot, in the order of time."""

    SPEC = "spec"
    GATES = "gates"
    SCHEDULED = "scheduled"
    ALLOCATED = "allocated"
    SIDECAR = "sidecar"
    FILE = "file"
    HOOK = "hook"
    GATE = "gate"
    DEFINED = "defined"
    STARTED = "started"
    ARRIVED = "arrived"

    @property
    def rank(self) -> int:
        """Its place in that order."""
        return _ORDER.index(self)


_ORDER = tuple(Check)
_OURS = re.compile(r"(?<![\w-])([a-z]+(?:-[a-z0-9]+)+): ")
_LIBVIRT = re.compile(r"(?:LibvirtError|virError)\(Code=(\d+)")
_AT_GATE = frozenset(
    kind.code for table in (platform, group, device, driver, sriov, hostuse, holders) for kind in table.KINDS
) | {"device-not-found"}
_OF_FILE = frozenset({"allocation-missing", "allocation-file-unreadable", "fewer-than-requested", "file-names-nothing"})
_WORDS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (
        Check.GATES,
        (
            *(r"admission webhook .* denied", r"feature gate.{0,40} not enabled"),
            r"not permitted in (?:permittedHostDevices|kubevirt)",
        ),
    ),
    (Check.SIDECAR, ("failed to collect all expected sidecar", "hook sockets within")),
    (Check.FILE, ("PostStartHook",)),
    (Check.SCHEDULED, ("nodes are available", r"\bInsufficient \S+/", "exceeded quota")),
    (
        Check.ALLOCATED,
        (
            *("Allocate failed due to", "UnexpectedAdmissionError", r"\bOutOf\S+/", "Node didn't have enough resource"),
            *("Topology ?Affinity", "Topology locality", "PreStartContainer", "GetPreferredAllocation", "lstat /dev/"),
            *("not a device node", "CDI device", "dynamic resources", "endpoint not found in cache", "ResourceClaim"),
            *(
                "StartError",
                "RunContainerError",
                "OCI runtime create failed",
                "unhealthy devices",
                "sandbox",
                "SRIOV-CNI",
                "multus",
                "CmdAdd",
                "network plugin",
            ),
        ),
    ),
    (Check.FILE, ("waiting for the allocation file",)),
    (
        Check.HOOK,
        (r"hook.{0,20}sidecar", "OnDefineDomain", "MutateDomain", "kubevirt-hooks", r"exit status \d+"),
    ),
    (Check.GATE, ("PreVMStart", "node ?hook")),
    (
        Check.DEFINED,
        (
            *("timed out waiting for domain to be defined", "host-?devices", "no more addresses to allocate"),
            *("pci address", "resource .* not set for", "unmarshal", "PreCloudInitIso"),
        ),
    ),
    (
        Check.STARTED,
        (
            *("vfio", "qemu", "monitor", "locked memory", "passthrough", "manually detached", "iommu"),
            *("in use by driver", "exited prior to exec", "panic:", "SIGSEGV", "nil pointer", "OOMKilled"),
            *("reset PCI device", "mediated device", "/dev/kvm"),
        ),
    ),
)
"""In this order: a sentence of kubelet's may hold words of the kernel."""
_STEPS = tuple((re.compile("|".join(words), re.IGNORECASE), check) for check, words in _WORDS)
_DEFINE_CODES = frozenset({"8", "9", "27"})
"""Of libvirt: an invalid argument, an operation that failed, and XML that is wrong; all of them before a start."""


def step_of(text: str) -> Check | None:
    """The step that a sentence is about; None where it does not show."""
    ours = our_code(text)
    if ours:
        return Check.FILE if ours in _OF_FILE else Check.GATE if ours in _AT_GATE else Check.HOOK
    code = _LIBVIRT.search(text)
    if code and code[1] in _DEFINE_CODES:
        return Check.DEFINED
    found = next((check for pattern, check in _STEPS if pattern.search(text)), None)
    if code and (found is None or found.rank < Check.DEFINED.rank):
        return Check.DEFINED
    return found


def our_code(text: str) -> str:
    """The code at the beginning of a sentence of the sidecar's, or of the agent's node hook."""
    before = text.partition("LibvirtError(")[0].partition("virError(")[0]
    return next((found[1] for found in _OURS.finditer(before) if found[1] in EXPLAINED), "")
