"""What a start loads: modules are counted in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.hostdev.cli.running import ROOT, environment, host

HEAVY = ("rich", "pyudev", "yaml", "libvirt", "lxml", "grpc", "argparse", "dataclasses", "json", "asyncio")


def loaded(program: str) -> set[str]:
    """The modules that a program has loaded when it is done."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys, json; sys.stderr.write(json.dumps(sorted(sys.modules)))"],
        capture_output=True, text=True, cwd=ROOT, env=environment(), check=True,
    )  # fmt: skip
    return set(json.loads(done.stderr)) - {"json"}


def running(*words: str) -> set[str]:
    """What a command line loads."""
    return loaded(f"from hostdev.cli.main import main; assert main({list(words)!r}) == 0")


@pytest.mark.parametrize("words", [("--help",), ("node", "--help"), ("node", "list", "--help")])
def test_help_loads_the_table_alone(words: tuple[str, ...]) -> None:
    modules = running(*words)

    assert not modules.intersection(HEAVY)
    assert not [
        name
        for name in modules
        if name.startswith(("hostdev.gate.check", "hostdev.inventory.host", "hostdev.cli.node"))
    ]


def test_inject_goes_without_the_node_commands() -> None:
    modules = running("inject", "tests/fixtures/domains/q35-minimal.xml", "--device", "3d:00.0")

    assert "lxml" in modules
    assert not modules.intersection(HEAVY) - {"lxml"}
    assert not modules.intersection(("copy", "gettext", "pathlib", "threading"))
    assert not [
        name
        for name in modules
        if name.startswith(("hostdev.gate.check", "hostdev.inventory.host", "hostdev.cli.node"))
    ]


@pytest.mark.parametrize("output", ["table", "json", "name"])
def test_a_list_in_a_pipe_needs_no_rich(output: str) -> None:
    modules = running("node", "list", *host("two-socket-x710"), "-o", output, "--color", "always")

    assert not modules.intersection({"rich", "pyudev", "yaml", "libvirt", "lxml", "asyncio"})


def test_completion_of_words_is_light() -> None:
    assert not running("__complete", "node", "li").intersection(set(HEAVY))
