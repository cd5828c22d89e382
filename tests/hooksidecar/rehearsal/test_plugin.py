"""A Plugin's sidecar, rehearsed: called with MutateDomain at its own socket, by the releases that have the API."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from domxml.errors import Refused
from hooksidecar.rehearsal.play import Script, play
from hooksidecar.rehearsal.plugin import SOCKET, require_modes
from hooksidecar.rehearsal.process import PLACE, Server
from hooksidecar.rehearsal.readback import ReadBack
from hostdev.kubevirt import standin
from hostdev.kubevirt.releases import POINT_RELEASES
from tests.boots import boots
from tests.domxml.domains import FOLDER, load
from tests.hooksidecar.rehearsal.rehearsing import document, files, rehearse

SCRIPT = Script(load("q35-default"), (FOLDER / "q35-default.vmi.json").read_bytes(), mode="plugin")


@pytest.mark.parametrize(("release", "played"), [("any", "head"), ("1.9", "1.9.0"), ("head", "head")])
def test_the_real_sidecar_as_a_plugins(release: str, played: str) -> None:
    ran = rehearse("--mode", "plugin", "--kubevirt", release, "-o", "json")
    told = document(ran)

    assert ran.returncode == 0, ran.stderr
    assert (told["mode"], told["release"], len(told["passes"])) == ("plugin", played, 3)
    assert told["sidecar"]["hookPoints"] == ["MutateDomain"]
    assert {device["guestAddress"] for call in told["passes"] for device in call["devices"]} == {"0000:10:00.0"}
    assert told["shutdown"] == {"asked": False, "exitCode": 0, "ms": told["shutdown"]["ms"]}


@pytest.mark.parametrize("release", ["1.5", "1.6", "1.7.2", "1.8", "v1.8.4"])
def test_a_release_without_the_api_is_wrong_usage(release: str) -> None:
    said = rehearse("--mode", "plugin", "--kubevirt", release)

    assert said.returncode == 2
    assert said.stderr.startswith("error: --mode plugin: KubeVirt 1.")
    assert "has no Plugin API [bad-usage]\nhint: 1.9 is the first that has it" in said.stderr
    assert {name for name, known in POINT_RELEASES.items() if known.has_plugins} == {"1.9.0", "head"}


@pytest.mark.parametrize("flags", [("--cloud-init",), ("--version", "v1alpha3")])
def test_what_a_plugins_sidecar_would_refuse_is_wrong_usage(flags: tuple[str, ...]) -> None:
    said = rehearse("--mode", "plugin", *flags)

    assert said.returncode == 2
    assert "--mode plugin exclude each other [bad-usage]" in said.stderr


def test_a_pci_device_of_the_spec_is_what_kubevirt_fails_over() -> None:
    said = rehearse("--mode", "plugin", *files("q35-gpu-1"), "-o", "json")

    assert said.returncode == 5
    error = document(said)["error"]
    assert (error["code"], error["subject"]) == ("plugin-needs-mode", "ua-gpu-gpu0")
    assert "Missing 'mode' attribute on domain hostdev" in error["message"]
    assert rehearse(*files("q35-gpu-1")).returncode == 0, "a hook sidecar has no such trouble"


def test_every_recorded_boot_with_a_pci_device_of_the_spec_fails_in_kubevirt() -> None:
    """Of an mdev, and of what libvirt has read, KubeVirt knows the mode."""
    for recorded in boots():
        first, later = recorded.passes[0], recorded.passes[1:]
        if b'<hostdev type="pci"' in first:
            with pytest.raises(Refused, match="plugin-needs-mode"):
                require_modes(first)
        else:
            assert require_modes(first) is first
        for xml in (recorded.final, *(xml for xml in later if b'index="0" model="pcie-root"' in xml)):
            assert require_modes(xml) is xml
    assert require_modes(load("q35-vgpu-mdev"))


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import time; time.sleep(60)", "there is no domain.sock after 1 s; KubeVirt would fail the start"),
        (
            f"import os, sys, time; os.symlink('/dev/null', sys.argv[1] + '/{SOCKET}'); time.sleep(60)",
            "is a symbolic link, which KubeVirt does not follow",
        ),
        ("", "the sidecar ended with 0"),
    ],
)
def test_a_socket_that_does_not_come_is_told(program: str, says: str) -> None:
    server = Server(command=(sys.executable, "-c", program, PLACE))

    told = play(SCRIPT, server, ReadBack(standin.define), start=1)

    assert told.error is not None
    assert told.error.message == says


def test_the_socket_is_where_our_plugin_has_it() -> None:
    plugin = (Path(__file__).parents[3] / "deploy/overlays/plugin/plugin.yaml").read_text()

    assert f"socketPath: /var/run/kubevirt-plugin/passgate/{SOCKET}\n" in plugin
