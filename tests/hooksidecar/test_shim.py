"""`onDefineDomain` as KubeVirt's sidecar-shim runs it: two arguments in, XML on standard output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from domxml.errors import ExitCode
from tests.boots import boot_of
from tests.domxml.domains import FOLDER, load
from tests.domxml.guestslots import tree_of

MACHINE = Path(__file__).parent.parent / "fixtures" / "machines" / "qat.toml"
VMI = (FOLDER / "q35-default.vmi.json").read_text()
WANTED = json.dumps(
    json.loads(VMI) | {"metadata": {"name": "vm", "annotations": {"passgate.dev/devices": '[{"resource":"a.b/c"}]'}}}
)


def run(
    vmi: str, domain: str, *more: str, line: str = "", host: str = str(MACHINE), **environment: str
) -> subprocess.CompletedProcess[str]:
    """`line` is a line of sh in which "$@" is the command."""
    shell = ["sh", "-c", line, "sh"] if line else []
    command = [*shell, sys.executable, "-c", "from hooksidecar.shim import run; raise SystemExit(run())"]
    arguments = ["--vmi", vmi, "--domain", domain, "--host", host, "--wait", "0", *more]
    clean = {"PATH": os.environ["PATH"]} | environment
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, env=clean, timeout=60)


def test_a_device_of_its_environment_is_injected() -> None:
    done = run(VMI, load("q35-default").decode(), QAT0="0000:3d:02.2")

    assert done.returncode == 0
    assert tree_of(done.stdout).find("devices/hostdev/alias").get("name") == "ua-passgate-qat"


def test_a_device_of_the_allocation_file_is_injected(tmp_path: Path) -> None:
    file = tmp_path / "userdata" / "passgate" / "allocation.env"
    file.parent.mkdir(parents=True)
    file.write_text("QAT0=0000:3d:02.2\n")
    done = run(VMI, load("q35-default").decode(), "--socket-dir", str(tmp_path))

    assert 'name="ua-passgate-qat"' in done.stdout


def test_nothing_to_do_gives_the_domain_back() -> None:
    assert run(VMI, load("q35-default").decode()).stdout == load("q35-default").decode()


def test_a_refusal_is_a_sentence_and_an_exit_code() -> None:
    done = run(WANTED, load("q35-default").decode())

    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("allocation-missing: a.b/c: ")
    assert "Traceback" not in done.stderr


def test_bad_input_is_a_sentence_and_an_exit_code() -> None:
    for vmi, domain in ((VMI, "<domain"), ("{", load("q35-default").decode()), ("[]", "x"), ("", "")):
        done = run(vmi, domain, QAT0="0000:3d:02.2")

        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.strip()
        assert "Traceback" not in done.stderr


def test_its_help_tells_the_exit_codes() -> None:
    done = run(VMI, "", "--help")

    assert done.returncode == 0
    assert "exit codes" in done.stdout


def test_the_version_of_the_protocol_is_taken_and_changes_nothing() -> None:
    domain = load("q35-default").decode()

    assert run(VMI, domain, "--version", "v1alpha2").stdout == domain
    assert "--version cannot be 'v9'" in run(VMI, domain, "--version", "v9").stderr
    assert "--version needs a value" in run(VMI, domain, "--version").stderr


@pytest.mark.parametrize("word", ["--version", "-V", "version"])
def test_alone_it_tells_the_versions(word: str) -> None:
    command = [sys.executable, "-c", "from hooksidecar.shim import run; raise SystemExit(run())", word]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("passgate ")


@pytest.mark.parametrize("wait", ["nan", "inf", "-1", "1e9", "x"])
def test_a_wait_that_is_no_time_is_refused(wait: str) -> None:
    done = run(VMI, "", "--wait", wait)

    assert done.returncode == ExitCode.USAGE
    assert "number of seconds" in done.stderr


@pytest.mark.parametrize("line", ['exec "$@" >&-', 'exec "$@" >/dev/full'])
def test_an_answer_that_cannot_be_written_is_a_sentence(line: str) -> None:
    done = run(VMI, load("q35-default").decode(), line=line, QAT0="0000:3d:02.2")

    assert done.returncode == 74
    assert "[output-lost]" in done.stderr
    assert "Traceback" not in done.stderr


PLACED_TWICE = boot_of("nics4-e1000-watchdog", "1.7.4")
RELEASE_TOLD = {
    "not at all": ((), {}, True),
    "by an option": (("--kubevirt", "1.7.4"), {}, False),
    "by a variable": ((), {"PASSGATE_KUBEVIRT": "1.7.4"}, False),
    "by an empty variable": ((), {"PASSGATE_KUBEVIRT": ""}, True),
    "by both": (("--kubevirt", "1.7.4"), {"PASSGATE_KUBEVIRT": "no release"}, False),
}


@pytest.mark.parametrize(("more", "environment", "unknown"), RELEASE_TOLD.values(), ids=RELEASE_TOLD)
def test_the_release_can_be_told(more: tuple[str, ...], environment: dict[str, str], *, unknown: bool) -> None:
    vm = PLACED_TWICE.vm
    given = {**vm.allocation, **vm.environment, **environment}
    done = run(vm.vmi_json.decode(), PLACED_TWICE.passes[0].decode(), *more, host="none", **given)

    assert done.returncode == 0, done.stderr
    assert ("kubevirt-places-again" in done.stderr) == unknown


@pytest.mark.parametrize("name", ["PASSGATE_KUBEVIRT", "PASSGATE_LIBVIRT"])
def test_what_is_no_version_is_refused(name: str) -> None:
    done = run(VMI, load("q35-default").decode(), **{name: "newest", "QAT0": "0000:3d:02.2"})

    assert (done.returncode, done.stdout) == (2, "")
    assert "newest" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("told", ["option", "variable"])
def test_the_libvirt_can_be_told(told: str) -> None:
    asks = '[{"resource": "qat.intel.com/generic", "driverModel": "qat_vfio_pci"}]'
    vmi = json.loads(VMI) | {"metadata": {"name": "vm", "annotations": {"passgate.dev/devices": asks}}}
    more = ("--libvirt", "11.3") if told == "option" else ()
    environment = {} if told == "option" else {"PASSGATE_LIBVIRT": "11.3"}
    done = run(json.dumps(vmi), load("q35-default").decode(), *more, QAT0="0000:3d:02.2", **environment)

    assert done.returncode == 0, done.stderr
    assert tree_of(done.stdout).find("devices/hostdev/driver").get("model") == "qat_vfio_pci"
