"""The table of models that are known for trouble: its rows, its page, and which kernels it is about."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from domxml.finding import Finding, Severity
from hostdev.gate.check import check
from hostdev.gate.device import VENDORS
from hostdev.inventory.knownbad import MODELS, Model
from tests.hostdev.gate.build import at, function, machine
from tests.hostdev.gate.build import vf as vf_of
from tests.house import ROOT

D = "0000:65:00.0"


def row(model: Model) -> str:
    """A line of the page."""
    devices = sorted(model.devices)
    ids = f"{devices[0]:04x} to {devices[-1]:04x}" if isinstance(model.devices, range) else None
    ids = ids or ", ".join(f"{device:04x}" for device in devices)
    since = f"{model.fixed[0]}.{model.fixed[1]}" if model.fixed else "-"
    return (
        f"| {model.name} | `{model.vendor:04x}:` {ids} | {model.trouble} | {since} | {model.helps} | {model.source} |"
    )


def found(vendor: int, device: int, release: str = "6.12.1") -> list[Finding]:

    host = machine(function(D, vendor=vendor, device=device))
    host = replace(host, kernel=replace(host.kernel, release=release))
    return [one for one in check(host, [at(D)]) if one.code == "known-bad-device"]


def test_the_page_has_every_row() -> None:
    page = (ROOT / "docs/vitals.md").read_text()

    assert [model.name for model in MODELS if row(model) not in page] == [], "\n".join(map(row, MODELS))


def test_the_rule_knows_all_vendors() -> None:
    assert {model.vendor for model in MODELS} == VENDORS


def test_no_device_is_in_two_rows() -> None:
    ids = Counter((model.vendor, device) for model in MODELS for device in model.devices)

    assert [one for one, count in ids.items() if count > 1] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_kernel_with_the_remedy_is_not_told(model: Model) -> None:
    device = min(model.devices)
    if model.fixed is None:
        (finding,) = found(model.vendor, device, "7.2.0")
        assert finding.severity is Severity.WARNING
        return
    major, minor = model.fixed
    assert found(model.vendor, device, f"{major}.{minor}.0") == []
    (finding,) = found(model.vendor, device, f"{major}.{minor - 1}.99")
    assert finding.severity is Severity.INFO
    assert "unless the distribution has its fix" in finding.message


def test_a_finding_names_its_source() -> None:
    (finding,) = found(0x1002, 0x687F)

    assert "Vega 10" in finding.message
    assert "vendor-reset" in finding.evidence[-1].file


def test_a_vf_is_another_device() -> None:
    pf = function("0000:66:00.0", vendor=0x1002, device=0x75A3, total_vfs=8, num_vfs=1, driver="gim")
    vf = vf_of("0000:66:02.0", "0000:66:00.0", vendor=0x1002, device=0x75B3, group=44)

    assert [one for one in check(machine(pf, vf), [at("0000:66:02.0")]) if one.code == "known-bad-device"] == []
