"""Runs inside a root: JSON lines with domains come in, JSON lines with what libvirt's embedded QEMU driver says go out.

It stands alone: the root has the Python of its Debian release, libvirt's binding, and nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import libvirt

UNDEFINE = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE


def main(state: str) -> None:
    """Answer until stdin ends. `state` is the driver's own directory: it keeps the probed capabilities."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    # Without a running event loop the driver never hears from the QEMU it probes.
    threading.Thread(target=_run_events, daemon=True).start()
    connection = libvirt.open(f"qemu:///embed?root={state}")
    _say({"libvirt": connection.getLibVersion()})
    for line in sys.stdin:
        _say(_answer(connection, json.loads(line)))


def _answer(connection: libvirt.virConnect, request: dict[str, Any]) -> dict[str, Any]:
    if "run" in request:
        return {"ok": True} | _run(request["run"])
    try:
        if request.get("native"):
            return {"ok": True, "command": connection.domainXMLToNative("qemu-argv", request["xml"])}
        return {"ok": True} | _define(connection, request)
    except libvirt.libvirtError as error:
        return {
            "ok": False,
            "code": error.get_error_code(),
            "domain": error.get_error_domain(),
            "message": error.get_error_message(),
        }


def _define(connection: libvirt.virConnect, request: dict[str, Any]) -> dict[str, Any]:
    domain = connection.defineXMLFlags(request["xml"], libvirt.VIR_DOMAIN_DEFINE_VALIDATE if request["validate"] else 0)
    try:
        xml = _read_back(domain)
        return {"xml": xml, "again": _read_back(connection.defineXML(xml)) if request["redefine"] else None}
    finally:
        domain.undefineFlags(UNDEFINE)


def _run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, input=b"quit\n", capture_output=True, timeout=30, check=False)
    return {"status": done.returncode, "output": done.stdout.decode(), "errors": done.stderr.decode()}


def _read_back(domain: libvirt.virDomain) -> str:
    return str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


main(sys.argv[1])
