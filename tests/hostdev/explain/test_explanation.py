"""Conditions, ranks, places and bounds of explanations."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostdev.explain.explanation import Explained, explain_text, rules_of_rows
from hostdev.findings.explain import EXPLAINED, PLACEHOLDER
from hostdev.findings.rule import Sureness
from hostdev.findings.rules import WRITTEN
from hostdev.findings.trouble import Nature
from tests.hostdev.texts import match_codes

MAP = "kvm: vfio_container_dma_map(0x5, {}, 0x7f) = -22 (Invalid argument)"
EIO = "vfio {}: error getting device from group 7: Input/output error\n"
EIO += "Verify all devices in group 7 are bound to vfio-<bus>"
D3 = "{}: Unable to change power state from D3cold to D0, device inaccessible"
NO_ROOM = "[{}.123456] pci 0000:0a:00.0: BAR 1: no space for [mem size 0x2000000000 64bit pref]\n"
LINE = "[{}.123456] vfio 0000:3b:00.0: group 12 is not viable\n"


def root(text: str) -> Explained:
    return explain_text(text).items[0]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (MAP.format("0x380000000000, 0x3000"), "guest-address-width"),
        (MAP.format("0xfee00000, 0x1000"), "reserved-region"),
        (MAP.format("0xfd00000000, 0x1000"), "reserved-region"),
        ("vfio: Region 0000:3b:00.0 BAR 1: " + MAP.format("0x380000000000, 0x3000"), "peer-mapping-failed"),
        (EIO.format("7ece9ff1-b292-474e-aaf4-58e863ae2053"), "vgpu-manager-refused"),
        (EIO.format("0000:3b:00.0"), "device-off-bus"),
        (EIO.format("0000:3b:00.0").replace("Input/output error", "No such device"), "not-bound-to-vfio"),
        (D3.format("vfio-pci 0000:01:00.0"), "device-asleep"),
        (D3.format("nvidia 0000:01:00.0"), "lost-after-rebind"),
        ("0/1 nodes are available: 1 Insufficient devices.kubevirt.io/kvm.", "kubevirt-plugin-missing"),
        ("0/1 nodes are available: 1 Insufficient intel.com/qat.", "resource-insufficient"),
        (
            "preCloudInitIso hook\npanic: runtime error: invalid memory address or nil pointer dereference",
            "cloud-init-missing",
        ),
    ],
)
def test_a_condition_decides(text: str, code: str) -> None:
    assert root(text).code == code


@pytest.mark.parametrize(
    "text",
    [
        "0/1 nodes are available: 1 Insufficient memory.",
        "panic: runtime error: invalid memory address or nil pointer dereference",
        "eth0: NIC Link is Down",
        "group of people is not happy",
        "QEMU: qemu unexpectedly closed the monitor: qemu-kvm: -blockdev x: Could not open 'a': Permission denied",
        "error adding container to network cbr0: failed to delegate add",
        "open /dev/sda: Device or resource busy",
        "dma_map of the sound card failed",
        "write error: No space left on device",
        "the device is in use by a user",
        "systemd: code=exited, status=43",
        "usb 1-1: error 43: the country has code 43",
        "No such file or directory",
        "the device group of our department is not viable",
        "process exited while connecting to monitor: qemu-kvm: unable to map backing store for guest RAM",
        "[1.0] NVRM: Xid (PCI:0000:01:00): 13, Graphics Exception: Shader Program Header 11 Error",
        "virError(Code=84, Domain=10, Message='Operation not supported: Cannot migrate empty or read-only disk sda')",
        "cluster [WRN] Health check update: 3 slow ops, oldest one blocked for 65 sec, daemons [osd.12] (SLOW_OPS)",
        "network is not ready: NetworkReady=false reason:NetworkPluginNotReady message:cni config uninitialized",
        "libvirtd: error : virNetSocketReadWire:1791 : End of file while reading data: Input/output error",
    ],
)
def test_what_only_looks_like_it(text: str) -> None:
    assert match_codes(text) == ()


def test_what_cannot_be_judged_is_asked() -> None:
    items = explain_text("VFIO_MAP_DMA failed: Invalid argument").items

    assert {item.code for item in items} == {"guest-address-width", "reserved-region"}
    assert all(item.sureness is Sureness.ONE_OF and item.open for item in items)


def test_every_rule_has_two_wordings_or_a_row_that_has_them() -> None:
    lone = [rule.code for rule in WRITTEN if len({w for r in WRITTEN if r.code == rule.code for w in r.words}) < 2]
    rows = [rule.code for rule in rules_of_rows()]

    assert [code for code in lone if code not in rows] == []


EVERY = (*WRITTEN, *rules_of_rows())
OVER = {code: {other for rule in EVERY if rule.code == code for other in rule.over} for code in EXPLAINED}
SAMPLES = {
    "device": "0000:3b:00.0",
    "group": "12",
    "uuid": "7ece9ff1-b292-474e-aaf4-58e863ae2053",
    "cdev": "vfio0",
    "resource": "intel.com/qat",
    "any": " x7 ",
}


@pytest.mark.parametrize("code", EXPLAINED)
def test_wordings_lead_to_their_rule_and_no_other_takes_them_without_a_rank(code: str) -> None:
    for rule in EVERY:
        for words in rule.words if rule.code == code else ():
            text = PLACEHOLDER.sub(lambda found: SAMPLES[found[1]], words)
            items = [item for item in explain_text(text).items if item.nature is Nature.CAUSE]
            shared = {other.code for other in EVERY if words in other.words}
            certain = {item.code for item in items if item.sureness is Sureness.CERTAIN}
            codes = {item.code for item in explain_text(text).items}

            assert rule.when or codes & {code, *(before for before in OVER if code in OVER[before])}, (words, codes)
            assert len(certain) < 2, (words, certain)
            assert {other for other in certain - {code} - shared if code not in OVER[other]} == set(), words


def test_a_log_has_lines_times_and_the_root_first() -> None:
    log = "".join(map(LINE.format, range(3))) + "[9.1] vfio-pci 0000:3b:00.0: resetting\n" + LINE.format(10)
    items = explain_text("[0.1] vfio-pci 0000:3b:00.0: enabling device (0000 -> 0003)\n" + log).items

    assert [item.code for item in items] == ["group-not-viable", "ordinary-line"]
    assert (items[0].lines, items[0].times) == ((2, 3, 4, 6), 4)
    assert items[0].values.addresses == ("0000:3b:00.0",)
    assert items[1].lines == (1, 5)


def test_words_that_a_terminal_broke() -> None:
    text = "Message='internal error: QEMU: vfio 0000:3b:00.0: group 12 is not viable\nPlease ensure all devices'"
    for width in (41, 50, 61):
        broken = "\n".join(text[at : at + width] for at in range(0, len(text), width))
        assert match_codes(broken) == ("group-not-viable",), broken


@pytest.mark.parametrize(
    "line", [LINE, D3.format("[{}.123456] vfio-pci 0000:01:00.0") + "\n", NO_ROOM, "{} nothing of ours here\n"]
)
def test_a_long_log_takes_a_second(line: str) -> None:
    text = "".join(map(line.format, range(20_000)))
    began = time.process_time()
    explain_text(text)
    assert time.process_time() - began < 2.5

    tracemalloc.start()
    explain_text(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20


@pytest.mark.parametrize("text", ["vfio group ", "[", "\x1b]", "a:", "> "])
def test_hostile_text_takes_no_longer(text: str) -> None:
    began = time.process_time()
    explain_text(text * 200_000)
    assert time.process_time() - began < 5


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    explanation = explain_text(text)
    assert bool(explanation.items) != bool(explanation.unknown)
