"""A rehearsal says whether the guest's firmware has room for the BARs, and refuses what the sidecar would refuse."""

from __future__ import annotations

import json
from pathlib import Path

from tests.domxml.domains import load
from tests.hooksidecar.rehearsal.rehearsing import Ran, document, rehearse
from tests.hostdev.inject.rooms import HUGE, NAME, efi, resized, vmi
from tests.hostdev.machines.fixtures import fixture

H100 = "0000:19:00.0"


def boot(folder: Path, host: str, vm: bytes, *words: str) -> Ran:
    domain, machine = folder / "domain.xml", folder / "vmi.json"
    domain.write_bytes(efi(load(NAME)))
    machine.write_bytes(vm)
    return rehearse("--vmi", str(machine), "--domain", str(domain), "--host", host, "-o", "json", *words)


def h100(**policy: list[str]) -> bytes:
    told = json.loads(vmi(policy))
    notes = told["metadata"]["annotations"]
    notes["passgate.dev/devices"] = json.dumps([{"address": H100, "name": "gpu"}])
    return json.dumps(told).encode()


def test_on_a_recorded_gpu_machine_it_says_what_the_room_depends_on(tmp_path: Path) -> None:
    ran = boot(tmp_path, str(fixture("hgx-h100")), h100())

    assert ran.returncode == 0, ran.stderr
    told = document(ran)
    (found,) = (one for one in told["findings"] if one["code"].startswith("bar-window"))
    assert (told["passed"], found["code"], found["severity"]) == (True, "bar-window-unknown", "info")
    assert "physical address bits" in found["message"]


def test_what_its_author_wants_refused_is_refused_on_that_machine(tmp_path: Path) -> None:
    ran = boot(tmp_path, str(fixture("hgx-h100")), h100(refuse=["bar-window-unknown"]))

    assert ran.returncode == 5
    assert "FAILED_PRECONDITION: bar-window-unknown: " in ran.stderr


def test_a_guest_that_would_lose_all_of_pci_is_refused(tmp_path: Path) -> None:
    ran = boot(tmp_path, resized(tmp_path, HUGE), vmi())

    assert ran.returncode == 5
    assert "Traceback" not in ran.stderr
    assert "FAILED_PRECONDITION: bar-window-fatal: " in ran.stderr
    told = document(ran)
    assert (told["passed"], told["passes"], told["error"]["code"]) == (False, [], "call-failed")
    assert "the largest is 0000:01:00.0 (16 MiB + 2 TiB + 32 MiB)" in told["error"]["message"]


def test_it_passes_where_its_author_allows_that(tmp_path: Path) -> None:
    allowed = vmi({"allow": ["group-not-viable", "vfio-node-missing", "bar-window-fatal"]})
    ran = boot(tmp_path, resized(tmp_path, HUGE), allowed)

    assert ran.returncode == 0, ran.stderr
    assert "bar-window-fatal" in {one["code"] for one in document(ran)["findings"]}
