"""A real libvirt of each Debian release, libvirt's own test inputs, and leave to build them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TypeVar

import pytest

from tests.oracle import corpus as inputs
from tests.oracle.client import Oracle
from tests.oracle.corpus import Corpus
from tests.oracle.roots import SUITES, Root, Say, Suite, Unavailable, available

Have = TypeVar("Have", Root, Corpus)


@pytest.fixture(scope="session", params=SUITES, ids=lambda suite: f"libvirt-{suite.libvirt}")
def root(request: pytest.FixtureRequest) -> Root:
    """A root with libvirt, once per release."""
    suite: Suite = request.param
    return _or_skip(available(suite, build=may_build(), say=teller(request)))


@pytest.fixture(scope="session")
def oracle(root: Root) -> Iterator[Oracle]:
    """A libvirt to ask, once per release."""
    with Oracle(root) as opened:
        yield opened


@pytest.fixture(scope="session")
def corpus(request: pytest.FixtureRequest) -> Corpus:
    """libvirt's own test inputs and expected outputs."""
    return _or_skip(inputs.corpus(fetch=may_build(), say=teller(request)))


def _or_skip(wanted: Have | Unavailable) -> Have:
    if isinstance(wanted, Unavailable):
        pytest.skip(wanted.reason)
    return wanted


def may_build() -> bool:
    """Whether roots may be built, which takes a minute each."""
    return os.environ.get("PASSGATE_NO_BUILD") != "1"


def teller(request: pytest.FixtureRequest) -> Say:
    """Writes past pytest's capture: who waits wants to know what for."""
    plugins = request.config.pluginmanager
    capture, reporter = plugins.get_plugin("capturemanager"), plugins.get_plugin("terminalreporter")

    def say(line: str) -> None:
        if capture is not None and reporter is not None:
            with capture.global_and_fixture_disabled():
                reporter.ensure_newline()
                reporter.write_line(line, flush=True)

    return say
