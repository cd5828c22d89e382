"""Write the page of all error texts: `python -m hostdev.catalogue.troubleshooting docs/troubleshooting.md`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from domxml import findings
from domxml.finding import FindingKind
from hostdev.catalogue import (
    allocation,
    cloudinit,
    device,
    driver,
    group,
    holding,
    hostuse,
    iommu,
    kubelet,
    manifest,
    matching,
    spec,
    sriov,
    vfio,
    view,
    vm,
)
from hostdev.catalogue.cluster import TROUBLES
from hostdev.catalogue.explain import EXPLAINED, Row
from hostdev.catalogue.pages import table
from hostdev.catalogue.words import shown

SPEAKERS: Mapping[str, str] = MappingProxyType(
    {
        "Passgate's sidecar and agent, in their logs": r'"msg"|a defect of passgate|went back as it came|no inotify',
        "The scheduler, kubelet and the API server, in events": (
            r"nodes are available|^Allocate failed|PostStart|^no matches for kind|overcommitable|must be equal to"
        ),
        "KubeVirt, in events of the VMI and in the log of virt-launcher": (
            r"feature gate|permittedHostDevices|addresses to allocate|hook sockets|to be defined|'mode' attribute|"
            r"network-info|for claim|exactly one device|nil pointer|lstat /dev/vfio"
        ),
        "The kernel, in dmesg": (
            r"^vfio_pin|interrupt remapping support|RMRR|1:1 IOMMU|denylist|VF token|^BAR |^nvme |D3cold"
        ),
        "QEMU, in SyncFailed events and in the log of virt-launcher": (
            r"/dev/vfio/|^vfio |^vfio: |^vfio_container|^VFIO_MAP|bound to |failed to setup|vfio version|iommufd|"
            r"VFIO_DEVICE|currently supported"
        ),
        "libvirt, in SyncFailed events and in the log of virt-launcher": r"",
    }
)
"""Who says a text: the first whose pattern is found in it."""

_DOCTOR, _DEVICE = "passgate node doctor", "passgate node doctor DEVICE"
_WHO, _LINT = "passgate node who DEVICE", "passgate lint --vmi FILE"
_PLAN = "passgate inject DOMAIN --vmi FILE --env-file FILE -o plan"
_TABLES: tuple[tuple[str, tuple[FindingKind, ...]], ...] = (
    (_DOCTOR, (*view.KINDS, *iommu.KINDS, *vfio.KINDS)),
    (_DEVICE, (*group.KINDS, *device.KINDS, *driver.KINDS, *sriov.KINDS, *hostuse.KINDS)),
    (_LINT, (*spec.KINDS, *cloudinit.KINDS)),
    (_PLAN, (*allocation.KINDS, *matching.KINDS, *findings.KINDS)),
    (_WHO, (*kubelet.KINDS, *holding.KINDS)),
    ("passgate manifest DEVICE", manifest.KINDS),
)
_OF_VM = {vm.DUPLICATE_DEVICE.code: _PLAN, vm.DEVICE_IN_USE.code: _WHO, vm.MEMLOCK_NOT_RAISED.code: _LINT}
LOOK: Mapping[str, str] = MappingProxyType(
    {
        **{kind.code: command for command, kinds in _TABLES for kind in kinds},
        **_OF_VM,
        **{trouble.code: trouble.look for trouble in TROUBLES},
    }
)
"""The command that shows what a code is about."""

_INTRO = """\
# Troubleshooting

Every text below is known to `passgate node explain`: paste the message, or a whole log.

```sh
passgate node explain 'vfio 0000:3b:00.0: group 12 is not viable'
kubectl logs virt-launcher-vm-abcde | passgate node explain -
```

DEVICE, GROUP and UUID stand for an address, a number and a UUID, … for anything.
What QEMU and libvirt say arrives in the VMI's events as `server error. command SyncVMI failed: "LibvirtError(…)"`.

## Passgate's own refusals

What the sidecar refuses is an event of the VMI, `SyncFailed`, and begins with a code:

```text
server error. command SyncVMI failed: "… group-not-viable: 0000:01:00.0: group 1 is not viable: …: HINT"
```

- `passgate node explain` takes the text as it is.
  [The findings](findings/README.md) have a page for each code, and [errors](findings/errors.md) lists the others.
- `passgate` ends its errors with the code in brackets.
  The logs of the sidecar and of the agent have it as `"code"`.
- `allocation-missing` means that no [allocation file](sidecar.md) came: neither the agent nor the policy wrote one.
  Its [page](findings/allocation-missing.md) tells how to find out why.
"""


def text() -> str:
    """The whole page."""
    return "\n".join([_INTRO, *_sections(), *_own()]).rstrip() + "\n"


def speaker(template: str) -> str:
    """Who says a text."""
    return next(who for who, pattern in SPEAKERS.items() if re.search(pattern, template))


def _sections() -> Iterator[str]:
    said = [(template, row) for row in EXPLAINED.values() for template in row.says]
    for who in SPEAKERS:
        rows = sorted(
            ((shown(template), row) for template, row in said if speaker(template) == who),
            key=lambda pair: (pair[0].lower(), pair[1].code),
        )
        yield f"## {who}"
        yield ""
        yield from table(("text", "what it means, and what to do", "look with"), (_line(*pair) for pair in rows))
        yield ""


def _line(said: str, row: Row) -> tuple[str, ...]:
    escaped = said.replace("|", "\\|")
    return f"`{escaped}`", f"[{row.title}]({_place(row)}): {row.hint}".replace("|", "\\|"), f"`{LOOK[row.code]}`"


def _place(row: Row) -> str:
    return f"findings/{row.code}.md" if isinstance(row, FindingKind) else f"#{row.code}"


def _own() -> Iterator[str]:
    """What has no page of its own."""
    yield "## What is no finding"
    yield ""
    yield "No check of Passgate sees these beforehand."
    for trouble in TROUBLES:
        yield f"\n### {trouble.code}\n\n{trouble.title}.\n\n{trouble.cause}\n"
        yield f"In short: {trouble.hint}.\n\n{trouble.remedy}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
