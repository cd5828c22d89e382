"""`passgate.dev/policy`: what the VM's author takes upon himself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput
from hostdev.findings.registry import ALL
from hostdev.vmi.annotations import POLICY, Policy, policy, read_policy
from hostdev.vmi.vmi import Vmi
from tests.hostdev.vmi.jsonvalues import JSON


def read(text: str) -> Policy:
    return policy(Vmi(annotations={POLICY: text}))


def test_nothing_is_allowed_unless_it_is_said() -> None:
    assert policy(Vmi()) == Policy("refuse", frozenset())
    for found in (policy(Vmi()), read("{}"), read('{"unsafe": "refuse", "allow": []}')):
        assert found.allowed == frozenset()


def test_single_findings_are_allowed() -> None:
    found = read('{"allow": ["group-not-viable", "device-in-use"]}')

    assert found.allowed == {"group-not-viable", "device-in-use"}


def test_everything_is_allowed_only_by_that_word() -> None:
    assert read('{"unsafe": "warn"}').allowed == set(ALL)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{POLICY}: is empty"),
        ("[]", f"{POLICY}: must be an object, is a list"),
        ("warn", f"{POLICY}: is not JSON"),
        ('{"unsafe": "allow"}', f'{POLICY}.unsafe: must be "refuse" or "warn", is "allow"'),
        ('{"unsafe": "warning"}', f'{POLICY}.unsafe: must be "refuse" or "warn", is "warning"'),
        ('{"unsafe": true}', f"{POLICY}.unsafe: must be text, is true"),
        ('{"unsafe": null}', f"{POLICY}.unsafe: must not be null"),
        ('{"unsave": "warn"}', f'{POLICY}: there is no key "unsave": did you mean unsafe?'),
        ('{"allow": "group-not-viable"}', f'{POLICY}.allow: must be a list, is "group-not-viable"'),
        ('{"allow": [1]}', f"{POLICY}.allow[0]: must be text, is 1"),
        ('{"allow": ["device-in-use", "group-not-viabel"]}', f"{POLICY}.allow[1]: there is no finding"),
        ('{"allow": ["group-not-viabel"]}', "did you mean group-not-viable?"),
        ('{"unsafe": "warn", "unsafe": "refuse"}', f'{POLICY}: has the key "unsafe" twice'),
    ],
)
def test_a_mistake_allows_nothing(text: str, message: str) -> None:
    found, errors = read_policy(text)

    assert message in str(errors[0])
    assert len(errors) == 1
    assert found.allowed == frozenset()
    with pytest.raises(BadInput):
        read(text)


def test_all_mistakes_are_told() -> None:
    _, errors = read_policy('{"unsafe": 1, "allow": 2, "x": 3}')

    assert [error.subject for error in errors] == [POLICY, f"{POLICY}.unsafe", f"{POLICY}.allow"]


@given(JSON | st.fixed_dictionaries({}, optional={"unsafe": JSON, "allow": JSON}))
def test_any_json_is_read_or_refused(value: Any) -> None:
    found, errors = read_policy(json.dumps(value))

    if not errors:
        assert isinstance(value, dict)
        assert found.unsafe == (value.get("unsafe") or "refuse")
