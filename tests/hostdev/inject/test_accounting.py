"""H14: no VM boots without what its limits ask for, and nothing is left unsaid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import PassgateError
from hostdev.allocation.env_file import MAX_BYTES
from hostdev.inject.gather import Channels
from hostdev.inject.hook import Answer, HookCore
from hostdev.inventory.scan import looker
from tests.domxml.domains import load
from tests.house import ROOT

QAT = str(ROOT / "tests" / "fixtures" / "machines" / "qat.toml")
GENERIC, LICENSE = "qat.intel.com/generic", "example.com/license"
FIRST, SECOND = "0000:3d:02.2", "0000:3d:02.3"
DOMAIN = load("q35-default")


def vmi(limits: Mapping[str, object], annotations: Mapping[str, str] = {}, **devices: object) -> bytes:
    spec = {"domain": {"resources": {"limits": limits}, "devices": devices}}
    return json.dumps({"metadata": {"name": "vm", "annotations": dict(annotations)}, "spec": spec}).encode()


def hook(file: Path | None = None, environment: Mapping[str, str] = {}, wait: float = 0.0) -> HookCore:
    def channels() -> Channels:
        path = "" if file is None else str(file)
        there = file is not None and file.exists()
        files = (path,) if there else ()
        return Channels(files=files, absent=() if there or not path else (path,), environment=environment)

    return HookCore(channels, looker(QAT), wait=wait)


def call(core: HookCore, given: bytes, xml: bytes = DOMAIN) -> Answer:
    answer = core.define(xml, given, deadline=float("inf"))
    core.keep(answer)
    return answer


def refused(core: HookCore, given: bytes) -> PassgateError:
    with pytest.raises(PassgateError) as refusal:
        call(core, given)
    return refusal.value


SILENT = {
    "nothing": b"",
    "comments": b"# nothing yet\n",
    "blank lines": b"\n \n",
    "unknown dialect": b"FOO_DEVICES=0000:3d:02.2\n",
    "no address": b"QAT0=none\n",
    "truncated": b"QAT0=0000:3d:0",
    "quoted": b'QAT0="0000:3d:02.2"\n',
    "export": b"export QAT0=0000:3d:02.2\n",
    "json": b'{"QAT0": "0000:3d:02.2"}\n',
    "utf-16": "QAT0=0000:3d:02.2\n".encode("utf-16"),
    "other resource": b"PCI_RESOURCE_EXAMPLE_COM_LICENSE=0000:3d:02.2\n",
    "auxiliary device": b"QAT0=mlx5_core.sf.2\n",
}


@pytest.mark.parametrize("content", SILENT.values(), ids=SILENT)
@pytest.mark.parametrize("annotated", [False, True])
def test_a_file_that_names_no_device_of_the_limits_refuses(tmp_path: Path, content: bytes, *, annotated: bool) -> None:
    file = tmp_path / "allocation.env"
    file.write_bytes(content)
    wish = {"passgate.dev/devices": json.dumps([{"resource": GENERIC}])} if annotated else {}
    core = hook(file)

    error = refused(core, vmi({GENERIC: "1"}, wish))

    assert GENERIC in error.sentence()
    file.write_text(f"QAT0={FIRST}\n")
    assert call(core, vmi({GENERIC: "1"}, wish)).devices


def test_a_file_that_is_too_large_to_be_read_refuses(tmp_path: Path) -> None:
    file = tmp_path / "allocation.env"
    file.write_bytes(b"#" * MAX_BYTES + f"\nQAT0={FIRST}\n".encode())
    core = hook(file)

    assert refused(core, vmi({GENERIC: "1"})).code == "allocation-file-unreadable"
    file.write_text(f"QAT0={FIRST}\n")
    assert call(core, vmi({GENERIC: "1"})).devices


def test_a_late_file_is_refused_first_and_injected_by_the_retry(tmp_path: Path) -> None:
    file = tmp_path / "allocation.env"
    core = hook(file, wait=0.1)

    error = refused(core, vmi({GENERIC: "1"}))
    file.write_text(f"QAT0={FIRST}\n")

    assert error.code == "allocation-missing"
    assert "not there" in error.message
    assert len(error.sentence()) <= 300
    assert call(core, vmi({GENERIC: "1"})).devices


def test_one_of_two_resources_is_not_enough(tmp_path: Path) -> None:
    file = tmp_path / "allocation.env"
    file.write_text(f"QAT0={FIRST}\n")

    error = refused(hook(file), vmi({GENERIC: "1", LICENSE: "1"}))

    assert (error.code, error.subject) == ("allocation-missing", LICENSE)
    assert f'{{"ignore": ["{LICENSE}"]}}' in error.hint


def test_fewer_than_the_limit_is_not_enough(tmp_path: Path) -> None:
    file = tmp_path / "allocation.env"
    file.write_text(f"QAT0={FIRST}\n")
    wish = {"passgate.dev/devices": json.dumps([{"resource": GENERIC}])}

    assert refused(hook(file), vmi({GENERIC: "2"})).code == "allocation-missing"
    assert refused(hook(file), vmi({GENERIC: "2"}, wish)).code == "allocation-missing"


def test_a_resource_that_is_no_device_can_be_excepted() -> None:
    core = hook(environment={"QAT0": FIRST})
    policy = {"passgate.dev/policy": json.dumps({"ignore": [LICENSE]})}

    assert call(core, vmi({GENERIC: "1", LICENSE: "3"}, policy)).devices


@pytest.mark.parametrize("name", ["devices.kubevirt.io/kvm", "devices.kubevirt.io/vhost-net", "kubernetes.io/x"])
def test_resources_of_kubernetes_and_kubevirt_need_no_device(name: str) -> None:
    answer = call(hook(), vmi({name: "1", "cpu": "2", "memory": "1Gi", "hugepages-1Gi": "1Gi"}))

    assert answer.xml == DOMAIN


def test_a_pool_under_kubevirts_name_is_one_of_devices() -> None:
    assert refused(hook(), vmi({"devices.kubevirt.io/nvme": "1"})).code == "allocation-missing"


def test_devices_named_outright_stand_for_the_limits() -> None:
    wish = {"passgate.dev/devices": json.dumps([{"address": FIRST}])}

    assert call(hook(), vmi({GENERIC: "1"}, wish)).devices
    assert refused(hook(), vmi({GENERIC: "2"}, wish)).code == "allocation-missing"


def test_numbered_names_of_two_resources_are_told_apart_by_the_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "allocation.env"
    limits = vmi({"qat.intel.com/cy": "1", "qat.intel.com/dc": "1"})
    file.write_text(f"QAT0={FIRST}\nQAT1={SECOND}\n")
    first = f"#passgate-resource:QAT0=qat.intel.com/dc\nQAT0={FIRST}\n"
    second = f"#passgate-resource:QAT1=qat.intel.com/cy\nQAT1={SECOND}\n"

    assert refused(hook(file), limits).code == "resources-share-names"
    file.write_text(first + second)
    wish = {"passgate.dev/devices": json.dumps([{"resource": "qat.intel.com/cy", "name": "mine"}])}
    answer = call(hook(file), vmi({"qat.intel.com/cy": "1", "qat.intel.com/dc": "1"}, wish))

    assert answer.devices == ("ua-passgate-mine",)
    assert b'slot="0x02" function="0x3"' in answer.xml


def test_an_answer_that_puts_nothing_in_settles_nothing(tmp_path: Path) -> None:
    file = tmp_path / "allocation.env"
    core = hook(file)
    given = vmi({GENERIC: "1"}, {"passgate.dev/policy": json.dumps({"allow": ["allocation-missing"]})})

    assert call(core, given).devices == ()
    file.write_text(f"QAT0={FIRST}\n")

    assert call(core, given).devices


def test_a_variable_with_two_values_is_no_guess(tmp_path: Path) -> None:
    file = tmp_path / "allocation.env"
    file.write_text(f"QAT0={FIRST}\nQAT0={SECOND}\n")

    assert refused(hook(file), vmi({GENERIC: "1"})).code == "variable-unreadable"


@pytest.mark.parametrize("name", ["passgate.dev/device", "passgate.dev/polcy", "passgate.dev/"])
def test_a_misspelt_annotation_is_an_error(name: str) -> None:
    error = refused(hook(environment={"QAT0": FIRST}), vmi({GENERIC: "1"}, {name: "[]"}))

    assert error.code == "unknown-annotation"


def test_one_guest_address_and_two_devices_leaves_none_out() -> None:
    wish = {"passgate.dev/devices": json.dumps([{"resource": GENERIC, "guestAddress": "0000:0e:00.0"}])}

    answer = call(hook(environment={"QAT0": FIRST, "QAT1": SECOND}), vmi({GENERIC: "2"}, wish))

    assert len(answer.devices) == 2


VALUES = st.sampled_from([FIRST, SECOND, "", "none", f"{FIRST},{SECOND}", "0000:3d:1f.7", "1:4", "mlx5_core.sf.2"])
NAMES = st.sampled_from(["QAT0", "QAT1", "PCI_RESOURCE_EXAMPLE_COM_LICENSE", "PCIDEVICE_EXAMPLE_COM_LICENSE", "FOO"])
LINES = st.lists(st.tuples(NAMES, VALUES).map("=".join) | st.sampled_from(["", "#", "export X", "=x"]), max_size=5)


@given(LINES, st.integers(0, 2), st.integers(0, 2))
def test_whatever_a_file_says_the_limits_are_met_or_the_call_is_refused(lines: list[str], qat: int, other: int) -> None:
    environment = dict(line.split("=", 1) for line in lines if line.partition("=")[0] and "=" in line)
    policy = {"passgate.dev/policy": json.dumps({"allow": ["device-missing", "device-in-two-resources"]})}
    try:
        answer = call(hook(environment=environment), vmi({GENERIC: str(qat), LICENSE: str(other)}, policy))
    except PassgateError:
        return
    named = {one for value in environment.values() for one in value.split(",") if one.startswith("0000:") or ":" in one}

    assert len(named) >= max(qat, other)
    assert len(answer.devices) >= (1 if qat and other == 0 else 0)
