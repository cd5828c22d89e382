"""One hook call as a process, the way KubeVirt's sidecar-shim makes it: arguments in, the answer on standard output."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from domxml.errors import ExitCode, PassgateError
from domxml.finding import Finding

LIMIT = 20.0
"""virt-handler gives all the calls of a boot together so many seconds."""


class Reply(NamedTuple):
    """What goes to standard output, and what to standard error."""

    data: bytes
    findings: Iterable[Finding] = ()
    trouble: str = ""


def answer(call: Callable[[float], Reply]) -> int:
    """Make the call with its deadline (of time.monotonic), print its reply, and tell how it ended."""
    try:
        reply = call(time.monotonic() + LIMIT)
    except PassgateError as error:
        sys.stderr.write(error.sentence() + "\n")
        return error.exit_code
    for finding in reply.findings:
        sys.stderr.write(f"{finding.severity}: {finding.code}: {finding.subject}: {finding.message}\n")
    if reply.trouble:
        sys.stderr.write(f"error: {reply.trouble}\n")
    sys.stdout.buffer.write(reply.data)
    sys.stdout.buffer.flush()
    return ExitCode.DONE


def document(text: str) -> bytes:
    """An argument as the bytes that it was."""
    return text.encode(errors="surrogateescape")
