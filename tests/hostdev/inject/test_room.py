"""The sidecar's word on room for BARs: told, refused where it is certain or wanted, never where a VM is defined."""

from __future__ import annotations

import time
from pathlib import Path
from time import monotonic

import pytest
from pytest_mock import MockerFixture

from domxml.document import Domain
from domxml.errors import PassgateError
from domxml.finding import Severity
from domxml.kubevirt import coming_ports
from hostdev.fit.firmware import Firmware, parse_firmware
from hostdev.inject.gather import Channels
from hostdev.inject.hook import Answer, HookCore, Launcher
from hostdev.inventory.scan import looker
from hostdev.kubevirt import standin
from hostdev.kubevirt.boot import boot
from tests.domxml.domains import load
from tests.hooksidecar.guests import guest_of
from tests.hostdev.inject.rooms import HUGE, LARGE, NAME, efi, resized, vmi

OLD, NEW = parse_firmware("ovmf-2022.08"), parse_firmware("ovmf-2025.02")


@pytest.fixture
def card(tmp_path: Path) -> str:
    return resized(tmp_path, HUGE)


def core(host: str, firmware: Firmware | None = None) -> HookCore:
    return HookCore(Channels, looker(host, bars=True), launcher=Launcher(firmware=firmware))


def call(of: HookCore, xml: bytes, given: bytes) -> Answer:
    answer = of.define(xml, given, deadline=monotonic() + 5)
    of.keep(answer)
    return answer


def codes(answer: Answer) -> set[str]:
    return {finding.code for finding in answer.findings if "window" in finding.code or "reach" in finding.code}


def test_a_vga_card_that_no_firmware_has_room_for_is_refused_in_a_sentence(card: str) -> None:
    with pytest.raises(PassgateError) as refusal:
        call(core(card, OLD), efi(load(NAME)), vmi())

    assert refusal.value.code == "bar-window-fatal"
    assert "2 TiB" in refusal.value.sentence()
    assert len(refusal.value.sentence()) < 500


def test_where_the_processor_is_not_known_nothing_is_refused(tmp_path: Path) -> None:
    answer = call(core(resized(tmp_path, HUGE, bits=False), OLD), efi(load(NAME)), vmi())

    assert answer.devices
    assert {f.severity for f in answer.findings if f.code == "bar-window-fatal"} == {Severity.WARNING}


def test_its_author_may_want_it_all_the_same(card: str) -> None:
    allowed = {"allow": ["group-not-viable", "vfio-node-missing", "bar-window-fatal"]}
    answer = call(core(card, OLD), efi(load(NAME)), vmi(allowed))

    assert answer.devices
    assert codes(answer) == {"bar-window-fatal"}


def test_what_depends_on_the_firmware_is_told_and_refuses_nothing(tmp_path: Path) -> None:
    answer = call(core(resized(tmp_path, LARGE)), efi(load(NAME)), vmi())

    assert answer.devices
    assert codes(answer) == {"bar-window-unknown"}


def test_a_device_without_an_address_is_a_warning_until_the_author_wants_it_refused(tmp_path: Path) -> None:
    host = resized(tmp_path, HUGE, vga=False)
    answer = call(core(host, OLD), efi(load(NAME)), vmi())
    assert "bar-window-too-small" in codes(answer)
    assert {f.severity for f in answer.findings if f.code == "bar-window-too-small"} == {Severity.WARNING}

    with pytest.raises(PassgateError) as refusal:
        call(core(host, OLD), efi(load(NAME)), vmi({"refuse": ["bar-window-too-small"]}))
    assert refusal.value.code == "bar-window-too-small"


def test_a_code_is_not_allowed_and_refused_at_once(tmp_path: Path) -> None:
    rules = {"allow": ["bar-window-fatal"], "refuse": ["bar-window-fatal"]}
    with pytest.raises(PassgateError, match="cannot be allowed and refused at once"):
        call(core(resized(tmp_path, LARGE)), efi(load(NAME)), vmi(rules))


def test_a_later_pass_is_never_refused(card: str) -> None:
    """Another process, after a restart, meets the domain that is defined already."""
    allowed = {"allow": ["group-not-viable", "vfio-node-missing", "bar-window-fatal"]}
    first = call(core(card, OLD), efi(load(NAME)), vmi(allowed))
    answer = core(card, OLD).define(first.xml, vmi(), deadline=monotonic() + 5)

    assert answer.trouble == ""
    assert b"ua-passgate-gpu" in answer.xml
    assert codes(answer) == {"bar-window-fatal"}


def test_every_pass_of_a_boot_is_judged(tmp_path: Path) -> None:
    told: list[set[str]] = []
    serving = core(resized(tmp_path, HUGE, vga=False), NEW)

    def hook(xml: bytes) -> bytes:
        answer = call(serving, xml, vmi())
        told.append(codes(answer))
        return answer.xml

    passes = boot(efi(load(NAME)), hook, standin.define, guest_of(NAME))

    assert len(passes) == 3
    assert told[0]
    assert all(told)


def test_devices_that_ask_for_little_are_not_judged(tmp_path: Path) -> None:
    text = Path(resized(tmp_path, 16 << 20)).read_text().replace("0x0000000000040101", "0x0000000000000000")
    machine = tmp_path / "small.toml"
    machine.write_text(text)
    answer = call(core(str(machine), OLD), efi(load(NAME)), vmi())

    assert answer.devices
    assert codes(answer) == set()


def test_it_takes_little_of_a_call(tmp_path: Path) -> None:
    """A call has two seconds, and a fifth of a processor."""
    for bits, most in ((True, 0.15), (False, 0.3)):
        host, serving = resized(tmp_path, LARGE, bits=bits), []
        for _ in range(3):
            begun = time.process_time()
            call(core(host), efi(load(NAME)), vmi())
            serving.append(time.process_time() - begun)
        assert min(serving) < most


def test_a_forecast_that_fails_keeps_no_vm_from_starting(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch("hostdev.fit.fit.fit", autospec=True, side_effect=RecursionError("too deep"))
    answer = call(core(resized(tmp_path, LARGE)), efi(load(NAME)), vmi())

    assert answer.devices
    (found,) = (finding for finding in answer.findings if finding.code == "bar-window-unknown")
    assert "RecursionError: too deep" in found.message


def test_ports_to_come_are_those_of_a_first_pass() -> None:
    assert coming_ports(Domain.parse(load(NAME))) > 0
    assert coming_ports(Domain.parse(standin.define(load(NAME)))) == 0
