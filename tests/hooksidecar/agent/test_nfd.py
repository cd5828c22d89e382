"""Labels by way of Node Feature Discovery: valid, injective, written beside and renamed."""

from __future__ import annotations

import os
import re
import stat
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from pytest_mock import MockerFixture

from domxml.errors import BadInput, NotPermitted, PassgateError
from hooksidecar.agent import nfd
from hooksidecar.agent.nfd import label_name
from hostdev.inventory.machine import Iommu, Machine, Mdev
from tests.hostdev.cli.running import MACHINES, machine
from tests.hostdev.gate.build import IOMMU, at, function
from tests.hostdev.gate.build import machine as built
from tests.hostdev.holders.grants import UUID, grant

EVERY_MACHINE = sorted(file.stem for file in MACHINES.glob("*.toml"))
A, B, C = "0000:3d:02.1", "0000:3d:02.2", "0000:65:00.0"
HOST = built(
    function(A, group=43),
    function(B, group=44),
    function(C, group=50),
    function("0000:65:00.1", group=50, driver="snd_hda_intel"),
)
QAT = "qat.intel.com/generic"
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


def labels(text: str) -> dict[str, str]:
    """As the worker reads the file: a line a label, comments aside."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        # A comment that begins with a plus would be a directive.
        assert not line.startswith("# +")
        if not line.startswith("#"):
            key, _, value = line.partition("=")
            namespace, slash, name = key.partition("/")
            assert (namespace, slash) == ("passgate.dev", "/")
            assert NAME.fullmatch(name)
            assert VALUE.fullmatch(value)
            assert key not in found
            found[key.removeprefix("passgate.dev/")] = value
    return found


@pytest.mark.parametrize("name", EVERY_MACHINE)
def test_every_machine(name: str) -> None:
    seen = machine(name)
    addresses = [str(address) for address in seen.functions]
    told = labels(nfd.labels_text(seen, (), {QAT: addresses}))

    assert set(told) <= {"iommu", "iommu.enabled", "viable-groups.qat.intel.com_generic"}
    assert told["iommu"] in {"intel", "amd", "smmu", "none", "other", "unknown"}


@pytest.mark.parametrize(
    ("name", "kind", "enabled"),
    [
        ("two-socket-x710", "intel", "true"),
        ("amd-epyc", "amd", "true"),
        ("kunpeng", "smmu", "true"),
        ("no-iommu", "intel", "false"),
        ("noiommu", "none", "false"),
    ],
)
def test_iommu(name: str, kind: str, enabled: str) -> None:
    told = labels(nfd.labels_text(machine(name), (), {}))

    assert (told["iommu"], told["iommu.enabled"]) == (kind, enabled)


@pytest.mark.parametrize(
    ("iommu", "kind"),
    [
        (Iommu(units=("virtio_iommu0",), tables=()), "other"),
        (Iommu(units=(), tables=("IVRS",)), "amd"),
        (Iommu(units=(), tables=()), "none"),
        (Iommu(units=(), tables=None), "unknown"),
        (Iommu(units=("smmu3.0x0000000148000000",), tables=("IORT",)), "smmu"),
    ],
)
def test_kinds(iommu: Iommu, kind: str) -> None:
    assert labels(nfd.labels_text(Machine(iommu=iommu), (), {}))["iommu"] == kind


def test_what_was_not_seen_is_no_label() -> None:
    text = nfd.labels_text(Machine(iommu=Iommu(groups_visible=False)), (), {})

    assert "iommu.enabled" not in labels(text)
    assert "# not known whether the IOMMU is on: its groups cannot be listed\n" in text


@pytest.mark.parametrize(
    ("ids", "count"),
    [([A, B], "2"), ([A, A], "1"), (["43", "44"], "2"), ([A, C], "1"), ([C], "0"), (["0000:99:00.0"], "0")],
)
def test_viable_groups(ids: list[str], count: str) -> None:
    assert labels(nfd.labels_text(HOST, (), {QAT: ids}))["viable-groups.qat.intel.com_generic"] == count


def test_noiommu_groups_do_not_count() -> None:
    bare = replace(HOST, groups={n: replace(group, name="vfio-noiommu") for n, group in HOST.groups.items()})

    assert labels(nfd.labels_text(bare, (), {QAT: [A]}))["viable-groups.qat.intel.com_generic"] == "0"


def test_mediated_devices_count() -> None:
    host = replace(HOST, iommu=IOMMU, mdevs={UUID: Mdev(UUID, "nvidia-222", at(C), 77)})

    assert labels(nfd.labels_text(host, (), {"nvidia.com/vgpu": [UUID]}))["viable-groups.nvidia.com_vgpu"] == "1"


def test_a_plugin_whose_names_tell_nothing_is_known_by_its_grants() -> None:
    given_ = grant("opaque-7", env={"QAT0": A}, resource=QAT)

    assert labels(nfd.labels_text(HOST, (given_,), {QAT: ["opaque-7"]}))["viable-groups.qat.intel.com_generic"] == "1"


@pytest.mark.parametrize("ids", [["kvm0", "kvm1"], ["0", "1"], []])
def test_resources_of_other_kinds_are_passed_over(ids: list[str]) -> None:
    assert set(labels(nfd.labels_text(HOST, (), {"devices.kubevirt.io/kvm": ids}))) == {"iommu", "iommu.enabled"}


@pytest.mark.parametrize("resource", ["x" * 60 + ".com/vf", "a_b.com/vf", "vf", "a.com/vf_", "a.com/v/f", "a.com/\n+x"])
def test_a_name_that_does_not_fit_is_told(resource: str) -> None:
    text = nfd.labels_text(HOST, (), {resource: [A]})

    assert set(labels(text)) == {"iommu", "iommu.enabled"}
    assert "# no label for " in text
    assert len(text.splitlines()) == 3


RESOURCES = some.text(string.ascii_lowercase + string.digits + "._-/", min_size=1, max_size=60)


@given(RESOURCES, RESOURCES)
def test_no_two_resources_share_a_label(one: str, other: str) -> None:
    assume(one != other)
    names = [label_name(resource) for resource in (one, other)]

    assert not names[0] or names[0] != names[1]
    for name in names:
        assert not name or NAME.fullmatch(name)


@pytest.fixture
def narrow() -> Iterator[None]:
    """An agent whose umask lets nobody else read what it writes."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("narrow")
