"""Documents that are refused, and the code of each refusal."""

from __future__ import annotations

from domxml.document import MAX_BYTES

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
