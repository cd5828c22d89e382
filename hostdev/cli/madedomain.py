"""The domain of a VM that has none yet: where a command wants a domain, a manifest does as well."""

from __future__ import annotations

import argparse
import re

from domxml.errors import about_file
from hostdev.inject.gather import read_file
from hostdev.kubevirt.channels import Asked, Given
from hostdev.kubevirt.releases import NEWEST, release_of
from hostdev.kubevirt.vmplan import make_domain
from hostdev.printing import output
from hostdev.vmi.file import find_vm

_MANIFEST = re.compile(rb"(?:^|[\n{,])\s*[\"']?(?:apiVersion|kind)[\"']?\s*:")
_HEAD = 4096


def is_manifest(path: str) -> bool:
    """Whether a file looks like one of Kubernetes, and like no domain."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(_HEAD)
    except OSError:
        return False
    return b"<domain" not in head and _MANIFEST.search(head) is not None


def made_domain(arguments: argparse.Namespace, path: str) -> bytes:
    """Make the domain of a first pass, and say what the manifest does not tell."""
    with about_file(path):
        release = release_of(arguments.kubevirt or NEWEST)
        made = make_domain(find_vm(read_file(path)).fields, Asked(release, Given()))
    output.note(f"note: the domain is made as KubeVirt {release.name} makes it at first; passgate plan shows the last")
    for line in made.unknown:
        output.note(f"unknown: {line}")
    return made.domain
