"""`passgate fleet`: what is printed of many nodes, how it ends, and that strangers' names stay names."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from domxml.errors import ExitCode
from tests.hostdev.cli.running import COMMAND, ROOT, Ran, environment
from tests.hostdev.cli.validator import errors, schema
from tests.hostdev.fleet.fleets import NOW, snapshot_text, write_fleet

FLEET = "tests/fixtures/fleet/before"
AFTER = "tests/fixtures/fleet/after"
FILES = ("tests/fixtures/fleet/vm.yaml", "tests/fixtures/fleet/kubevirt.yaml")
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
HOSTILE = ("\x1b[31mred", "<script>alert(1)<", "a b;c$(id)", "Ünïcode", "\u202eesrever")


def test_every_node_has_a_line(cli: Callable[..., Ran]) -> None:
    ran = cli("fleet", "list", "--from", FLEET)

    assert ran.code == ExitCode.DONE
    assert [line.split()[0] for line in ran.out.splitlines()] == [
        *("NODE", "desk-1", "gpu-1", "gpu-2", "net-1", "net-2", "old-1")
    ]
    assert "note: 6 nodes, units: 36 ready, 44 blocked" in ran.err


def test_a_directory_that_stands_alone_is_told_how_to_name(cli: Callable[..., Ran]) -> None:
    ran = cli("fleet", "list", FLEET)

    assert (ran.code, f"hint: a directory is named with --from '{FLEET}'" in ran.err) == (ExitCode.USAGE, True)


def test_forms_say_the_same(cli: Callable[..., Ran]) -> None:
    whole = json.loads(cli("fleet", "list", "--from", FLEET, "-o", "json").out)
    lines = cli("fleet", "list", "--from", FLEET, "-o", "jsonl").out.splitlines()
    names = cli("fleet", "list", "--from", FLEET, "-o", "name").out.split()
    table = cli("fleet", "list", "--from", FLEET, "-o", "csv", "--columns", "node,ready,blocked").out.splitlines()

    assert [json.loads(line) for line in lines] == whole["items"]
    assert names == [item["node"] for item in whole["items"]]
    counts = [(item["node"], item["units"]["ready"], item["units"]["blocked"]) for item in whole["items"]]
    assert table == ["node,ready,blocked", *(f"{node},{ready},{blocked}" for node, ready, blocked in counts)]


def test_names_of_strangers_are_only_printed(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    write_fleet(tmp_path, dict.fromkeys(HOSTILE, "hgx-h100"))
    (tmp_path / "\x1b[2Jnotes.md").write_text("")
    for words in (
        ("list",),
        ("list", "-o", "wide"),
        ("list", "-o", "name"),
        ("find", "gpu", "-o", "name"),
        ("find", "gpu"),
        ("why", *FILES),
        ("capacity", *FILES),
    ):
        ran = cli("fleet", *words, "--from", str(tmp_path))

        assert ran.code == ExitCode.DONE, ran.err
        assert not {"\x1b", "\u202e"} & set(ran.out + ran.err)
        assert "<script>alert(1)<" in ran.out
    nodes = json.loads(cli("fleet", "list", "--from", str(tmp_path), "-o", "json").out)
    assert {item["node"] for item in nodes["items"]} == set(HOSTILE)


def test_files_that_are_no_snapshots_are_told_and_the_rest_goes_on(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    write_fleet(tmp_path, {"good": "vmd"})
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / "cut.toml").write_text(snapshot_text("vmd")[:500])
    (tmp_path / "later.toml").write_text("format = 2\n")
    for words in (("list",), ("find",), ("why", *FILES), ("capacity", *FILES), ("compare", FLEET)):
        place = (str(tmp_path),) if words[0] == "compare" else ("--from", str(tmp_path))
        ran = cli("fleet", *words, *place)

        assert ran.code == ExitCode.DONE
        assert "README.md: is a file that is not named NODE.toml, and was passed over [snapshot-unreadable]" in ran.err
        assert "Traceback" not in ran.err
    listed = cli("fleet", "list", "--from", str(tmp_path), "--fail-on", "error", "-o", "json")
    assert listed.code == ExitCode.FINDINGS
    document = json.loads(listed.out)
    assert list(errors(document, schema("fleetnodelist.json"))) == []
    assert [item["units"] is None for item in document["items"]] == [True, False, True]


def test_a_fleet_of_nothing_is_said(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    ran = cli("fleet", "list", "--from", str(tmp_path))

    assert (ran.code, ran.out.split()) == (ExitCode.DONE, ["NODE", "READY", "HELD", "BLOCKED", "BY", "AGE"])
    assert "has no snapshots: `passgate fleet collect --out" in ran.err
    missing = cli("fleet", "list", "--from", str(tmp_path / "missing"))
    assert (missing.code, "[no-fleet]" in missing.err) == (ExitCode.USAGE, True)


def test_two_snapshots_of_one_boot_are_told(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    write_fleet(tmp_path, {"old-name": "vmd", "new-name": "vmd"}, boot="ab" * 16)
    write_fleet(tmp_path, {"other": "vmd"}, boot="cd" * 16)

    ran = cli("fleet", "list", "--from", str(tmp_path), "--fail-on", "warning", "--max-age", "any")

    assert ran.code == ExitCode.FINDINGS
    assert "old-name: was taken in the same boot of the same machine as new-name [snapshot-twice]" in ran.err
    assert "other" not in ran.err


def test_an_old_snapshot_says_how_old_it_is(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    (tmp_path / "n.toml").write_text(snapshot_text("hgx-h100", taken=NOW.replace(year=2020)))
    words = ("fleet", "why", *FILES, "--from", str(tmp_path))

    assert "snapshot-stale" in cli(*words).out
    assert json.loads(cli(*words, "-o", "json").out)["items"][0]["verdict"] == "unknown"
    assert json.loads(cli(*words, "-o", "json", "--max-age", "any").out)["items"][0]["verdict"] == "yes"
    assert cli(*words, "--max-age", "soon").code == ExitCode.USAGE


def test_an_expression_that_cannot_be_read_is_shown_with_its_place(cli: Callable[..., Ran]) -> None:
    ran = cli("fleet", "find", "--from", FLEET, "class=gpu", "colour=red")

    assert ran.code == ExitCode.USAGE
    assert ran.err.splitlines()[:3] == [
        "class=gpu colour=red",
        "          ^",
        "error: at 11: there is no selector 'colour' [bad-expression]",
    ]


def test_nothing_that_fits_is_said(cli: Callable[..., Ran]) -> None:
    ran = cli("fleet", "find", "--from", FLEET, "id=ffff:ffff")

    assert (ran.code, ran.out) == (ExitCode.DONE, "")
    assert "note: no device of 6 nodes fits" in ran.err


def test_a_vm_finds_its_node(cli: Callable[..., Ran]) -> None:
    ran = cli("fleet", "why", *FILES, "--from", FLEET)

    assert ran.out.splitlines()[1].split()[:2] == ["gpu-1", "yes"]
    assert cli("fleet", "why", *FILES, "--from", FLEET, "--fail-on", "error").code == ExitCode.DONE
    assert cli("fleet", "why", *FILES, "--from", FLEET, "--fail-on", "warning").code == ExitCode.FINDINGS
    tainted = cli("fleet", "why", *FILES, "--from", FLEET, "--nodes", "tests/fixtures/fleet/nodes.json", "-o", "wide")
    assert "does not tolerate its taint example.com/maintenance:NoSchedule" in tainted.out
    assert "change the node's labels or taints" in tainted.out


def test_capacity_adds_up(cli: Callable[..., Ran]) -> None:
    document = json.loads(cli("fleet", "capacity", *FILES, "--from", FLEET, "-o", "json").out)

    assert (document["atLeast"], document["atMost"]) == (4, 4)
    assert sum(item["atLeast"] for item in document["items"]) == 4
    unknown = json.loads(cli("fleet", "capacity", FILES[0], "--from", FLEET, "-o", "json").out)
    assert (unknown["atLeast"], unknown["atMost"]) == (0, None)
    assert unknown["unknown"] == ["nothing that was given says which devices nvidia.com/H100 stands for"]
    none = cli("fleet", "capacity", FILES[0], "--from", FLEET, "--fail-on", "error")
    assert none.code == ExitCode.FINDINGS


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("why", "tests/fixtures/fleet/kubevirt.yaml"), "bad-vmi"),
        (("why", FILES[0], "deploy/examples/qat/vm.yaml"), "bad-vmi"),
        (("why", *FILES, "--nodes", FILES[0]), "bad-nodes"),
        (("why", *FILES, "--resource", "x"), "bad-usage"),
        (("capacity", "missing.yaml"), "unreadable-file"),
        (("why", "tests/fixtures/machines/vmd.toml"), "bad-vmi"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(
    words: tuple[str, ...], code: str, cli: Callable[..., Ran]
) -> None:
    ran = cli("fleet", *words, "--from", FLEET)

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert f"[{code}]" in ran.err
    assert "hint:" in ran.err


def test_an_upgrade_is_one_line_a_change(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write_fleet(old, {f"n{number}": "two-socket-x710" for number in range(8)})
    shutil.copytree(old, new)
    for file in new.iterdir():
        text = file.read_text().replace('osrelease = "6.12.57+deb13-amd64"', 'osrelease = "6.18.1"')
        file.write_text(text.replace("intel_iommu=on", "intel_iommu=off"))
    (new / "n7.toml").rename(new / "n8.toml")

    ran = cli("fleet", "compare", str(old), str(new), "--fail-on", "error")

    lines = [line.split() for line in ran.out.splitlines()[1:]]
    assert ["info", "kernel-changed", "7", "7"] in [line[:4] for line in lines]
    assert [note for note in ran.err.splitlines() if "came" in note or "gone" in note] == [
        "note: 1 came: n8",
        "note: 1 gone: n7",
    ]
    document = json.loads(cli("fleet", "compare", str(old), str(new), "-o", "json").out)
    assert (document["came"], document["gone"], len(document["items"])) == (["n8"], ["n7"], 7)
    assert {one["code"]: len(one["nodes"]) for one in document["summary"]}["kernel-changed"] == 7
    assert cli("fleet", "compare", str(old), str(old)).out == "nothing changed\n"
    write_fleet(old, {"n1": "two-socket-x710"}, boot="ab" * 16)
    again = json.loads(cli("fleet", "compare", str(old), str(old), "-o", "json").out)
    assert [one["old"]["boot"] for one in again["items"]][1] == again["items"][1]["new"]["boot"] == "ab" * 16
    wide = cli("fleet", "compare", str(old), str(new), "-o", "wide").out
    assert sum("kernel-changed" in line for line in wide.splitlines()) == 7


def test_two_hundred_nodes_need_little_memory(tmp_path: Path) -> None:
    write_fleet(tmp_path, {f"n{number:03}": ("qat", "hgx-h100")[number % 2] for number in range(200)})

    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, *COMMAND, "fleet", "list", "--from", str(tmp_path), "-o", "name"],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    *names, kilobytes = ran.stdout.split()
    assert len(names) == 200
    assert int(kilobytes) < 150 << 10
