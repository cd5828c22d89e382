"""Lint as its rules see it: texts of files in, results out."""

from __future__ import annotations

import textwrap
from typing import Any

from hostdev.lint.admission.releases import Cluster, parse_gates, parse_release
from hostdev.lint.files import File
from hostdev.lint.repository import gather, lint_objects, report
from hostdev.lint.results import Report, Result


def files(*texts: str | bytes, **more: Any) -> list[File]:
    data = [text if isinstance(text, bytes) else textwrap.dedent(text).encode() for text in texts]
    return [File(f"{index}.yaml", one, **more) for index, one in enumerate(data)]


def run(
    *texts: str | bytes, kubevirt: str = "", gates: str | None = None, ignored: tuple[str, ...] = (), **more: Any
) -> Report:
    releases = (parse_release(kubevirt),) if kubevirt else Cluster().releases
    cluster = Cluster(releases, None if gates is None else parse_gates(gates, releases))
    gathered = gather(files(*texts, **more))
    return report(gathered, lint_objects(gathered.objects, cluster, gathered.offered), ignored)


def results(*texts: str | bytes, **how: Any) -> list[Result]:
    return list(run(*texts, **how).results)


def codes(*texts: str | bytes, **how: Any) -> list[str]:
    """Severity and code of each result, without what nearly every VM is told."""
    told = (result.finding for result in results(*texts, **how))
    return [f"{finding.severity} {finding.code}" for finding in told]


def said(*texts: str | bytes, **how: Any) -> list[str]:
    """Each result as one line."""
    return [
        f"{one.place} {one.finding.code} {one.finding.subject}: {one.finding.message}" for one in results(*texts, **how)
    ]


def vm(
    spec: str = "", *, devices: str = "{}", memory: str = "1Gi", top: str = "", annotations: str = "{}", kind: str = ""
) -> str:
    """A VM that is right, with some words put in."""
    return (
        f"apiVersion: kubevirt.io/v1\nkind: {kind or 'VirtualMachine'}\nmetadata: {{name: vm, namespace: lab}}\n"
        f"spec:\n  runStrategy: Always\n{textwrap.indent(textwrap.dedent(top), '  ')}\n"
        f"  template:\n    metadata: {{annotations: {annotations}}}\n    spec:\n"
        f"{textwrap.indent(textwrap.dedent(spec), '      ')}\n"
        f"      domain:\n        memory: {{guest: {memory}}}\n        devices: {devices}\n"
    )
