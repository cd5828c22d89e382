"""The rehearsal: a boot against the real server with the real core, and its report."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hooksidecar.rehearsal.command import EXAMPLE
from hostdev.kubevirt.releases import RELEASES
from tests.domxml.domains import FOLDER, names
from tests.hooksidecar.rehearsal.rehearsing import document, files, rehearse
from tests.hooksidecar.sidecar import environment
from tests.house import ROOT
from tests.patience import PATIENCE, until

QAT = "0000:3d:02.2"
ONE_PASS: set[str] = set()
TWO_PASSES = {"i440fx", "s390x-ccw", "q35-big-10kb", "q35-minimal", "q35-root-complex-gpu-2"}
"""No placeholders: too many interfaces, none, or no root ports for them."""
SCENARIO = ROOT / "tests/fixtures/scenarios/qat-q35"


@pytest.fixture
def allocation(tmp_path: Path) -> str:
    path = tmp_path / "allocation.env"
    path.write_text(f"QAT1={QAT}\n")
    return str(path)


def test_without_options_an_example_boots() -> None:
    said = rehearse()

    assert (said.returncode, said.stderr) == (0, "")
    rows = [line.split() for line in said.stdout.splitlines() if re.match(r"\d +\d", line)]
    assert [row[4:7] for row in rows] == [["ua-passgate-qat", QAT, "0000:10:00.0"]] * 3
    assert re.search(
        r"^collected passgate, v1alpha3, after \d+ ms: OnDefineDomain, Shutdown$", said.stdout, re.MULTILINE
    )
    assert re.search(r"^shutdown: ended with 0 after \d+ ms$", said.stdout, re.MULTILINE)
    assert said.stdout.count("KubeVirt's structs   ua-passgate-qat   driver name=vfio   yes") == 2
    assert said.stdout.endswith("\n1 device in place on every pass, nothing else moved\n")


def test_the_example_is_a_scenario_and_nothing_made_up() -> None:
    """Its files are those of the scenario; of the VM's manifest KubeVirt makes the VMI."""
    template = yaml.safe_load((SCENARIO / "vm.yaml").read_text())["spec"]["template"]
    vmi = json.loads((EXAMPLE / "vmi.json").read_text())

    assert vmi["spec"] == template["spec"]
    assert vmi["metadata"]["annotations"] == template["metadata"]["annotations"]
    assert (EXAMPLE / "domain.xml").samefile(SCENARIO / "domain.xml")
    assert (EXAMPLE / "allocation.env").samefile(SCENARIO / "compute.env")
    assert (EXAMPLE / "machine.toml").samefile(ROOT / "tests/fixtures/machines/qat.toml")


def test_the_report_says_who_read_back() -> None:
    stand_in, libvirt = (rehearse(*words).stdout for words in ((), ("--connect", "test:///default")))

    assert "read back by a stand-in, not by libvirt" in stand_in
    assert stand_in.count("it cannot prove that libvirt ") == 3
    assert re.search(r"^read back by libvirt [\d.]+ at test:///default$", libvirt, re.MULTILINE)
    assert libvirt.count("it cannot prove") == 1, "the test driver gives no guest addresses"


@pytest.mark.parametrize("name", names())
def test_h2_every_kind_of_vm_boots_and_every_device_stays(name: str, allocation: str) -> None:
    ran = rehearse(*files(name), "--env-file", allocation, "-o", "json")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = document(ran)
    assert told["passed"]
    assert told["problems"] == []
    places = [call["devices"][0]["guestAddress"] for call in told["passes"]]
    assert len(places) == (1 if name in ONE_PASS else 2 if name in TWO_PASSES else 3)
    assert len(set(places)) == 1
    assert told["shutdown"]["exitCode"] == 0


