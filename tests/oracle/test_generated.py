"""Generated domains, the asked-for addresses, expander buses and functions, against a real libvirt."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domxml.document import Domain
from domxml.errors import PassgateError
from domxml.guestpci.prediction import predict
from domxml.guestpci.topology import Topology
from domxml.guestslot import GuestSlot
from tests.domxml.domains import load, names
from tests.domxml.generated import domains
from tests.domxml.guestaddresses import ASKED, REFUSED
from tests.domxml.guestslots import guest_of, inject, multifunction, wish
from tests.oracle.addresses import moved
from tests.oracle.client import Defined, Oracle, Refused

pytestmark = pytest.mark.oracle

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WISHES = (
    wish("qat", "0000:fe:02.2", rom_bar="off"),
    multifunction("gpu", "0000:fc:00.0", 2),
    wish("vgpu", "c0ffee00-1111-2222-3333-444455556666"),
)


@SETTINGS
@given(xml=domains())
def test_generated_domains_are_predicted_and_not_moved(oracle: Oracle, xml: bytes) -> None:
    base = oracle.define(xml)
    assert isinstance(base, Defined), base
    prediction = predict(Topology(Domain.parse(xml)))
    result = inject(xml, *WISHES)
    after = oracle.define(result.xml)

    assert isinstance(after, Defined), after
    assert moved(base.addresses, after.addresses) == {}
    assert set(guest_of(result).values()) <= {str(address) for address in after.addresses.values()}
    assert prediction.known
    ports = {f"controller:pci:{port.index}": port.address for port in prediction.ports}
    assert ports.items() <= base.addresses.items()


@SETTINGS
@given(
    xml=domains(),
    bus=st.integers(0, 0x28),
    slot=st.sampled_from([0, 0, 0, 1, 2, 5, 0x10, 0x1E, 0x1F]),
    function=st.sampled_from([0, 0, 0, 1]),
)
def test_an_address_is_honoured_or_refused_never_refused_by_libvirt(
    oracle: Oracle, xml: bytes, bus: int, slot: int, function: int
) -> None:
    asked = f"0000:{bus:02x}:{slot:02x}.{function}"
    try:
        result = inject(xml, wish("qat", "0000:fe:02.2", asked))
    except PassgateError as refusal:
        if refusal.exit_code != 5:
            raise
        return
    base, after = oracle.define(xml), oracle.define(result.xml)

    assert isinstance(base, Defined)
    assert isinstance(after, Defined), after
    assert str(after.addresses["hostdev:pci:0000:fe:02.2"]) == asked
    told = {finding.code for finding in result.findings}
    assert moved(base.addresses, after.addresses) == {} or "base-device-moves" in told


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("wishes", [WISHES, (wish("near", "fe:02.2", node=0), wish("near-2", "fe:02.3", node=0))])
def test_the_schema_takes_what_we_write(oracle: Oracle, name: str, wishes: tuple[GuestSlot, ...]) -> None:
    answer = oracle.define(inject(load(name), *wishes).xml, validate=True)

    assert isinstance(answer, Defined), answer


@pytest.mark.parametrize(("name", "asked", "got"), ASKED)
def test_libvirt_takes_the_addresses_that_are_honoured(oracle: Oracle, name: str, asked: str, got: str) -> None:
    answer = oracle.define(inject(load(name), wish("qat", "fe:02.2", asked)).xml)

    assert isinstance(answer, Defined), answer
    assert str(answer.addresses["hostdev:pci:0000:fe:02.2"]) == got


IN_LIBVIRTS_WORDS = [row for row in REFUSED if "slot must" in row[2] or "domain" in row[2]]


@pytest.mark.parametrize(("name", "asked", "words"), IN_LIBVIRTS_WORDS)
def test_the_words_of_a_refusal_are_libvirts(oracle: Oracle, name: str, asked: str, words: str) -> None:
    domain, rest = asked.split(":", 1)
    bus, slot_function = rest.split(":")
    slot, function = slot_function.split(".")
    address = f"<address type='pci' domain='0x{domain}' bus='0x{bus}' slot='0x{slot}' function='0x{function}'/>"
    source = "<source><address domain='0' bus='0xfe' slot='2' function='2'/></source>"
    hostdev = f"<hostdev mode='subsystem' type='pci'>{source}{address}</hostdev></devices>"
    answer = oracle.define(load(name).replace(b"</devices>", hostdev.encode()))

    assert isinstance(answer, Refused)
    assert words in answer.message
