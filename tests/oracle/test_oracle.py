"""The oracle itself: that it is the libvirt it says, says what libvirt says, and survives what libvirt does not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.oracle.addresses import guest_addresses
from tests.oracle.client import CRASHED, TIMED_OUT, Defined, Oracle, Refused
from tests.oracle.corpus import SUITE, Corpus, is_i440fx, is_q35, is_s390x, is_virt
from tests.oracle.roots import Root, named
from tests.oracle.samples import REFUSALS, TRANSCRIPT, TRANSCRIPT_ADDRESSES, domain

pytestmark = pytest.mark.oracle

DOMAINS = Path(__file__).parents[1] / "fixtures" / "domains"
LEAST_VERSION = {"bookworm": 9_000_000, "trixie": 11_003_000, "sid": 12_000_000}
KEEPS_ORDER = 11_000_000
"""libvirt 9.0 lists the controllers in another order when it reads its own XML again."""
FOR_ANOTHER_QEMU = {
    "audio-default-sdl",
    "usb-controller-automatic-unavailable-q35",
    "usb-hub-autoadd",
    "usb-hub-autoadd-deluxe",
}
"""libvirt's own tests pretend a QEMU without USB controllers, or another audio backend, for these."""


def test_is_the_libvirt_of_its_release(oracle: Oracle) -> None:
    suite = oracle.root.suite
    assert oracle.version >= LEAST_VERSION[suite.name]
    if suite.required:
        assert oracle.version // 1000 == LEAST_VERSION[suite.name] // 1000


@pytest.mark.parametrize("validate", [False, True], ids=["define", "validate"])
def test_defines_what_virt_launcher_writes(oracle: Oracle, *, validate: bool) -> None:
    paths = sorted(DOMAINS.rglob("*.xml"))
    assert paths
    answers = oracle.define_many((path.read_bytes() for path in paths), validate=validate)
    refused = {path.name: answer for path, answer in zip(paths, answers, strict=True) if isinstance(answer, Refused)}
    assert refused == {}


@pytest.mark.parametrize(("devices", "code", "message"), REFUSALS.values(), ids=REFUSALS)
def test_refuses_in_libvirts_own_words(oracle: Oracle, devices: str, code: int, message: str) -> None:
    answer = oracle.define(domain(devices))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.message) == (code, message)


def test_the_schema_refuses_what_the_parser_overlooks(oracle: Oracle) -> None:
    misspelt = domain("<rng model='virtio' modle='x'><backend model='random'>/dev/urandom</backend></rng>")
    assert isinstance(oracle.define(misspelt), Defined)
    answer = oracle.define(misspelt, validate=True)
    assert isinstance(answer, Refused)
    assert "failed to validate against schema" in answer.message


def test_what_is_not_xml_is_libvirts_to_refuse(oracle: Oracle) -> None:
    answer = oracle.define(b"<domain>")
    assert isinstance(answer, Refused)
    assert "XML parse error" in answer.message or "tag" in answer.message


def test_gives_each_device_the_address_libvirt_gives_it(oracle: Oracle) -> None:
    answer = oracle.define(TRANSCRIPT)
    assert isinstance(answer, Defined)
    assert {key: str(address) for key, address in answer.addresses.items() if address} == TRANSCRIPT_ADDRESSES


def test_what_it_reads_back_stays_as_it_is(oracle: Oracle) -> None:
    answer = oracle.define(TRANSCRIPT, redefine=True)
    assert isinstance(answer, Defined)
    assert answer.again is not None
    assert guest_addresses(answer.again) == answer.addresses
    if oracle.version >= KEEPS_ORDER:
        assert answer.again == answer.xml


def test_nothing_is_left_of_a_domain(oracle: Oracle) -> None:
    named_alike = [domain("").replace(b"<name>", f"<uuid>{number:032x}</uuid><name>".encode()) for number in (1, 2)]
    assert all(isinstance(oracle.define(xml), Defined) for xml in named_alike)


def test_answers_come_in_the_order_of_the_domains(oracle: Oracle) -> None:
    xmls = [domain("").replace(b"<name>", f"<name>number{number}-".encode()) for number in range(20)]
    answers = oracle.define_many(xmls, jobs=3)
    for number, answer in enumerate(answers):
        assert isinstance(answer, Defined)
        assert f"<name>number{number}-".encode() in answer.xml


@pytest.mark.parametrize("root", [named(SUITE)], indirect=True, ids=[SUITE])
def test_agrees_with_libvirts_own_tests(oracle: Oracle, corpus: Corpus) -> None:
    names = {"x86_64": (is_q35, is_i440fx), "aarch64": (is_virt,), "s390x": (is_s390x,)}
    cases = [
        (name, xml, expected)
        for name, xml in corpus.inputs()
        for architecture, kinds in names.items()
        if any(is_kind(xml) for is_kind in kinds)
        if (expected := corpus.outputs(name).get(f"{architecture}-latest"))
    ]
    answers = oracle.define_many(xml for _, xml, _ in cases)
    pairs = [
        (name, guest_addresses(expected), answer.addresses)
        for (name, _, expected), answer in zip(cases, answers, strict=True)
        if isinstance(answer, Defined)
    ]
    assert len(pairs) > 700
    assert {name for name, expected, seen in pairs if expected != seen} <= FOR_ANOTHER_QEMU


def test_survives_the_death_of_libvirt(oracle: Oracle) -> None:
    os.kill(_libvirt_of(oracle), signal.SIGSEGV)
    answer = oracle.define(TRANSCRIPT)
    assert isinstance(answer, Refused)
    assert answer.code == CRASHED
    assert answer.message.startswith("crashed: exit status 139")
    assert isinstance(oracle.define(TRANSCRIPT), Defined)


@pytest.mark.parametrize("root", [named(SUITE)], indirect=True, ids=[SUITE])
def test_does_not_wait_for_ever(root: Root) -> None:
    with Oracle(root, timeout=5) as oracle:
        assert isinstance(oracle.define(TRANSCRIPT), Defined)
        os.kill(_libvirt_of(oracle), signal.SIGSTOP)
        answer = oracle.define(TRANSCRIPT)
        assert isinstance(answer, Refused)
        assert answer.code == TIMED_OUT
        assert isinstance(oracle.define(TRANSCRIPT), Defined)


def test_leaves_nothing_behind(root: Root) -> None:
    with Oracle(root) as first, Oracle(root) as second:
        pids = [first.pid, second.pid, _libvirt_of(first), _libvirt_of(second)]
        assert isinstance(first.define(TRANSCRIPT), Defined)
        assert isinstance(second.define(TRANSCRIPT), Defined)
        assert str(root.path) not in Path("/proc/self/mountinfo").read_text()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert list((root.path / "sys").iterdir()) == []
    assert {path.name for path in (root.path / "dev").iterdir()}.isdisjoint({"kvm", "vfio"})


def _libvirt_of(oracle: Oracle) -> int:
    return int(Path(f"/proc/{oracle.pid}/task/{oracle.pid}/children").read_text())
