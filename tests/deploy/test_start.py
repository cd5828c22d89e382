"""docs/start.md, and the first screen of the README: each command as it is written, as far as no cluster is needed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from hooksidecar.agent import options
from tests.deploy.kubectl import skip_without
from tests.deploy.manifests import daemon, manifest
from tests.hostdev.cli.injecting import passgate
from tests.house import ROOT

PAGES = ("README.md", "docs/start.md")
LINES = [
    line.partition("#")[0].strip()
    for page in PAGES
    for block in re.findall(r"^```sh\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
PLAIN = sorted({line for line in LINES if line.startswith("passgate ") and "--host" in line})
KUBECTL = sorted({line for line in LINES if line.startswith("kubectl ")})
QAT = "tests/fixtures/machines/qat.toml"


@pytest.mark.parametrize("line", PLAIN)
def test_commands_on_a_laptop(line: str) -> None:
    words = shlex.split(line.partition(" > ")[0])

    assert passgate(*words[1:]).code in {0, 1}


def test_what_manifest_writes_is_what_lint_takes() -> None:
    (line,) = (line for line in PLAIN if "manifest" in line)
    vm = passgate(*shlex.split(line.partition(" > ")[0])[1:]).out
    said = passgate("lint", "-", "--fail-on", "error", given=vm)

    assert said.code == 0, said.err


@pytest.mark.parametrize("line", [line for line in KUBECTL if " -- " in line])
def test_what_runs_in_a_pod(line: str) -> None:
    """The part behind `--`, with a recorded host in place of the node."""
    words = shlex.split(line.partition(" -- ")[2].partition(" > ")[0])
    assert words[0] == "passgate"
    turned = [QAT if word == "/host" else word for word in words[1:]]
    if "--host" not in turned:
        turned += ["--host", QAT]

    assert passgate(*turned).code in {0, 1}


def test_kubectl_has_what_is_written() -> None:
    skip_without()
    debug, execute = (
        subprocess.run(["kubectl", word, "--help"], capture_output=True, text=True, check=True).stdout
        for word in ("debug", "exec")
    )

    assert all(option in debug for option in ("--profile", "sysadmin", "--image", "node/"))
    assert "TYPE/NAME" in execute


def test_the_agent_that_is_entered_is_there() -> None:
    agent = manifest("overlays/agent", "DaemonSet")
    (container,) = daemon("overlays/agent")["containers"]

    assert any(f"daemonset/{agent['metadata']['name']}" in line for line in KUBECTL)
    assert all(f"-n {agent['metadata']['namespace']}" in line for line in KUBECTL if " exec " in line)
    assert container["image"].startswith("passgate-node")
    options.parse(container["args"])


def test_the_image_that_is_named_has_the_command() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert 'ENTRYPOINT ["passgate"]' in dockerfile
    assert "/opt/passgate/bin" in dockerfile
    assert any("registry.example/passgate-node" in line for line in KUBECTL)


def test_a_fresh_debian_can_be_tried() -> None:
    """It is a quarter of an hour of downloads, so that the script is only read here; it says what is missing."""
    script = ROOT / "tools/in-debian"
    done = subprocess.run(["sh", "-n", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"tools/in-debian {name}" in (ROOT / "docs/start.md").read_text() for name in ("bookworm", "trixie"))
    bare = subprocess.run([script], capture_output=True, text=True, check=False)
    assert "a release of Debian" in bare.stderr


def test_the_python_of_either_debian_is_taken() -> None:
    assert sys.version_info >= (3, 11)
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()
