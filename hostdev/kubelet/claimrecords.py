"""What was prepared of each resource claim: a file a claim below kubelet's directory, written by passgate-claims."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from domxml.errors import BadInput
from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.text import printable
from hostdev.findings.claims import CLAIM_RECORD_UNREADABLE
from hostdev.jsontext import Format, parse_json
from hostdev.jsonutil import JsonObject, as_object, show_value
from hostdev.kubelet.directory import dra_directory, read_bounded
from hostdev.kubelet.resourcename import name_flaw, variable_name, variable_value
from hostdev.printing.documents import API_VERSION, Document, document

KIND = "ClaimRecord"
CODE = CLAIM_RECORD_UNREADABLE.code
DIRECTORY = "claims"
"""Below the driver's own directory in kubelet's."""
SUFFIX = ".json"
MAX_BYTES, MAX_FILES = 1 << 20, 1 << 14

UID = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?", re.ASCII)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", re.ASCII)
DEVICE = re.compile(_LABEL, re.ASCII)
REQUEST = re.compile(rf"{_LABEL}(?:/{_LABEL})?", re.ASCII)
_POOL = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9./-]*[a-z0-9])?", re.ASCII)
_NODE = re.compile(r"/dev/vfio/(?:devices/)?[0-9a-z]+", re.ASCII)
_PLAIN = re.compile(r"[!-~]{0,253}", re.ASCII)


class PreparedUnit(NamedTuple):
    """A unit that a claim holds."""

    requests: tuple[str, ...]
    """As the allocation names them: `REQUEST`, or `REQUEST/SUBREQUEST` of a prioritized list."""
    pool: str
    device: str
    """Its name in the slices."""
    unit: str
    """Its id, which no reboot changes."""
    resource: str
    functions: tuple[PciAddress, ...]
    """The primary one first."""
    groups: tuple[int, ...]
    nodes: tuple[str, ...]


class ClaimRecord(NamedTuple):
    """What was prepared of a claim, and for which pods."""

    uid: str
    namespace: str
    name: str
    pod_claim: str | None
    """What the pod calls it; None of a claim that no template made."""
    driver: str
    pods: tuple[tuple[str, str], ...]
    """The names and UIDs of those that it was reserved for when it was prepared."""
    boot_id: str
    units: tuple[PreparedUnit, ...]
    generation: int = 1
    """Counts how often what its pods are told has changed."""

    @property
    def variables(self) -> Mapping[str, str]:
        """The addresses of each resource, as KubeVirt looks for them."""
        return {
            variable_name(resource): variable_value(one.functions for one in units)
            for resource, units in by_resource(self.units).items()
        }


class NewerRecord(BadInput):
    """Written by another version, which may mean something else by the same words."""


class ClaimRecords(NamedTuple):
    """All files of a driver."""

    records: tuple[ClaimRecord, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Of what cannot be read."""


