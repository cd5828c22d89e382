"""Give an image in an OCI archive its name, so that it can be loaded into a node without a registry.

    python naming.py IMAGE.tar REGISTRY/NAME:TAG

containerd imports an image without a name, says that all is well, and runs it under none.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

INDEX = "index.json"
CONTAINERD, OCI = "io.containerd.image.name", "org.opencontainers.image.ref.name"
"""What containerd (ctr, kind, k3s) and Docker read, and what podman and skopeo do."""


def main(path: str, name: str) -> None:
    """Write the archive anew, with the name in its index."""
    archive, beside = Path(path), Path(f"{path}.named")
    with tarfile.open(archive) as old, tarfile.open(beside, "w") as new:
        for member in old:
            content = old.extractfile(member)
            data = named(content.read(), name) if member.name == INDEX and content else None
            if data is not None:
                member.size, content = len(data), io.BytesIO(data)
            new.addfile(member, content)
    shutil.move(beside, archive)


def named(index: bytes, name: str) -> bytes:
    """The index of an archive, in which the image has a name."""
    document = json.loads(index)
    (manifest,) = document["manifests"]
    manifest["annotations"] = {**manifest.get("annotations", {}), CONTAINERD: name, OCI: name}
    return json.dumps(document).encode()


if __name__ == "__main__":
    main(*sys.argv[1:])
