"""What `passgate --version` prints."""

from __future__ import annotations

import platform
from importlib import metadata

from lxml import etree


def text() -> str:
    """The versions an answer depends on."""
    libxml2 = ".".join(str(part) for part in etree.LIBXML_VERSION)
    lxml = ".".join(str(part) for part in etree.LXML_VERSION if part)
    return f"passgate {_passgate()} (Python {platform.python_version()}, lxml {lxml}, libxml2 {libxml2})\n"


def _passgate() -> str:
    try:
        return metadata.version("passgate")
    except metadata.PackageNotFoundError:
        return "not installed"
