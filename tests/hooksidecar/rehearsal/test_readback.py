"""Libvirt in a process of its own: missing, unreachable, silent or crashing; and the domain comes back as itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from domxml.document import Domain
from domxml.errors import BadInput, Refused
from hooksidecar.rehearsal import readback
from hooksidecar.rehearsal.readback import read_back
from tests.domxml.domains import load

URI = "test:///default"
Q35 = load("q35-default")


def python(tmp_path: Path, name: str, *lines: str) -> tuple[str, ...]:
    """A Python whose libvirt binding is made to order."""
    script = tmp_path / name
    script.write_text("\n".join(["import sys", *lines]))
    return (sys.executable, str(script))


ABSENT = ("sys.exit(3)",)
GREETING = """print('{"version": 11003000, "type": "qemu"}', flush=True)"""


def test_name_and_uuid_come_back_as_they_were() -> None:
    with read_back(URI) as back:
        read = Domain.parse(back.define(Q35))

    assert read.name == "default_q35-default"
    assert read.root.find("uuid") is None, "there was none"
    assert read.root.findtext("sysinfo/system/entry[@name='manufacturer']") == "KubeVirt"


def test_a_domain_may_be_defined_again_and_again() -> None:
    with read_back(URI) as back:
        once = back.define(Q35)
        assert back.define(Q35) == once
        assert back.define(once) == once


def test_the_python_of_the_distribution_is_asked_where_ours_has_no_binding(tmp_path: Path) -> None:
    with read_back(URI, [python(tmp_path, "none", *ABSENT), (sys.executable,)]) as back:
        assert back.real


def test_no_binding_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no Python here has libvirt's binding") as caught:
        read_back(URI, [python(tmp_path, "none", *ABSENT)]).__enter__()

    assert "apt-get install python3-libvirt" in caught.value.hint
    assert "without --connect a stand-in answers" in caught.value.hint


def test_a_crash_is_told(tmp_path: Path) -> None:
    crash = ("import os, signal", GREETING, "sys.stdin.readline()", "os.kill(os.getpid(), signal.SIGSEGV)")

    with (
        read_back(URI, [python(tmp_path, "crash", *crash)]) as back,
        pytest.raises(Refused, match="libvirt's process ended with -11 over this domain"),
    ):
        back.define(Q35)


def test_a_crash_at_the_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot connect to libvirt: it ended with 7"):
        read_back(URI, [python(tmp_path, "start", "sys.exit(7)")]).__enter__()


def test_silence_is_told(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(readback, "PATIENCE", 1.0)
    mocker.patch.object(readback, "FAREWELL", 0.1)
    silent = ("import time", GREETING, "time.sleep(60)")

    with (
        read_back(URI, [python(tmp_path, "silent", *silent)]) as back,
        pytest.raises(Refused, match="libvirt has not answered for 1 s"),
    ):
        back.define(Q35)


def test_without_a_uri_the_stand_in_answers_and_proves_nothing() -> None:
    with read_back("") as back:
        assert (back.real, len(back.cannot_prove)) == (False, 3)
        assert b"<address" in back.define(Q35)
