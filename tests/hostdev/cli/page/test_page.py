"""The page as text: what is in it, and that no name of a stranger is more than a name."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
import zlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import NotPermitted
from hostdev.cli.drawing import svg
from hostdev.cli.drawing.scene import Scene
from hostdev.cli.fleet.survey import Moment
from hostdev.cli.page.content import KINDS, kind_of
from hostdev.cli.page.page import SCRIPTS, draw_fleet, fleet_content, json_in_html, page_text, write_page
from hostdev.findings.explain import explain
from hostdev.fleet.node import State
from hostdev.fleet.snapshots import find_snapshots
from hostdev.inventory import pciids
from tests.browser.fleets import CLOSING, RACK, STRANGE, WHY, rack
from tests.hostdev.cli.running import PCI_IDS, ROOT, process
from tests.hostdev.fleet.fleets import NOW, snapshot_text, write_fleet

NAMES = pciids.namer(str(ROOT / PCI_IDS))
ASSETS = ROOT / "hostdev/cli/page"


def content_of(directory: Path, **more: Any) -> dict[str, Any]:
    moment = Moment(NOW, None)
    return fleet_content(draw_fleet(find_snapshots(str(directory)), moment, NAMES), moment, **more)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return content_of(rack(tmp_path_factory.mktemp("rack")), why=WHY)


def node(content: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in content["nodes"] if one["name"] == name)


def test_it_has_every_node_and_says_how_old_it_is(content: dict[str, Any]) -> None:
    assert [one["name"] for one in content["nodes"]] == sorted(RACK)
    assert node(content, "edge-1")["age"] == "60m"
    assert node(content, "arm-1")["age"] == ""
    assert "snapshot-age-unknown" in {one["code"] for one in node(content, "arm-1")["findings"]}


def test_the_tree_is_that_of_node_draw(content: dict[str, Any]) -> None:
    def lines(branches: list[Any]) -> list[str]:
        return [
            line
            for label, below in branches
            for line in ["".join(part if isinstance(part, str) else part[0] for part in label), *lines(below)]
        ]

    drawn = process("node", "draw", "--host", "tests/fixtures/machines/qat.toml", "--pci-ids", PCI_IDS).out
    bare = [re.sub(r"^[| `-]*", "", line).rstrip() for line in drawn.splitlines()]

    assert [line.rstrip() for line in lines(node(content, "edge-1")["tree"])] == bare


def test_the_picture_is_that_of_node_draw(content: dict[str, Any], tmp_path: Path) -> None:
    from hostdev.fleet.snapshots import read_node  # noqa: PLC0415

    (only,) = find_snapshots(str(write_fleet(tmp_path, {"edge-2": "qat"}))).snapshots
    expected = svg.draw(Scene.of(read_node(only).machine, NAMES, "group"))

    assert zlib.decompress(base64.b64decode(node(content, "edge-2")["picture"])).decode() == expected


def test_units_are_in_the_order_that_the_script_knows(content: dict[str, Any]) -> None:
    (listed,) = re.findall(r"UNIT = \[(.*?)\]", (ASSETS / "model.js").read_text(), re.DOTALL)
    names = re.findall(r'"(\w+)"', listed)
    (listed,) = re.findall(r"STATES = \[(.*?)\];", (ASSETS / "elements.js").read_text(), re.DOTALL)
    states = re.findall(r'name: "(\w+)"', listed)
    units = [dict(zip(names, unit, strict=True)) for unit in node(content, "net-1")["units"]]

    assert states == list(State)
    assert [unit["primary"] for unit in units if states[unit["state"]] == "held"] == ["0000:3b:02.1", "0000:3b:02.3"]
    (held, *_) = [unit for unit in units if states[unit["state"]] == "held"]
    assert held["holders"] == ["/sys/bus/pci/devices/0000:3b:02.1/enable is 1"]
    assert list(KINDS)[held["kind"]] == "nic"


@pytest.mark.parametrize(
    ("class_code", "kind"),
    [
        (0x030200, "gpu"),
        (0x020700, "nic"),
        (0x010802, "nvme"),
        (0x010601, "storage"),
        (0x0B4000, "crypto"),
        (0xFF0000, "other"),
    ],
)
def test_kinds(class_code: int, kind: str) -> None:
    assert kind_of(class_code) == kind


def test_every_code_has_its_page(content: dict[str, Any]) -> None:
    named = {code for one in content["nodes"] for unit in one["units"] for code in unit[-2]}

    assert named
    assert named | {"snapshot-age-unknown"} <= set(content["pages"])
    assert content["pages"]["group-not-viable"]["page"] == explain("group-not-viable")


def test_what_is_no_snapshot_is_told(tmp_path: Path) -> None:
    write_fleet(tmp_path, {"a": "qat"})
    (tmp_path / "b.toml").write_text("format = 9")
    (tmp_path / "notes.txt").write_text("")
    found = content_of(tmp_path)

    assert [one["name"] for one in found["nodes"]] == ["a"]
    assert {one["subject"] for one in found["broken"]} == {"b.toml", "notes.txt"}
    assert "snapshot-unreadable" in found["pages"]


def test_a_snapshot_that_is_too_old_is_told(tmp_path: Path) -> None:
    fleet = find_snapshots(str(write_fleet(tmp_path, {"a": "qat"})))
    moment = Moment(NOW, timedelta(minutes=30))
    found = fleet_content(draw_fleet(fleet, moment, NAMES), moment)

    assert [one["code"] for one in found["nodes"][0]["findings"]] == ["snapshot-stale"]


@given(st.text() | st.sampled_from(["</script>", "<!--", "]]>", "\u2028\u2029", "&lt;", "\udc80"]))
def test_json_holds_no_letter_that_means_something_to_html(text: str) -> None:
    written = json_in_html({text: [text]})

    assert json.loads(written) == {text: [text]}
    assert not set("<>&\u2028\u2029") & set(written)
    assert written.isascii()


def test_names_of_strangers_stay_in_the_data(tmp_path: Path) -> None:
    (tmp_path / f"{STRANGE}.toml").write_text(
        snapshot_text("qat").replace('osrelease = "6.12.57+deb13-amd64"', f'osrelease = "{CLOSING}"')
    )
    text = page_text(content_of(tmp_path, why={"vm": CLOSING, "items": []}))

    assert text.count("<script") == text.count("</script>") == 2
    assert "<img" not in text
    assert "\u2028" not in text
    assert "harm=1" in text


def test_the_policy_names_what_runs_and_nothing_is_loaded(content: dict[str, Any]) -> None:
    text = page_text(content)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    for tag in ("style", "script"):
        (inner,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    shell = text.partition('id="data">')[0]
    assert re.findall(r"(?:src|href)=\"(?!#|data:,)[^\"]*", shell) == []
    assert "style=" not in shell
    for name in (*SCRIPTS, "page.css"):
        assert not re.search(r"https?://|@import|innerHTML|eval\(|document\.write", (ASSETS / name).read_text()), name


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    content = content_of(write_fleet(tmp_path / "fleet", {"a": "qat"}))
    file = tmp_path / "page.html"
    file.write_text("old")
    os.umask(umask := os.umask(0))
    write_page(str(file), content)

    assert file.read_text().startswith("<!doctype html>")
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fleet", "page.html"]
    with pytest.raises(NotPermitted, match="cannot be written: No such file or directory"):
        write_page(str(tmp_path / "none/page.html"), content)
    with pytest.raises(NotPermitted, match="cannot be written: Is a directory"):
        write_page(str(tmp_path / "fleet"), content)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fleet", "page.html"]


def test_a_page_is_written_by_list_and_by_why(tmp_path: Path) -> None:
    fleet = "tests/fixtures/fleet"
    asked = ("why", f"{fleet}/vm.yaml", f"{fleet}/kubevirt.yaml", "--nodes", f"{fleet}/nodes.json")
    for words in (("list",), asked):
        file = tmp_path / f"{words[0]}.html"
        ran = process("fleet", *words, "--from", f"{fleet}/before", "--html", str(file))
        (data,) = re.findall(r'id="data">(.*?)</script>', file.read_text())
        content = json.loads(data)

        assert ran.code == 0
        assert ran.out == ""
        assert f"note: {file} shows 6 nodes; any browser opens it\n" in ran.err
        assert len(content["nodes"]) == 6
        if words[0] == "why":
            assert content["why"]["vm"] == "ml/trainer"
            verdicts = json.loads(process("fleet", *words, "--from", f"{fleet}/before", "-o", "json").out)["items"]
            assert [(one["node"], one["verdict"]) for one in content["why"]["items"]] == [
                (one["node"], one["verdict"]) for one in verdicts
            ]


def test_a_page_and_a_document_are_not_asked_for_at_once() -> None:
    ran = process("fleet", "list", "--from", "tests/fixtures/fleet/before", "--html", "x.html", "-o", "json")

    assert ran.code == 2
    assert "error: --html writes a page, and -o json prints something else [bad-usage]" in ran.err


def test_a_page_ends_as_the_list_does(tmp_path: Path) -> None:
    write_fleet(tmp_path / "fleet", {"a": "qat"})
    (tmp_path / "fleet/b.toml").write_text("format = 9")
    words = ("fleet", "list", "--from", str(tmp_path / "fleet"), "--fail-on", "error")

    assert process(*words).code == process(*words, "--html", str(tmp_path / "x.html")).code == 1
