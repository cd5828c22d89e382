"""The flags: each is a field, each mistake a sentence and exit 2."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from domxml.errors import BadInput
from domxml.version import LibvirtVersion
from hooksidecar import deadline
from hooksidecar.options import FLAGS, Options, help_text, parse
from hostdev.inject.gather import wait_until
from tests.hooksidecar.sidecar import environment


def test_every_flag_is_a_field_and_every_field_a_flag() -> None:
    assert [flag.field for flag in FLAGS] == list(Options._fields)


def test_both_spellings_of_a_value() -> None:
    assert parse(["--wait=1.5", "--host", "/host"]) == Options(host="/host", wait=1.5)


def test_a_version_is_read() -> None:
    assert parse(["--libvirt", "11.3"]).libvirt == LibvirtVersion(11, 3)


def test_a_switch_has_no_value() -> None:
    assert parse(["--cloud-init", "--wait", "1"]) == Options(wait=1.0, cloud_init=True)
    assert parse([]).cloud_init is False


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--mod", "hook"], "there is no '--mod'"),
        (["extra"], "there is no 'extra'"),
        (["--host"], "--host needs a value"),
        (["--host="], "--host needs a value"),
        (["--mode", "fast"], "--mode cannot be 'fast'"),
        (["--wait", "soon"], "--wait needs a number of seconds from 0 to 15, not 'soon'"),
        (["--wait", "-1"], "--wait needs a number"),
        (["--wait", "nan"], "--wait needs a number"),
        (["--wait", "3600"], "--wait needs a number"),
        (["--mode", "plugin"], "--mode plugin and --plugin-socket go together"),
        (["--plugin-socket", "/x.sock"], "--mode plugin and --plugin-socket go together"),
        (["--libvirt", "new"], "'new' is not a version of libvirt"),
        (["--cloud-init=yes"], "--cloud-init takes no value"),
        (["--cloud-init", "yes"], "there is no 'yes'"),
        (
            ["--mode", "plugin", "--plugin-socket", "/x.sock", "--cloud-init"],
            "--cloud-init and --mode plugin exclude each other",
        ),
    ],
)
def test_a_mistake_is_a_sentence(words: list[str], says: str) -> None:
    with pytest.raises(BadInput) as failed:
        parse(words)

    assert failed.value.message.startswith(says)
    assert failed.value.hint


def test_help_names_every_flag_and_exit_code() -> None:
    said = _hook("--help")

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == help_text()
    assert all(flag.name in said.stdout for flag in FLAGS)
    assert "exit codes:\n    0  done" in said.stdout


def test_version() -> None:
    said = _hook("--version")

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("passgate ")


def test_a_wrong_flag_ends_in_2() -> None:
    said = _hook("--wiat", "3")

    assert said.returncode == 2
    assert said.stderr == "error: there is no '--wiat' [bad-usage]\nhint: did you mean --wait?\n"


def test_what_a_thread_does_is_told_in_words() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=lambda: wait_until(stop.is_set, 9e9, clock=time.monotonic, sleep=time.sleep))
    thread.start()
    found = deadline.current_activity(thread.ident)
    stop.set()
    thread.join()

    assert found.words == "waiting for the allocation file"
    assert found.where.startswith("hostdev.inject.gather.")
    assert deadline.current_activity(None) == deadline.Activity("working", "")


def _hook(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hooksidecar.main", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
