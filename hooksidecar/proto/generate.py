"""Make the stubs of the wire formats: `python -m hooksidecar.proto.generate [DIRECTORY]`."""

from __future__ import annotations

import sys
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).parent
STUBS = PROTOS.parent / "stubs"


def generate(target: Path) -> int:
    """Write a message module and its types for each .proto; the answer is protoc's exit code."""
    sources = sorted(path.name for path in PROTOS.glob("*.proto"))
    return int(protoc.main(["protoc", f"-I{PROTOS}", f"--python_out={target}", f"--pyi_out={target}", *sources]))


if __name__ == "__main__":
    sys.exit(generate(Path(sys.argv[1]) if len(sys.argv) > 1 else STUBS))
