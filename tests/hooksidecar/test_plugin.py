"""The same core behind the Plugin API: MutateDomain, at a socket of the plugin's own."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.domxml.domains import load
from tests.hooksidecar.client import Client, Failed
from tests.hooksidecar.domainhooks import with_device
from tests.hooksidecar.sidecar import Sidecar, names
from tests.patience import SOON

DOMAIN = load("q35-default")


class Plugin(Sidecar):
    """A sidecar whose socket is where the Plugin object says."""

    def __init__(self, mount: Path, core: str, *flags: str) -> None:
        super().__init__(mount, core, "--mode", "plugin", "--plugin-socket", str(mount / "domain.sock"), *flags)
        self.path = mount / "domain.sock"


@pytest.fixture
def plugin(mount: Path) -> Iterator[Plugin]:
    with Plugin(mount, "device") as sidecar:
        sidecar.ready()
        yield sidecar


def test_a_domain_is_mutated(plugin: Plugin) -> None:
    assert Client(str(plugin.path)).mutate(DOMAIN) == with_device(DOMAIN)
    assert plugin.said("answered")[0]["hook"] == "MutateDomain"


def test_the_socket_is_the_only_file_and_no_link(plugin: Plugin, mount: Path) -> None:
    assert names(mount) == ["domain.sock"]
    assert stat.S_ISSOCK(plugin.path.lstat().st_mode)
    assert stat.S_IMODE(plugin.path.lstat().st_mode) == 0o660


def test_the_target_of_a_migration_gets_its_domain_back(plugin: Plugin) -> None:
    assert Client(str(plugin.path)).mutate(DOMAIN, context="MigrationTarget") == DOMAIN
    assert plugin.said("passed through")


def test_a_domain_that_is_not_libvirts_is_refused(plugin: Plugin) -> None:
    with pytest.raises(Failed, match="bad-domain-type: domain_type is 'other'") as failed:
        Client(str(plugin.path)).mutate(DOMAIN, kind="other")

    assert failed.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_call_by_another_name_is_told(plugin: Plugin) -> None:
    """The second alpha of the Plugin API may call us by a name that no release has yet: that must not be silent."""
    name = "/kubevirt.hooks.plugins.v1alpha2.LauncherHookService/MutateGuestDefinition"
    with pytest.raises(Failed) as failed:
        Client(str(plugin.path)).call(name, b"")

    assert failed.value.code is grpc.StatusCode.UNIMPLEMENTED
    assert [line["method"] for line in plugin.said("unknown call")] == [name]


def test_there_are_no_services_of_a_hook(plugin: Plugin) -> None:
    with pytest.raises(Failed) as failed:
        Client(str(plugin.path)).info()

    assert failed.value.code is grpc.StatusCode.UNIMPLEMENTED


def test_h10_a_signal_ends_in_0(plugin: Plugin) -> None:
    code, took = plugin.end()

    assert (code, plugin.path.exists()) == (0, False)
    assert took < SOON
