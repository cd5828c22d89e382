"""What a unix socket's path may be, how gRPC wants it written, and what it takes there."""

from __future__ import annotations

LONGEST = 107
"""Bytes of a path that fit into sockaddr_un, next to the final NUL."""
LARGEST = 4 << 20
"""Bytes of a message that gRPC takes, kubelet's and ours; a longer one ends the stream, and with it what was made known
by it."""


def target(path: str) -> str:
    """The path for gRPC, which takes it for a URI."""
    return f"unix:{path.replace('%', '%25')}"
