"""`passgate fleet collect`: from files, by a command, through kubectl; each file whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from domxml.errors import ExitCode
from tests.hostdev.cli.running import COMMAND, ROOT, Ran, environment
from tests.hostdev.cli.validator import errors, schema
from tests.hostdev.fleet.fleets import HOUR, NOW, snapshot_text, write_fleet
from tests.hostdev.machines.fixtures import fixture
from tests.hostdev.why.fakekubectl import calls, write_kubectl
from tests.patience import PATIENCE

EVIL = "../../evil"


def pod(name: str, node: str, phase: str = "Running") -> dict[str, object]:
    """A pod of the agent."""
    metadata = {"name": name, "namespace": "passgate"}
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}, "status": {"phase": phase}}


def node(name: str) -> dict[str, object]:
    return {"kind": "Node", "metadata": {"name": name}}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts a kubectl that answers so into PATH."""

    def put(*objects: dict[str, object], **ways: Any) -> Path:
        directory = write_kubectl(tmp_path / "bin", objects, **ways)
        monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)
        return directory

    return put


def collect(cli: Callable[..., Ran], out: Path, *words: str) -> Ran:
    return cli("fleet", "collect", "--out", str(out), *words)


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def test_agents_of_a_cluster_are_asked(tmp_path: Path, cli: Callable[..., Ran], cluster: Callable[..., Path]) -> None:
    text = snapshot_text("vmd", taken=NOW - HOUR)
    asked = cluster(
        *(pod("a1", "n1"), pod("a2", "n2"), pod("a3", "n3", "Pending"), pod("a4", EVIL), node("n1"), node("n9")),
        answers={"passgate node snapshot": text},
    )

    ran = collect(cli, tmp_path / "out", "--kubectl")

    assert ran.code == ExitCode.FINDINGS
    assert names(tmp_path / "out") == ["n1.toml", "n2.toml"]
    assert (tmp_path / "out/n1.toml").read_text() == text
    assert (tmp_path / "out/n1.toml").stat().st_mode & 0o777 == 0o644
    assert "2 of 5 snapshots written to" in ran.out
    assert sorted(line.removeprefix("error: ") for line in ran.err.splitlines()) == [
        f"{EVIL}: its name cannot be that of a file [node-not-collected]",
        "n3: its agent, the pod a3, is Pending, not Running [node-not-collected]",
        "n9: no agent runs on it [node-not-collected]",
    ]
    assert ["exec", "a1", "-c", "agent", "-n", "passgate", "--", "passgate", "node", "snapshot"] in calls(asked)


def test_a_context_and_nodes_are_taken(tmp_path: Path, cli: Callable[..., Ran], cluster: Callable[..., Path]) -> None:
    asked = cluster(pod("a1", "n1"), pod("a2", "n2"), answers={"passgate node snapshot": snapshot_text("vmd")})

    ran = collect(cli, tmp_path / "out", "--kubectl", "prod", "n1", "--keep-identity", "-o", "json")

    assert ran.code == ExitCode.DONE
    assert names(tmp_path / "out") == ["n1.toml"]
    assert all("--context" in call and "prod" in call for call in calls(asked))
    assert any(call[-1] == "--keep-identity" for call in calls(asked))
    assert (tmp_path / "out/n1.toml").stat().st_mode & 0o777 == 0o600, "it has serial numbers"
    document = json.loads(ran.out)
    assert list(errors(document, schema("fleetcollection.json"))) == []
    assert [(one["node"], one["collected"]) for one in document["items"]] == [("n1", True)]
    wrong = collect(cli, tmp_path / "out", "--kubectl", "prod", "n3")
    assert "n3: there is no node of that name with an agent (known: n1, n2)" in wrong.err


@pytest.mark.parametrize(
    ("ways", "end"),
    [
        ({"forbidden": ["pods"]}, (ExitCode.NOT_PERMITTED, "not-allowed")),
        ({"unreachable": 1}, (ExitCode.HOST_UNREADABLE, "no-cluster")),
        ({"hangs": ["pods"]}, (ExitCode.HOST_UNREADABLE, "gave no answer within 1 s")),
        ({"garbage": ["pods"]}, (ExitCode.HOST_UNREADABLE, "something that is no JSON")),
        ({}, (ExitCode.USAGE, "no-agent")),
    ],
)
def test_a_cluster_that_tells_nothing_gets_a_sentence(
    ways: Mapping[str, Any],
    end: tuple[ExitCode, str],
    tmp_path: Path,
    cli: Callable[..., Ran],
    cluster: Callable[..., Path],
) -> None:
    cluster(**ways)

    ran = collect(cli, tmp_path / "out", "--kubectl", "--deadline", "1")

    assert (ran.code, end[1] in ran.err, "\x1b" in ran.err) == (end[0], True, False)


