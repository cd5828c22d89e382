"""Libvirt's version, as far as it decides what may be written."""

from __future__ import annotations

import re
from typing import NamedTuple

from domxml.errors import BadInput

_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?", re.ASCII)


class LibvirtVersion(NamedTuple):
    """Such as 11.3.0."""

    major: int
    minor: int
    micro: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.micro}"

    @classmethod
    def parse(cls, text: str) -> LibvirtVersion:
        """Read `11.3` or `11.3.0`."""
        match = _VERSION.fullmatch(text)
        if not match:
            raise BadInput(
                "bad-version", f"{text[:40]!r} is not a version of libvirt", hint="write it as 11.3 or 11.3.0"
            )
        major, minor, micro = match.groups()
        return cls(int(major), int(minor), int(micro or 0))

    @classmethod
    def from_number(cls, number: int) -> LibvirtVersion:
        """Read what virConnectGetLibVersion() answers, such as 11003000."""
        return cls(number // 1_000_000, number // 1000 % 1000, number % 1000)


OLDEST = LibvirtVersion(9, 0)
"""Assumed where no version is given: only words that libvirt 9.0 knows are written then."""
