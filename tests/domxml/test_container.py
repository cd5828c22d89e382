"""A domain inside what people have it in."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.container import take_out_domain
from domxml.document import Domain
from domxml.errors import BadInput, PassgateError
from tests.domxml.domains import load

DOMAIN = "<domain type='kvm'><name>a</name><devices/></domain>"
LATER = DOMAIN.replace("<name>a<", "<name>b<")
DUMP = base64.b64encode(LATER.encode()).decode()
LOG = "\n".join(
    json.dumps({"component": "virt-launcher", "level": "info", "msg": message})
    for message in ("Starting", f"Domain XML generated. Base64 dump {base64.b64encode(DOMAIN.encode()).decode()}", "x")
)
HELD = {
    "the status of a running domain": (
        f"<domstatus state='running'><monitor/>{DOMAIN}</domstatus>",
        "a",
        "<domstatus>",
    ),
    "a snapshot": (
        f"<!-- by hand -->\n<domainsnapshot><name>s</name>{DOMAIN}<inactiveDomain/></domainsnapshot>",
        "a",
        "<domainsnapshot>",
    ),
    "a checkpoint": (f"<domaincheckpoint>\n{DOMAIN}\n</domaincheckpoint>", "a", "<domaincheckpoint>"),
    "a log of virt-launcher": (LOG, "a", "JSON"),
    "a log with a later one": (f'{LOG}\n{{"msg": "Domain XML generated. Base64 dump {DUMP}"}}\nnot JSON', "b", "JSON"),
    "a document in JSON": (json.dumps({"items": [{"spec": {"xml": f"text before {DOMAIN} after"}}]}), "a", "JSON"),
}


@pytest.mark.parametrize(("text", "name", "where"), HELD.values(), ids=HELD)
def test_a_domain_is_taken_out_and_it_is_said(text: str, name: str, where: str) -> None:
    data, finding = take_out_domain(text.encode())

    assert Domain.parse(data).name == name
    assert finding is not None
    assert finding.code == "domain-taken-out"
    assert finding.subject == where


@pytest.mark.parametrize(
    "data",
    [
        load("q35-default"),
        DOMAIN.encode(),
        b"",
        b"<network/>",
        b"<domstatus/>",
        DOMAIN.encode() + b"<!-- <domstatus> -->",
    ],
)
def test_anything_else_comes_back_as_it_is(data: bytes) -> None:
    assert take_out_domain(data) == (data, None)


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"msg": "Base64 dump !!!"}', '{"msg": "Base64 dump AAAA"}', "[" * 99_999]
)
def test_json_without_a_domain_is_said_to_be_so(text: str) -> None:
    with pytest.raises(BadInput) as refusal:
        take_out_domain(text.encode())

    assert refusal.value.code == "not-a-domain"
    assert "Domain XML generated" in refusal.value.hint


@given(st.binary(max_size=200) | st.sampled_from([text.encode() for text, _, _ in HELD.values()]), st.data())
def test_no_text_does_harm(data: bytes, draw: st.DataObject) -> None:
    position = draw.draw(st.integers(0, len(data)))
    broken = data[:position] + draw.draw(st.binary(max_size=8)) + data[position:]
    with suppress(PassgateError):
        take_out_domain(broken)
