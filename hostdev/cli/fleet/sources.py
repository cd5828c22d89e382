"""Where snapshots come from: files, the agents of a cluster through kubectl, or a command for each node."""

from __future__ import annotations

import argparse
import shlex
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from domxml.errors import BadInput, HostUnreadable, NotPermitted, PassgateError
from domxml.text import did_you_mean, printable, visible
from hostdev.cli.kubectl import Answer, Kubectl, Trouble
from hostdev.cli.programs import run_program
from hostdev.fleet.snapshots import LARGEST, find_snapshots
from hostdev.inventory.recorded.layout import SUFFIX, read_recording
from hostdev.jsontext import Format, parse_json
from hostdev.kubevirt.spec import Fields, get_list, get_text

PLACE = "{node}"
_SNAPSHOT = ("passgate", "node", "snapshot")
_PRIVATE = "--keep-identity"
_HINT = "kubectl -n passgate exec POD -c agent -- passgate node snapshot"


class Taken(NamedTuple):
    """What a node answered: the text of a snapshot, or why there is none."""

    text: str = ""
    why: str = ""


Source = Callable[[], Taken]


class Sources(NamedTuple):
    """How each node is asked, by its name; those that cannot be asked at all, and why; what is not known."""

    nodes: Mapping[str, Source]
    absent: Mapping[str, str]
    notes: tuple[str, ...] = ()


def find_sources(arguments: argparse.Namespace) -> Sources:
    """Find out whom to ask: by kubectl, by a command, or files."""
    if arguments.kubectl is not None and arguments.exec:
        raise BadInput("bad-usage", "--kubectl and --exec exclude each other", hint="leave one of them out")
    if arguments.kubectl is not None:
        return _of_cluster(arguments)
    if arguments.exec:
        return _of_command(arguments)
    if not arguments.node:
        hint = "name files, or say --kubectl, or --exec 'ssh {node} sudo passgate node snapshot' with names of nodes"
        raise BadInput("bad-usage", "there is nothing to collect from", hint=hint)
    return _of_files(arguments)


def _of_files(arguments: argparse.Namespace) -> Sources:
    """Files by themselves, and all snapshots of directories."""
    paths: list[Path] = []
    for name in arguments.node:
        path = Path(name)
        paths += [one.path for one in find_snapshots(name).snapshots] if path.is_dir() else [path]
    found: dict[str, Source] = {}
    for path in paths:
        node = path.name.removesuffix(SUFFIX)
        if node in found:
            raise BadInput("bad-usage", f"two files are named {path.name}", subject=printable(str(path), 200))
        found[node] = partial(_read, path)
    return Sources(found, {})


def _read(path: Path) -> Taken:
    try:
        return Taken(read_recording(path, LARGEST))
    except PassgateError as error:
        return Taken(why=error.what)


def _of_command(arguments: argparse.Namespace) -> Sources:
    try:
        template = shlex.split(arguments.exec)
    except ValueError as error:
        raise BadInput("bad-usage", f"--exec cannot be read: {error}", hint="quote as a shell does") from None
    if not any(PLACE in word for word in template):
        what = f"--exec has no {PLACE}, so that every node would be the same"
        raise BadInput("bad-usage", what, hint=f"such as --exec 'ssh {PLACE} sudo passgate node snapshot'")
    if PLACE not in template[0] and shutil.which(template[0]) is None:
        hint = "is it installed, and in PATH?"
        raise BadInput("program-missing", "cannot be run", subject=printable(template[0], 200), hint=hint)
    if not arguments.node:
        raise BadInput("bad-usage", "--exec needs the names of nodes", hint="write them behind it")
    if arguments.keep_identity:
        hint = f"write {_PRIVATE} into the command itself"
        raise BadInput("bad-usage", "--keep-identity is not added to a command", hint=hint)
    return Sources({name: partial(_run, template, name, arguments.deadline) for name in arguments.node}, {})


