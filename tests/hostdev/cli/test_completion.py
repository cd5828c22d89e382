"""Completion: what is offered, and that real shells offer it."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from hostdev.cli.commands import table
from hostdev.cli.completion import OTHERS, SCRIPTS, candidates
from hostdev.findings.registry import ALL
from hostdev.vmi.settings import SETTINGS
from tests.hostdev.cli.running import ROOT, Ran, environment, host

QAT = host("qat")[1]


def words(*line: str) -> list[str]:
    return [word for word, _ in candidates(line)]


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        (
            [""],
            [
                "inject",
                "slots",
                "fit",
                "lint",
                "manifest",
                "plan",
                "why",
                "explain",
                "node",
                "fleet",
                "completion",
                "man",
                "help",
            ],
        ),
        (["who"], ["who"]),
        (["--color", "n"], ["never"]),
        (["--color", "never", "node", "sh"], ["show"]),
        (["list", "-o", "w"], ["wide"]),
        (["help", "node", "sh"], ["show"]),
        (["help", "exit"], ["exit-codes"]),
        (["inject", "--device", "3d:02.2,rom.b"], ["3d:02.2,rom.bar="]),
        (["inject", "--device", "3d:02.2,rom.bar="], ["3d:02.2,rom.bar=on", "3d:02.2,rom.bar=off"]),
        (["inject", "--device=3d:02.2,name=x,na"], []),
        (["inject", "--device=3d:02.2,name=x,num"], ["--device=3d:02.2,name=x,numa="]),
        (["inject", "--device", "3d:02.2,numa=h"], ["3d:02.2,numa=host"]),
        (["n"], ["node"]),
        (["--v"], ["--version"]),
        (["node", "s"], ["show", "snapshot", "state"]),
        (["node", "--v"], []),
        (["node", "list", "--co"], ["--columns", "--color"]),
        (["node", "list", "-o", "w"], ["wide"]),
        (["node", "list", "-o", ""], ["table", "wide", "csv", "json", "jsonl", "yaml", "name"]),
        (["node", "list", "--output=j"], ["--output=json", "--output=jsonl"]),
        (["node", "list", "--nonsense=j"], []),
        (["node", "list", "--host", ""], [":file"]),
        (["node", "list", "--debug", "--fail-on", "e"], ["error"]),
        (["node", "compare", ""], [":file"]),
        (["node", "compare", "a", ""], [":file"]),
        (["node", "compare", "a", "b", ""], []),
        (["node", "explain", "group-not-v"], ["group-not-viable"]),
        (["man", ""], [":directory"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["inject", ""], [":file"]),
        (["nothing", ""], []),
        (["node", "watch", "--count", ""], []),
    ],
)
def test_offers(line: list[str], offered: list[str]) -> None:
    assert words(*line) == offered


@pytest.mark.parametrize("option", [["--host", QAT], [f"--host={QAT}"]])
def test_addresses_of_the_host_that_is_meant(option: list[str]) -> None:
    assert words("node", "show", *option, "0000:3d:02.") == [f"0000:3d:02.{function}" for function in range(8)]
    assert words("node", "show", *option, "3d:02.") == [f"3d:02.{function}" for function in range(8)]
    assert words("node", "doctor", *option, "3d:01.0", "3d:00") == ["3d:00.0"]


def test_selectors_are_offered_beside_addresses() -> None:
    assert words("node", "list", "--host", QAT, "3d:01.0", "not-re") == ["not-ready"]
    assert words("node", "list", "--host", QAT, "dri") == ["driver="]
    assert words("node", "groups", "--host", QAT, "gp") == ["gpu"]
    assert words("node", "list", "--host", QAT, "role=p") == ["role=pf"]
    assert words("node", "list", "--host", QAT, "role!=pf,v") == ["role!=pf,vf"]
    assert words("node", "doctor", "--host", QAT, "class=nv") == ["class=nvme", "class=nvswitch"]
    assert {"0000:3d:01.0", "class=", "ready", "not-ready"} < set(words("node", "who", "--host", QAT, ""))
    assert words("node", "list", "--host", QAT, "nothing=") == []


def test_codes_come_with_their_titles() -> None:
    assert candidates(["node", "explain", "no-iommu"])[0] == ("no-iommu", ALL["no-iommu"].title)


def test_every_option_of_every_command_is_offered() -> None:
    for name, command in table.COMMANDS.items():
        offered = words(*name.split(), "--")
        assert offered == [s for a in command.every_option for s in a.names if s.startswith("--")]


@pytest.mark.parametrize(
    ("program", "line", "offered"),
    [
        ("passgate-hook", [""], ["rehearse", "help", "version"]),
        ("passgate-hook", ["--mo"], ["--mode"]),
        ("passgate-hook", ["--mode", ""], ["hook", "plugin"]),
        ("passgate-hook", ["rehearse", "--vm"], ["--vmi"]),
        ("passgate-hook", ["rehearse", "--vmi", ""], [":file"]),
        ("passgate-agent", ["--log-level", "w"], ["warning"]),
        ("passgate-agent", ["--kubelet-dir", ""], [":directory"]),
        ("passgate-claims", ["--state", ""], [":file"]),
        ("onDefineDomain", ["--d"], ["--domain"]),
        ("kubectl-passgate", ["why", "--col"], ["--collect", "--color"]),
        ("nothing", [""], ["help", "version"]),
    ],
)
def test_other_programs_are_completed(
    program: str, line: list[str], offered: list[str], cli: Callable[..., Ran]
) -> None:
    assert [word for word, _ in candidates(line, program)] == offered
    assert cli("__complete_for", program, *line).out.split("\n")[0].split("\t")[0] == offered[0]


def test_every_installed_program_is_completed() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert {"passgate", *OTHERS} == set(scripts)
    assert all(program in script for program in scripts for script in SCRIPTS.values())


def test_trouble_is_silence(cli: Callable[..., Ran]) -> None:
    assert cli("__complete", "node", "show", "--host", "/nowhere", "") == Ran(1, "", "")
    assert cli("__complete") == cli("__complete", "")


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_shell_reads_its_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(SCRIPTS[shell])
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which passgate is this checkout's."""
    script = tmp_path / "bin/passgate"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m hostdev.cli.main "$@"\n')
    script.chmod(0o755)
    return f"{script.parent}:{os.environ['PATH']}"


