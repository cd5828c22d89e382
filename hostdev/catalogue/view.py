"""Findings about what could not be looked at."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

HOST_UNREADABLE = FindingKind(
    code="host-unreadable",
    severity=Severity.WARNING,
    title="Something of the host could not be looked at",
    cause=(
        "A file or directory that a verdict rests on could not be read, so that the verdict is open: it is neither "
        "passed nor failed. In a container this is normal for `/sys/firmware` (masked by the container runtime), for "
        "`/dev/vfio` (only the nodes of the container's own devices are there) and for attributes that a kernel of "
        "this age does not offer yet; it is then told as information only."
    ),
    hint="look again as root on the node itself",
    remedy=(
        "Run `passgate node doctor` as root on the node, outside of any container. If the message names an I/O error "
        "(EIO, ENODEV), the device has gone or no longer answers: look into `dmesg`."
    ),
)

KINDS = (HOST_UNREADABLE,)
