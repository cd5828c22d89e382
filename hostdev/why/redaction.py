"""Takes secrets out of what goes into a dump, and counts what it took; what is left is what a diagnosis needs."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from hostdev.jsontext import Format, parse_json
from hostdev.kubevirt.spec import get_map
from hostdev.why.dump import LARGEST, File

OUT = "left out by passgate why --collect"
OUT64 = "bGVmdCBvdXQgYnkgcGFzc2dhdGUgd2h5IC0tY29sbGVjdA=="
_KINDS = frozenset({"Secret", "ConfigMap", "SecretList", "ConfigMapList"})
_ANNOTATIONS = re.compile(r"last-applied|ignition|secret|password|token|credential|kubeconfig", re.IGNORECASE)
_GUEST_DATA = frozenset({"userData", "userDataBase64", "networkData", "networkDataBase64"})
_CONFIDENTIAL = (
    r"(?:password|passwort|passwd|passphrase|rootpw|\bpw|pwd|pass|token|\btok|secret|credential|"
    r"(?:private|access|api|auth|client|encryption)[_-]?key)s?"
)
_SECRET_KEY = re.compile(rf"{_CONFIDENTIAL}$|^kernelArgs$", re.IGNORECASE)
_FLAG = re.compile(r"--?[\w-]*(?:password|passwd|passphrase|token|secret|key|credentials?)", re.IGNORECASE)
_KNOWN_VARIABLE = re.compile(
    r"(?:CONTAINER_NAME|POD_NAME|NODE_NAME|POD_NAMESPACE|XDG_\w+|HOME|PATH|STANDALONE_VMI|NETWORK_BINDING_PLUGIN_NAME|"
    r"KUBEVIRT_RESOURCE_NAME_\S+|(?:MDEV_)?PCI_RESOURCE_\S+|PCIDEVICE_\S+|QAT\d+|VFIO_BDF\d+|USB_RESOURCE_\S+|"
    r"SHARED_FILESYSTEM_PATHS|LIBVIRT_\w*|VIRT_LAUNCHER_LOG_VERBOSITY|PASSGATE_(?:KUBEVIRT|LIBVIRT))"
)
_TEXTS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("a token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), OUT),
    ("a token", re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{12,}"), rf"\1 {OUT}"),
    (
        "a private key",
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        OUT,
    ),
    ("a token", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}"), OUT),
    ("a token", re.compile(r"\b(?:gh[opsu]_|github_pat_|glpat-|xox[abprs]-|sk-|hvs\.|npm_)[\w-]{16,}"), OUT),
    ("a password", re.compile(r"\$(?:1|2[abxy]?|5|6|7|y|gy)\$[./A-Za-z0-9$]{8,}"), OUT),
    ("a password", re.compile(r"(?i)\b((?:set-)?cookie: ?)[^\n\"']{4,}"), rf"\1{OUT}"),
    ("a password", re.compile(r"(?<![\w-])((?:-u|--user)[ =]\S{1,80}?:)[^\s\"'\\]+"), rf"\1{OUT}"),
    ("a password", re.compile(r"\b(sshpass -p ?|mysql\w* (?:-\w+ )?-p)[^\s\"'\\]+"), rf"\1{OUT}"),
    ("a password", re.compile(r"\b(secret,[^\s\"'<]{0,200}?data=)[^\s\"',<\\]+"), rf"\1{OUT}"),
    ("a password in an address", re.compile(r"(?<=://)[^/\s:@]{1,80}:[^/\s@]{1,200}(?=@)"), OUT),
    (
        "a password",
        re.compile(
            rf"(?i)({_CONFIDENTIAL}\\*[\"']?\s{{0,8}}[=:]\s{{0,8}}\\*[\"']?)(?!left out)[^\s\"',;&}}\]\\]{{4,}}"
        ),
        rf"\1{OUT}",
    ),
    (
        "a password",
        re.compile(
            r"(?i)\b((?:password|passphrase|passwd) (?:is )?\\*[\"']?)(?!left out)(?=[^\s\"']{0,80}\d)[^\s\"'\\]{6,}"
        ),
        rf"\1{OUT}",
    ),
    (
        "cloud-init data",
        re.compile(
            r"((?:userData|networkData)(?:Base64)?(?P<quote>\\{0,15}[\"'])\s?:\s?(?P=quote))(?!left out)"
            r".{1,65536}?(?<!\\)(?=(?P=quote))",
            re.DOTALL,
        ),
        rf"\1{OUT}",
    ),
    (
        "cloud-init data",
        re.compile(r"((?:userData|networkData)(?:Base64)?\\*[\"']?\s*[:=]\s*\\*[\"']?)(?!left out)[^\"'\\\s,}]+"),
        rf"\1{OUT}",
    ),
    ("cloud-init data", re.compile(r"#cloud-config\b(?:(?!\n\n).){0,65536}", re.DOTALL), f"#cloud-config {OUT}"),
)
_NOT_OF_CONTAINERS = frozenset({"command", "args", "livenessProbe", "readinessProbe", "startupProbe"})
"""What a container runs tells nothing of a VM's start."""
_CONTAINERS = frozenset({"containers", "initContainers", "ephemeralContainers"})
_ABOUT_NODE = ("nodeInfo", "allocatable", "capacity", "conditions")


