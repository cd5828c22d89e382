"""Kubelet's checkpoint: every form it has had, and whatever else may lie there."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domxml.errors import BadInput, PassgateError
from hostdev.kubelet.checkpoint import Checkpoint, Grant, Unread, parse
from tests.hooksidecar.agent.kubelet import answer

UID = "0c6e4c61-9e4c-4f35-a7e0-3d6c1e6b7a55"


def entry(**fields: Any) -> dict[str, Any]:
    return {
        "PodUID": UID,
        "ContainerName": "compute",
        "ResourceName": "qat.intel.com/generic",
        "DeviceIDs": {"0": ["0000:3d:02.2"], "-1": ["0000:3d:02.1"]},
        "AllocResp": answer({"QAT1": "0000:3d:02.1", "QAT0": "0000:3d:02.2"}, ["/dev/vfio/43", "/dev/vfio/vfio"]),
        **fields,
    }


def written(*entries: dict[str, Any], **more: Any) -> bytes:
    data = {"PodDeviceEntries": list(entries), "RegisteredDevices": {"qat.intel.com/generic": ["0000:3d:02.1"]}}
    return json.dumps({"Data": data, "Checksum": 3_405_691_582, **more}).encode()


def test_a_checkpoint_as_kubelet_writes_it() -> None:
    checkpoint = parse(written(entry(), BootID="0b2a8e5e"))

    assert checkpoint == Checkpoint(
        grants=(
            Grant(
                UID,
                "compute",
                "qat.intel.com/generic",
                ("0000:3d:02.1", "0000:3d:02.2"),
                (("QAT0", "0000:3d:02.2"), ("QAT1", "0000:3d:02.1")),
                ("/dev/vfio/43", "/dev/vfio/vfio"),
            ),
        ),
        registered={"qat.intel.com/generic": ("0000:3d:02.1",)},
        boot_id="0b2a8e5e",
    )


def test_an_entry_without_an_answer_is_no_entry() -> None:
    bare = entry()
    del bare["AllocResp"]

    assert parse(written(bare)).unread == (Unread(UID, "compute", "qat.intel.com/generic"),)
    assert len(parse(written(entry(AllocResp=""), entry(AllocResp=None))).grants) == 2


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ({"0": ["both", "one"], "1": ["both"]}, ("both", "one")),
        (["b", "a"], ("b", "a")),
        ({"-1": ["b", "a"]}, ("b", "a")),
        ({"1": ["c"], "0": ["a", "b"]}, ("a", "b", "c")),
        ({"0": None}, ()),
        ({}, ()),
        (None, ()),
    ],
    ids=["under both nodes", "before 1.20", "no NUMA node", "two nodes", "none of a node", "none", "null"],
)
def test_both_forms_of_device_ids(ids: object, found: tuple[str, ...]) -> None:
    (grant,) = parse(written(entry(DeviceIDs=ids))).grants

    assert grant.device_ids == found


def test_a_node_without_pods_is_not_a_torn_file() -> None:
    data = b'{"Data":{"PodDeviceEntries":null,"RegisteredDevices":{}},"Checksum":1}'

    assert parse(data) == Checkpoint()


def test_the_boot_may_stand_with_the_data() -> None:
    data = b'{"Data":{"PodDeviceEntries":null,"RegisteredDevices":{},"BootID":"x"},"Checksum":1}'

    assert parse(data).boot_id == "x"


def test_an_empty_answer_of_the_plugin_is_an_answer() -> None:
    for text in ("", None):
        assert parse(written(entry(AllocResp=text))).grants[0].environment == ()


@pytest.mark.parametrize("text", ["%%%", "AAA", base64.b64encode(b"\x0a\xff").decode(), "Cg"])
def test_an_answer_that_cannot_be_decoded_is_left_out_as_kubelet_does(text: str) -> None:
    checkpoint = parse(written(entry(AllocResp=text), entry(ResourceName="a/b")))

    assert checkpoint.unread == (Unread(UID, "compute", "qat.intel.com/generic"),)
    assert [grant.resource for grant in checkpoint.grants] == ["a/b"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\0\0\0\0", "is not JSON"),
        (b'{"\xff": 1}', "is not UTF-8"),
        (written(entry())[:-20], "is not JSON"),
        (b"[]", "must be an object"),
        (b"{}", "has no PodDeviceEntries"),
        (b'{"Data": {"RegisteredDevices": {}}}', "has no PodDeviceEntries"),
        (written(entry(PodUID="../../etc")), "must be the UID of a pod"),
        (written(entry(PodUID="")), "must be the UID of a pod"),
        (written(entry(PodUID=7)), "must be text"),
        (written(entry(DeviceIDs={"0": "a"})), "must be a list"),
        (written(entry(DeviceIDs=[1])), "must be text"),
        (b"[" * 200_000, "nested"),
    ],
)
def test_what_is_no_checkpoint_is_a_sentence(data: bytes, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(data)

    assert refused.value.code == "checkpoint-unreadable"
    assert says in refused.value.message


def tolerant(data: bytes) -> Checkpoint | None:
    try:
        return parse(data)
    except PassgateError:
        return None


@given(st.binary(max_size=400))
@example(b"NaN")
@example(b'{"Data":{"PodDeviceEntries":[null]}}')
@example(b'{"Data":{"PodDeviceEntries":null,"PodDeviceEntries":null}}')
def test_any_bytes(data: bytes) -> None:
    tolerant(data)


WHOLE = written(entry(), entry(ResourceName="a/b"), BootID="x")


@given(st.integers(0, len(WHOLE)), st.binary(max_size=8), st.integers(0, 8))
def test_a_checkpoint_with_a_few_bytes_changed(at: int, put: bytes, drop: int) -> None:
    checkpoint = tolerant(WHOLE[:at] + put + WHOLE[at + drop :])

    assert checkpoint is None or isinstance(checkpoint.grants, tuple)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_torn_one_is_never_taken_for_a_whole_one(length: int) -> None:
    assert tolerant(WHOLE[:length]) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("PodUID", "ContainerName", "ResourceName", "DeviceIDs", "AllocResp")


@given(
    st.dictionaries(st.sampled_from(FIELDS), JSON), st.sampled_from(["Data", "Entries", "Registered", "Entry"]), JSON
)
def test_any_value_in_any_place(fields: dict[str, Any], place: str, value: Any) -> None:
    document = json.loads(written(entry(**fields)))
    if place == "Data":
        document["Data"] = value
    elif place == "Entries":
        document["Data"]["PodDeviceEntries"] = value
    elif place == "Registered":
        document["Data"]["RegisteredDevices"] = value
    tolerant(json.dumps(document).encode())


@given(st.binary(max_size=60))
def test_any_answer_of_a_plugin(data: bytes) -> None:
    checkpoint = parse(written(entry(AllocResp=base64.b64encode(data).decode())))

    assert len(checkpoint.grants) + len(checkpoint.unread) == 1


def test_without_protobuf_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['google.protobuf'] = None\n"
        "from hostdev.kubelet.checkpoint import parse\n"
        "from domxml.errors import BadInput\n"
        f"try: parse({written(entry())!r})\n"
        "except BadInput as error: print(error.code, error.hint)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout == "module-missing pip install 'passgate[agent]'\n"
