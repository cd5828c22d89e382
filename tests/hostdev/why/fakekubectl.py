"""A kubectl that answers from a file: objects by kind and name, logs, and the ways in which a real one fails."""

from __future__ import annotations

import json
import stat
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SCRIPT = """\
#!{python} -I
import json, os, sys, time

state = json.loads(open({state!r}).read())
words = sys.argv[1:]
with open({state!r} + ".calls", "a") as file:
    file.write(json.dumps(words) + "\\n")
KINDS = {{
    "vm": "VirtualMachine", "vmi": "VirtualMachineInstance", "pods": "Pod", "events": "Event", "nodes": "Node",
    "kubevirt": "KubeVirt", "network-attachment-definitions": "NetworkAttachmentDefinition",
}}


def option(*names):
    return next((words[i + 1] for i, word in enumerate(words[:-1]) if word in names), "")


def fail(text):
    sys.stderr.write(text + "\\n")
    raise SystemExit(1)


def get(kind, name):
    found = [one for one in state["objects"] if one.get("kind") == KINDS.get(kind, kind)]
    space = option("-n")
    if space and "-A" not in words and kind != "nodes":
        found = [one for one in found if one["metadata"].get("namespace", space) == space]
    if name:
        found = [one for one in found if one["metadata"]["name"] == name]
        if not found:
            fail(f'Error from server (NotFound): {{kind}} "{{name}}" not found')
        return found[0]
    about = option("--field-selector").partition("involvedObject.name=")[2]
    if about:
        found = [one for one in found if one.get("involvedObject", one.get("regarding", {{}})).get("name") == about]
    return {{"apiVersion": "v1", "kind": "List", "items": found}}


verb, rest = words[0], words[1:]
what = rest[0] if rest else ""
if what in state.get("hangs", ()) or verb in state.get("hangs", ()):
    time.sleep(60)
if what in state.get("forbidden", ()) or verb in state.get("forbidden", ()):
    fail(f'Error from server (Forbidden): {{what}} is forbidden: User "dev" cannot list resource')
if "unreachable" in state:
    fail("Unable to connect to the server: dial tcp 192.0.2.1:6443: i/o timeout")
if "unknown" in state and what in ("vm", "vmi"):
    fail(f'error: the server doesn\\'t have a resource type "{{what}}"')
if what in state.get("garbage", ()):
    sys.stdout.write("\\x1b[2Jthis is no {{JSON")
    raise SystemExit(0)
if verb == "get":
    name = rest[1] if len(rest) > 1 and not rest[1].startswith("-") else ""
    print(json.dumps(get(what, name)))
elif verb == "logs":
    key = f"{{what}}/{{option('-c')}}"
    if key not in state["logs"]:
        fail(f'Error from server (BadRequest): container "{{option("-c")}}" in pod "{{what}}" is waiting to start')
    sys.stdout.write(state["logs"][key])
elif verb == "exec":
    command = " ".join(rest[rest.index("--") + 1 :])
    for known, answer in state["exec"].items():
        if command.startswith(known):
            sys.stdout.write(answer)
            raise SystemExit(0)
    fail("error: unable to upgrade connection: container not found")
"""


def write_kubectl(
    directory: Path,
    objects: Sequence[Mapping[str, Any]],
    *,
    logs: Mapping[str, str] | None = None,
    answers: Mapping[str, str] | None = None,
    **ways: Any,
) -> Path:
    """Put it into a directory for PATH; it notes its calls beside its state."""
    directory.mkdir(exist_ok=True)
    state = directory / "state.json"
    told = {"objects": list(objects), "logs": dict(logs or {}), "exec": dict(answers or {}), **ways}
    state.write_text(json.dumps(told))
    program = directory / "kubectl"
    program.write_text(textwrap.dedent(SCRIPT.format(python=sys.executable, state=str(state))))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return directory


def calls(directory: Path) -> list[list[str]]:
    """The words of each call so far."""
    file = directory / "state.json.calls"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
