"""The table of knowledge behind every finding: what it means, what others say of it, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from domxml import editfindings, guestfindings
from domxml.errors import BadInput
from domxml.finding import FindingKind
from domxml.text import did_you_mean
from hostdev.findings import (
    admission,
    allocation,
    binding,
    boot,
    claimobjects,
    claims,
    cloudinit,
    device,
    driver,
    effects,
    files,
    fit,
    fleet,
    group,
    holders,
    hostuse,
    manifest,
    matching,
    nodestate,
    offer,
    permitted,
    platform,
    plugins,
    spec,
    sriov,
    sriovobjects,
    vitals,
)

T = TypeVar("T")


def _merged(*tables: Iterable[FindingKind]) -> Mapping[str, FindingKind]:
    kinds = [kind for table in tables for kind in table]
    merged = {kind.code: kind for kind in sorted(kinds, key=lambda kind: kind.code)}
    if len(merged) != len(kinds):
        raise ValueError("two findings share one code")
    return MappingProxyType(merged)


class Subject(NamedTuple):
    """A table of findings with one subject."""

    kinds: tuple[FindingKind, ...]
    look: str
    """The command that shows them, but for those that say it themselves."""


DOCTOR, DEVICE = "passgate node doctor", "passgate node doctor DEVICE"
WHO, LINT = "passgate node who DEVICE", "passgate lint --vmi FILE"
VITALS = "passgate node vitals DEVICE"
LINT_FILES, WHY = "passgate lint FILE", "passgate why VM"
PLAN = "passgate inject DOMAIN --vmi FILE --env-file FILE -o plan"
SUBJECTS = (
    Subject(platform.KINDS, DOCTOR),
    Subject(group.KINDS, DEVICE),
    Subject(device.KINDS, DEVICE),
    Subject(driver.KINDS, DEVICE),
    Subject(sriov.KINDS, DEVICE),
    Subject(sriov.CHANGE_KINDS, "passgate node vfs PF COUNT --dry-run"),
    Subject(hostuse.KINDS, DEVICE),
    Subject(binding.KINDS, "passgate node bind DEVICE --dry-run"),
    Subject(allocation.KINDS, PLAN),
    Subject(matching.KINDS, PLAN),
    Subject(fit.KINDS, PLAN),
    Subject(holders.KINDS, WHO),
    Subject(vitals.KINDS, VITALS),
    Subject(nodestate.KINDS, "passgate node state status FILE"),
    Subject(offer.KINDS, "passgate node state plan FILE"),
    Subject(claims.KINDS, "kubectl describe pod POD"),
    Subject(fleet.KINDS, "passgate fleet why VM.yaml"),
    Subject(manifest.KINDS, "passgate manifest DEVICE"),
    Subject(spec.KINDS, LINT),
    Subject(cloudinit.KINDS, LINT),
    Subject(admission.KINDS, LINT_FILES),
    Subject(effects.KINDS, LINT_FILES),
    Subject(permitted.KINDS, LINT_FILES),
    Subject(claimobjects.KINDS, LINT_FILES),
    Subject(files.KINDS, LINT_FILES),
    Subject(boot.KINDS, WHY),
    Subject(sriovobjects.KINDS, LINT_FILES),
    Subject(plugins.KINDS, LINT_FILES),
    Subject(admission.UPGRADE_KINDS, "passgate lint FILE --kubevirt OLD --against NEW"),
    Subject(guestfindings.KINDS, PLAN),
    Subject(editfindings.KINDS, PLAN),
)
"""Every table of findings, registered here and nowhere else."""

ALL: Mapping[str, FindingKind] = _merged(*(subject.kinds for subject in SUBJECTS))


def kind(code: str) -> FindingKind:
    """The row of one code; an unknown one is refused with the nearest known one."""
    return look_up(ALL, code)


def look_up(table: Mapping[str, T], code: str) -> T:
    """The same in any table of codes."""
    wanted = code.strip().lower()
    if wanted in table:
        return table[wanted]
    hint = did_you_mean(wanted, table, "`passgate node explain` lists them all", cutoff=0.5)
    raise BadInput("unknown-finding", f"there is no finding {code.strip()[:60]!r}", hint=hint)