class Redaction:
    """What was taken out of the files of a dump, by kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def clean(self, file: File) -> File:
        """The file without secrets: objects field by field, everything else by what secrets look like."""
        text = file.data.decode("utf-8", errors="replace")
        if text.lstrip()[:1] in {"{", "["}:
            try:
                value = parse_json(text, Format(file.name, "bad-dump", LARGEST))
            except Exception:  # noqa: BLE001  a log of JSON lines, or what is cut short: a text like any other
                return File(file.name, self.clean_text(text).encode())
            return File(file.name, (json.dumps(self._value(value), indent=1) + "\n").encode())
        return File(file.name, self.clean_text(text).encode())

    def clean_text(self, text: str) -> str:
        """A text without what looks like a secret."""
        for what, pattern, instead in _TEXTS:
            text, count = pattern.subn(instead, text)
            self.counts[what] += count
        return text

    def told(self) -> list[str]:
        """What was left out, in words."""
        return [f"{what} ({count})" for what, count in sorted(self.counts.items()) if count]

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return self._list([one for one in value if not self._is_secret(one)])
        if isinstance(value, str):
            return self.clean_text(value)
        if not isinstance(value, dict):
            return value
        if self._is_secret(value):
            return {"kind": value["kind"], "metadata": {"name": OUT}}
        if value.get("kind") == "Node":
            value = _node(value)
        if value.get("kind") == "KubeVirt":
            value = _kubevirt(value)
        if "value" in value and isinstance(value.get("name"), str) and _SECRET_KEY.search(value["name"]):
            self.counts["a password"] += 1
            value = {**value, "value": OUT}
        return {key: self._field(key, one) for key, one in value.items() if key != "managedFields"}

    def _list(self, value: list[Any]) -> list[Any]:
        """A word after `--token` is one."""
        found = []
        for before, one in zip(["", *value], value, strict=False):
            hidden = isinstance(one, str) and isinstance(before, str) and _FLAG.fullmatch(before) is not None
            self.counts["a password"] += hidden
            found.append(OUT if hidden else self._value(one))
        return found

    def _is_secret(self, value: Any) -> bool:
        found = isinstance(value, dict) and str(value.get("kind")) in _KINDS
        self.counts["Secret and ConfigMap objects"] += found
        return found

    def _field(self, key: str, value: Any) -> Any:
        if key == "annotations" and isinstance(value, dict):
            return self._annotations(value)
        if key == "env" and isinstance(value, list):
            return [self._variable(one) for one in value]
        if key in _CONTAINERS and isinstance(value, list):
            return [self._value(_container(one)) for one in value]
        if key in _GUEST_DATA and isinstance(value, str):
            self.counts["cloud-init data"] += 1
            return OUT64 if key.endswith("Base64") else OUT
        if isinstance(value, str) and _SECRET_KEY.search(key):
            self.counts["a password"] += 1
            return OUT
        return self._value(value)

    def _annotations(self, value: dict[str, Any]) -> dict[str, Any]:
        kept = {key: one for key, one in value.items() if not _ANNOTATIONS.search(key)}
        self.counts["annotations that hold whole objects or secrets"] += len(value) - len(kept)
        return {key: self._value(one) for key, one in kept.items()}

    def _variable(self, value: Any) -> Any:
        if not isinstance(value, dict) or "value" not in value:
            return self._value(value)
        if _KNOWN_VARIABLE.fullmatch(str(value.get("name", ""))):
            return self._value(value)
        self.counts["values of variables"] += 1
        return {**value, "value": OUT}


def _node(value: dict[str, Any]) -> dict[str, Any]:
    """Of a node what it is and what it has: the rest names images and addresses."""
    metadata, spec, status = (get_map(value, key) for key in ("metadata", "spec", "status"))
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {key: metadata[key] for key in ("name", "labels") if key in metadata},
        "spec": {key: spec[key] for key in ("taints", "unschedulable") if key in spec},
        "status": {key: status[key] for key in _ABOUT_NODE if key in status},
    }


def _container(value: Any) -> Any:
    """Passgate's own options are evidence: whether the agent only observes stands in them."""
    if not isinstance(value, dict) or "passgate" in str(value.get("image", "")):
        return value
    return {key: one for key, one in value.items() if key not in _NOT_OF_CONTAINERS}


def _kubevirt(value: dict[str, Any]) -> dict[str, Any]:
    """Of the installation its configuration and release: patches of its components may hold anything."""
    metadata, spec, status = (get_map(value, key) for key in ("metadata", "spec", "status"))
    return {
        "apiVersion": value.get("apiVersion", "kubevirt.io/v1"),
        "kind": "KubeVirt",
        "metadata": {key: metadata[key] for key in ("name", "namespace") if key in metadata},
        "spec": {"configuration": spec.get("configuration", {})},
        "status": {key: one for key, one in status.items() if key in {"phase", "observedKubeVirtVersion"}},
    }
