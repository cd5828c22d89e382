"""`preCloudInitIso` as KubeVirt's sidecar-shim runs it: two arguments in, cloud-init data on standard output."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

from tests.hooksidecar.sidecar import ROOT, environment
from tests.hostdev.cloudinit.build import BOND, DEFAULT, LEFT, RIGHT, documents, vmi
from tests.hostdev.cloudinit.netplans import GOLDEN

DATA = documents().data.decode()
WITH_BOND = vmi(DEFAULT, LEFT, RIGHT, bonds=[BOND]).decode()


def run(of: str, data: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hooksidecar.precloudinitiso", "--wait", "0", "--vmi", of, "--cloud-init", data]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), timeout=60)


def test_network_data_is_written() -> None:
    done = run(WITH_BOND, DATA)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {**json.loads(DATA), "NetworkData": GOLDEN}


def test_nothing_to_do_gives_the_data_back() -> None:
    assert run(vmi(DEFAULT).decode(), DATA).stdout == DATA


def test_a_refusal_is_a_sentence_and_an_exit_code() -> None:
    done = run(WITH_BOND, documents("version: 2").data.decode())

    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("bond-not-possible: passgate.dev/bonds: ")


def test_bad_input_is_a_sentence_and_an_exit_code() -> None:
    for of, data in ((WITH_BOND, "{"), ("[]", DATA), ("", "")):
        done = run(of, data)

        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.strip()
        assert "Traceback" not in done.stderr


def test_nothing_is_installed_under_the_name_that_the_shim_looks_for() -> None:
    """The shim would subscribe it for every VM, and virt-launcher panics on those without cloud-init."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert "preCloudInitIso" not in project["scripts"]
