"""The tasks of new users: each has its command, which works at the first try and harms nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.house import ROOT
from tests.tasks import TASKS, Task

PROGRAMS = {"passgate": "hostdev.cli.main", "passgate-hook": "hooksidecar.main"}
SHARED = ("deploy", "demo", "docs", "tests")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs under the names that are typed."""
    folder = tmp_path_factory.mktemp("bin")
    for name, module in PROGRAMS.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m {module} "$@"\n')
        program.chmod(0o755)
    return folder


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.row)
def test_the_task_is_done_at_the_first_try(task: Task, programs: Path, tmp_path: Path) -> None:
    if task.needs and shutil.which(task.needs) is None:
        pytest.skip(f"there is no {task.needs}")
    for name in SHARED:
        (tmp_path / name).symlink_to(ROOT / name)
    kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR", "TERM"}}
    paths = {"PATH": f"{programs}:{kept['PATH']}", "PYTHONPATH": f"{ROOT}:{ROOT / 'xml'}"}
    done = subprocess.run(
        ["sh", "-c", task.line],
        cwd=tmp_path,
        env={**kept, **paths, "M": "tests/fixtures/machines"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = done.stdout + done.stderr

    assert done.returncode == task.code, said
    assert [text for text in task.says if text not in said] == [], said
    assert [text for text in task.never if text in said] == [], said
    assert "Traceback" not in said


def test_every_task_is_there() -> None:
    assert Counter(task.row[0] for task in TASKS) == {"A": 15, "B": 14, "C": 14, "D": 13, "E": 3}
    assert len({task.row for task in TASKS}) == len(TASKS)
