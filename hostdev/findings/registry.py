"""The table of knowledge behind every finding: what it means, what others say of it, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from domxml import guestfindings
from domxml.errors import BadInput
from domxml.finding import FindingKind
from domxml.text import did_you_mean
from hostdev.findings import (
    allocation,
    cloudinit,
    device,
    driver,
    group,
    holders,
    hostuse,
    manifest,
    matching,
    platform,
    spec,
    sriov,
)
from hostdev.findings.hostuse import KINDS

T = TypeVar("T")


def _merged(*tables: Iterable[FindingKind]) -> Mapping[str, FindingKind]:
    kinds = list(dict.fromkeys(kind for table in tables for kind in table))
    merged = {kind.code: kind for kind in sorted(kinds, key=lambda kind: kind.code)}
    if len(merged) != len(kinds):
        raise ValueError("two findings share one code")
    return MappingProxyType(merged)


ALL: Mapping[str, FindingKind] = _merged(
    platform.KINDS,
    platform.KINDS,
    platform.KINDS,
    group.KINDS,
    device.KINDS,
    driver.KINDS,
    sriov.KINDS,
    hostuse.KINDS,
    KINDS,
    allocation.KINDS,
    holders.KINDS,
    matching.KINDS,
    holders.KINDS,
    manifest.KINDS,
    spec.KINDS,
    cloudinit.KINDS,
    guestfindings.KINDS,
)


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
