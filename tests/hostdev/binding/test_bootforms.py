"""The forms of `passgate node state install`, judged by the tools that read them, and by what those document."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from hostdev.binding.bootforms import (
    FORMS,
    MODPROBE_FILE,
    SERVICE,
    STATE_FILE,
    Form,
    installed_files,
    print_form,
    service,
)
from hostdev.binding.state import ModuleOption, NodeState, Parameter
from hostdev.binding.statefile import read_states
from tests.patience import PATIENCE

TEXT = """\
apiVersion: passgate.dev/v1
kind: NodeState
metadata: {name: a-node}   # 100 %, and a "word" or two
spec:
  devices:
  - match: {address: "0000:3d:02.2"}
    driver: vfio-pci
"""
PARAMETERS = ("intel_iommu=on", "iommu=pt")


def _form(*parameters: str, options: bool = True, text: str = TEXT) -> Form:
    option = (ModuleOption("", "vfio_pci", "disable_idle_d3", "Y"),) if options else ()
    state = NodeState(parameters=tuple(Parameter("", one) for one in parameters), options=option)
    return Form(text, state)


def _documents(form: str, wanted: Form) -> list[Any]:
    return list(yaml.safe_load_all(print_form(form, wanted)))


def _state_of(document: dict[str, Any]) -> str:
    assert (document["apiVersion"], document["kind"]) == ("v1", "ConfigMap")
    assert document["metadata"] == {"name": "passgate-node-state", "namespace": "passgate"}
    (text,) = document["data"].values()
    return str(text)


def _verify(unit: str, directory: Path) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze (Debian: systemd)")
    file = directory / SERVICE
    file.write_text(unit)
    command = [tool, "verify", "--man=no", "--recursive-errors=no", str(file)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def _program(directory: Path, name: str) -> str:
    program = directory / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize("name", ["passgate", "pass gate", "100%"])
def test_systemd_takes_the_unit(name: str, tmp_path: Path) -> None:
    done = _verify(service((_program(tmp_path, name),)), tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_refuses_a_unit_with_a_mistake(tmp_path: Path) -> None:
    """Or the test above could not fail."""
    unit = service((_program(tmp_path, "passgate"),)).replace("Type=oneshot", "Type=once")

    assert "once" in _verify(unit, tmp_path).stderr


def test_the_unit_of_a_machine_config_is_a_unit_too(tmp_path: Path) -> None:
    (document,) = _documents("machineconfig", _form(*PARAMETERS))
    (unit,) = document["spec"]["config"]["systemd"]["units"]
    text = unit["contents"].replace("/usr/bin/podman", _program(tmp_path, "podman"))

    done = _verify(text, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert (unit["name"], unit["enabled"]) == (SERVICE, True)


def test_the_container_has_the_files_that_the_state_needs() -> None:
    (document,) = _documents("machineconfig", _form(*PARAMETERS))
    (unit,) = document["spec"]["config"]["systemd"]["units"]
    (start,) = [line for line in unit["contents"].splitlines() if line.startswith("ExecStart=")]

    assert f"node state apply --yes --deadline 120 {STATE_FILE}" in start
    for volume in ("/sys:/sys", "/dev:/dev", "/etc/passgate:/etc/passgate:ro", "/var/lib/passgate:/var/lib/passgate"):
        assert f"--volume {volume}" in start


# Ignition 3.2, as its specification has it: keys of each object, and the types of their values.
IGNITION: dict[str, dict[str, type]] = {
    "": {"ignition": dict, "storage": dict, "systemd": dict},
    "ignition": {"version": str},
    "storage": {"files": list},
    "storage.files[]": {"path": str, "mode": int, "overwrite": bool, "contents": dict},
    "storage.files[].contents": {"source": str},
    "systemd": {"units": list},
    "systemd.units[]": {"name": str, "enabled": bool, "contents": str},
}


def _check(value: object, place: str) -> None:
    if isinstance(value, list):
        for one in value:
            _check(one, f"{place}[]")
    elif isinstance(value, dict):
        assert value.keys() <= IGNITION[place].keys()
        for key, inner in value.items():
            assert type(inner) is IGNITION[place][key]
            _check(inner, f"{place}.{key}".lstrip("."))


def _decoded(source: str) -> str:
    kind, _, data = source.partition("base64,")
    assert kind == "data:text/plain;charset=utf-8;"
    return base64.b64decode(data).decode()


@pytest.mark.parametrize("options", [True, False])
def test_a_machine_config_holds_an_ignition_config(*, options: bool) -> None:
    (document,) = _documents("machineconfig", _form(*PARAMETERS, options=options))
    config = document["spec"]["config"]

    _check(config, "")
    assert document["apiVersion"] == "machineconfiguration.openshift.io/v1"
    assert document["metadata"]["labels"] == {"machineconfiguration.openshift.io/role": "worker"}
    assert (config["ignition"]["version"], document["spec"]["kernelArguments"]) == ("3.2.0", [*PARAMETERS])
    files = {one["path"]: _decoded(one["contents"]["source"]) for one in config["storage"]["files"]}
    assert files[STATE_FILE] == TEXT
    assert files.get(MODPROBE_FILE) == ("options vfio_pci disable_idle_d3=Y\n" if options else None)
    # In JSON, which Ignition is, a number has ten digits to choose from.
    assert "mode: 420\n" in print_form("machineconfig", _form(*PARAMETERS))


def test_talos_gets_a_patch_of_its_own_document() -> None:
    patch, agent = _documents("talos", _form(*PARAMETERS))

    assert patch == {
        "machine": {
            "install": {"extraKernelArgs": [*PARAMETERS]},
            "kernel": {"modules": [{"name": "vfio_pci", "parameters": ["disable_idle_d3=Y"]}]},
        }
    }
    assert _state_of(agent) == TEXT


def test_harvester_gets_a_stage_of_its_initramfs() -> None:
    stage, agent = _documents("harvester", _form(*PARAMETERS))
    (step,) = stage["stages"]["initramfs"]

    assert {one["path"]: (one["permissions"], one["content"]) for one in step["files"]} == {
        STATE_FILE: (0o644, TEXT),
        MODPROBE_FILE: (0o644, "options vfio_pci disable_idle_d3=Y\n"),
    }
    assert _state_of(agent) == TEXT


def _source(form: str) -> str:
    """What /bin/sh makes of a file of /etc/default/grub.d, as grub-mkconfig reads it."""
    script = "set -eu\nGRUB_CMDLINE_LINUX=quiet\n" + form + 'printf %s "$GRUB_CMDLINE_LINUX"'
    done = subprocess.run(["sh", "-c", script], check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_grub_s_shell_reads_the_parameters_and_nothing_else() -> None:
    assert _source(print_form("grub", _form(*PARAMETERS))) == "quiet intel_iommu=on iommu=pt"
    assert _source(print_form("grub", _form())) == "quiet"


_WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"'), min_size=1, max_size=20)


@given(_WORD)
@example("memmap=16G$4G")
@example("a=$(touch${IFS}/tmp/x)")
@example("a=`id`")
@example("a=b\\")
@example("a='b'")
def test_no_parameter_is_a_command_for_grub_s_shell(word: str) -> None:
    assert _source(print_form("grub", _form(word, options=False))) == f"quiet {word}"


def _cloud_config(*parameters: str, options: bool = True) -> dict[str, Any]:
    (document,) = _documents("cloud-init", _form(*parameters, options=options))
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("parameters", [(), PARAMETERS])
def test_cloud_init_takes_the_user_data(parameters: tuple[str, ...], tmp_path: Path) -> None:
    tool = shutil.which("cloud-init")
    if tool is None:
        pytest.skip("no cloud-init (Debian: cloud-init)")
    file = tmp_path / "user-data"
    file.write_text(print_form("cloud-init", _form(*parameters)))

    done = subprocess.run([tool, "schema", "--config-file", str(file)], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_user_data_begin_with_the_word_that_makes_them_such() -> None:
    assert print_form("cloud-init", _form()).startswith("#cloud-config\n")


def test_with_parameters_the_host_boots_again() -> None:
    document = _cloud_config(*PARAMETERS)

    assert document["power_state"]["mode"] == "reboot"
    assert ["update-grub"] in document["runcmd"]
    assert {one["path"]: one["content"] for one in document["write_files"]}[STATE_FILE] == TEXT


def test_without_parameters_the_state_is_made_in_this_boot() -> None:
    document = _cloud_config(options=False)

    assert "power_state" not in document
    assert ["systemctl", "enable", "--now", SERVICE] in document["runcmd"]


NASTY = (
    "text\n",
    "a\n\n  b\n",
    "  leading\nb\n",
    "tab\tx\ny\n",
    "no newline",
    "a\n\n\n",
    "\n",
    "'\"%\\ {{}}\n#\n",
    "ü\n\x85\n",
)


@pytest.mark.parametrize("form", ["cloud-init", "talos", "harvester", "machineconfig"])
@given(st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_the_file_says_it_arrives_as_it_was(form: str, text: str) -> None:
    printed = print_form(form, _form(text=text))

    everything = list(_texts(list(yaml.safe_load_all(printed))))
    encoded = base64.b64encode(text.encode()).decode()
    assert text in everything or any(one.endswith(f"base64,{encoded}") for one in everything)


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


def test_the_files_of_a_host_are_the_state_and_its_service() -> None:
    assert list(installed_files(_form())) == [STATE_FILE, f"/etc/systemd/system/{SERVICE}"]
    assert set(FORMS) == {"grub", "machineconfig", "talos", "cloud-init", "harvester"}
    assert [one.name for one in read_states(TEXT.encode(), "x")] == ["a-node"]
