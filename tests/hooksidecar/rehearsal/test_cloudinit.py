"""PreCloudInitIso in the rehearsal: what the sidecar writes is shown, and nothing else of the guest's data."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from domxml.errors import Refused
from hooksidecar.rehearsal.cloudinit import vm_documents
from tests.domxml.domains import FOLDER
from tests.hooksidecar.rehearsal.rehearsing import document, files, rehearse
from tests.hostdev.cloudinit.build import BOND, LEFT, RIGHT, SECRET, USER_DATA

VMI = json.loads((FOLDER / "q35-sriov-2.vmi.json").read_text())
DOMAIN = str(FOLDER / "q35-sriov-2.xml")


def vmi(told: dict[str, Any], *, kind: str = "cloudInitNoCloud", bonds: str = "[]") -> bytes:
    """A VM with two SR-IOV interfaces, and this in its cloud-init volume."""
    metadata = {**VMI["metadata"], "annotations": {"passgate.dev/bonds": bonds}}
    interfaces = [VMI["spec"]["domain"]["devices"]["interfaces"][0] | {"macAddress": "02:00:00:00:00:01"}, LEFT, RIGHT]
    devices = {**VMI["spec"]["domain"]["devices"], "interfaces": interfaces}
    domain = {**VMI["spec"]["domain"], "devices": devices}
    volumes = [{"name": "root", "containerDisk": {"image": "x"}}, {"name": "ci", kind: told}]
    return json.dumps(
        {**VMI, "metadata": metadata, "spec": {**VMI["spec"], "domain": domain, "volumes": volumes}}
    ).encode()


@pytest.mark.parametrize("form", ["json", "table"])
def test_what_is_written_is_shown_and_no_secret(form: str, tmp_path: Path) -> None:
    path = tmp_path / "vmi.json"
    path.write_bytes(vmi({"userData": USER_DATA}, bonds=json.dumps([BOND])))

    ran = rehearse("--vmi", str(path), "--domain", DOMAIN, "--cloud-init", "-o", form, "--log-level", "debug")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "bond0" in ran.stdout
    assert SECRET not in ran.stdout + ran.stderr
    if form == "json":
        written = document(ran)["cloudInit"]
        assert (written["same"], written["changed"]) == (False, ["NetworkData", "networkData"])
        assert json.loads(written["networkData"])["version"] == 2
        assert "PreCloudInitIso" in document(ran)["sidecar"]["hookPoints"]


def test_without_the_flag_it_is_not_called() -> None:
    assert document(rehearse("-o", "json"))["cloudInit"] is None


def test_nothing_to_write_is_told() -> None:
    ran = rehearse("--cloud-init")

    assert ran.returncode == 0
    assert "cloud-init data: left as it was, in " in ran.stdout


def test_a_vm_without_cloud_init_would_kill_virt_launcher() -> None:
    said = rehearse(*files("q35-minimal"), "--cloud-init")

    assert said.returncode == 5
    assert "has no cloud-init volume: virt-launcher would panic [no-cloud-init]" in said.stderr


def test_user_data_comes_in_every_form() -> None:
    encoded = base64.b64encode(USER_DATA.encode()).decode()
    plain, packed = (vm_documents(vmi(told)) for told in ({"userData": USER_DATA}, {"userDataBase64": encoded}))

    assert plain == packed
    assert json.loads(plain.newer)["UserData"] == json.loads(plain.older)["userData"] == USER_DATA
    assert json.loads(vm_documents(vmi({"secretRef": {"name": "x"}})).newer)["UserData"] == "#cloud-config\n"


def test_a_config_drive_has_its_own_metadata() -> None:
    found = json.loads(vm_documents(vmi({"userData": USER_DATA}, kind="cloudInitConfigDrive")).newer)

    assert (found["DataSource"], found["NoCloudMetaData"]) == ("configDrive", None)
    assert found["ConfigDriveMetaData"]["local-hostname"] == "q35-sriov-2"


def test_no_volume_is_refused() -> None:
    with pytest.raises(Refused, match="no cloud-init volume"):
        vm_documents(b'{"metadata": {"name": "x"}, "spec": {}}')


def test_what_is_no_base64_is_told(tmp_path: Path) -> None:
    path = tmp_path / "vmi.json"
    path.write_bytes(vmi({"userDataBase64": "%%%"}))

    said = rehearse("--vmi", str(path), "--domain", DOMAIN, "--cloud-init")

    assert said.returncode == 2
    assert "userDataBase64 is no text in base64" in said.stderr