def typed(shell: list[str], path: str, setup: str, keys: str) -> str:
    """What stands on the screen of a shell after keys were typed."""
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    ours, theirs = pty.openpty()
    env = environment(
        PATH=path, TERM="xterm", HOME=str(Path(path.partition(":")[0]).parent), PS1="$ ", ZDOTDIR="/nonexistent"
    )
    with subprocess.Popen(
        shell, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=env, start_new_session=True
    ) as running:
        os.close(theirs)
        os.write(ours, f"{setup}; echo set''up\r".encode())
        _read(ours, r"(?s)setup\r\n.*\$ ")  # before the next prompt the terminal itself echoes
        # A key is shown when what was typed before it is done: the shell reads one after the other.
        os.write(ours, f"{keys}#".encode())
        screen = _read(ours, "#").rpartition("#")[0]
        os.write(ours, b"\x03\x04")
        os.close(ours)
        running.kill()
    return screen


def _read(terminal: int, last: str) -> str:
    """What a terminal shows until this is shown."""
    seen = ""
    deadline = time.monotonic() + 60
    while not re.search(last, seen) and select.select([terminal], [], [], max(deadline - time.monotonic(), 0))[0]:
        seen += os.read(terminal, 65536).decode(errors="replace")
    return seen


BASH = ["bash", "--norc", "--noprofile", "-i"]
SETUP = "source <(passgate completion bash)"


def test_bash_completes_a_command(path: str) -> None:
    assert "passgate node groups " in typed(BASH, path, SETUP, "passgate node gr\t")


def test_bash_completes_an_address_across_its_colons(path: str) -> None:
    screen = typed(BASH, path, SETUP, f"passgate node show --host {QAT} 0000:3d:00\t")

    assert f"--host {QAT} 0000:3d:00.0 " in screen.replace("\r\n", "").replace(" \r", "")


def test_bash_lists_addresses(path: str) -> None:
    screen = typed(BASH, path, SETUP, f"passgate node show --host {QAT} 3f:01.\t\t")

    assert all(f"01.{function}" in screen for function in range(8))


def test_bash_completes_the_value_of_an_option(path: str) -> None:
    assert "passgate node list --color=never" in typed(BASH, path, SETUP, "passgate node list --color=n\t")


def test_bash_completes_settings_after_a_comma_and_adds_no_blank(path: str) -> None:
    screen = typed(BASH, path, SETUP, "passgate inject --device 3d:02.2,rom.b\t")

    assert screen.endswith("3d:02.2,rom.bar=")


def test_bash_completes_another_program(path: str) -> None:
    assert "passgate-agent --observe " in typed(BASH, path, SETUP, "passgate-agent --obs\t")


def test_bash_completes_files(path: str) -> None:
    assert "--host pyproject.toml" in typed(BASH, path, SETUP, "passgate node list --host pypro\t")


def test_fish_completes(path: str) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    program = "passgate completion fish | source; complete -C '{}'"
    lines = {
        "passgate node gr": f"groups\t{table.COMMANDS['node groups'].summary}",
        f"passgate node show --host {QAT} 0000:3d:00": "0000:3d:00.0",
        "passgate node list --host pypro": "pyproject.toml",
        "passgate inject --device 3d:02.2,rom.f": f"3d:02.2,rom.file=\t{SETTINGS['rom.file'].meaning}",
        "passgate-agent --obs": "--observe\twrite nothing into pods: tell only",
    }
    for line, expected in lines.items():
        done = subprocess.run(
            ["fish", "--no-config", "-c", program.format(line)],
            capture_output=True, text=True, cwd=ROOT, env=environment(PATH=path), check=True,
        )  # fmt: skip
        assert done.stdout.splitlines() == [expected]


def test_zsh_completes(path: str) -> None:
    setup = "PS1='$ '; autoload -U compinit; compinit -u -D; source <(passgate completion zsh)"
    screen = typed(["zsh", "-f", "-i"], path, setup, f"passgate node show --host {QAT} 0000:3d:00\t")

    assert "0000:3d:00.0" in screen.replace("\r\n", "").replace(" \r", "")


def test_zsh_completes_another_program(path: str) -> None:
    setup = "PS1='$ '; autoload -U compinit; compinit -u -D; source <(passgate completion zsh)"

    assert "passgate-agent --observe" in typed(["zsh", "-f", "-i"], path, setup, "passgate-agent --obs\t")
