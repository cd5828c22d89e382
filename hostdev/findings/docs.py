"""Pages made from the tables: `python -m hostdev.findings.docs docs` writes findings/ and troubleshooting.md."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from domxml.finding import FindingKind
from hostdev.findings.errors import ERRORS
from hostdev.findings.explain import EXPLAINED, LOOK, Row, advice, nature_of, page, show_template
from hostdev.findings.registry import ALL
from hostdev.findings.rule import Condition
from hostdev.findings.rules import FAMILIES, TROUBLES
from hostdev.findings.trouble import Nature

INDEX = "README.md"
ERROR_PAGE = "errors.md"


def pages() -> Mapping[str, str]:
    """The text of every page by its file name, the index included."""
    written = {f"{code}.md": page(row) for code, row in ALL.items()}
    return {INDEX: "\n".join(_index()) + "\n", ERROR_PAGE: "\n".join(_errors()) + "\n", **written}


def write(directory: Path) -> None:
    """Write every page; what else is in the directory is left alone."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (directory / name).write_text(text, encoding="utf-8")


def _index() -> Iterator[str]:
    yield "# Findings"
    yield ""
    yield "Each finding has a code that never changes. `passgate explain CODE` prints the same page; it also takes"
    yield "the text of an error, or a log on standard input."
    yield ""
    yield from table(("code", "severity", "title"), ((_link(c), str(k.severity), k.title) for c, k in ALL.items()))
    yield ""
    yield "## By the text of the error"
    yield ""
    yield "DEVICE, GROUP and UUID stand for an address, a number and a UUID, … for anything."
    yield ""
    yield from table(("text", "findings"), _by_text())
    yield ""
    yield "[Troubleshooting](../troubleshooting.md) has these texts by who says them, with what to do;"
    yield f"[errors]({ERROR_PAGE}) has the codes of errors that are no findings."


def _errors() -> Iterator[str]:
    yield "# Errors"
    yield ""
    yield "What was wrong with what Passgate was given; it stands in brackets behind the message, and before a refusal."
    yield "These are no findings: no policy passes them over, and `--fail-on` has nothing to do with them."
    yield "`passgate explain CODE` tells the same."
    yield ""
    rows = ((f"`{error.code}`", error.title, error.hint) for error in ERRORS)
    yield from table(("code", "what is wrong", "what to do"), iter(sorted(rows)))


def _by_text() -> Iterator[tuple[str, str]]:
    codes: dict[str, list[str]] = defaultdict(list)
    for code, row in ALL.items():
        for template in row.says:
            codes[show_template(template)].append(code)
    for text in sorted(codes, key=str.lower):
        yield f"`{text}`", ", ".join(_link(code) for code in codes[text])


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """A table in Markdown; a bar of a cell is no border."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        cells = (cell.replace("|", "\\|") for cell in row)
        yield f"| {' | '.join(cells)} |"


def _link(code: str) -> str:
    return f"[{code}]({code}.md)"


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

_INTRO = """\
# Troubleshooting

Every text below is known to `passgate explain`: paste the message, or a whole log.

```sh
passgate explain 'vfio 0000:3b:00.0: group 12 is not viable'
kubectl logs virt-launcher-vm-abcde | passgate explain -
```

DEVICE, GROUP and UUID stand for an address, a number and a UUID, … for anything.
What QEMU and libvirt say arrives in the VMI's events as `server error. command SyncVMI failed: "LibvirtError(…)"`.

## Passgate's own refusals

What the sidecar refuses is an event of the VMI, `SyncFailed`, and begins with a code:

```text
server error. command SyncVMI failed: "… group-not-viable: 0000:01:00.0: group 1 is not viable: …: HINT"
```

- `passgate explain` takes the text as it is.
  [The findings](findings/README.md) have a page for each code, and [errors](findings/errors.md) lists the others.
- `passgate` ends its errors with the code in brackets.
  The logs of the sidecar and of the agent have it as `"code"`.
