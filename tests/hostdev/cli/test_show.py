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
