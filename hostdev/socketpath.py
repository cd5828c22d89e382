"""What a unix socket's path may be, and how gRPC wants it written."""

from __future__ import annotations

LONGEST = 107
"""Bytes of a path that fit into sockaddr_un, next to the final NUL."""


def target(path: str) -> str:
    """The path for gRPC, which takes it for a URI."""
    return f"unix:{path.replace('%', '%25')}"
