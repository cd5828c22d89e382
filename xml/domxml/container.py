"""What people have a domain in: libvirt's files of running domains and of snapshots, and virt-launcher's log."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator

from lxml import etree

from domxml.document import parse_tree
from domxml.errors import BadInput
from domxml.finding import Finding
from domxml.guestfindings import DOMAIN_TAKEN_OUT

WRAPPERS = ("domstatus", "domainsnapshot", "domaincheckpoint")
"""Roots of libvirt that hold a <domain>: /run/libvirt/qemu, snapshots, checkpoints."""
_WRAPPED = re.compile(rb"<(?:%s)[\s>]" % "|".join(WRAPPERS).encode())
_DOMAIN = re.compile(r"<domain[\s>].*</domain>", re.DOTALL)
_DUMP = re.compile(r"[Bb]ase64 dump:? ([A-Za-z0-9+/=]+)")
_DEPTH = 40


def take_out_domain(data: bytes) -> tuple[bytes, Finding | None]:
    """Take the domain out of what it stands in, and say so; anything else comes back as it is."""
    if data.lstrip()[:1] in {b"{", b"["}:
        found, where = _in_log(data), "JSON"
        if found is None:
            hint = "virt-launcher logs its domain when it makes it: look for `Domain XML generated`"
            raise BadInput("not-a-domain", "the document is JSON, and no domain stands in it", hint=hint)
    elif _WRAPPED.search(data):
        root = parse_tree(data)
        inner = root.find("domain") if root.tag in WRAPPERS else None
        found = None if inner is None else etree.tostring(inner, encoding="unicode", with_tail=False).encode()
        where = f"<{root.tag!s}>"
    else:
        return data, None
    if found is None:
        return data, None
    return found, DOMAIN_TAKEN_OUT.found(where, "the domain was taken out of it, the last one that stands there")


def _in_log(data: bytes) -> bytes | None:
    found = None
    for text in _texts(data):
        for candidate in (text, *map(_decoded, _DUMP.findall(text))):
            match = _DOMAIN.search(candidate)
            if match:
                found = match[0].encode()
    return found


def _decoded(dump: str) -> str:
    try:
        return base64.b64decode(dump, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _texts(data: bytes) -> Iterator[str]:
    """Every text in one JSON document, or in one for each line."""
    try:
        yield from _walk(json.loads(data), _DEPTH)
    except (ValueError, RecursionError):
        for line in data.splitlines():
            try:
                yield from _walk(json.loads(line), _DEPTH)
            except (ValueError, RecursionError):
                continue


def _walk(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list) and depth:
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _walk(inner, depth - 1)
