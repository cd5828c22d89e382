"""Tell what an image holds: its labels, its layers with the steps that made them, its programs.

    python layers.py IMAGE.tar

IMAGE.tar is an OCI archive.
"""

from __future__ import annotations

import gzip
import json
import sys
import tarfile
from collections.abc import Iterator
from typing import IO, Any


def main(path: str) -> None:
    """Print it, as `docker history` would."""
    with tarfile.open(path) as archive:
        index = document(archive, "index.json")
        manifest = blob(archive, index["manifests"][0])
        config = blob(archive, manifest["config"])
        packed = sum(layer["size"] for layer in manifest["layers"])
        for name, value in sorted(config["config"]["Labels"].items()):
            say(f"  {name}: {value}")
        say(f"  user {config['config']['User']}, runs {' '.join(config['config']['Entrypoint'])}")
        sizes = iter(layer["size"] for layer in manifest["layers"])
        for step in config["history"]:
            size = 0 if step.get("empty_layer") else next(sizes)
            say(f"  {size / 1e6:8.1f} MB  {' '.join(step.get('created_by', '').split())[:100]}")
        programs = sorted(name for layer in manifest["layers"] for name in executables(archive, layer))
        say(f"  {packed / 1e6:8.1f} MB  packed; {len(programs)} programs, such as {', '.join(programs[:4])}")


def document(archive: tarfile.TarFile, name: str) -> Any:
    """A JSON file of the archive."""
    return json.load(member(archive, name))


def blob(archive: tarfile.TarFile, descriptor: dict[str, Any]) -> Any:
    """The JSON that a descriptor points at."""
    return document(archive, name_of(descriptor))


def executables(archive: tarfile.TarFile, layer: dict[str, Any]) -> Iterator[str]:
    """Programs that a layer brings."""
    with tarfile.open(fileobj=gzip.GzipFile(fileobj=member(archive, name_of(layer)))) as files:
        for file in files:
            if file.isfile() and file.mode & 0o111 and "bin" in file.name.split("/"):
                yield file.name


def name_of(descriptor: dict[str, Any]) -> str:
    """Where the archive keeps a blob."""
    return f"blobs/{descriptor['digest'].replace(':', '/')}"


def member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """A file of the archive."""
    found = archive.extractfile(name)
    assert found is not None, name  # noqa: S101
    return found


def say(text: str) -> None:
    """Print a line."""
    print(text)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
