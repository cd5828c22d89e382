"""Make the stubs of the wire formats, KubeVirt's and kubelet's: `python -m hooksidecar.proto.generate`."""

from __future__ import annotations

import sys
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parents[2]
PACKAGES = tuple(ROOT / package for package in ("hooksidecar", "hostdev/kubelet"))
"""Each has its formats in proto/, and what is made of them in stubs/."""


def generate(package: Path, target: Path) -> int:
    """Write a message module and its types for each .proto of a package; the answer is protoc's exit code."""
    protos = package / "proto"
    sources = sorted(path.name for path in protos.glob("*.proto"))
    return int(protoc.main(["protoc", f"-I{protos}", f"--python_out={target}", f"--pyi_out={target}", *sources]))


if __name__ == "__main__":
    sys.exit(max(generate(package, package / "stubs") for package in PACKAGES))