@pytest.mark.parametrize(
    ("ways", "what"),
    [
        ({"hangs": ["exec"]}, "gave no answer within 1 s"),
        ({"forbidden": ["exec"]}, "forbidden"),
        ({"answers": {"passgate": "\x1b[2Jgarbage"}}, "answered with something that is no snapshot (not TOML"),
        ({"answers": {"passgate": snapshot_text("vmd")[:900]}}, "answered with something that is no snapshot"),
        ({}, "container not found"),
    ],
)
def test_a_node_that_does_not_answer_keeps_its_file(
    ways: Mapping[str, Any], what: str, tmp_path: Path, cli: Callable[..., Ran], cluster: Callable[..., Path]
) -> None:
    cluster(pod("a1", "n1"), node("n1"), **ways)
    out = write_fleet(tmp_path / "out", {"n1": "vmd", "gone": "vmd"})
    before = (out / "n1.toml").read_text()

    ran = collect(cli, out, "--kubectl", "--deadline", "1")

    assert ran.code == ExitCode.FINDINGS
    assert "\x1b" not in ran.err
    line, *notes = ran.err.splitlines()
    assert line.startswith("error: n1: ")
    assert what in line
    assert "its file is kept, and is of 2026-11-28T11:00:00Z [node-not-collected]" in line
    assert notes == ["note: gone.toml was not asked for now, and is of 2026-11-28T11:00:00Z"]
    assert (names(out), (out / "n1.toml").read_text()) == (["gone.toml", "n1.toml"], before)


def test_a_command_is_run_for_each_node_and_no_shell(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    source = write_fleet(tmp_path / "in", {"n1": "vmd", "n2": "group-zero"})
    evil = "n1;touch x"

    ran = collect(cli, tmp_path / "out", "--exec", f"cat '{source}/{{node}}.toml'", "n1", "n2", "n3", evil, "--", "-f")

    assert ran.code == ExitCode.FINDINGS
    assert names(tmp_path / "out") == ["n1.toml", "n2.toml"]
    assert f"{evil}: its name cannot be that of a file" in ran.err
    assert "-f: its name cannot be that of a file" in ran.err
    assert f"n3: `cat` ended with 1: cat: {source}/n3.toml: No such file or directory" in ran.err


def test_files_are_taken_if_they_are_snapshots(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    source = write_fleet(tmp_path / "in", {"n1": "vmd"})
    (source / "bad.toml").write_text("x")

    ran = collect(cli, tmp_path / "out", str(source), str(fixture("group-zero")), str(tmp_path / "missing.toml"))

    assert names(tmp_path / "out") == ["group-zero.toml", "n1.toml"]
    assert "bad: answered with something that is no snapshot" in ran.err
    assert "missing: " in ran.err
    assert collect(cli, tmp_path / "out", str(source), str(source / "n1.toml")).code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "bad-usage"),
        (("--kubectl", "--exec", "cat {node}"), "bad-usage"),
        (("--exec", "cat nodes", "n1"), "bad-usage"),
        (("--exec", "cat {node}"), "bad-usage"),
        (("--exec", "cat '{node}", "n1"), "bad-usage"),
        (("--exec", "no-such-program {node}", "n1"), "program-missing"),
        (("--exec", "cat {node}", "--keep-identity", "n1"), "bad-usage"),
        (("--deadline", "0", "x"), "bad-usage"),
    ],
)
def test_what_cannot_be_collected_from_is_refused(
    words: tuple[str, ...], code: str, tmp_path: Path, cli: Callable[..., Ran]
) -> None:
    ran = collect(cli, tmp_path / "out", *words)

    assert (ran.code, f"[{code}]" in ran.err, "hint:" in ran.err) == (ExitCode.USAGE, True, True)


def test_where_nothing_can_be_written_it_is_said(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    (tmp_path / "file").write_text("")

    assert "[not-written]" in collect(cli, tmp_path / "file", str(fixture("vmd"))).err
    assert "[no-directory]" in collect(cli, tmp_path / "a/b", str(fixture("vmd"))).err


def test_an_interrupt_leaves_nothing_half_and_ends_what_runs(tmp_path: Path) -> None:
    source, out = write_fleet(tmp_path / "in", {"n1": "vmd"}), tmp_path / "out"
    script = tmp_path / "slow"
    script.write_text(f"#!/bin/sh\n[ $1 = n1 ] && exec cat {source}/n1.toml\necho $$ >{tmp_path}/pid\nsleep 60\n")
    script.chmod(0o755)
    words = [sys.executable, *COMMAND[1:], "fleet", "collect", "--out", str(out), "--exec", f"{script} {{node}}"]
    with subprocess.Popen([*words, "n1", "n2"], cwd=ROOT, env=environment(), stderr=subprocess.PIPE) as process:
        until = time.monotonic() + PATIENCE
        while not ((tmp_path / "pid").exists() and (out / "n1.toml").exists()) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=PATIENCE)

    assert (process.returncode, told) == (130, b"")
    assert names(out) == ["n1.toml"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
