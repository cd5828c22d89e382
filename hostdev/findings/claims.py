"""Findings about resource claims: what was prepared of them, and why something was not."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

CLAIM_RECORD_UNREADABLE = FindingKind(
    code="claim-record-unreadable",
    severity=Severity.ERROR,
    title="What was prepared of a resource claim cannot be read",
    cause=(
        "For each claim that it prepared `passgate-claims` keeps a file in `plugins/DRIVER/claims`, below kubelet's "
        "directory. This one is damaged, is no such file, or was written by a newer version. Which devices its pod "
        "holds is not known from it."
    ),
    hint="`kubectl get resourceclaims -A -o wide` names the claim of this UID; end its pod",
    remedy=(
        "Where a newer version wrote it, start that version again: it knows what it wrote. A damaged file is replaced "
        "when the claim is prepared again, and removed when its pod has ended. What lies there and is no record is "
        "yours to remove."
    ),
)

KINDS: tuple[FindingKind, ...] = (CLAIM_RECORD_UNREADABLE,)
