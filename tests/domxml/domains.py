"""The domains that the tests work on."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent.parent / "fixtures" / "domains"


def load(name: str) -> bytes:
    """A first-pass domain by name, such as q35-default."""
    return (FOLDER / f"{name}.xml").read_bytes()


def names() -> list[str]:
    """All first-pass domains."""
    return sorted(path.stem for path in FOLDER.glob("*.xml"))


def recorded_passes() -> list[Path]:
    """What a hook answered on some pass; what libvirt made of it lies beside."""
    return sorted((FOLDER / "passes").glob("*.out.xml"))
