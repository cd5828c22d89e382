"""Authorities for servers on this machine, made once a run."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

_REQUEST = (
    *("openssl", "req", "-x509", "-batch", "-nodes", "-days", "2"),
    *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
)
_NAMES = ["-subj", "/CN=kubernetes", "-addext", "subjectAltName=IP:127.0.0.1"]


class Authority(NamedTuple):
    """A certificate that is its own authority, and a server's."""

    certificate: str
    key: Path
    file: Path


@cache
def authority(number: int = 0) -> Authority:
    """One of several; another number is another authority."""
    directory = Path(tempfile.mkdtemp(prefix=f"authority-{number}-"))
    key, file = directory / "tls.key", directory / "tls.crt"
    subprocess.run([*_REQUEST, *_NAMES, "-keyout", key, "-out", file], check=True, capture_output=True)
    return Authority(file.read_text(), key, file)