- `allocation-missing` means that fewer devices were named than the VM's limits ask for.
  Mostly no [allocation file](dialects.md#the-allocation-file) came: neither the agent nor the policy wrote one.
  Or DRA serves the resource, so that there is nothing to write.
  Its [page](findings/allocation-missing.md) tells how to find out why.

## No command is printed

A command that takes a device from its driver is printed only where it is proved that the host does without the device.
`passgate node doctor DEVICE` says PASS, FAIL or UNKNOWN under "The host can do without it".

- Run it as root on the node, outside of any container.
  Others do not see the mounts of process 1, and what processes have open.
- A recording of 0.1.0 does not hold what the proof needs: take a new one with `passgate node snapshot`.
- [host-root-disk](findings/host-root-disk.md), [host-network-device](findings/host-network-device.md) and
  [host-uses-device](findings/host-uses-device.md) tell which layers are looked at.
- [host-use-unknown](findings/host-use-unknown.md) tells which cannot be seen.

## A unit is not offered

`kubectl describe node NODE` counts fewer units than there should be, or none.

- `passgate node units DEVICE` on the node: READY is `yes`, or says what keeps the unit back.
- `passgate node state plan FILE` tells which entry of `spec.offer` finds it.
  `passgate node state status FILE` tells whether it is bound as declared.
- Another plugin may have the name: [offer-name-taken](findings/offer-name-taken.md).
  KubeVirt's own takes it as long as [the KubeVirt object](findings/offer-taken-by-kubevirt.md) leaves it the resource.
- [offer.md](offer.md#why-is-my-unit-not-offered) has all steps, and what becomes of pods meanwhile.
"""


def text() -> str:
    return "\n".join([_INTRO, *_sections(), *_families(), *_own()]).rstrip() + "\n"


def speaker(template: str) -> str:
    """Name the program whose text it is."""
    return next(who for who, pattern in SPEAKERS.items() if re.search(pattern, template))


def _sections() -> Iterator[str]:
    said = [(template, row) for row in EXPLAINED.values() for template in row.says]
    for who in SPEAKERS:
        rows = sorted(
            ((show_template(template), row) for template, row in said if speaker(template) == who),
            key=lambda pair: (pair[0].lower(), pair[1].code),
        )
        yield f"## {who}"
        yield ""
        yield from table(("text", "what it means, and what to do", "look with"), (_line(*pair) for pair in rows))
        yield ""


def _families() -> Iterator[str]:
    """The words of the rules, with what must be true beside them."""
    yield "## The same, and what has no check, by family"
    yield ""
    yield "Loose wordings, which fit several versions."
    yield "*if* names what else must be true; *harmless* and *wrapper* lines are no causes."
    for family, rules in FAMILIES.items():
        said = {
            (show_template(words), rule.code): rule.when for rule in rules for words in rule.words if rule.code in LOOK
        }
        yield f"\n### {family[0].upper()}{family[1:]}\n"
        rows = (_line(words, EXPLAINED[code], when) for (words, code), when in sorted(said.items(), key=_by_words))
        yield from table(("text", "what it means, and what to do", "look with"), rows)
    yield ""


def _by_words(said: tuple[tuple[str, str], tuple[Condition, ...]]) -> tuple[str, str]:
    return said[0][0].lower(), said[0][1]


def _line(said: str, row: Row, when: tuple[Condition, ...] = ()) -> tuple[str, ...]:
    nature = nature_of(row)
    told = "" if nature is Nature.CAUSE else f" *{nature}*"
    asked = " and ".join(condition.asks.rstrip("?") for condition in when)
    text = f"[{row.title}]({_place(row)}): {row.hint}{told}{f' (*if*: {asked})' if asked else ''}"
    return f"`{said}`", text, f"`{LOOK[row.code]}`"


def _place(row: Row) -> str:
    return f"findings/{row.code}.md" if isinstance(row, FindingKind) else f"#{row.code}"


def _own() -> Iterator[str]:
    """What has no page of its own."""
    yield "## What is no finding"
    yield ""
    yield "No check of Passgate sees these beforehand."
    for trouble in TROUBLES:
        yield f"\n### {trouble.code}\n\n{trouble.title}.\n\n{trouble.cause}\n"
        yield "\n\n".join(advice(trouble))


if __name__ == "__main__":
    docs = Path(sys.argv[1])
    write(docs / "findings")
    (docs / "troubleshooting.md").write_text(text(), encoding="utf-8")