def test_writing(tmp_path: Path) -> None:
    directory = str(tmp_path)

    assert nfd.write_labels(directory, "a=1\n")
    assert not nfd.write_labels(directory, "a=1\n")
    assert nfd.write_labels(directory, "a=2\n")
    assert [path.name for path in tmp_path.iterdir()] == ["passgate"]
    assert (tmp_path / "passgate").read_text() == "a=2\n"
    assert stat.S_IMODE((tmp_path / "passgate").stat().st_mode) == 0o644


def test_what_is_there_already_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep")
    place = tmp_path / "features.d"
    place.mkdir()
    for name in ("passgate", nfd.BESIDE):
        (place / name).symlink_to(precious)
    nfd.write_labels(str(place), "a=1\n")

    assert precious.read_text() == "keep"
    assert not (place / "passgate").is_symlink()
    assert [path.name for path in place.iterdir()] == ["passgate"]


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written: No such file or directory") as refused:
        nfd.write_labels(str(tmp_path / "nowhere"), "a=1\n")

    assert "Node Feature Discovery makes the directory" in refused.value.hint


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, mocker: MockerFixture) -> None:
    nfd.write_labels(str(tmp_path), "a=1\n")

    mocker.patch.object(os, "fchmod", autospec=True, side_effect=OSError(28, "No space left on device"))
    with pytest.raises(PassgateError, match="No space left on device"):
        nfd.write_labels(str(tmp_path), "a=2\n")

    assert [path.name for path in tmp_path.iterdir()] == ["passgate"]
    assert (tmp_path / "passgate").read_text() == "a=1\n"


def test_a_read_only_directory(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(os, "open", autospec=True, side_effect=OSError(30, "Read-only file system"))
    with pytest.raises(NotPermitted, match="Read-only file system"):
        nfd.write_labels(str(tmp_path), "a=1\n")