def is_uid(text: str) -> bool:
    """Whether it may be the UID of a claim: it becomes part of paths."""
    return UID.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether it may be the name of an object."""
    return NAME.fullmatch(text) is not None


def by_resource(units: Iterable[PreparedUnit]) -> Mapping[str, Sequence[PreparedUnit]]:
    """The units of each resource, in their order."""
    found: dict[str, list[PreparedUnit]] = {}
    for one in units:
        found.setdefault(one.resource, []).append(one)
    return found


def records_directory(kubelet_dir: str, driver: str) -> str:
    return os.path.join(dra_directory(kubelet_dir, driver), DIRECTORY)  # noqa: PTH118


def as_document(record: ClaimRecord) -> Document:
    """The kind ClaimRecord, as the file holds it."""
    return document(
        KIND,
        uid=record.uid,
        namespace=record.namespace,
        name=record.name,
        podClaim=record.pod_claim,
        driver=record.driver,
        pods=[{"name": name, "uid": uid} for name, uid in record.pods],
        bootId=record.boot_id,
        generation=record.generation,
        units=[
            {
                **one._asdict(),
                "requests": list(one.requests),
                "functions": [str(address) for address in one.functions],
                "groups": list(one.groups),
                "nodes": list(one.nodes),
            }
            for one in record.units
        ],
    )


def render_record(record: ClaimRecord) -> bytes:
    """The content of the file."""
    return json.dumps(as_document(record), indent=2).encode() + b"\n"


def parse_record(data: bytes, uid: str) -> ClaimRecord:
    """Read the content of the file of this claim; raises BadInput where it is torn or something else altogether."""
    found = as_object(parse_json(data, Format(f"{uid}{SUFFIX}", CODE, MAX_BYTES)), "", CODE)
    version, kind = found.fields.get("apiVersion"), found.fields.get("kind")
    if isinstance(version, str) and version.startswith("passgate.dev/") and version != API_VERSION and kind == KIND:
        what = f"is {show_value(version)}, written by another version of passgate"
        raise NewerRecord(CODE, what, hint="start that version again")
    if version != API_VERSION or kind != KIND:
        raise BadInput(CODE, f"is {show_value(version)} {show_value(kind)}, and no {API_VERSION} {KIND}")
    if found.fields.get("uid") != uid:
        raise found.wrong("uid", f"{show_value(uid)}, as the file's name is")
    return ClaimRecord(
        uid,
        get_fitting(found, "namespace", NAME),
        get_fitting(found, "name", NAME),
        get_fitting(found, "podClaim", NAME) if found.has("podClaim") else None,
        get_fitting(found, "driver", NAME),
        tuple((get_fitting(pod, "name", NAME), get_fitting(pod, "uid", UID)) for pod in found.get_objects("pods")),
        get_fitting(found, "bootId", _PLAIN),
        tuple(map(_unit, found.get_objects("units"))),
        found.get_int("generation", 1) or 1,
    )


def _unit(found: JsonObject) -> PreparedUnit:
    requests, nodes = found.get_strings("requests"), found.get_strings("nodes")
    groups = found.fields.get("groups")
    if not requests or not all(map(REQUEST.fullmatch, requests)):
        raise found.wrong("requests", "a list of names of requests")
    if not all(map(_NODE.fullmatch, nodes)):
        raise found.wrong("nodes", "a list of VFIO's device nodes")
    if not isinstance(groups, list) or not all(type(one) is int and 0 <= one < 1 << 31 for one in groups):
        raise found.wrong("groups", "a list of numbers of IOMMU groups")
    functions = tuple(_addresses(found))
    if not functions:
        raise found.wrong("functions", "at least one PCI address")
    resource = found.get_str("resource") or ""
    if flaw := name_flaw(resource):
        raise found.refused("resource", f"{show_value(resource)} {flaw}")
    return PreparedUnit(
        requests,
        get_fitting(found, "pool", _POOL),
        get_fitting(found, "device", DEVICE),
        get_fitting(found, "unit", _PLAIN),
        resource,
        functions,
        tuple(groups),
        nodes,
    )


def _addresses(found: JsonObject) -> Iterator[PciAddress]:
    for text in found.get_strings("functions"):
        try:
            yield PciAddress.parse(text)
        except BadInput:
            raise found.refused("functions", f"{show_value(text)} is no PCI address") from None


def get_fitting(found: JsonObject, key: str, form: re.Pattern[str]) -> str:
    """A text that must be there, of a form in which Kubernetes writes it."""
    text = found.get_str(key)
    if text is None or not form.fullmatch(text):
        raise found.wrong(key, "what Kubernetes has there")
    return text


def read_records(kubelet_dir: str, driver: str) -> ClaimRecords:
    """Read what the driver prepared on this node; what cannot be read is told, and never raised."""
    directory = records_directory(kubelet_dir, driver)
    try:
        names = _names(directory)
    except FileNotFoundError:
        return ClaimRecords()
    except OSError as error:
        return ClaimRecords((), (CLAIM_RECORD_UNREADABLE.found(directory, f"cannot be listed: {error.strerror}"),))
    records, findings = [], []
    for name in sorted(names[:MAX_FILES]):
        path = f"{directory}/{printable(name)}"
        try:
            records.append(read_record(os.path.join(directory, name)))  # noqa: PTH118
        except BadInput as error:
            findings.append(CLAIM_RECORD_UNREADABLE.found(path, error.what))
        except FileNotFoundError:
            continue  # The claim was given back meanwhile.
        except OSError as error:
            findings.append(CLAIM_RECORD_UNREADABLE.found(path, f"cannot be read: {error.strerror}"))
    if len(names) > MAX_FILES:
        what = f"holds more than {MAX_FILES} files, and no more are read"
        findings.append(CLAIM_RECORD_UNREADABLE.found(directory, what))
    return ClaimRecords(tuple(records), tuple(findings))


def read_record(path: str) -> ClaimRecord:
    """Read one file; whatever lies there does not stop us."""
    name = path.rpartition("/")[2]
    uid = name.removesuffix(SUFFIX)
    if not name.endswith(SUFFIX) or not is_uid(uid):
        raise BadInput(CODE, "is not named by the UID of a claim")
    # A FIFO would make us wait, and a device may do things when it is opened.
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise BadInput(CODE, "is no plain file")
    return parse_record(read_bounded(path, MAX_BYTES, os.O_NOFOLLOW), uid)


def _names(directory: str) -> list[str]:
    """The files there; what begins with a dot is being written, or was when its writer died."""
    if not stat.S_ISDIR(os.lstat(directory).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    with os.scandir(directory) as found:
        visible: Iterable[str] = (entry.name for entry in found if not entry.name.startswith("."))
        return list(islice(visible, MAX_FILES + 1))