def test_what_kubevirt_loses_is_told_and_comes_back(allocation: str) -> None:
    told = document(rehearse(*files("q35-default"), "--env-file", allocation, "-o", "json"))

    loss = {"alias": "ua-passgate-qat", "fact": "driver name=vfio", "by": "structs", "restored": True}
    assert [call["lost"] for call in told["passes"]] == [[], [loss], [loss]]


def test_nothing_allocated_nothing_changed() -> None:
    ran = rehearse(*files("q35-default"), "-o", "json")

    assert ran.returncode == 0
    assert [call["same"] for call in document(ran)["passes"]] == [True] * 3
    assert "the domain stayed as it was" in rehearse(*files("q35-default")).stdout


def test_a_refusal_is_told_in_the_sidecars_words(allocation: str) -> None:
    machine = FOLDER.parent / "machines" / "consumer-gpu.toml"

    ran = rehearse(*files("q35-default"), "--env-file", allocation, "--host", str(machine), "-o", "json")

    assert ran.returncode == 5
    assert f"error: OnDefineDomain FAILED_PRECONDITION: device-missing: {QAT}: " in ran.stderr
    assert "Traceback" not in ran.stderr
    told = document(ran)
    assert (told["passed"], told["error"]["code"], told["passes"]) == (False, "call-failed", [])
    assert told["sidecar"]["name"] == "passgate"


def test_the_example_may_be_checked_on_another_machine() -> None:
    ran = rehearse("--host", str(FOLDER.parent / "machines" / "consumer-gpu.toml"))

    assert ran.returncode == 5
    assert "device-missing" in ran.stderr


def test_what_the_sidecar_notices_is_in_the_report(allocation: str) -> None:
    ran = rehearse(*files("q35-default"), "--env-file", allocation, "-o", "json")

    assert "memlock-not-raised" in {finding["code"] for finding in document(ran)["findings"]}
    assert ran.stderr == ""


def test_its_log_is_there_for_those_who_want_it() -> None:
    lines = [json.loads(line) for line in rehearse("--log-level", "debug").stderr.splitlines()]

    assert [line["msg"] for line in lines].count("answered") == 3


@pytest.mark.parametrize("release", RELEASES)
def test_each_release_boots_the_example(release: str) -> None:
    ran = rehearse("--kubevirt", release, "-o", "json")

    assert ran.returncode == 0, ran.stdout
    assert document(ran)["kubevirt"] == release


def test_a_domain_that_libvirt_refuses_by_itself_is_not_the_sidecars_fault(allocation: str, tmp_path: Path) -> None:
    domain = tmp_path / "domain.xml"
    domain.write_text((FOLDER / "q35-default.xml").read_text().replace('placement="static">2<', ">none<"))
    words = ["--vmi", str(FOLDER / "q35-default.vmi.json"), "--domain", str(domain), "--env-file", allocation]

    ran = rehearse(*words, "--connect", "test:///default")

    assert ran.returncode == 5
    assert "error: libvirt says: " in ran.stderr
    assert "already of the domain without the devices" in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_its_server(number: signal.Signals) -> None:
    command = [sys.executable, "-P", "-m", "hooksidecar.main", "rehearse"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    server = until(lambda: children.read_text().split())
    running.send_signal(number)
    out, err = running.communicate(timeout=PATIENCE)

    assert (running.returncode, out, err) == (130, b"", b"")
    assert not Path(f"/proc/{server[0]}").exists()


def test_a_reader_who_goes_away_is_no_defect() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-P", "-m", "hooksidecar.main", "rehearse"]
    ran = subprocess.run(
        command, stdout=write, stderr=subprocess.PIPE, env=environment(), check=False, restore_signals=False
    )
    os.close(write)

    assert (ran.returncode, ran.stderr) == (141, b"")


def test_help_has_every_exit_code_and_release() -> None:
    said = rehearse("--help").stdout

    codes = rehearse("help", "exit-codes").stdout
    assert re.findall(r"^ +(\d+)  ", codes, re.MULTILINE) == ["0", "1", "2", "5", "70", "130"]
    assert all(release in said for release in RELEASES)
