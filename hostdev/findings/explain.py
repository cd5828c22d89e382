"""The words of QEMU, libvirt and the kernel: templates to be shown, and recognised in a pasted text.

Placeholders: `{device}` an address, `{group}` a number, `{uuid}`, `{cdev}` such as vfio0, `{resource}` such as
intel.com/qat, `{any}` anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from domxml.finding import FindingKind, Severity
from hostdev.findings.allocation import NETWORK_WITHOUT_DEVICE
from hostdev.findings.boot import STEPS
from hostdev.findings.errors import ERRORS
from hostdev.findings.hostuse import DEVICE_IN_USE, DUPLICATE_DEVICE, MEMLOCK_NOT_RAISED
from hostdev.findings.registry import ALL, LINT, PLAN, SUBJECTS, WHO, look_up
from hostdev.findings.release import describe_settled
from hostdev.findings.rules import TROUBLES, WRITTEN
from hostdev.findings.trouble import Nature, Trouble

PLACEHOLDER = re.compile(r"\{(device|group|uuid|cdev|resource|any)\}")
"""Its groups are the names: what is split by it has texts and names by turns."""
_SHOWN = {"device": "DEVICE", "group": "GROUP", "uuid": "UUID", "cdev": "vfioN", "resource": "DOMAIN/NAME", "any": "…"}


def show_template(template: str) -> str:
    """The template for a reader: `vfio DEVICE: group GROUP is not viable`."""
    return PLACEHOLDER.sub(lambda found: _SHOWN[found[1]], template)


MEANING: Mapping[Severity, str] = MappingProxyType(
    {
        Severity.ERROR: "the VM would not start, or the host would be harmed",
        Severity.WARNING: "the VM may start, and something is likely to go wrong",
        Severity.INFO: "worth knowing, nothing is wrong",
    }
)
NATURES: Mapping[Nature, str] = MappingProxyType(
    {
        Nature.WRAPPER: "this line only says that something failed, and the cause stands in another one",
        Nature.HARMLESS: "this line is no cause by itself",
    }
)
Row: TypeAlias = FindingKind | Trouble


def nature_of(row: Row) -> Nature:
    """Whether a row is a cause, passes one on, or is harmless."""
    return row.nature if isinstance(row, Trouble) else Nature.CAUSE


EXPLAINED: Mapping[str, Row] = MappingProxyType(
    dict(sorted([*ALL.items(), *((row.code, row) for row in (*TROUBLES, *STEPS, *ERRORS))]))
)
"""Every code there is: findings, troubles that no check of ours sees, errors."""

_APART = {
    DUPLICATE_DEVICE.code: PLAN,
    DEVICE_IN_USE.code: WHO,
    MEMLOCK_NOT_RAISED.code: LINT,
    NETWORK_WITHOUT_DEVICE.code: "kubectl get network-attachment-definitions -A -o yaml",
}
"""What is not looked at as the others of its table are."""
LOOK: Mapping[str, str] = MappingProxyType(
    {
        **{kind.code: subject.look for subject in SUBJECTS for kind in subject.kinds},
        **_APART,
        **{trouble.code: trouble.look for trouble in (*TROUBLES, *STEPS)},
    }
)
"""The command that shows what a code is about."""


def explain(code: str) -> str:
    """The page of a code: what it means, what others say of it, what to do."""
    return page(look_up(EXPLAINED, code))


def page(row: Row) -> str:
    """A row of the tables as Markdown."""
    return "\n\n".join(_parts(row)) + "\n"


def _parts(row: Row) -> Iterator[str]:
    yield f"# {row.code}"
    yield f"{row.title}."
    if isinstance(row, FindingKind):
        yield f"Severity: **{row.severity}** ({MEANING[row.severity]})."
    elif row.nature is not Nature.CAUSE:
        yield f"**{row.nature}**: {NATURES[row.nature]}."
    if row.cause:
        yield from ("## What it means", row.cause)
    words = words_of(row)
    if words:
        lines = "\n".join(map(show_template, words))
        yield from (f"## {_speakers(row)}", f"```text\n{lines}\n```")
    yield "## What to do"
    yield from advice(row)


def advice(row: Row) -> Iterator[str]:
    """What to do, and where it is known upstream: a paragraph each."""
    yield from filter(None, (f"In short: {row.hint}.", row.remedy, describe_settled(row.issues, row.mended)))


def words_of(row: Row) -> tuple[str, ...]:
    """What is said of it: its own texts, or the wordings of its rules."""
    return row.says or tuple(dict.fromkeys(words for rule in WRITTEN if rule.code == row.code for words in rule.words))


def _speakers(row: Row) -> str:
    findings = "What QEMU, libvirt, the kernel or KubeVirt say"
    return findings if isinstance(row, FindingKind) else "What is said"
