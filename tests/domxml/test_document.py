from __future__ import annotations

import pytest
from lxml import etree

from domxml.document import Domain
from domxml.errors import BadInput, PassgateError
from tests.domxml.baddocuments import BAD_DOCUMENTS, DOMAIN
from tests.domxml.domains import load, names
from tests.domxml.guestslots import inject, wish


@pytest.mark.parametrize("name", BAD_DOCUMENTS)
def test_a_bad_document_is_refused_in_a_sentence(name: str) -> None:
    data, code = BAD_DOCUMENTS[name]
    with pytest.raises(BadInput) as refusal:
        Domain.parse(data)

    assert refusal.value.code == code or not code
    assert refusal.value.hint
    assert len(refusal.value.sentence()) < 300


def canonical(xml: bytes) -> bytes:
    return etree.tostring(etree.fromstring(xml), method="c14n")


@pytest.mark.parametrize("name", names())
def test_serialising_loses_nothing(name: str) -> None:
    data = load(name)

    assert canonical(Domain.parse(data).serialise()) == canonical(data)


def test_what_surrounds_and_fills_a_document_survives() -> None:
    data = (
        "\ufeff<?xml version='1.0' encoding='UTF-8'?><!-- before --><?pi x?>"
        "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>ä€𝄞</name>"
        "<metadata><k:kubevirt xmlns:k='http://kubevirt.io'/></metadata>"
        "<devices><!-- a --><?pi y?><disk><![CDATA[x]]></disk></devices>"
        "<qemu:commandline><qemu:arg value='-x'/></qemu:commandline></domain><!-- after -->"
    ).encode()
    output = Domain.parse(data).serialise()

    assert not output.startswith(b"<?xml")
    assert canonical(output) == canonical(data)
    for kept in (b"<!-- before -->", b"<?pi x?>", b"<!-- a -->", b"<![CDATA[x]]>", b"<!-- after -->", b"xmlns:qemu"):
        assert kept in output


def test_the_qemu_namespace_survives_when_nothing_uses_it() -> None:
    data = DOMAIN.replace(b"<domain ", b"<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' ")

    assert b"xmlns:qemu=" in Domain.parse(data).serialise()


@pytest.mark.parametrize("kind", ["xen", "test", "lxc", "", "KVM"])
def test_only_qemu_takes_vfio_devices(kind: str) -> None:
    with pytest.raises(PassgateError, match="type='kvm'"):
        inject(DOMAIN.replace(b"kvm", kind.encode()), wish("qat", "0000:3d:02.2"))


def test_other_declared_encodings_come_out_as_utf_8() -> None:
    data = "<?xml version='1.0' encoding='iso-8859-1'?><domain type='kvm'><name>ä</name><devices/></domain>"

    assert "ä".encode() in Domain.parse(data.encode("iso-8859-1")).serialise()
