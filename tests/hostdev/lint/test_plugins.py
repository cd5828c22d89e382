"""KubeVirt's Plugins: the words of each release, the gate, and what one does to the VMs beside it."""

from __future__ import annotations

import pytest

from hostdev.cli.main import main
from tests.deploy.manifests import DEPLOY
from tests.hostdev.lint.run import codes, results, said, vm

PLUGIN = """
apiVersion: plugin.kubevirt.io/v1alpha1
kind: Plugin
metadata: {name: passgate}
spec:
  domainHooks: [{sidecar: {socketPath: /var/run/kubevirt-plugin/passgate/domain.sock}}]
"""
SECOND = PLUGIN.replace("domainHooks", "launcherHooks")
PLAIN, GPU = vm(), vm(devices="{gpus: [{name: a, deviceName: nvidia.com/T4}]}")
SRIOV = vm("networks: [{name: n, multus: {networkName: n}}]", devices="{interfaces: [{name: n, sriov: {}}]}")
OPEN = {"kubevirt": "1.9", "gates": "Plugins,HostDevices"}


@pytest.mark.parametrize("release", ["1.9", "head"])
def test_a_plugin_in_the_words_of_its_release(release: str) -> None:
    assert codes(PLUGIN, PLAIN, kubevirt=release, gates="Plugins") == []


@pytest.mark.parametrize("release", ["1.9", "head"])
def test_hooks_in_the_words_of_the_second_alpha_are_never_called(release: str) -> None:
    (line,) = said(SECOND, kubevirt=release, gates="Plugins")

    assert " plugin-by-release spec.launcherHooks: " in line
    assert codes(SECOND, kubevirt=release, gates="Plugins") == ["error plugin-by-release"]


def test_hooks_in_the_words_of_both_alphas() -> None:
    both = f"{PLUGIN}  launcherHooks: []\n"

    assert codes(both, **OPEN) == ["error plugin-by-release"]


@pytest.mark.parametrize("release", ["1.5", "1.8"])
def test_a_release_without_plugins(release: str) -> None:
    assert codes(PLUGIN, kubevirt=release) == ["error plugin-by-release"]
    assert codes(SECOND, GPU, kubevirt=release, gates="all") == ["error plugin-by-release"]


def test_no_release_is_told() -> None:
    assert codes(PLUGIN) == ["info plugin-by-release", "info gate-closed"]


def test_the_gate_is_asked_for() -> None:
    assert codes(PLUGIN, kubevirt="1.9", gates="none") == ["error gate-closed"]


@pytest.mark.parametrize("holder", [GPU, SRIOV, GPU.replace("gpus", "hostDevices")])
def test_vms_that_a_plugin_makes_fail(holder: str) -> None:
    assert "warning plugin-drops-mode" in codes(PLUGIN, holder, **OPEN)
    assert "warning plugin-drops-mode" not in codes(holder, **OPEN)


def test_many_vms_that_a_plugin_makes_fail_are_counted() -> None:
    found = [one.finding for one in results(PLUGIN, *[GPU] * 4, **OPEN)]

    assert [one.message for one in found if one.code == "plugin-drops-mode"] == [
        "4 VMs beside it have PCI host devices in the spec"
    ]


@pytest.mark.parametrize("api", ["jenkins.example/v1", "v1", "null"])
def test_a_plugin_of_another_project_is_passed_over(api: str) -> None:
    assert codes(SECOND.replace("plugin.kubevirt.io/v1alpha1", api), **OPEN) == []


@pytest.mark.parametrize("spec", ["null", "[]", "text", "{launcherHooks: null}"])
def test_any_plugin_is_looked_at(spec: str) -> None:
    head = PLUGIN.partition("spec:")[0]

    assert set(codes(f"{head}spec: {spec}\n", **OPEN)) <= {"error plugin-by-release"}


def test_our_own_plugin_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    plugin = str(DEPLOY / "overlays/plugin/plugin.yaml")

    assert main(["lint", plugin, "--kubevirt", "1.9", "--feature-gates", "Plugins"]) == 0
    assert "plugin-by-release" not in capsys.readouterr().out
