"""What a dump leaves out, wherever it stands; and that what a diagnosis needs is kept."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domxml.errors import BadInput
from hostdev.why.dump import File, read_dump
from hostdev.why.redaction import Redaction
from hostdev.why.subject import parse_name
from hostdev.why.why import explain_vm
from tests.hostdev.why.cases import CASES
from tests.patience import PATIENCE

SECRET = "S3cr3tS3cr3tS3cr3t"  # noqa: S105  made up
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnc2lnc2ln"  # noqa: S105  made up


def clean(text: str) -> str:
    return Redaction().clean(File("file", text.encode())).data.decode()


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        f"https://user:{SECRET}@registry.example/v2/",
        f"Authorization: Bearer {SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\\n{SECRET}\\n-----END RSA PRIVATE KEY-----",
        f"#cloud-config\\nchpasswd: {SECRET}",
        f'{{"component":"virt-launcher","msg":"volume {{\\"userData\\":\\"{SECRET}\\"}}"}}\\n{{}}',
        f"api_key: {SECRET}",
        f"--token={SECRET}",
        f'"msg": "{{\\"spec\\": {{\\"password\\": \\"{SECRET}\\"}}}}"',
        f'"msg": "{{\\"userData\\": \\"#!/bin/sh\\\\necho \\\\\\"{SECRET}\\\\\\"\\"}}"',
        f"curl -u admin:{SECRET} https://host.example",
        f"sshpass -p {SECRET} ssh host",
        f"mysql -uroot -p{SECRET}",
        f"Set-Cookie: session={SECRET}",
        f"passphrase is '{SECRET}'",
        f"login with password {SECRET}",
        f"kernel arguments: rootpw={SECRET} quiet",
        f"-object secret,id=sec0,data={SECRET},format=raw",
        f"<graphics type='vnc' passwd='{SECRET}'/>",
        f"root:$6$saltsalt${SECRET}:19000:0:99999:7:::",
        f"glpat-{SECRET} was used",
        f"ghp_{SECRET} was used",
        f'{{"auths":{{"registry.example":{{"auth_key":"{SECRET}"}}}}}}',
    ],
)
def test_secrets_in_texts(text: str) -> None:
    assert SECRET not in clean(text)


def test_tokens_of_service_accounts() -> None:
    assert TOKEN not in clean(f"log line with {TOKEN} in it")
    assert TOKEN not in clean(json.dumps({"kind": "Pod", "metadata": {"name": "x"}, "status": {"message": TOKEN}}))


@pytest.mark.parametrize(
    "value",
    [
        {"kind": "Secret", "metadata": {"name": "s"}, "data": {"k": SECRET}},
        {"kind": "List", "items": [{"kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"k": SECRET}}]},
        {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": SECRET}}},
        {"metadata": {"annotations": {"kubevirt.io/ignitiondata": SECRET}}},
        {"spec": {"containers": [{"env": [{"name": "ANYTHING", "value": SECRET}]}]}},
        {"spec": {"volumes": [{"cloudInitNoCloud": {"userData": SECRET, "networkDataBase64": SECRET}}]}},
        {"spec": {"args": ["--auth-token", SECRET]}},
        {"spec": {"password": SECRET, "clientSecret": SECRET}},
        {"spec": {"containers": [{"args": ["--user", f"admin:{SECRET}", "-p", SECRET], "command": ["sh", SECRET]}]}},
        {"spec": {"initContainers": [{"livenessProbe": {"exec": {"command": ["check", SECRET]}}}]}},
        {"spec": {"readinessProbe": {"httpGet": {"httpHeaders": [{"name": "X-Api-Key", "value": SECRET}]}}}},
        {"spec": {"domain": {"firmware": {"kernelBoot": {"kernelArgs": f"root=/dev/vda luks={SECRET}"}}}}},
        {"kind": "KubeVirt", "metadata": {"name": "k"}, "spec": {"customizeComponents": {"patches": [SECRET]}}},
        {"metadata": {"managedFields": [{"x": SECRET}]}},
    ],
)
def test_secrets_in_objects(value: object) -> None:
    assert SECRET not in clean(json.dumps(value))


def test_what_the_agent_was_started_with_is_kept() -> None:
    agent = {"image": "registry.example/passgate-node:0.2.0", "args": ["--observe", "--token", SECRET]}

    text = clean(json.dumps({"spec": {"containers": [agent]}}))

    assert "--observe" in text
    assert SECRET not in text


@pytest.mark.parametrize("name", CASES)
def test_a_diagnosis_is_the_same_without_secrets(name: str) -> None:
    case = CASES[name]
    files = [File("objects.json", json.dumps({"kind": "List", "items": case.objects}).encode())]
    files += [File(log, text.encode()) for log, text in case.logs.items()]
    redaction = Redaction()

    before, after = (
        explain_vm(read_dump("dump", told), parse_name(case.vm, "")) for told in (files, map(redaction.clean, files))
    )

    assert [(item.check, item.result) for item in after.items] == [(item.check, item.result) for item in before.items]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(name=st.sampled_from(sorted(CASES)), random=st.randoms(use_true_random=False))
def test_fields_of_any_type_are_read_and_left_out(name: str, random: Random) -> None:
    def spoil(value: Any) -> Any:
        if isinstance(value, dict):
            odd: tuple[Any, ...] = (None, 1, "x", [], {}, [1, None], True)
            return {key: random.choice(odd) if random.random() < 1 / 16 else spoil(one) for key, one in value.items()}
        return [spoil(one) for one in value] if isinstance(value, list) else value

    file = File("objects.json", json.dumps({"kind": "List", "items": spoil(list(CASES[name].objects))}).encode())
    for told in (file, Redaction().clean(file)):
        with suppress(BadInput):
            explain_vm(read_dump("dump", [told]), parse_name(CASES[name].vm, ""))


@given(st.text(max_size=200))
def test_any_text_is_taken(text: str) -> None:
    clean(text)


def test_long_texts_take_no_time() -> None:
    begun = time.monotonic()

    clean(base64.b64encode(b"x" * 1_000_000).decode() + "a-" * 200_000 + "-----BEGIN PRIVATE KEY" * 1000)

    assert time.monotonic() - begun < PATIENCE
