"""What people posted: each text leads first to the cause that was settled, and what is not ours to nothing."""

from __future__ import annotations

import json

import pytest

from hostdev.explain.explanation import explain_text
from hostdev.findings.rule import Sureness
from hostdev.findings.trouble import Nature
from tests.house import ROOT

FIELD = json.loads((ROOT / "tests/fixtures/fielderrors/errors.json").read_text(encoding="utf-8"))
TABLE = {one["id"]: one for one in FIELD}


@pytest.mark.parametrize("name", TABLE)
def test_a_posted_text_leads_to_its_cause(name: str) -> None:
    items = explain_text(TABLE[name]["text"]).items

    assert (items[0].code if items else None) == TABLE[name]["code"]


@pytest.mark.parametrize("name", TABLE)
def test_the_explanation_says_what_was_settled(name: str) -> None:
    items = explain_text(TABLE[name]["text"]).items
    if not TABLE[name]["expect"]:
        assert items == ()
        return
    row = items[0].row
    said = f"{row.code} {row.title} {row.cause} {row.hint} {row.remedy}".lower()

    assert any(word.lower() in said for word in TABLE[name]["expect"]), said


@pytest.mark.parametrize("name", [name for name, one in TABLE.items() if one["code"]])
def test_the_same_in_a_mail_or_a_terminal(name: str) -> None:
    text = TABLE[name]["text"]
    for form in (
        "\n".join(f"> {line}" for line in text.splitlines()),
        "\n".join(f"\x1b[31m{line}\x1b[0m" for line in text.splitlines()),
        "\n".join(f"│ {line} │" for line in text.splitlines()),
        f"before\n{text}\nafter",
        text.upper(),
    ):
        assert TABLE[name]["code"] in [item.code for item in explain_text(form).items], form


@pytest.mark.parametrize("name", [name for name, one in TABLE.items() if not one["code"]])
def test_what_is_not_ours_is_said_not_to_be(name: str) -> None:
    unknown = explain_text(TABLE[name]["text"]).unknown

    assert unknown is not None
    assert (unknown.ours, bool(unknown.layer), bool(unknown.where)) == (False, True, True)


def test_one_sentence_of_libvirt_has_its_causes() -> None:
    items = explain_text(TABLE["l01"]["text"]).items

    assert {"vfio-not-in-pod", "hotplug-disk-beside-device", "no-iommu", "vfio-module-missing"} <= {
        item.code for item in items
    }
    assert [item.sureness for item in items[1:]] == [Sureness.ONE_OF] * 4


@pytest.mark.parametrize(
    ("name", "nature"), [("k04", Nature.HARMLESS), ("n06", Nature.WRAPPER), ("l16", Nature.WRAPPER)]
)
def test_what_is_no_cause(name: str, nature: Nature) -> None:
    assert explain_text(TABLE[name]["text"]).items[0].nature is nature
