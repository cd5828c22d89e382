"""The snapshot that was taken on the host, replayed here by another Python."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.house import ROOT
from tests.vmhost.inside import replay
from tests.vmhost.report import Report

pytestmark = pytest.mark.vmhost

PASSGATE = "from hostdev.cli.main import run; raise SystemExit(run())"
PATHS = {"PYTHONPATH": f"{ROOT / 'xml'}:{ROOT}", "NO_COLOR": "1", "LANG": "C.UTF-8"}


@pytest.mark.parametrize("scenario", ["a_snapshot_replays"])
@pytest.mark.parametrize("command", replay.COMMANDS)
def test_a_snapshot_says_what_the_host_said(command: str, scenario: str, report: Report) -> None:
    assert not report.failure(scenario), report.failure(scenario)
    directory = report.boots[scenario].share / replay.DIRECTORY

    said = subprocess.run(
        [sys.executable, "-c", PASSGATE, *replay.command(command, replay.SNAPSHOT)],
        cwd=directory,
        env=PATHS,
        check=False,
        capture_output=True,
        text=True,
    )

    assert said.returncode == (command in replay.FAILING), said.stderr
    assert said.stdout.replace(replay.SNAPSHOT, replay.LIVE) == (directory / command).read_text()
