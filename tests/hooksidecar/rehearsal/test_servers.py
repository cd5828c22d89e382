"""The rehearsal with sidecars that die, hang, answer rubbish or do harm: always a sentence, always the right one."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from hooksidecar.rehearsal.play import Script, play
from hooksidecar.rehearsal.process import Server
from hooksidecar.rehearsal.readback import read_back
from hooksidecar.rehearsal.report import Report
from tests.domxml.domains import FOLDER, load
from tests.hooksidecar.rehearsal import rehearsing
from tests.house import ROOT
from tests.otheruser import skip_unless_root
from tests.patience import PATIENCE

SCRIPT = Script(load("q35-default"), (FOLDER / "q35-default.vmi.json").read_bytes())
FATAL = {
    "cannot start": ("sidecar-ended", "the sidecar ended with 1"),
    "speaks no grpc": ("sidecars-missing", "0 of 1 sidecars answered within 2 s; virt-launcher would panic"),
    "info is late": ("call-failed", "Info DEADLINE_EXCEEDED"),
    "info is rubbish": ("bad-answer", "3 bytes came that are no answer to this call"),
    "info is of tomorrow": ("no-common-version", "the sidecar has v2, v3; virt-launcher would panic"),
    "two sockets": ("too-many-sockets", "2 sockets answered for 1 sidecars (one.sock, two.sock)"),
    "dies of info": ("sidecar-ended", "the sidecar ended with 4"),
    "dies of a call": ("sidecar-ended", "the sidecar ended with 5"),
    "dies of shutdown": ("sidecar-ended", "the sidecar ended with 6"),
    "answer is rubbish": ("bad-answer", "3 bytes came that are no answer to this call"),
    "answer is empty": ("bad-answer", "the domain XML is empty; virt-launcher would not define it"),
    "answer is no domain": ("bad-answer", "the document has root <network>, not <domain>"),
    "cloud-init is rubbish": ("bad-answer", "1 bytes came that are no cloud-init data in JSON"),
    "stays": ("sidecar-stays", "the sidecar did not end within 5 s of its Shutdown"),
}
HARMFUL = {
    "ends badly": {"bad-end"},
    "changes the password": {"cloud-init-changed"},
    "forgets": {"not-restored"},
    "loses": {"not-restored", "device-gone"},
    "wanders": {"device-moves"},
    "misspells": {"libvirt-drops"},
}


@pytest.fixture(autouse=True)
def _modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'xml'}")


def rehearse(actor: str, *, uri: str = "", start: float = 20.0) -> Report:
    with read_back(uri) as back:
        return play(SCRIPT, rehearsing.actor(actor), back, start)


@pytest.mark.parametrize("actor", FATAL)
def test_what_would_stop_virt_launcher_is_told(actor: str) -> None:
    code, says = FATAL[actor]

    told = rehearse(actor, start=2.0 if actor == "speaks no grpc" else 20.0)

    assert told.error is not None
    assert told.error.code == code
    assert says in str(told.error)
    assert told.exit_code == 5
    assert not told.document()["passed"]


@pytest.mark.parametrize("actor", HARMFUL)
def test_what_would_harm_the_vm_is_told(actor: str) -> None:
    """libvirt's test driver has libvirt's real parser: what it drops, every driver of this version drops."""
    told = rehearse(actor, uri="test:///default")

    assert told.error is None
    assert {problem.code for problem in told.problems} == HARMFUL[actor]
    assert told.exit_code == 1


def test_what_libvirt_drops_is_named() -> None:
    told = rehearse("misspells", uri="test:///default")

    assert [str(problem) for problem in told.problems if problem.code == "libvirt-drops"] == [
        "ua-passgate-qat: libvirt dropped rom baar=off, without a word [libvirt-drops]"
    ]
    assert {(loss.fact, loss.by, loss.restored) for loss in told.calls[1].lost} == {
        ("rom baar=off", "libvirt", True),
        ("driver name=vfio", "structs", True),
    }


def test_a_stand_in_drops_nothing_and_says_that_it_proves_nothing() -> None:
    told = rehearse("misspells")

    assert told.problems == ()
    assert "that libvirt keeps everything that is written in them" in told.document()["readBack"]["cannotProve"]


def test_who_has_to_make_room_is_told() -> None:
    told = rehearse("shoves")

    moved = [str(problem) for problem in told.problems if problem.code == "base-device-moves"]
    assert any(line.startswith("disk ua-root: sits at guest 0000:0") for line in moved), told.problems


def test_info_gets_one_second() -> None:
    begun = time.monotonic()
    told = rehearse("info is late")

    assert told.error is not None
    assert told.error.hint == "virt-launcher gives Info 1 s, once, and panics without an answer"
    assert time.monotonic() - begun < PATIENCE


def test_nothing_is_left_behind(mocker: MockerFixture, tmp_path: Path) -> None:
    """Neither files nor processes, however it ends."""
    short = tmp_path / "t"
    short.mkdir()
    mocker.patch.object(tempfile, "tempdir", str(short))
    before = _children()
    for actor in ("dies of a call", "two sockets", "misspells"):
        rehearse(actor)
    with read_back("test:///default") as back, pytest.raises(AssertionError, match="no libvirt"):
        play(SCRIPT, Server(), back._replace(define=_fails))

    assert list(short.iterdir()) == []
    assert _children() == before


def _fails(_xml: bytes) -> bytes:
    raise AssertionError("no libvirt")


def _children() -> list[str]:
    return sorted(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_another_sidecar_is_started_by_its_command_as_any_user() -> None:
    skip_unless_root()
    server = f"setpriv --reuid 107 --clear-groups {sys.executable} -m hooksidecar.main --socket-dir {{}}"

    said = rehearsing.rehearse("--server", server)

    assert said.returncode == 0, said.stderr
    assert "1 device in place on every pass" in said.stdout
