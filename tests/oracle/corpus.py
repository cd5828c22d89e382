"""libvirt's own test inputs and what libvirt expects of them: fetched by apt as Debian's source package."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from tests.oracle.cache import ensure, place
from tests.oracle.mirror import KEYRING, Mirror, mirror
from tests.oracle.roots import Say, Unavailable

SUITE = "trixie"
DIRECTORY = "tests/qemuxmlconfdata/"

_OUTPUT = re.compile(r"(?P<name>.+)\.(?P<variant>[a-z0-9_]+-(?:latest|[0-9.]+)(?:[+.][a-z-]+)?)\.xml")
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


@dataclass(frozen=True, slots=True)
class Corpus:
    """The unpacked files."""

    path: Path

    def inputs(self) -> list[tuple[str, bytes]]:
        """The name and the domain of every input, by name."""
        paths = (path for path in self.path.glob("*.xml") if not _OUTPUT.fullmatch(path.name))
        return sorted((path.stem, path.read_bytes()) for path in paths)

    def outputs(self, name: str) -> Mapping[str, bytes]:
        """What libvirt makes of this input, by variant: `x86_64-latest`."""
        found = ((_OUTPUT.fullmatch(path.name), path) for path in sorted(self.path.glob(f"{name}.*.xml")))
        return {match["variant"]: path.read_bytes() for match, path in found if match and match["name"] == name}


def corpus(*, fetch: bool = True, say: Say = print) -> Corpus | Unavailable:
    """The corpus, fetched first where it is not there yet and `fetch` allows it."""
    path = place("corpus", [SUITE, DIRECTORY])
    if not path.exists():
        if not fetch:
            return Unavailable("libvirt's test inputs are not in the cache, and are not to be fetched now")
        source = mirror()
        if source is None:
            return Unavailable("apt is not configured with a Debian mirror on this machine")
        say(f"fetching libvirt's source of {SUITE} for its test inputs, a few seconds")
        try:
            ensure(path, lambda partial: _fetch(source, partial))
        except subprocess.CalledProcessError as error:
            return Unavailable(f"apt could not fetch the source of libvirt in {SUITE}:\n{error.stdout}")
    return Corpus(path)


def on_machine(architecture: str, machine: str) -> Callable[[bytes], bool]:
    """Picks the domains of an architecture whose machine type matches a pattern."""

    def picks(xml: bytes) -> bool:
        try:
            element = etree.fromstring(xml, _PARSER).find("os/type")
        except etree.XMLSyntaxError:
            return False
        if element is None or element.get("arch") != architecture:
            return False
        return re.fullmatch(machine, element.get("machine", "")) is not None

    return picks


is_q35 = on_machine("x86_64", r"q35|pc-q35-.*")
is_i440fx = on_machine("x86_64", r"pc|pc-[0-9].*|pc-i440fx-.*")
is_virt = on_machine("aarch64", r"virt|virt-.*")
is_s390x = on_machine("s390x", r"s390-ccw-virtio.*")


def _fetch(source: Mirror, target: Path) -> None:
    apt = target / "apt"
    (apt / "lists/partial").mkdir(parents=True)
    (apt / "sources.list").write_text(f"deb-src [signed-by={KEYRING}] {source.uri} {SUITE} main\n")
    settings = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt,
        "APT::Sandbox::User": "",
    }
    options = [f"--option={name}={value}" for name, value in settings.items()]
    _run(apt, "apt-get", *options, "update")
    _run(apt, "apt-get", *options, "source", "--download-only", "--tar-only", "libvirt")
    _unpack(next(apt.glob("libvirt_*.orig.tar.*")), target)
    shutil.rmtree(apt)


def _run(directory: Path, *command: str) -> None:
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _unpack(archive: Path, target: Path) -> None:
    # In one pass and in the archive's order: going back in a compressed one costs a minute.
    with tarfile.open(archive) as tar:
        for member in tar:
            path = target / Path(member.name).name
            if DIRECTORY not in member.name or path.suffix != ".xml":
                continue
            if member.issym():
                path.symlink_to(Path(member.linkname).name)
            elif content := tar.extractfile(member):
                path.write_bytes(content.read())
