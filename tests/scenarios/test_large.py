"""Large VMs: a whole GPU server, 64 VFs, and what is said when there is no more room."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from hostdev.inventory.recorded.recording import Recording
from tests.domxml.domains import load
from tests.hostdev.cli.injecting import Outcome, passgate
from tests.oracle.addresses import guest_addresses, moved
from tests.oracle.client import Defined, Oracle
from tests.scenarios import hosts, large


@dataclass(frozen=True)
class Large:
    """A domain, and what is told about its devices."""

    xml: bytes
    arguments: tuple[str, ...]
    devices: int

    def inject(self, *more: str, xml: bytes | None = None) -> Outcome:
        return passgate("inject", *self.arguments, *more, given=self.xml if xml is None else xml)


def recorded(folder: Path, recording: Recording) -> str:
    file = folder / "host.toml"
    file.write_text(hosts.text("large", recording), encoding="utf-8")
    return str(file)


@pytest.fixture(scope="session")
def gpu_server(tmp_path_factory: pytest.TempPathFactory) -> Large:
    """Eight GPUs, eight VFs and forty disks."""
    host = recorded(tmp_path_factory.mktemp("hgx"), hosts.hgx_with_vfs())
    return Large(large.domain(disks=40), (*large.variables(gpus=8, vf_count=8), "--host", host), 16)


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A host with more VFs than any VM can have."""
    return recorded(tmp_path_factory.mktemp("card"), hosts.many_vfs())


@pytest.fixture(scope="session", params=["GPU server", "64 VFs"])
def vm(request: pytest.FixtureRequest, gpu_server: Large, card: str) -> Large:
    """Both."""
    if request.param == "GPU server":
        return gpu_server
    return Large(load("q35-default"), (*large.variables(vf_count=64), "--host", card), 64)


def test_all_devices_are_in(vm: Large) -> None:
    plan = json.loads(vm.inject("-o", "json").out)
    buses = [device["guestAddress"] for device in plan["devices"]]

    assert len(set(buses)) == vm.devices
    assert [finding["code"] for finding in plan["findings"] if finding["severity"] == "error"] == []
    # Forty disks leave no index up to 31 for ports of KubeVirt, with or without us.
    told = "hotplug-ports-reduced" in {finding["code"] for finding in plan["findings"]}
    assert told == (vm.devices == 64)


def test_twice_is_once(vm: Large) -> None:
    once = vm.inject().out

    assert once != vm.xml
    assert vm.inject(xml=once).out == once


@pytest.mark.oracle
def test_libvirt_takes_it_and_nothing_moves(oracle: Oracle, vm: Large) -> None:
    base, ours = oracle.define(vm.xml), oracle.define(vm.inject().out)

    assert isinstance(base, Defined)
    assert isinstance(ours, Defined), ours.message
    assert moved(base.addresses, ours.addresses) == {}
    assert sum(key.startswith("hostdev:pci:") for key in ours.addresses) == vm.devices


@pytest.mark.oracle
def test_as_many_as_we_say_there_is_room_for(oracle: Oracle) -> None:
    refused = inject(200)
    room = int(refused.err.partition("there is room for ")[2].split()[0])
    answer = oracle.define(inject(room).out)

    assert isinstance(answer, Defined), answer.message
    assert (inject(room).code, inject(room + 1).code) == (0, 5)
    assert moved(guest_addresses(load("q35-default")), answer.addresses) == {}


@pytest.mark.parametrize("count", [200, 300])
def test_too_many_are_refused_in_a_sentence(count: int) -> None:
    refused = inject(count)

    assert (refused.code, refused.out) == (5, b"")
    assert f"{count} more root ports are needed, and there is room for " in refused.err
    assert "[no-free-place]" in refused.err
    assert "hint: give the VM fewer devices" in refused.err


def inject(count: int) -> Outcome:
    return passgate("inject", *large.variables(vf_count=count), given=load("q35-default"))
