"""H12: the log has KubeVirt's keys, digests and what changed; no secret and no whole document."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

from domxml import difference
from tests.domxml.domains import load
from tests.hooksidecar.client import Failed
from tests.hooksidecar.domainhooks import ADDRESS, with_device
from tests.hooksidecar.sidecar import Start, environment

SECRET = "hunter2-and-more"  # noqa: S105  a test looks for it where it must not be
DOMAIN = load("q35-default").replace(
    b"<devices>", f'<devices><graphics type="vnc" passwd="{SECRET}"></graphics>'.encode(), 1
)
VMI = f'{{"metadata": {{"name": "vm", "annotations": {{"password": "{SECRET}"}}}}}}'.encode()


def test_h12_a_line_a_call_in_kubevirts_keys(start: Start) -> None:
    sidecar = start("device")
    client = sidecar.ready()
    answer = client.define(DOMAIN, VMI)
    client.define(answer, VMI)

    first, second = sidecar.said("answered")

    assert {"component", "level", "msg", "pos", "timestamp"} <= set(first)
    assert (first["component"], first["level"], first["hook"]) == ("passgate-hook", "info", "OnDefineDomain")
    assert first["timestamp"].endswith("Z")
    assert first["domainDigest"] == _digest(DOMAIN)
    assert first["answerDigest"] == second["domainDigest"] == second["answerDigest"] == _digest(answer)
    assert (first["changed"], second["changed"]) == (True, False)
    assert (first["pass"], second["pass"]) == (1, 2)
    assert first["devices"] == [ADDRESS]
    assert 0 < first["ms"] < 2000


@pytest.mark.parametrize("core", ["device", "broken", "blame"])
def test_h12_no_secret_and_no_document_is_logged_at_any_level(start: Start, core: str) -> None:
    sidecar = start(core, "--log-level", "debug")
    client = sidecar.ready()
    for _ in range(2):
        try:
            client.define(DOMAIN, VMI)
        except Failed as failed:
            assert SECRET not in failed.details  # noqa: PT017

    assert SECRET not in sidecar.log_text()
    assert "annotations" not in sidecar.log_text()
    assert "topology" not in sidecar.log_text()  # Of the domain, but nothing that changed.


def test_h12_debug_shows_what_changed_and_info_does_not(start: Start) -> None:
    quiet = start("device")
    quiet.ready().define(DOMAIN)
    quiet.end()
    loud = start("device", "--log-level", "debug")
    loud.ready().define(DOMAIN)

    assert quiet.said("what changed") == []
    (line,) = loud.said("what changed")
    assert any(change.startswith("+devices/hostdev ") for change in line["diff"])
    assert "+devices/hostdev/alias name=ua-passgate-qat" in line["diff"]


def test_a_difference_shows_only_what_changed() -> None:
    lines = difference.difference_lines(DOMAIN, with_device(DOMAIN))

    assert lines
    assert all(line.startswith("+") for line in lines)
    assert SECRET not in "".join(lines)


def test_a_difference_shows_no_password_that_changed() -> None:
    other = DOMAIN.replace(SECRET.encode(), b"other")

    assert difference.difference_lines(DOMAIN, other) == []


def test_the_same_domain_written_otherwise_is_no_difference() -> None:
    assert (
        difference.difference_lines(
            b"<domain><devices><a b='1'/></devices></domain>",
            b"""<domain>
      <devices><a b="1"></a></devices></domain>""",
        )
        == []
    )


def test_h12_an_exception_that_a_library_logs_shows_its_kind_and_not_its_text() -> None:
    """What it says may quote a document."""
    code = """
import logging
from hooksidecar import log
log.start("debug")
try:
    raise ValueError("%s")
except ValueError:
    logging.getLogger("grpc._server").exception("Exception calling application")
"""
    said = subprocess.run(
        [sys.executable, "-c", code % SECRET], capture_output=True, text=True, check=True, env=environment()
    )
    line = json.loads(said.stderr)

    assert (line["level"], line["exception"]) == ("error", "ValueError")
    assert SECRET not in said.stderr


def test_every_line_of_the_log_is_json_whatever_happens(start: Start) -> None:
    sidecar = start("broken", "--log-level", "debug")
    client = sidecar.ready()
    for request in (b"", b"\xff\xff"):
        with pytest.raises(Failed):
            client.call("/kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain", request)
    sidecar.end()

    # Calls may come before "serving" is written.
    assert sorted(line["level"] for line in sidecar.log()) == ["error", "info", "info", "warning"]


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"
