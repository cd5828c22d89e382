"""`passgate fit`, as a user types it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from tests.hostdev.cli.running import ROOT, Ran, environment, host
from tests.hostdev.layout import lay_out
from tests.hostdev.machines.fixtures import fixture
from tests.patience import PATIENCE

DOMAIN = "demo/q35.xml"
CARD = ("fit", DOMAIN, "--device", "01:00.0", *host("consumer-gpu"))
H100 = ("fit", "docs/fit/h100.yaml", "--env-file", "docs/fit/h100.env", *host("hgx-h100"))
OVMF = ("--firmware", "ovmf-2025.02")
VM = ROOT / "docs/fit/h100.yaml"


def test_a_card_that_fits(cli: Callable[..., Ran]) -> None:
    done = cli(*CARD, *OVMF, "--physical-bits", "46")

    assert done.code == 0
    assert "every device gets its addresses" in done.out
    assert re.search(r"1 +256 MiB +64 bit pref\. +0x38", done.out)


def test_cards_that_do_not_fit_are_told_with_numbers_and_a_cure(cli: Callable[..., Ran]) -> None:
    done = cli(*H100, *OVMF, "--physical-bits", "42")

    assert done.code == 1
    assert "some devices get no address" in done.out
    assert "2 functions get no address: 0000:4a:00.0" in done.out
    assert "[bar-window-too-small]" in done.out
    assert "host-passthrough" in done.out


def test_what_is_not_known_is_told_case_by_case(cli: Callable[..., Ran]) -> None:
    done = cli(*H100, "-o", "json")
    document = json.loads(done.out)

    assert done.code == 1
    assert document["outcome"] == "depends"
    assert len(document["depends"]) >= 2
    assert all(one["cases"] for one in document["depends"])
    assert {one["code"] for one in document["findings"]} == {"bar-window-unknown"}


def test_the_document_has_windows_and_functions(cli: Callable[..., Ran]) -> None:
    document = json.loads(cli(*H100, *OVMF, "--physical-bits", "42", "-o", "json").out)

    assert document["kind"] == "Fit"
    assert {"kind": "mem64", "base": 0x38000000000, "size": 512 << 30} in document["windows"]
    cards = [one for one in document["functions"] if one["source"]]
    assert [(one["source"], one["placed"]) for one in cards] == [
        ("0000:19:00.0", True),
        ("0000:1a:00.0", True),
        ("0000:4a:00.0", False),
        ("0000:4b:00.0", False),
    ]
    assert cards[0]["bars"][1] == {"index": 2, "kind": "pref64", "size": 128 << 30, "address": 0x38000000000}
    assert {bar["address"] for bar in cards[3]["bars"]} == {None}


def test_a_vga_card_that_is_too_large_takes_all_of_pci_with_it(cli: Callable[..., Ran], tmp_path: Path) -> None:
    text = (ROOT / "tests/fixtures/machines/consumer-gpu.toml").read_text()
    lines = [line for line in text.splitlines() if "0x000000000014220c" in line]
    start = int(lines[0].split('"')[1].split()[0], 16)
    large = f"0x{start:016x} 0x{start + (256 << 30) - 1:016x} 0x000000000014220c"
    machine = tmp_path / "resized.toml"
    machine.write_text(text.replace(lines[0].split('"')[1], large))
    words = ("fit", DOMAIN, "--device", "01:00.0", "--host", str(machine), *OVMF, "--cpu-vendor", "intel")
    done = cli(*words, "--physical-bits", "40")

    assert done.code == 1
    assert "[bar-window-fatal]" in done.out
    assert cli(*words, "--physical-bits", "46").code == 0


def test_without_a_host_the_sizes_are_unknown(cli: Callable[..., Ran]) -> None:
    done = cli("fit", DOMAIN, "--device", "01:00.0")

    assert done.code == 1
    assert "name it with --host" in done.err
    assert "it is not known what 0000:01:00.0 asks for" in done.out


def test_an_older_recording_has_no_sizes(cli: Callable[..., Ran]) -> None:
    done = cli("fit", DOMAIN, "--device", "3d:02.2", *host("qat"), "-o", "json")

    assert done.code == 1
    (card,) = (one for one in json.loads(done.out)["functions"] if one["source"])
    assert (card["placed"], card["bars"]) == (None, [])


def test_what_a_mediated_device_asks_for_no_file_tells(cli: Callable[..., Ran]) -> None:
    done = cli("fit", "tests/fixtures/domains/q35-vgpu-mdev.xml", *host("tesla-t4"))

    assert done.code == 1
    assert "no file tells them" in done.out


def test_a_domain_without_host_devices(cli: Callable[..., Ran]) -> None:
    done = cli("fit", DOMAIN, "--physical-bits", "46", *OVMF)

    assert (done.code, done.err) == (0, "")


def test_a_device_that_the_host_uses_is_looked_at_all_the_same(cli: Callable[..., Ran]) -> None:
    """Whether it may be given away is another question."""
    assert cli("fit", DOMAIN, "--device", "3b:00.0", *host("tesla-t4"), *OVMF, "--physical-bits", "46").code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--physical-bits", "640"), "no processor has 640 bits"),
        (("--physical-bits", "many"), "physical-bits"),
        (("--firmware", "coreboot-4"), "no firmware that is known"),
        (("--firmware", "/no/such/image.fd"), "cannot read it"),
        (("--firmware", DOMAIN), "no firmware that is known"),
        (("--firmware", "/dev/null"), "no firmware that is known"),
        (("--cpu-vendor", "via"), "via"),
        (("--device", "7f:00.0"), "no such host device"),
    ],
)
def test_what_is_wrong_is_said(words: tuple[str, ...], says: str, cli: Callable[..., Ran]) -> None:
    done = cli(*CARD, *words)

    assert done.code in {2, 5}
    assert says in done.err
    assert done.out == ""


def test_a_file_with_two_vms_is_one_too_many(cli: Callable[..., Ran], tmp_path: Path) -> None:
    both = tmp_path / "two.yaml"
    both.write_text(f"{VM.read_text()}---\n{VM.read_text().replace('name: h100', 'name: other')}")
    done = cli("fit", str(both))

    assert done.code == 2
    assert "holds 2 VMs" in done.err


def test_the_image_of_a_firmware_tells_its_release(cli: Callable[..., Ran], tmp_path: Path) -> None:
    image = tmp_path / "bios.bin"
    image.write_bytes(b"\0" * 4096 + b"SeaBIOS (version 1.16.3-debian-1.16.3-2)\0" + b"1.16.3-debian-1.16.3-2\0")
    done = cli(*CARD, "--firmware", str(image), "--physical-bits", "46", "-o", "json")

    assert json.loads(done.out)["outcome"] == "fits"


@pytest.mark.parametrize("words", [("--physical-bits", "42"), ()])
def test_the_picture_is_well_formed_and_names_every_card(words: tuple[str, ...], cli: Callable[..., Ran]) -> None:
    done = cli(*H100, *(OVMF if words else ()), *words, "-o", "svg")
    texts = [node.text or "" for node in etree.fromstring(done.out.encode()).iter("{*}text")]

    for address in ("0000:19:00.0", "0000:1a:00.0", "0000:4a:00.0", "0000:4b:00.0"):
        assert address in texts
    assert ("without any address" in texts) is bool(words)


AUDIT = """
import sys
opened, started = [], []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
other = ("subprocess", "os.exec", "socket")
sys.addaudithook(lambda event, args: started.append(event) if event.startswith(other) else None)
from hostdev.cli.main import main
code = main(sys.argv[1:])
below = [path.rpartition("/")[2] for path in opened if path.startswith("sys/")]
assert "resource" in below, opened
bad = {"config", "rom", "vpd", "reset", "remove"} & set(below)
bad |= {name for name in below if name.startswith("resource") and name != "resource"}
assert not bad, bad
assert not started, started
raise SystemExit(code)
"""


def test_it_opens_no_register_of_a_device_and_waits_for_nothing(tmp_path: Path) -> None:
    """`config` and `resourceN_resize` wake a device; a FIFO in the place of a file keeps nothing waiting."""
    root = tmp_path / "host"
    lay_out(fixture("consumer-gpu").read_text(), root)
    device = (root / "sys/bus/pci/devices/0000:01:00.0").resolve()
    (device / "config").write_bytes(bytes(256))
    (device / "resource1_resize").write_text("0000000000000fff\n")
    sound = (root / "sys/bus/pci/devices/0000:01:00.1").resolve()
    (sound / "resource").unlink()
    os.mkfifo(sound / "resource")
    words = ["fit", DOMAIN, "--device", "01:00.0", "--host", str(root), *OVMF, "--physical-bits", "46"]
    command = [sys.executable, "-c", AUDIT, *words]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment(), timeout=PATIENCE
    )

    assert done.stderr == ""
    assert done.returncode == 0


KUBEVIRT = """apiVersion: kubevirt.io/v1
kind: KubeVirt
metadata: {name: kubevirt, namespace: kubevirt}
spec:
  configuration:
    permittedHostDevices:
      pciHostDevices: [{pciVendorSelector: "10DE:2330", resourceName: nvidia.com/GH100_H100_SXM5_80GB}]
