"""Fixtures: a real libvirt of each Debian release, and libvirt's own test inputs."""

from __future__ import annotations

from tests.oracle.fixtures import corpus, oracle, root

__all__ = ["corpus", "oracle", "root"]
