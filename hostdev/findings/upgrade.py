"""Findings about what an upgrade of KubeVirt changes for a VM."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

_HOW = "`passgate lint --kubevirt OLD --against NEW` compares two releases; `docs/upgrade.md` has the whole table."

UPGRADE_REFUSES = FindingKind(
    code="upgrade-refuses",
    severity=Severity.ERROR,
    title="The newer KubeVirt refuses what the older one takes",
    cause=(
        "A VM that exists stays; it is refused when it is changed, created again or, where its VMI is refused, "
        f"started. {_HOW}"
    ),
    hint="change it before the upgrade",
    remedy="Correct what the message names: the older release mostly takes the corrected VM as well.",
)

UPGRADE_ADMITS = FindingKind(
    code="upgrade-admits",
    severity=Severity.INFO,
    title="The newer KubeVirt takes what the older one refuses",
    cause=f"A rule has gone, or a feature gate is open by default now. {_HOW}",
    hint="nothing to do",
    remedy="Going back to the older release brings the refusal back.",
)

UPGRADE_CHANGES = FindingKind(
    code="upgrade-changes",
    severity=Severity.WARNING,
    title="The VM means something else to the newer KubeVirt",
    cause=f"A key comes to be read or dropped, a default or a mechanism changes. {_HOW}",
    hint="read what changes",
    remedy="Look whether the VM shall have it, and say so in its spec where it can be said.",
)

KINDS: tuple[FindingKind, ...] = (UPGRADE_REFUSES, UPGRADE_ADMITS, UPGRADE_CHANGES)
