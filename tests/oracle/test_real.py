"""What real files have, and the boots of KubeVirt's releases, against a real libvirt."""

from __future__ import annotations

import pytest

from domxml.kubevirt import places_again
from tests.boots import Boot, boots_of
from tests.domxml.boothooks import Hook, slots_of
from tests.domxml.domains import load
from tests.domxml.guestaddresses import PLANNED
from tests.domxml.guestslots import inject, wish
from tests.domxml.realdomains import LEAVING, TAKEN, Taken, asked
from tests.oracle.addresses import moved
from tests.oracle.client import Defined, Oracle

pytestmark = pytest.mark.oracle

ONCE = [boot for boot in boots_of("1.9.0") if boot.vm.name != "efi-sb-tpm"]
"""The roots have no TPM."""


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
def test_what_is_taken_moves_nothing(oracle: Oracle, taken: Taken) -> None:
    result = inject(taken.xml, asked(taken.guest))
    base, after = oracle.define(taken.xml), oracle.define(result.xml)

    assert isinstance(base, Defined), base
    assert isinstance(after, Defined), after
    assert moved(base.addresses, after.addresses) == {}
    if taken.guest:
        assert str(after.addresses["hostdev:pci:0000:65:02.3"]) == taken.guest


@pytest.mark.parametrize(("name", "guest", "owner"), PLANNED)
def test_who_makes_room_goes_where_it_was_told(oracle: Oracle, name: str, guest: str, owner: str) -> None:
    result = inject(load(name), wish("qat", "0000:fe:02.2", guest))
    base, after = oracle.define(load(name)), oracle.define(result.xml)

    assert isinstance(base, Defined), base
    assert isinstance(after, Defined), after
    ((_, (there, here)),) = moved(base.addresses, after.addresses).items()
    told = {finding.message for finding in result.findings if finding.subject == owner}
    assert told == {f"its guest address becomes {here} instead of {there}"}


def test_a_device_that_leaves_lets_nothing_move(oracle: Oracle) -> None:
    result = inject(LEAVING, wish("sriov0", "0000:5e:02.0", "0000:0e:00.0"))
    base, after = oracle.define(LEAVING), oracle.define(result.xml)

    assert isinstance(base, Defined), base
    assert isinstance(after, Defined), after
    assert set(moved(base.addresses, after.addresses)) == {"hostdev:pci:0000:5e:02.0"}


@pytest.mark.parametrize("boot", ONCE, ids=lambda boot: boot.id)
def test_the_first_pass_is_taken_as_it_was_answered(oracle: Oracle, boot: Boot) -> None:
    """The aliases of ports that are kept free, too."""
    answered = Hook(slots_of(boot), again=places_again(boot.release))(boot.passes[0])
    answer = oracle.define(answered)

    assert isinstance(answer, Defined), answer
    kept = [line for line in answered.split(b"<alias ") if line.startswith(b'name="ua-passgate_vacancy-')]
    assert answer.xml.count(b"ua-passgate_vacancy-") == len(kept)
