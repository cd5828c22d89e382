"""The client of libvirt: without its binding a sentence, with it silence on standard error."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.hostdev.cli.running import ROOT, environment, host

NO_BINDING = "import sys; sys.modules['libvirt'] = None"
CALLS = (
    ("inject", "tests/fixtures/domains/q35-minimal.xml", "--device", "3d:00.0", "--validate"),
    ("node", "who", *host("qat"), "3d:02.2", "--kubelet-dir", "tests/fixtures", "--connect"),
)


def run(before: str, *words: str) -> subprocess.CompletedProcess[str]:
    code = f"{before}\nfrom hostdev.cli.main import main\nsys.exit(main({list(words)!r}))"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment(), check=False
    )


@pytest.mark.parametrize("words", CALLS, ids=["inject", "who"])
def test_without_the_binding_it_says_what_to_install(words: tuple[str, ...]) -> None:
    said = run(NO_BINDING, *words, "test:///default")

    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.splitlines()[-1] == "hint: pip install 'passgate[libvirt]'"


@pytest.mark.parametrize("words", CALLS, ids=["inject", "who"])
def test_a_uri_that_leads_nowhere_is_told_once(words: tuple[str, ...]) -> None:
    said = run("import sys", *words, "nosuch:///x")

    assert (said.returncode, said.stdout) == (2, "")
    assert [line.split(": ")[0] for line in said.stderr.splitlines()] == ["error", "hint"]
    assert "[libvirt-unreachable]" in said.stderr
