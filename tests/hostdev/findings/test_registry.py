"""The table of findings, its pages, and the way from an error text to a finding."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domxml.errors import BadInput
from domxml.finding import FindingKind, Severity
from hostdev.findings.docs import ERROR_PAGE, INDEX, pages, write
from hostdev.findings.explain import explain, show_template
from hostdev.findings.registry import ALL, _merged, kind
from tests.hostdev.texts import fill_template, match_codes
from tests.house import ROOT

DOCS = ROOT / "docs" / "findings"

QEMU = (
    "error: internal error: process exited while connecting to monitor: 2026-11-20T23:42:30.481196Z "
    'qemu-system-x86_64: -device {"driver":"vfio-pci","host":"0000:05:00.0","id":"hostdev0","bus":"pci.1"}: '
    "vfio 0000:05:00.0: group 15 is not viable\n"
    "Please ensure all devices within the iommu_group are bound to their vfio bus driver."
)


def test_the_pages_are_those_of_the_table() -> None:
    there = {file.name: file.read_text(encoding="utf-8") for file in DOCS.iterdir()}
    wanted = pages()
    assert sorted(there) == sorted(wanted), "run: python -m hostdev.findings.docs docs"
    assert [name for name in wanted if there[name] != wanted[name]] == []


def test_the_pages_are_what_explain_prints(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "hostdev.findings.docs", str(tmp_path)], check=True)
    findings = tmp_path / "findings"
    assert (findings / "group-not-viable.md").read_text(encoding="utf-8") == explain("group-not-viable")
    assert {file.name for file in findings.iterdir()} == {
        INDEX,
        ERROR_PAGE,
        *(f"{code}.md" for code in ALL),
    }


def test_writing_leaves_other_files_alone(tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text("mine", encoding="utf-8")
    write(tmp_path)
    assert other.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("row", ALL.values(), ids=ALL)
def test_a_row_is_complete(row: FindingKind) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", row.code)
    for text in (row.title, row.cause, row.hint, row.remedy):
        assert text
        assert text == text.strip()
    assert not row.title.endswith(".")
    assert not row.hint.endswith(".")
    assert re.search(r"[.`|]$", row.cause)


@pytest.mark.parametrize("row", ALL.values(), ids=ALL)
def test_no_remedy_binds_by_new_id(row: FindingKind) -> None:
    assert not re.search(r">\s*\S*new_id", row.remedy)


@pytest.mark.parametrize("row", ALL.values(), ids=ALL)
def test_a_page_says_everything(row: FindingKind) -> None:
    text = explain(row.code)
    assert text.startswith(f"# {row.code}\n")
    for part in (row.title, row.cause, row.hint, row.remedy, f"**{row.severity}**", *map(show_template, row.says)):
        assert part in text


def test_the_index_lists_every_finding_and_every_text() -> None:
    index = pages()[INDEX]
    for code, row in ALL.items():
        assert f"| [{code}]({code}.md) | {row.severity} | {row.title} |" in index
        for template in row.says:
            assert f"| `{show_template(template)}` |" in index


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("group-not-viabel", "did you mean group-not-viable?"),
        ("noiommu", "no-iommu"),
        ("not-bound", "not-bound-to-vfio"),
        ("xyzzy", "lists them all"),
    ],
)
def test_an_unknown_code_names_the_nearest(text: str, hint: str) -> None:
    with pytest.raises(BadInput) as refused:
        explain(text)
    assert hint in refused.value.hint
    assert refused.value.code == "unknown-finding"


def test_a_code_is_found_in_any_case() -> None:
    assert kind(" Group-Not-Viable\n").code == "group-not-viable"


def test_two_rows_with_one_code_are_a_mistake() -> None:
    row = FindingKind("a-b", Severity.INFO, "t", "c.", "h", "r")
    with pytest.raises(ValueError, match="one code"):
        _merged((row,), (row,))


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (QEMU, {"group-not-viable"}),
        ("group 43 is not viable", {"group-not-viable"}),
        ("GROUP 43  is\nnot viable", {"group-not-viable"}),
        ("Unmanaged PCI device 0000:01:10.2 must be manually detached from the host", {"not-bound-to-vfio"}),
        ("PCI device 0000:01:10.0 is in use by driver QEMU, domain good", {"device-in-use"}),
        ("vfio 0000:3b:02.1: failed to open /dev/vfio/43: Device or resource busy", {"device-in-use"}),
        ("vfio 0000:3b:02.1: no iommu_group found: No such file or directory", {"no-iommu-group", "vf-without-group"}),
        ("error: An error occurred, but the cause is unknown", {"cause-not-said"}),
        ("vfio 0000:af:04.7: failed to open /dev/vfio/vfio: Permission denied", {"vfio-node-missing"}),
        ("Invalid PCI address 0000:01:02.0. slot must be <= 0", {"guest-address-impossible"}),
        ("Attempted double use of PCI Address 0000:00:05.0", {"guest-address-taken"}),
        ("vfio", set()),
        ("", set()),
        ("the weather is fine, and every VM runs", set()),
    ],
)
def test_a_pasted_text_leads_to_its_findings(text: str, codes: set[str]) -> None:
    assert set(match_codes(text)) == codes


def test_a_log_leads_to_all_of_its_findings() -> None:
    log = "\n".join(["starting up", QEMU, "x" * 300, "vfio 0000:05:00.0: device is already attached", "shutting down"])
    assert set(match_codes(log)) == {"group-not-viable", "duplicate-device"}


def test_quotes_of_another_kind_are_the_same() -> None:
    assert "device-in-use" in match_codes("Could not open \u2018/dev/vfio/43\u2019: Device or resource busy")


@pytest.mark.parametrize("row", [row for row in ALL.values() if row.says], ids=lambda row: row.code)
@settings(max_examples=20)
@given(data=st.data())
def test_the_words_of_a_row_are_recognised_with_any_value(row: FindingKind, data: st.DataObject) -> None:
    values = {
        "device": "{:04x}:{:02x}:{:02x}.{}".format(
            *(data.draw(st.integers(0, top)) for top in (0xFFFFF, 0xFF, 0x1F, 7))
        ),
        "group": str(data.draw(st.integers(0, 9999))),
        "uuid": str(data.draw(st.uuids())),
        "cdev": f"vfio{data.draw(st.integers(0, 99))}",
        "any": data.draw(st.sampled_from(["x", "0x5 0x6", "igb, 7", "0000:01:00.0"])),
    }
    template = data.draw(st.sampled_from(row.says))
    text = fill_template(template, values)
    assert text is not None
    assert "{" not in text
    assert row.code in match_codes(f"before {text} after")


def test_a_text_is_filled_only_when_every_word_is_known() -> None:
    assert fill_template("group {group} of {device}", {"group": "4"}) is None
    assert fill_template("group {group}", {"group": "4"}) == "group 4"
