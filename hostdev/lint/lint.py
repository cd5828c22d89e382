"""What is wrong with a VM, told before it is applied. Pure: a manifest in, findings out."""

from __future__ import annotations

from domxml.finding import Finding
from hostdev.lint import devices, guestaddresses, resources, sidecar
from hostdev.lint.annotations import ANNOTATION_RULES, NUMBER_RULES
from hostdev.lint.sidecar import CLOUDINIT_RULES
from hostdev.lint.view import view_of
from hostdev.vmi.file import Manifest

RULES = (
    *(*ANNOTATION_RULES, *sidecar.RULES, *CLOUDINIT_RULES),
    *(*resources.RULES, *devices.RULES, *guestaddresses.RULES, *NUMBER_RULES),
)
"""Every question that is asked of a manifest, in the order of the answers."""


def lint(manifest: Manifest) -> tuple[Finding, ...]:
    """Everything found, the worst first."""
    view = view_of(manifest)
    found = [finding for rule in RULES for finding in rule(view)]
    return tuple(sorted(dict.fromkeys(found), key=lambda finding: -finding.severity.rank))
