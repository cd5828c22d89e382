"""`passgate node show` and `passgate node doctor`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from domxml.errors import ExitCode
from tests.hostdev.cli.running import MACHINES, PCI_IDS, Ran, host, machine

NAMES = ("--pci-ids", PCI_IDS)


@pytest.mark.parametrize(
    ("name", "address"), [("consumer-gpu", "01:00.0"), ("two-socket-x710", "3b:00.0"), ("two-socket-x710", "3b:02.4")]
)
def test_a_device_as_it_was(
    name: str, address: str, cli: Callable[..., Ran], golden: Callable[[str, str], None]
) -> None:
    ran = cli("node", "show", address, *host(name), *NAMES)

    assert ran.code == 0
    golden(f"show-{name}-{address.replace(':', '-')}.txt", ran.out)


@pytest.mark.parametrize("name", sorted(file.stem for file in MACHINES.glob("*.toml")))
def test_every_device_can_be_shown(name: str, cli: Callable[..., Ran]) -> None:
    for address in machine(name).functions:
        ran = cli("node", "show", str(address), *host(name), *NAMES)

        assert ran.code == 0
        assert ran.out.startswith(str(address))
        assert "\n  passthrough   " in ran.out


def test_findings_are_complete_and_the_worst_comes_first(cli: Callable[..., Ran]) -> None:
    words = ("node", "show", "3b:00.0", *host("two-socket-x710"))
    findings = json.loads(cli(*words, "-o", "json").out)["passthrough"]["findings"]
    text = cli(*words).out

    assert findings
    for finding in findings:
        assert f"{finding['message']} [{finding['code']}]" in text
        assert finding["hint"] in text
        assert all(f"seen: {seen['file']}: {seen['content']}" in text for seen in finding["evidence"])
    severities = [line.split()[0] for line in text.splitlines() if line.startswith(("ERROR", "WARNING", "INFO"))]
    assert severities == sorted(severities, key=["ERROR", "WARNING", "INFO"].index)


def test_the_doctor_as_it_was(cli: Callable[..., Ran], golden: Callable[[str, str], None]) -> None:
    ran = cli("node", "doctor", "01:00.0", *host("consumer-gpu"))

    assert ran.code == ExitCode.FINDINGS
    golden("doctor.txt", ran.out)


def test_the_doctor_tells_what_is_right(cli: Callable[..., Ran]) -> None:
    ran = cli("node", "doctor", "3b:02.0", *host("two-socket-x710"))

    assert ran.code == ExitCode.DONE
    assert "  PASS     Its IOMMU group can go to a VM" in ran.out
    assert ran.out.splitlines()[-1].endswith(" PASS") or " PASS, " in ran.out.splitlines()[-1]


def test_the_doctor_looks_at_what_is_set_up(cli: Callable[..., Ran]) -> None:
    document = json.loads(cli("node", "doctor", *host("two-socket-x710"), "-o", "json").out)
    subjects = {check["subject"] for check in document["checks"]} - {"host"}

    assert subjects == {str(f.address) for f in machine("two-socket-x710").functions.values() if f.driver == "vfio-pci"}


@pytest.mark.parametrize(("fail_on", "code"), [("error", ExitCode.DONE), ("warning", ExitCode.FINDINGS)])
def test_fail_on(fail_on: str, code: ExitCode, cli: Callable[..., Ran]) -> None:
    words = ("node", "doctor", *host("tesla-t4"), "--fail-on", fail_on)
    severities = {found["severity"] for found in json.loads(cli(*words, "-o", "json").out)["items"]}

    assert cli(*words).code == (code if "warning" in severities else ExitCode.DONE)
    assert "error" not in severities


def test_several_devices_are_shown(cli: Callable[..., Ran]) -> None:
    words = ("node", "show", *host("consumer-gpu"))
    both = cli(*words, "02:00.0", "eno1").out

    assert both == cli(*words, "nvme0n1").out + "\n" + cli(*words, "00:1f.6").out
    group = cli(*words, "1").out
    assert [line.split()[0] for line in group.splitlines() if line.startswith("0000")] == [
        f"0000:01:00.{number}" for number in range(4)
    ]
    assert cli(*words, "gpu").out == cli(*words, "00:02.0", "01:00.0").out


def test_the_document_depends_on_the_words_and_not_on_the_machine(cli: Callable[..., Ran]) -> None:
    def shown(*words: str) -> tuple[str, int]:
        document = json.loads(cli("node", "show", *words, *host("consumer-gpu"), "-o", "json").out)
        return document["kind"], len(document.get("items", [document]))

    assert shown("eno1") == shown("00:1f.6") == ("Device", 1)
    assert shown("5") == ("DeviceList", 1)
    assert shown("eno1", "nvme0n1") == ("DeviceList", 2)
    assert shown("not-gpu", "ethernet") == ("DeviceList", 1)


def test_a_group_is_told_in_sentences(cli: Callable[..., Ran]) -> None:
    out = cli("node", "show", "01:00.0", *host("consumer-gpu")).out

    assert "  group         1, shared with 4 others; 3 block it\n" in out
    assert "  also in it    0000:00:01.0 is a port on pcieport, which shares the group\n" in out
    assert "  also in it    0000:01:00.1 is on snd_hda_intel and blocks the group\n" in out
    assert "  group         5, alone\n" in cli("node", "show", "eno1", *host("consumer-gpu")).out
