"""The forms in which texts are pasted: what a terminal, a log's format, a web page or a mail did to them."""

from __future__ import annotations

import html
import json
import textwrap
import time
from collections.abc import Callable

import pytest

from hostdev.explain.explanation import explain_text
from tests.hostdev.texts import match_codes

TEXTS = {
    "group-not-viable": (
        "internal error: QEMU unexpectedly closed the monitor: 2024-01-01T00:00:00.000000Z qemu-kvm: -device "
        "vfio-pci,host=0000:3b:00.0,id=hostdev0: vfio 0000:3b:00.0: group 12 is not viable\n"
        "Please ensure all devices within the iommu_group are bound to their vfio bus driver."
    ),
    "resource-insufficient": (
        "  Warning  FailedScheduling  14m (x2 over 14m)   default-scheduler  0/2 nodes are available: 2 Insufficient "
        "nvidia.com/TU104GL_Tesla_T4. preemption: 0/2 nodes are available: 2 No preemption victims found."
    ),
    "memlock-not-raised": (
        "server error. command SyncVMI failed: \"LibvirtError(Code=1, Domain=10, Message='internal error: QEMU "
        "unexpectedly closed the monitor: qemu-kvm: -device vfio-pci,host=0000:3b:00.0: vfio 0000:3b:00.0: failed to "
        "setup container for group 12: memory listener initialization failed: Region pc.ram: vfio_dma_map(0x55d5, 0x0, "
        "0x80000000, 0x7f) = -12 (Cannot allocate memory)')\""
    ),
    "device-asleep": (
        "[586739.359281] vfio-pci 0000:01:00.0: Unable to change power state from D3cold to D0, device inaccessible"
    ),
}


def wrapped(text: str, width: int, glue: str = "\n") -> str:
    return glue.join(line[at : at + width] for line in text.split("\n") for at in range(0, len(line), width))


def lines(text: str, before: str, after: str = "") -> str:
    return "\n".join(f"{before}{line}{after}" for line in text.split("\n"))


def folded(text: str, width: int, indent: str = "") -> str:
    return "\n".join(f"\n{indent}".join(textwrap.wrap(line, width)) for line in text.split("\n"))


def partial(text: str) -> str:
    parts = wrapped(text, 60).split("\n")
    flags = ["P"] * (len(parts) - 1) + ["F"]
    return "\n".join(
        f"2024-07-23T08:50:11.1+02:00 stderr {flag} {part}" for flag, part in zip(flags, parts, strict=True)
    )