"""


def test_lint_with_a_machine_judges_what_kubevirt_would_hand_out(cli: Callable[..., Ran], tmp_path: Path) -> None:
    cluster = tmp_path / "kubevirt.yaml"
    cluster.write_text(KUBEVIRT)
    done = cli("lint", "docs/fit/h100.yaml", str(cluster), *host("hgx-h100"), "-o", "json")
    found = [one for one in json.loads(done.out)["items"] if one["code"].startswith("bar-")]

    assert [one["code"] for one in found] == ["bar-window-unknown"]
    assert "physical" in found[0]["message"]
    alone = json.loads(cli("lint", "docs/fit/h100.yaml", *host("hgx-h100"), "-o", "json").out)["items"]
    assert ["which devices of the host are handed out" in one["message"] for one in alone] == [True]
    assert json.loads(cli("lint", "docs/fit/h100.yaml", "-o", "json").out)["items"] == []


def test_inject_and_plan_tell_the_same(cli: Callable[..., Ran]) -> None:
    cards = [word for card in ("19:00.0", "1a:00.0", "4a:00.0", "4b:00.0") for word in ("--device", card)]
    injected = cli("inject", DOMAIN, *cards, *host("hgx-h100"), "-o", "plan")
    planned = cli("plan", *H100[1:], "-o", "json")

    assert re.search("bar-(window-unknown|out-of-reach)", injected.err)
    codes = {one["code"] for one in json.loads(planned.out)["findings"]}
    assert "bar-window-unknown" in codes


def test_node_show_tells_how_many_bits_a_guest_needs(cli: Callable[..., Ran]) -> None:
    done = cli("node", "show", "19:00.0", *host("hgx-h100"))

    assert "one fits from 41 physical bits" in done.out
