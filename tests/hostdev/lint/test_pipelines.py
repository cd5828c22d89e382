"""The hooks and the job that docs/lint.md shows, run as git, pre-commit and a pipeline would run them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hostdev.lint.run import vm
from tests.house import ROOT

PAGE = (ROOT / "docs/lint.md").read_text(encoding="utf-8")
WRONG = vm(devices="{gpus: [{name: g}]}")


def block(begins: str) -> str:
    blocks: list[str] = re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL)
    return next(text for text in blocks if text.startswith(begins))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of git, and `passgate` on the path of what runs in it."""
    program = tmp_path / "bin/passgate"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hostdev.cli.main "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    shell(work, "git init -q . && git config user.email a@example.org && git config user.name a")
    return work


def shell(directory: Path, line: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "PATH": f"{directory.parent / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'xml'}",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    return subprocess.run(["sh", "-c", line], cwd=directory, env=env, capture_output=True, text=True, check=False)


def test_the_hook_of_git_stops_a_commit(repository: Path) -> None:
    hook = repository / ".git/hooks/pre-commit"
    hook.write_text(block("#!/bin/sh"), encoding="utf-8")
    hook.chmod(0o755)

    (repository / "my vm.yaml").write_text(WRONG, encoding="utf-8")
    stopped = shell(repository, "git add -A && git commit -qm x")
    (repository / "my vm.yaml").write_text(vm(), encoding="utf-8")
    passed = shell(repository, "git add -A && git commit -qm x")

    assert (stopped.returncode, passed.returncode) == (1, 0), passed.stderr
    assert "device-refused" in stopped.stdout + stopped.stderr


def test_the_hook_of_pre_commit_is_given_the_names_of_files(repository: Path) -> None:
    (hook,) = [hook for repo in yaml.safe_load(block("repos:"))["repos"] for hook in repo["hooks"]]
    (repository / "a.yaml").write_text(WRONG, encoding="utf-8")
    (repository / "b.json").write_text('{"kind": "Pod"}', encoding="utf-8")

    assert (hook["language"], hook["types_or"]) == ("system", ["yaml", "json"])
    assert shell(repository, f"{hook['entry']} a.yaml b.json").returncode == 1
    assert shell(repository, f"{hook['entry']} b.json").returncode == 0


def test_the_job_of_a_pipeline(repository: Path) -> None:
    steps: list[dict[str, Any]] = yaml.safe_load(block("name: lint"))["jobs"]["vms"]["steps"]
    lines = [step["run"] for step in steps if "passgate lint" in step.get("run", "")]
    (repository / "a.yaml").write_text(WRONG, encoding="utf-8")
    ran = shell(repository, lines[0])

    assert len(lines) == 1
    assert ran.returncode == 1
    assert ran.stdout.startswith("::error file=./a.yaml,line=")


@pytest.mark.parametrize("line", block("passgate lint . --kubevirt").splitlines())
def test_the_reports(repository: Path, line: str) -> None:
    (repository / "a.yaml").write_text(vm(), encoding="utf-8")

    assert shell(repository, line).returncode == 0
    assert (repository / shlex.split(line)[-1]).read_text(encoding="utf-8")