FORMS: dict[str, Callable[[str], str]] = {
    "CRLF": lambda text: text.replace("\n", "\r\n") + "\r\n",
    "80 columns": lambda text: wrapped(text, 80),
    "40 columns": lambda text: wrapped(text, 40),
    "80 columns with CRLF": lambda text: wrapped(text, 80, "\r\n"),
    "80 columns, blanks at the rim lost": lambda text: "\n".join(one.rstrip() for one in wrapped(text, 80).split("\n")),
    "80 columns in a mail": lambda text: lines(wrapped(text, 80), "> "),
    "words wrapped in a mail of a mail": lambda text: lines(folded(text, 70), "> > "),
    "words wrapped and indented": lambda text: folded(text, 60, "      "),
    "a box": lambda text: "\n".join(f"│ {one.ljust(80)} │" for one in wrapped(text, 80).split("\n")),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "journalctl -o json": lambda text: json.dumps({"PRIORITY": "3", "MESSAGE": text, "SYSLOG_IDENTIFIER": "kernel"}),
    "journalctl -o json, as bytes": lambda text: json.dumps({"PRIORITY": "3", "MESSAGE": list(text.encode())}),
    "virt-launcher": lambda text: json.dumps({"component": "virt-launcher", "level": "error", "reason": text}),
    "klog": lambda text: f'E0917 22:08:26.94    1618 pod_workers.go:65] "Error" err={json.dumps(text)} pod="a/b"',
    "logfmt": lambda text: f'time="2024-07-23T08:50:11Z" level=error msg={json.dumps(text)}',
    "containerd": lambda text: lines(text, "2024-07-23T08:50:11.123456789+02:00 stderr F "),
    "containerd, cut": partial,
    "docker": lambda text: "\n".join(json.dumps({"log": f"{one}\n", "stream": "stderr"}) for one in text.split("\n")),
    "kubectl logs --prefix": lambda text: lines(text, "[pod/virt-launcher-a-xyz12/compute] "),
    "grep -n": lambda text: lines(text, "logs/compute.log:117:"),
    "diff": lambda text: lines(text, "+"),
    "Slack": lambda text: f"```\n{text}\n```",
    "Markdown": lambda text: lines(text, "> `", "`  "),
    "links of Markdown": lambda text: text.replace("vfio-pci", "[vfio-pci](https://host.example/vfio-pci)"),
    "a web page": lambda text: f"<pre><code>{html.escape(text).replace(' ', '&nbsp;')}</code></pre>",
    "a web page in a web page": lambda text: html.escape(html.escape(text)).replace("\n", "<br/>"),
    "quotes by number": lambda text: html.escape(text).replace("&quot;", "&#34;"),
    "Go's JSON of a web page": lambda text: (
        json.dumps(f"<b>{text}</b>").replace("<", "\\u003c").replace(">", "\\u003e")
    ),
    "typographic": lambda text: text.replace("'", "\u2019").replace('"', "\u201d").replace("-", "\u2011"),
    "full width": lambda text: text.replace(":", "\uff1a").replace("(", "\uff08"),
    "blanks that do not break": lambda text: text.replace(" ", "\u00a0"),
    "invisible": lambda text: text.replace("/", "/\u2060").replace(" ", " \u200b"),
    "colours": lambda text: text.replace(" ", "\x1b[0m \x1b[1;32m"),
    "a YAML block": lambda text: "  - message: |-\n" + lines(text, "      "),
    "kubectl describe": lambda text: (
        "Events:\n  Type  Reason  Age  From  Message\n  Warning  SyncFailed  3s  x  " + text
    ),
}


@pytest.mark.parametrize("code", TEXTS)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_hides_nothing(form: str, code: str) -> None:
    assert match_codes(FORMS[form](TEXTS[code]))[:1] == (code,)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Fehler: interner Fehler: Gerät 0000:3b:00.0 kann nicht zurückgesetzt werden", "German"),
        ("bash: echo: Schreibfehler: Nicht genügend Hauptspeicher verfügbar", "German"),
        ("错误\uff1a内部错误\uff1a无法重置 PCI 设备 0000:3b:00.0", "Chinese"),
        ("エラー: ドメインの起動に失敗しました", "Japanese"),
        ("erreur : Impossible de détacher le périphérique PCI", "French"),
        ("ошибка: не удалось отключить устройство pci_0000_3b_00_0", "Russian"),
    ],
)
def test_a_translation_is_called_one(text: str, language: str) -> None:
    unknown = explain_text(text).unknown

    assert unknown is not None
    assert language in unknown.layer
    assert "LC_ALL=C" in unknown.where


def test_what_a_program_did_not_translate_is_explained() -> None:
    assert match_codes("Fehler: interner Fehler: vfio 0000:3b:00.0: group 12 is not viable") == ("group-not-viable",)


def test_lines_that_were_cut_keep_their_numbers() -> None:
    text = "first\n" + partial(TEXTS["device-asleep"]) + "\n[1.0] vfio-pci 0000:01:00.0: reset done"
    items = explain_text(text).items

    assert [(item.code, item.lines) for item in items] == [("device-asleep", (2,)), ("ordinary-line", (4,))]


@pytest.mark.parametrize(
    "part",
    [
        *("&amp;", "&#x27;", "&#" + "9" * 5000 + ";", "<p ", "</div", '"MESSAGE":[1,2', "\ufdfa", "\uff1a"),
        *("2024-01-01T00:00:00Z stderr P abc\n", "pci:1:", "0000:3b:00.0/", "name:a,namespace:", "a/virt-launcher-"),
    ],
)
def test_hostile_parts_take_no_longer(part: str) -> None:
    began = time.process_time()
    explain_text(part * ((1 << 20) // len(part)))
    assert time.process_time() - began < 4
