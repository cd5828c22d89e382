"""The rehearsal: a boot against the real server with the real core, and its report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hooksidecar.rehearsal import devices
from tests.domxml.domains import FOLDER, names
from tests.hooksidecar.cores import with_device
from tests.hooksidecar.sidecar import environment

QAT = "0000:3d:02.2"
ONE_PASS = {"i440fx", "s390x-ccw"}


def rehearse(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    files = ["--vmi", str(FOLDER / f"{name}.vmi.json"), "--domain", str(FOLDER / f"{name}.xml")]
    command = [sys.executable, "-m", "hooksidecar.main", "rehearse", *files, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)


@pytest.fixture
def allocation(tmp_path: Path) -> str:
    path = tmp_path / "allocation.env"
    path.write_text(f"QAT1={QAT}\n")
    return str(path)


@pytest.mark.parametrize("name", names())
def test_h2_every_kind_of_vm_boots_and_every_device_stays(name: str, allocation: str) -> None:
    said = rehearse(name, "--env-file", allocation)

    assert said.returncode == 0, said.stdout + said.stderr
    places = [line.split()[-1] for line in said.stdout.splitlines() if "  device    ua-passgate-qat at" in line]
    passes = [line for line in said.stdout.splitlines() if line.startswith("pass ")]
    assert len(places) == len(passes) == (1 if name in ONE_PASS else 2 if "root-complex" in name else 3)
    assert len(set(places)) == 1
    assert "collected passgate, v1alpha3, after " in said.stdout
    assert "shutdown: ended with 0 after " in said.stdout
    assert "read-back by a stand-in, not by libvirt" in said.stdout


def test_what_kubevirt_loses_is_told_and_comes_back(allocation: str) -> None:
    said = rehearse("q35-default", "--env-file", allocation)

    assert said.stdout.count("  lost      ua-passgate-qat driver name=vfio") == 2
    assert said.stdout.count("  restored  ua-passgate-qat driver name=vfio") == 2
    assert "NOT BACK" not in said.stdout


def test_nothing_allocated_nothing_changed() -> None:
    said = rehearse("q35-default")

    assert said.returncode == 0
    assert said.stdout.count(", the same, in ") == 3


def test_a_refusal_is_told_in_the_sidecars_words(allocation: str) -> None:
    machine = FOLDER.parent / "machines" / "consumer-gpu.toml"

    said = rehearse("q35-default", "--env-file", allocation, "--host", str(machine))

    assert said.returncode == 5
    assert f"error: OnDefineDomain FAILED_PRECONDITION: device-missing: {QAT}: " in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--env-file", "absent"], "error: absent: cannot read it: No such file or directory [unreadable-file]"),
        (["--vmi", "/dev/null"], "error: /dev/null: this is no VirtualMachineInstance in JSON [bad-vmi]"),
        (["--connect", "nonsense:///"], "error: nonsense:///: cannot connect to libvirt: "),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_2(words: list[str], says: str) -> None:
    said = rehearse("q35-default", *words)

    assert said.returncode == 2
    assert says in said.stderr


def test_a_live_libvirt_reads_every_answer_back(allocation: str) -> None:
    """The test driver has libvirt's parser, and gives no guest addresses of its own."""
    said = rehearse("q35-numa-dedicated-hugepages-1gi", "--env-file", allocation, "--connect", "test:///default")

    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.count("  restored  ua-passgate-qat driver name=vfio") == 2
    assert "stand-in" not in said.stdout


def test_libvirts_refusal_is_told_in_its_own_words(allocation: str) -> None:
    said = rehearse("q35-default", "--env-file", allocation, "--connect", "test:///default")

    assert said.returncode == 5
    assert "error: libvirt says: XML error: both maximum memory size" in said.stderr


def test_losses_are_found() -> None:
    """The judge of the report, on domains made to order."""
    before = with_device((FOLDER / "q35-default.xml").read_bytes())
    after = before.replace(b' name="vfio"', b"")

    assert devices.facts(before) - devices.facts(after) == {"ua-passgate-qat driver name=vfio"}
    assert devices.places(before) == devices.places(after)
