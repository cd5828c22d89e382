"""`passgate manifest`: the objects of a cluster for devices of a machine, as YAML or JSON."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from typing import Any

from domxml.errors import BadInput, ExitCode
from domxml.pciaddress import PciAddress
from hostdev.cli import devices
from hostdev.inventory import pciids
from hostdev.manifest.images import REGISTRY
from hostdev.manifest.make import Made, make
from hostdev.manifest.pool import OFFERED, By, Document, Wanted
from hostdev.manifest.selection import candidates
from hostdev.printing import findings, optional, output
from hostdev.printing.documents import emit

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}", re.ASCII)
_COMMENTS = {
    "NodeState": "# For `passgate node state plan`, and the ConfigMap passgate-node-state; kubectl knows none.\n",
    "KubeVirt": (
        "# Add these lines to the cluster's KubeVirt object. Applied as they are, they would replace its lists.\n"
    ),
}
_NUMBER = re.compile(r"[0-9][0-9a-fA-FxX_:.+-]*", re.ASCII)
_MOST_VLANS = 4094


def run(arguments: argparse.Namespace) -> int:
    """Look at the machine, make the documents, print them, tell what is to be said."""
    _check_part(arguments)
    wanted = _wanted(arguments)
    machine = devices.machine_at(arguments.host)
    if not arguments.device:
        known = ", ".join(candidates(machine)[:12])
        hint = f"on {machine.source} these could be: {known}" if known else "`passgate node list` shows its devices"
        raise BadInput("bad-usage", "no device is named", hint=hint)
    made = make(machine, pciids.namer(arguments.pci_ids, live=arguments.host == devices.LIVE), arguments.device, wanted)
    wanted_parts = [part for part in made.parts if arguments.only in {None, part}]
    shown = [document for part in wanted_parts for document in made.parts[part]]
    _tell(made, arguments.only, shown)
    devices.note_unread(machine)
    code = findings.exit_code(made.findings, arguments.fail_on)
    if code is ExitCode.DONE:
        _print(shown, arguments.output)
    return code


def _check_part(arguments: argparse.Namespace) -> None:
    if arguments.only == "node" and arguments.by not in OFFERED:
        hint = f"write --by {By.PASSGATE} or {By.CLAIM}, or --only cluster for what others hand out"
        raise BadInput("bad-usage", f"--only node is the NodeState of --by {By.PASSGATE} and {By.CLAIM}", hint=hint)
    if arguments.extended and arguments.by != By.CLAIM:
        what, hint = "--extended is for --by claim", "all other VMs ask for the resource by its name anyway"
        raise BadInput("bad-usage", what, hint=hint)


def _wanted(arguments: argparse.Namespace) -> Wanted:
    namespace, slash, name = arguments.kubevirt.partition("/")
    if not slash:
        raise BadInput(
            "bad-usage", "--kubevirt names no object", hint="write NAMESPACE/NAME, such as kubevirt/kubevirt"
        )
    for option in ("name", "namespace", "operator_namespace"):
        _check_label(option, getattr(arguments, option))
    for text in (namespace, name):
        _check_label("kubevirt", text)
    if arguments.node:
        _check_label("node", arguments.node, dots=True)
    for option in ("image", "disk"):
        if not _IMAGE.fullmatch(getattr(arguments, option)):
            what = f"--{option} cannot be {getattr(arguments, option)[:60]!r}"
            raise BadInput("bad-usage", what, hint="write an image, such as registry.example/name:tag")
    if arguments.vlan is not None and not 0 <= arguments.vlan <= _MOST_VLANS:
        raise BadInput(
            "bad-usage", f"--vlan cannot be {arguments.vlan}", hint=f"it is a number from 0 to {_MOST_VLANS}"
        )
    return Wanted(
        by=None if arguments.by is None else By(arguments.by),
        resource=arguments.resource or "",
        name=arguments.name,
        namespace=arguments.namespace,
        image=arguments.image,
        disk=arguments.disk,
        node=arguments.node or "",
        vlan=arguments.vlan,
        vfs=arguments.vfs,
        kubevirt=(namespace, name),
        operator=arguments.operator_namespace,
        guests=tuple(map(PciAddress.parse, arguments.guest or ())),
        functions=arguments.functions or "",
        bond=arguments.bond,
        extended=arguments.extended,
    )


def _check_label(option: str, text: str, *, dots: bool = False) -> None:
    parts = text.split(".") if dots else [text]
    if not all(map(_LABEL.fullmatch, parts)):
        what = f"--{option.replace('_', '-')} cannot be {text[:70]!r}"
        raise BadInput(
            "bad-usage", what, hint="write small letters, digits and -, at most 63, a letter or digit at both ends"
        )


def _print(shown: Sequence[Document], form: str) -> None:
    if form == "json":
        emit({"apiVersion": "v1", "kind": "List", "items": list(shown)}, form)
        return
    yaml = optional.module("yaml", "PyYAML", extra="cli", instead="say -o json")
    for document in shown:
        comment = _COMMENTS.get(document["kind"], "")
        output.write(f"---\n{comment}{yaml.dump(document, Dumper=_dumper(yaml), sort_keys=False, width=120)}")


def _dumper(yaml: Any) -> Any:
    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        """Lists are indented, texts of several lines are blocks, and what could be a number is quoted."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:  # noqa: FBT001, FBT002, ARG002  as PyYAML has it
            return super().increase_indent(flow, False)

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  as PyYAML has it
            return True

        def represent_str(self, text: str) -> Any:
            # kubectl reads 1e04 as a number, which PyYAML does not.
            style = "|" if "\n" in text else '"' if _NUMBER.fullmatch(text) else None
            return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, Dumper.represent_str)
    return Dumper


def _tell(made: Made, only: str | None, shown: Sequence[Document]) -> None:
    for finding in made.findings:
        for row in findings.finding_rows(finding._replace(message=finding.what)):
            output.note("".join(part if isinstance(part, str) else part.text for part in row).rstrip())
    for note in (*made.notes, *_notes(made, only, shown)):
        output.note(f"note: {note}")


def _notes(made: Made, only: str | None, shown: Sequence[Document]) -> Iterator[str]:
    if only in {None, "cluster"}:
        yield f"the KubeVirt object needs the feature gates {', '.join(made.gates)}"
    if only != "vm" and {document["kind"] for document in shown} & {"SriovNetwork", "NetworkAttachmentDefinition"}:
        yield "with KubeVirt 1.9 or later the cluster needs network-resources-injector, or no VF is allocated"
    if f'"{REGISTRY}/' in str(shown) or f"'{REGISTRY}/" in str(shown):
        yield f"images of {REGISTRY} are to be replaced by yours: --image is Passgate's, --disk the VM's"
