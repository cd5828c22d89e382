"""The command line of the driver, and what it prints of a machine without a cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from domxml.errors import BadInput
from hooksidecar.claims.options import Options, parse
from tests.hooksidecar.claims.cluster import DRIVER, MACHINE, NODE, RESOURCE, STATE, UNITS
from tests.hooksidecar.sidecar import environment

NEEDED = ("--state=state.yaml", f"--node={NODE}")


def test_what_is_needed_suffices() -> None:
    assert parse(NEEDED) == Options(state="state.yaml", node=NODE)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((NEEDED[0],), "give it with --node"),
        ((NEEDED[1],), "give a NodeState file"),
        ((*NEEDED, "--host=none"), "without a host"),
        ((*NEEDED, "--host=-"), "standard input"),
        ((*NEEDED, "--once", "--listen=:1"), "serves nothing"),
        *(
            ((*NEEDED, f"--driver={name}"), "is no domain")
            for name in ("Units.dev", "a_b.dev", "-a.dev", "a..dev", "1a.dev", "a/b", "../a", "a" * 64)
        ),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        parse(words)


def test_another_name() -> None:
    assert parse((*NEEDED, "--driver=gpus.example.com")).driver == "gpus.example.com"


def test_what_would_be_published_is_printed(tmp_path: Path) -> None:
    """No API server is named, and there is no kubelet."""
    (tmp_path / "state.yaml").write_text(STATE)
    words = ("--once", f"--node={NODE}", f"--host={MACHINE}", "--state=state.yaml", "--kubelet-dir=k", "--cdi-dir=c")
    command = [sys.executable, "-m", "hooksidecar.claims.main", *words]

    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)["items"]
    assert (one["spec"]["driver"], one["spec"]["nodeName"]) == (DRIVER, NODE)
    values = [device["attributes"][f"{DRIVER}/resource"]["string"] for device in one["spec"]["devices"]]
    assert values == [RESOURCE] * UNITS
    assert {path.name for path in tmp_path.iterdir()} == {"state.yaml"}
    assert "checkpoint-unreadable" in done.stderr, "what pods hold is not known"
