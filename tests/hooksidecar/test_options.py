"""The flags: each is a field, each mistake a sentence and exit 2."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from domxml.errors import BadInput
from domxml.version import LibvirtVersion
from hooksidecar import deadline
from hooksidecar.main import main
from hooksidecar.options import OPTIONS, PROGRAM, Options, parse, question
from hostdev.helptext import command_text
from hostdev.inject.gather import wait_until
from tests.hooksidecar.sidecar import environment


def test_every_flag_is_a_field_and_every_field_a_flag() -> None:
    assert [option.dest for option in OPTIONS] == list(Options._fields)


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
        (["--mod", "hook"], "there is no option --mod"),
        (["extra"], "'extra' is one argument too many"),
        (["--wait", "1", "--wait", "2"], "--wait is given twice: '1' and '2'"),
        (["--host", "--wait", "2"], "--host needs a value"),
        (["--host"], "--host needs a value"),
        (["--host="], "--host needs a value"),
        (["--host", "-"], "--host -: standard input can be read once"),
        (["--mode", "fast"], "--mode cannot be 'fast'"),
        (["--wait", "soon"], "--wait needs a number of seconds from 0 to 15, not 'soon'"),
        (["--wait", "-1"], "--wait needs a number"),
        (["--wait", "nan"], "--wait needs a number"),
        (["--wait", "3600"], "--wait needs a number"),
        (["--mode", "plugin"], "--mode plugin and --plugin-socket go together"),
        (["--plugin-socket", "/x.sock"], "--mode plugin and --plugin-socket go together"),
        (["--libvirt", "new"], "'new' is not a version of libvirt"),
        (["--version", "v1alpha4"], "--version cannot be 'v1alpha4'"),
        (["--version", "0.1.0"], "--version cannot be '0.1.0'"),
        (["--version", ""], "--version cannot be ''"),
        (["--version="], "--version cannot be ''"),
        (["--version", "v1alpha1", "--cloud-init"], "--cloud-init needs a newer --version: v1alpha1 has no"),
        (
            ["--mode", "plugin", "--plugin-socket", "/x.sock", "--version", "v1alpha3"],
            "--version and --mode plugin exclude each other",
        ),
        (["--cloud-init=yes"], "--cloud-init takes no value"),
        (["--cloud-init", "yes"], "'yes' is one argument too many"),
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
    assert said.stdout == command_text(PROGRAM) == _hook("help").stdout
    assert all(option.names[0] in said.stdout for option in OPTIONS)
    assert "exit codes:\n    0  done" in _hook("help", "exit-codes").stdout


@pytest.mark.parametrize("word", ["--version", "-V", "version"])
def test_version(word: str) -> None:
    said = _hook(word)

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("passgate ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ("v1alpha3", "v1alpha2", "v1alpha1")),
        (["--version", "v1alpha3"], ("v1alpha3", "v1alpha2", "v1alpha1")),
        (["--version=v1alpha2"], ("v1alpha2", "v1alpha1")),
        (["--wait", "1", "--version", "v1alpha1", "--host", "none"], ("v1alpha1",)),
    ],
)
def test_a_hook_version_is_served_with_older_ones(words: list[str], expected: tuple[str, ...]) -> None:
    assert question(words, in_pod=True) == ""
    assert parse(words).versions == expected


@pytest.mark.parametrize(
    "words", [["-h"], ["--help"], ["--version"], ["-V"], ["help"], ["version"], ["help", "exit-codes"]]
)
def test_a_question_is_answered_where_no_pod_waits(words: list[str]) -> None:
    assert question(words, in_pod=False) == words[0]
    with pytest.raises(BadInput, match="answers and ends, and this pod waits for a sidecar that serves") as failed:
        question(words, in_pod=True)
    assert failed.value.exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--help", "--host", "none"],
        ["--wait", "1", "-h"],
        ["--wait", "1", "-V"],
        ["--version", "--wait", "1"],
        ["--wait", "1", "--version"],
        ["--version", "--help"],
        ["--version", "v1alpha2", "--help"],
        ["--socket-dir", "/x", "--version"],
    ],
)
@pytest.mark.parametrize("in_pod", [False, True])
def test_a_question_beside_other_words_is_refused(words: list[str], *, in_pod: bool) -> None:
    """KubeVirt writes a sidecar's args from an annotation: what prints and ends there must not look well."""
    with pytest.raises(BadInput, match="goes alone: beside other words it would keep the sidecar from serving"):
        question(words, in_pod=in_pod)


@given(
    st.lists(
        st.sampled_from(
            ["--version", "-h", "--help", "v1alpha1", "v1alpha3", "v9", "", "--wait", "1", "--cloud-init", "x"]
        )
    )
)
def test_whatever_the_words_a_pod_gets_a_sidecar_or_an_error(words: list[str]) -> None:
    try:
        asked = question(words, in_pod=True)
        options = parse(words)
    except BadInput:
        return
    assert asked == ""
    assert options.mode == "hook"
    assert options.versions[-1] == "v1alpha1"


def test_a_question_beside_other_words_ends_in_2() -> None:
    said = _hook("--version", "--wait", "3")

    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith(
        "error: --version goes alone: beside other words it would keep the sidecar from serving"
    )


def test_in_a_pod_a_question_or_a_rehearsal_is_no_sidecar(
    mocker: MockerFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    ismount = mocker.patch("hooksidecar.options.os.path.ismount", autospec=True, return_value=True)

    for words in (["--version"], ["--help"], ["help"], ["version"], ["-V"], ["rehearse"], ["rehearse", "--help"]):
        assert main(words) == 2
        assert "this pod waits for a sidecar that serves [bad-usage]" in capsys.readouterr().err
    ismount.assert_called_with("/var/run/kubevirt-hooks")


def test_a_wrong_flag_ends_in_2() -> None:
    said = _hook("--wiat", "3")

    assert said.returncode == 2
    assert said.stderr == "error: there is no option --wiat [unknown-option]\nhint: did you mean --wait?\n"


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
