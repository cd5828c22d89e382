"""Each finding about allocations: it is made, it fits an event, and its page is linked from the dialects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from domxml.errors import SENTENCE_LIMIT, Refused
from hostdev import allocation
from hostdev.allocation.allocation import Gathered, merge
from hostdev.allocation.dialects import DIALECTS
from hostdev.allocation.dra import from_metadata
from hostdev.allocation.env_file import from_env_file
from hostdev.allocation.network_info import from_network_info
from hostdev.findings.allocation import KINDS
from hostdev.findings.registry import ALL
from tests.hostdev.allocation.given import A, B, environment

RESOURCE = "vendor.example.com/a_rather_long_name_of_a_pool-01"
NAME = "PCI_RESOURCE_VENDOR_EXAMPLE_COM_A_RATHER_LONG_NAME_OF_A_POOL-01"
LONG = "x" * 500
MANY = ",".join(f"0000:3d:{slot:02x}.0" for slot in range(30))

CASES: Mapping[str, Gathered] = {
    "device-name-unreadable": environment({NAME: ",".join(f"{LONG}{n}" for n in range(9))}, {RESOURCE: 9}),
    "device-not-for-vfio": environment({NAME: ",".join(f"mlx5_core.sf.{n}" for n in range(9))}, {RESOURCE: 9}),
    "variable-unreadable": environment({f"{NAME}_INFO": "{"}, {RESOURCE: None}),
    "allocation-file-unreadable": from_network_info(b"{"),
    "resource-name-ambiguous": environment({NAME: A}, {RESOURCE: 1, RESOURCE.replace(".", "_"): 1}),
    "fewer-than-requested": environment({"PCI_RESOURCE_AMD_COM_GPU_VF": MANY}, {"amd.com/gpu_vf": 99}),
    "more-than-requested": environment({f"PCI_RESOURCE_NVIDIA_COM_{LONG}": MANY}, {f"nvidia.com/{LONG}": 1}),
    "device-in-two-resources": environment({NAME: A, f"{NAME}B": A}, {RESOURCE: 1, f"{RESOURCE}b": 1}),
    "channels-disagree": merge(
        from_env_file(f"{NAME}={MANY}".encode(), {RESOURCE: 30}), environment({NAME: B}, {RESOURCE: None})
    ),
    "unknown-dialect": environment({LONG: A}),
    "network-without-device": from_network_info(json.dumps({"interfaces": [{"network": LONG}]}).encode()),
    "claim-not-one-device": from_metadata(
        {
            f"claim/{LONG}/{driver}-metadata.json": json.dumps(
                {"apiVersion": "metadata.resource.k8s.io/v1alpha1", "requests": [{"name": LONG, "devices": [{}]}]}
            ).encode()
            for driver in "abc"
        }
    ),
}


def test_every_code_has_a_case_and_is_in_the_table() -> None:
    assert set(CASES) == {kind.code for kind in KINDS}
    assert {kind.code for kind in KINDS} <= set(ALL)


def test_every_row_is_used() -> None:
    folder = Path(allocation.__file__).parent
    source = "\n".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py"))

    assert set(re.findall(r"\b([A-Z_]+)\.found\(", source)) == {kind.code.upper().replace("-", "_") for kind in KINDS}


@pytest.mark.parametrize("code", CASES)
def test_its_sentence_fits_an_event_however_long_the_names(code: str) -> None:
    found = [finding for finding in CASES[code].findings if finding.code == code]

    assert found
    for finding in found:
        refusal = Refused(finding.code, finding.message, subject=finding.subject[:80], hint=finding.hint)
        assert finding.message.isprintable()
        assert len(finding.message) < SENTENCE_LIMIT
        assert len(refusal.sentence()) < SENTENCE_LIMIT
        assert all(len(evidence.content) <= 200 for evidence in finding.evidence)


def test_the_page_of_dialects_is_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "dialects.md").read_text(encoding="utf-8")
    rows = [
        f"| {row.plugin} | {', '.join(f'`{name}`' for name in row.variables)} | `{row.example}` | "
        f"{'; '.join(habit for habit in (row.more, row.fewer) if habit) or '-'} |"
        for row in DIALECTS
    ]

    table = page.partition("| plugin |")[2].partition("\n\n")[0].splitlines()[2:]

    assert table == rows


def test_the_page_of_dialects_leads_to_pages_that_exist() -> None:
    page = (Path(__file__).parents[3] / "docs" / "dialects.md").read_text(encoding="utf-8")

    linked = set(re.findall(r"\(findings/([a-z-]+)\.md\)", page))

    assert linked <= set(ALL)
    assert len(linked) > 5
