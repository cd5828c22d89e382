"""One PreCloudInitIso call: what is written, what is left, what is refused, and only before the first answer."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput, PassgateError, Refused
from domxml.finding import Severity
from hostdev.cloudinit.hook import Answer, CloudInitHook, Documents
from tests.hostdev.cloudinit.build import ADDRESSED, BOND, DEFAULT, LEFT, RIGHT, documents, vmi
from tests.hostdev.vmi.jsonvalues import JSON
from tests.patience import SOON

LATER = 1e12
WITH_BOND = vmi(DEFAULT, LEFT, RIGHT, bonds=[BOND])
PLAIN = vmi(DEFAULT, LEFT)
OWN = "version: 2\nethernets: {enp1s0: {dhcp4: true}}\n"


def once(given_: Documents, of: bytes, info: bytes | None = None) -> Answer:
    return CloudInitHook(lambda: info).write(given_, of, deadline=LATER)


def test_both_documents_get_the_network_data_and_keep_everything_else() -> None:
    given_ = documents()
    found = once(given_, WITH_BOND)

    newer, older = json.loads(found.documents.data), json.loads(found.documents.source)
    assert newer == {**json.loads(given_.data), "NetworkData": found.network_data}
    assert older == {**json.loads(given_.source), "networkData": found.network_data}
    assert set(json.loads(found.network_data)) == {"version", "ethernets", "bonds"}
    assert (found.vm, found.interfaces, found.findings) == ("ns/vm", ("left", "right"), ())


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_user_data_stays_byte_for_byte(text: str) -> None:
    given_ = documents(user_data=text)
    found = once(given_, PLAIN)

    begin, end = given_.data.index(b'"UserData":'), given_.data.rindex(b'"NetworkData":')
    assert given_.data[begin:end] in found.documents.data
    assert found.documents.data.endswith(given_.data[end:].replace(b'"NetworkData":""', b"", 1))


def test_old_releases_know_only_the_older_document() -> None:
    found = once(documents()._replace(data=b""), PLAIN)

    assert found.documents.data == b""
    assert json.loads(found.documents.source)["networkData"] == found.network_data != ""


@pytest.mark.parametrize("of", [vmi(DEFAULT), vmi(), vmi(DEFAULT, bonds=[])])
def test_no_request_no_change(of: bytes) -> None:
    given_ = documents()

    assert once(given_, of) == Answer(given_, "ns/vm", settled=once(given_, of).settled)


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_the_authors_network_data_is_left(own: str) -> None:
    given_ = documents(own)
    found = once(given_, PLAIN)

    assert found.documents == given_
    assert [(one.code, one.severity) for one in found.findings] == [("network-data-not-written", Severity.INFO)]


def test_a_bond_beside_the_authors_network_data_is_refused() -> None:
    with pytest.raises(Refused, match="has network data of its own"):
        once(documents(OWN), WITH_BOND)


def test_a_config_drive_is_left_and_told() -> None:
    given_ = documents(source="configDrive")
    found = once(given_, PLAIN)

    assert found.documents == given_
    assert [(one.code, one.severity) for one in found.findings] == [("network-data-not-written", Severity.WARNING)]


def test_a_bond_on_a_config_drive_is_refused() -> None:
    with pytest.raises(Refused, match="is a config drive"):
        once(documents(source="configDrive"), WITH_BOND)


@pytest.mark.parametrize("of", [PLAIN, WITH_BOND])
def test_its_own_answer_goes_back_as_it_came(of: bytes) -> None:
    first = once(documents(), of)
    second = once(first.documents, of)

    assert second.documents == first.documents
    assert (second.network_data, second.findings) == ("", ())


def test_what_is_not_there_stays_away() -> None:
    empty = Documents(b"", b"null")

    assert once(empty, WITH_BOND).documents == empty


def test_a_bad_annotation_is_refused() -> None:
    with pytest.raises(BadInput, match="there is no key"):
        once(documents(), vmi(LEFT, RIGHT, bonds=[{**BOND, "intrefaces": []}]))


def test_a_migration_target_gets_what_came() -> None:
    given_ = documents()
    of = vmi(LEFT, RIGHT, bonds=[BOND, BOND], status={"phase": "Running", "migrationState": {}})

    assert once(given_, of).documents == given_


def test_after_the_first_answer_nothing_is_refused() -> None:
    hook = CloudInitHook(lambda: None)
    first = hook.write(documents(), WITH_BOND, deadline=LATER)
    assert hook.keep(first) == 1

    again = hook.write(documents(), vmi(DEFAULT, LEFT, bonds=[BOND]), deadline=LATER)
    late = hook.write(documents(OWN), WITH_BOND, deadline=LATER)

    assert again.documents == first.documents
    assert late.documents == documents(OWN)
    assert late.trouble.startswith("bond-not-possible: ")


def test_an_answer_that_does_not_go_out_settles_nothing() -> None:
    hook = CloudInitHook(lambda: None)
    hook.write(documents(), WITH_BOND, deadline=LATER)

    with pytest.raises(Refused):
        hook.write(documents(OWN), WITH_BOND, deadline=LATER)


PLUG = {"name": "plug", "binding": {"name": "passgate"}}
INFO: dict[str, Any] = {
    "interfaces": [
        {"network": "plug", "mac": "02:00:00:00:00:09", "deviceInfo": {"pci": {"pci-address": "0000:03:00.1"}}}
    ]
}


def test_network_info_brings_the_device_of_a_binding_plugin() -> None:
    found = once(documents(), vmi(DEFAULT, PLUG), json.dumps(INFO).encode())

    assert found.interfaces == ("plug",)
    assert '"02:00:00:00:00:09"' in found.network_data


def test_network_info_is_waited_for() -> None:
    answers = iter([b"", b" \n", json.dumps(INFO).encode()])
    last = json.dumps(INFO).encode()
    hook = CloudInitHook(lambda: next(answers, last), wait=5)

    assert hook.write(documents(), vmi(DEFAULT, PLUG), deadline=LATER).interfaces == ("plug",)


def test_it_is_waited_for_no_longer_than_said() -> None:
    hook = CloudInitHook(lambda: b"", wait=0.2)

    begun = time.monotonic()
    found = hook.write(documents(), vmi(DEFAULT, PLUG), deadline=LATER)

    assert found.documents == documents()
    assert 0.2 <= time.monotonic() - begun < SOON


FIELDS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("DataSource", "NetworkData", "UserData", "networkData", "NoCloudMetaData"), JSON)
)
INTERFACES = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(LEFT, JSON)) | st.just(LEFT) | st.just(RIGHT))


@given(FIELDS | JSON, FIELDS | JSON, INTERFACES, st.none() | st.just([BOND]) | JSON)
def test_whatever_comes_is_answered_or_refused_with_a_sentence(
    older: Any, newer: Any, interfaces: list[Any], wanted: Any
) -> None:
    given_ = Documents(json.dumps(older).encode(), json.dumps(newer).encode())
    try:
        found = once(given_, vmi(*interfaces, bonds=wanted))
    except PassgateError as error:
        assert error.code in {"bad-annotation", "bad-cloud-init", "bad-vmi", "bond-not-possible"}  # noqa: PT017
        return
    for before, after, key in (
        (older, found.documents.source, "networkData"),
        (newer, found.documents.data, "NetworkData"),
    ):
        expected = {**before, key: found.network_data} if found.network_data and before is not None else before
        assert json.loads(after) == expected


def test_an_interface_gets_its_addresses_without_a_bond() -> None:
    found = once(documents(), vmi(DEFAULT, LEFT, addressed=[ADDRESSED]))

    assert json.loads(found.network_data)["ethernets"]["left"]["addresses"] == ADDRESSED["addresses"]
    assert json.loads(found.documents.data)["NetworkData"] == found.network_data


@pytest.mark.parametrize(
    ("given_", "text"), [(documents(OWN), "of its own"), (documents(source="configDrive"), "config drive")]
)
def test_addresses_that_can_be_written_nowhere_are_refused(given_: Documents, text: str) -> None:
    with pytest.raises(Refused, match=text) as refused:
        once(given_, vmi(DEFAULT, LEFT, addressed=[ADDRESSED]))

    assert refused.value.code == "interface-not-possible"