def _run(template: list[str], name: str, deadline: float) -> Taken:
    # A list of words: what a name holds is read by no shell of ours.
    command = [word.replace(PLACE, name) for word in template]
    try:
        done = run_program(command, deadline)
    except (OSError, ValueError) as error:
        return Taken(why=f"{printable(command[0])} cannot be run: {printable(str(error))}")
    if done is None:
        return Taken(why=f"no answer within {deadline:g} s")
    if done.code:
        said = visible(" ".join(done.errors.split()))[-300:]
        return Taken(why=f"`{printable(command[0])}` ended with {done.code}: {said or 'without a word'}")
    return _decoded(done.data)


def _decoded(data: bytes) -> Taken:
    if len(data) > LARGEST:
        return Taken(why=f"answered with more than {LARGEST >> 20} MiB")
    try:
        return Taken(data.decode())
    except UnicodeDecodeError:
        return Taken(why="answered with something that is no text")


def _of_cluster(arguments: argparse.Namespace) -> Sources:
    kubectl = Kubectl(context=arguments.kubectl, namespace="", deadline=arguments.deadline, shows=False)
    agents = _agents(kubectl)
    wanted = set(arguments.node)
    private = (_PRIVATE,) if arguments.keep_identity else ()
    found: dict[str, Source] = {}
    absent: dict[str, str] = {}
    for pod in agents:
        node, name = get_text(pod, "spec", "nodeName"), get_text(pod, "metadata", "name")
        if not node or node in found or (wanted and node not in wanted):
            continue
        phase = get_text(pod, "status", "phase")
        if phase == "Running":
            absent.pop(node, None)
            space = get_text(pod, "metadata", "namespace")
            found[node] = partial(_exec, kubectl, name, space, private)
        else:
            absent[node] = f"its agent, the pod {printable(name)}, is {printable(phase) or 'in no phase'}, not Running"
    nodes, note = _nodes(kubectl)
    for node in nodes:
        if node not in found and (not wanted or node in wanted):
            absent.setdefault(node, "no agent runs on it")
    known = [get_text(pod, "spec", "nodeName") for pod in agents]
    for node in sorted(wanted - found.keys() - absent.keys()):
        absent[node] = f"there is no node of that name with an agent ({did_you_mean(node, known)})"
    return Sources(dict(sorted(found.items())), dict(sorted(absent.items())), (note,) if note else ())


def _agents(kubectl: Kubectl) -> list[Fields]:
    answer = kubectl.get_agents()
    if answer.trouble is Trouble.FORBIDDEN:
        hint = "ask for `list` on pods and `create` on pods/exec in the agent's namespace"
        raise NotPermitted("not-allowed", f"the cluster does not show its pods: {answer.why}", hint=hint)
    if answer.trouble:
        hint = "try `kubectl get pods -A` by hand; --kubectl NAME takes another context, --deadline waits longer"
        raise HostUnreadable("no-cluster", answer.why, hint=hint)
    agents = get_list(_document(answer), "items")
    if not agents:
        hint = "deploy the agent (docs/install.md), or collect by --exec"
        raise BadInput("no-agent", "the cluster shows no pod of Passgate's agent", hint=hint)
    return agents


def _nodes(kubectl: Kubectl) -> tuple[list[str], str]:
    """All nodes, so that those without an agent are told."""
    answer = kubectl.get("nodes")
    if answer.trouble:
        return [], f"whether there are nodes without an agent is not known: {answer.why}"
    return [get_text(one, "metadata", "name") for one in get_list(_document(answer), "items")], ""


def _document(answer: Answer) -> Any:
    try:
        return parse_json(answer.data, Format("kubectl", "no-cluster", 64 << 20))
    except BadInput:
        what = f"kubectl answered with something that is no JSON ({len(answer.data)} bytes)"
        raise HostUnreadable("no-cluster", what, hint="is it really kubectl?") from None


def _exec(kubectl: Kubectl, pod: str, namespace: str, private: tuple[str, ...]) -> Taken:
    command = ("exec", pod, "-c", "agent", "--", *_SNAPSHOT, *private)
    answer = kubectl.run(*command, namespace=namespace)
    return Taken(why=answer.why) if answer.trouble else _decoded(answer.data)
