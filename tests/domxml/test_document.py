from __future__ import annotations

import pytest
from lxml import etree

from domxml.document import MAX_BYTES, Domain
from domxml.errors import BadInput, PassgateError
from tests.domxml.domains import load, names
from tests.domxml.wishes import inject, wish

DOMAIN = b"<domain type='kvm'><name>d</name><devices/></domain>"

BAD_DOCUMENTS = {
    "empty": (b"", "empty-document"),
    "white space": (b" \n\t ", "empty-document"),
    "NUL byte": (b"<domain>\0</domain>", "malformed-xml"),
    "not XML": (b"hello", "malformed-xml"),
    "cut off": (b"<domain><devices>", "malformed-xml"),
    "two roots": (DOMAIN + DOMAIN, "malformed-xml"),
    "UTF-16": (DOMAIN.decode().encode("utf-16"), "bad-encoding"),
    "UTF-16 that says UTF-8": (
        ("<?xml version='1.0' encoding='utf-8'?>" + DOMAIN.decode()).encode("utf-16-le"),
        "bad-encoding",
    ),
    "unknown encoding": (b"<?xml version='1.0' encoding='klingon'?>" + DOMAIN, "malformed-xml"),
    "bytes that are not UTF-8": (b"<domain><name>\xff\xfe</name><devices/></domain>", "malformed-xml"),
    "DOCTYPE": (b"<!DOCTYPE domain>" + DOMAIN, "document-type"),
    "external entity": (
        b"<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain><name>&x;</name><devices/></domain>",
        "document-type",
    ),
    "billion laughs": (
        b"<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'>"
        + b"".join(b"<!ENTITY a%d '%s'>" % (i, b"&a%d;" % (i - 1) * 10 if i else b"&a;" * 10) for i in range(9))
        + b"]><domain><name>&a8;</name><devices/></domain>",
        "",
    ),
    "wrong root": (b"<network/>", "not-a-domain"),
    "default namespace": (b"<domain xmlns='urn:x'><devices/></domain>", "not-a-domain"),
    "no devices": (b"<domain type='kvm'/>", "devices-count"),
    "two devices elements": (b"<domain type='kvm'><devices/><devices/></domain>", "devices-count"),
    "oversize": (b"<domain>" + b" " * MAX_BYTES + b"<devices/></domain>", "document-too-large"),
    "too deep": (b"<domain><devices/>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</domain>", "malformed-xml"),
}


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
