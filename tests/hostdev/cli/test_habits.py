"""What is typed out of habit: taken, or answered with the right way; nothing is passed over in silence."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from domxml.errors import ExitCode
from hostdev.cli.commands import table
from hostdev.cli.helppages import help_text, programs
from hostdev.habits import FILES, INSTEAD, advice, spellings
from hostdev.helptext import version_text
from tests.hostdev.cli.running import Ran, host

DOMAIN = "tests/fixtures/domains/q35-minimal.xml"
QAT = host("qat")


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("help", "--help"),
        ("-?", "--help"),
        ("help node list", "node list --help"),
        ("help list", "node list --help"),
        ("help ls", "node list --help"),
        ("help nodes", "node --help"),
        ("node help", "node --help"),
        ("node help show", "node show --help"),
        ("list --help", "node list --help"),
        ("version", "--version"),
        ("-V", "--version"),
        ("node list --version", "--version"),
        ("node list -V", "--version"),
        ("explain no-iommu", "node explain no-iommu"),
        ("list HOST", "node list HOST"),
        ("ls HOST", "node list HOST"),
        ("node ls HOST", "node list HOST"),
        ("lists HOST", "node list HOST"),
        ("group 43 HOST", "node groups 43 HOST"),
        ("nodes list HOST", "node list HOST"),
        ("show 3d:02.2 HOST", "node show 3d:02.2 HOST"),
        ("describe 3d:02.2 HOST", "node show 3d:02.2 HOST"),
        ("doctor 3d:02.2 HOST", "node doctor 3d:02.2 HOST"),
        ("draw HOST", "node draw HOST"),
        ("tree HOST", "node draw HOST"),
        ("snapshot HOST", "node snapshot HOST"),
        ("compare MACHINE MACHINE", "node compare MACHINE MACHINE"),
        ("diff MACHINE MACHINE", "node compare MACHINE MACHINE"),
        ("who 3d:02.2 --kubelet-dir nowhere HOST", "node who 3d:02.2 --kubelet-dir nowhere HOST"),
        ("--color never node list HOST", "node list HOST --color never"),
        ("--colour=never list HOST", "node list HOST --color never"),
        ("--color always node list HOST", "node list HOST --color always"),
        ("--color never inject DOMAIN --device 3d:02.2", "inject DOMAIN --device 3d:02.2"),
        ("HOST node list -o json", "node list HOST -o json"),
        ("node HOST list -o name", "node list HOST -o name"),
        ("-o json node list HOST", "node list HOST -o json"),
        ("node list HOST --json", "node list HOST -o json"),
        ("node list HOST --format json", "node list HOST -o json"),
        ("node list HOST -o=json", "node list HOST -o json"),
        ("node list HOST --output json", "node list HOST -o json"),
        ("node list HOST --wide", "node list HOST -o wide"),
        ("node list HOST --no-color", "node list HOST --color never"),
        ("node list HOST -s 3d:02.2", "node list HOST 3d:02.2"),
        ("node list HOST -d 8086:37c9", "node list HOST 8086:37c9"),
        ("node list HOST -d 8086:", "node list HOST 8086:"),
        ("inject -f DOMAIN --device 3d:02.2", "inject DOMAIN --device 3d:02.2"),
        ("inject --filename DOMAIN --device 3d:02.2", "inject DOMAIN --device 3d:02.2"),
        ("inject --file=DOMAIN --device 3d:02.2 --diff", "inject DOMAIN --device 3d:02.2 -o diff"),
        ("inject DOMAIN --device 3d:02.2,guestAddress=10:00.0", "inject DOMAIN --device 3d:02.2,guest=10:00.0"),
        ("inject DOMAIN --device address=3d:02.2", "inject DOMAIN --device 3d:02.2"),
        ("inject DOMAIN --device group:35 HOST", "inject DOMAIN --device 3d:02.2 HOST"),
        ("inject DOMAIN --device vfio22,name=x HOST", "inject DOMAIN --device 3d:02.2,name=x HOST"),
        ("inject DOMAIN --device /sys/bus/pci/devices/0000:3d:02.2 HOST", "inject DOMAIN --device 3d:02.2 HOST"),
        ("lint -f tests/deploy", "lint tests/deploy"),
        ("lint -f tests/deploy -f deploy/examples", "lint tests/deploy deploy/examples"),
        ("edit DOMAIN --device 3d:02.2", "inject DOMAIN --device 3d:02.2"),
        ("manifest 8086:37c9 HOST --by plugin -n here", "manifest 8086:37c9 HOST --by plugin --namespace here"),
    ],
)
def test_a_habit_is_understood(typed: str, means: str, cli: Callable[..., Ran]) -> None:
    ran = cli(*_words(typed))

    assert ran == cli(*_words(means))
    assert (ran.out or ran.err) and "[unknown-" not in ran.err  # noqa: PT018
    assert "[bad-usage]" not in ran.err


@pytest.mark.parametrize(
    ("typed", "what", "hint"),
    [
        (
            "inject DOMAIN --dry-run",
            "there is no option --dry-run",
            "nothing is ever written: -o diff or -o plan shows",
        ),
        ("inject DOMAIN --dry-run=client", "there is no option --dry-run", "-o diff or -o plan shows"),
        ("node list --dry-run", "there is no option --dry-run", "nothing is ever written"),
        ("inject --hostdev 3d:02.2", "there is no option --hostdev", "--device 3d:02.2"),
        ("inject DOMAIN --print-diff", "there is no option --print-diff", "-o diff"),
        ("inject DOMAIN --pruen", "there is no option --pruen", "passgate inject --help lists the options"),
        ("inject DOMAIN --prun", "there is no option --prun", "passgate inject --help lists the options"),
        ("inject DOMAIN --device ens1f0", "'ens1f0' is not a PCI address", "with --host an interface"),
        ("inject DOMAIN --device 3d:02 HOST", "3d:02: names 8 devices by their slot", "name one of them"),
        ("manifest 3d:02.2 --dry-run", "there is no option --dry-run", "kubectl diff -f -"),
        ("inject DOMAIN --device 3d:02.2,name=", "name has no value", "name=qat"),
        ("inject DOMAIN --device 3d:02.2,Guest=10:00.0", "there is no setting 'Guest'", "did you mean guest?"),
        ("inject DOMAIN 3d:02.2", "'3d:02.2' is one argument too many", "a device is named with --device 3d:02.2"),
        ("inject DOMAIN --env A=1 --env A=2", "A is given twice: '1' and '2'", "an environment has one of each name"),
        ("lint DOMAIN --vmi x", "--vmi and FILE exclude each other", "name all files without an option"),
        ("node watch --host x", "there is no option --host", "only this running node has events"),
        ("node list --hostdev x", "there is no option --hostdev", "did you mean --host?"),
        ("node list --everything", "there is no option --everything", "passgate node list --help lists the options"),
        ("completion", "SHELL is missing", "passgate completion --help"),
        ("man show", "show: is a command", "passgate help show"),
        ("man", "DIRECTORY is missing", "passgate man --help"),
        ("node list -v", "there is no option -v", "-V shows the version"),
        ("node list --verbose", "there is no option --verbose", "-o wide or -o json"),
        ("node list -q", "there is no option -q", "/dev/null"),
        ("node list -n kube-system", "there is no option -n", "no cluster is asked"),
        ("lint --namespace=x", "there is no option --namespace", "no cluster is asked"),
        ("node list -output json", "there is no option -output", "did you mean --output, with two dashes?"),
        ("node list -host=x", "there is no option -host", "did you mean --host, with two dashes?"),
        ("node list --watch", "there is no option --watch", "passgate node watch"),
        ("--nonsense node list", "there is no option --nonsense", "passgate --help lists the options"),
        ("lst", "there is no command passgate lst", "did you mean passgate node list?"),
        ("expalin", "there is no command passgate expalin", "did you mean passgate explain?"),
        ("help lsit", "there is no command passgate lsit", "did you mean passgate node list?"),
        ("help exit-code", "there is no command passgate exit-code", "did you mean passgate help exit-codes?"),
        ("node unbnd 3d:02.2", "there is no command passgate node unbnd", "passgate node --help lists them"),
        ("unbid 3d:02.2", "there is no command passgate unbid", "passgate --help lists them"),
        ("node bnd 3d:02.2", "there is no command passgate node bnd", "passgate node --help lists them"),
        ("node journal und", "ACTION cannot be 'und'", "it is one of list, show, undo, recover"),
        ("node bind 3d:02.2 --yess", "there is no option --yess", "passgate node bind --help lists the options"),
        ("inject DOMAIN --remov x", "there is no option --remov", "passgate inject --help lists the options"),
        ("inject DOMAIN --device 3d:02.2,resource=a.b/c", "says which device is meant", "--vmi"),
        ("inject DOMAIN --device 3d:02.2,guest=10:00.0,guestAddress=11:00.0", "guest is given twice", "give it once"),
    ],
)
def test_a_habit_is_answered_with_the_right_way(typed: str, what: str, hint: str, cli: Callable[..., Ran]) -> None:
    ran = cli(*_words(typed))

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    first, second = ran.err.splitlines()
    assert what in first
    assert hint in second


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        ("lint --vmi a.yaml --vmi b.yaml", "--vmi is given twice: 'a.yaml' and 'b.yaml'"),
        ("inject --vmi a --vmi=b", "--vmi is given twice: 'a' and 'b'"),
        ("node list --host a --host b", "--host is given twice: 'a' and 'b'"),
        ("node list --host a --host a", "--host is given twice: 'a' and 'a'"),
        ("--host a node list --host b", "--host is given twice: 'a' and 'b'"),
        ("node list -o table --output wide", "--output is given twice: 'table' and 'wide'"),
        ("node list --wide -o table", "--output is given twice: 'wide' and 'table'"),
        ("node list --color never --no-color", "--color is given twice: 'never' and 'never'"),
        ("inject DOMAIN -f DOMAIN", f"'{DOMAIN}' is one argument too many"),
        ("inject -f a -f b", "DOMAIN is given twice: 'a' and 'b'"),
        ("inject - --vmi -", "DOMAIN and --vmi: standard input can be read once"),
        ("inject --vmi -", "DOMAIN and an option: standard input can be read once"),
        ("inject DOMAIN --vmi - --env-file -", "--vmi and --env-file: standard input can be read once"),
        ("inject DOMAIN --env-file - --env-file -", "--env-file: standard input can be read once"),
        ("node compare - -", "OLD and NEW: standard input can be read once"),
        ("node list --host=", "--host needs a value"),
        ("inject DOMAIN --libvirt= --device 3d:02.2", "--libvirt needs a value"),
        ("node list --host --all", "--host needs a value"),
    ],
)
def test_what_is_said_twice_or_half_is_an_error(typed: str, what: str, cli: Callable[..., Ran]) -> None:
    ran = cli(*_words(typed))

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert ran.err.splitlines()[0] == f"error: {what} [bad-usage]" or what in ran.err.splitlines()[0]
    assert ran.err.splitlines()[1].startswith("hint: ")


def test_an_option_of_every_program_is_taken_once() -> None:
    for command in (*table.COMMANDS.values(), *programs()):
        for option in command.every_option:
            assert (
                option.flag or option.repeat or option.default is None or isinstance(option.default, str | float | int)
            )


def test_no_suggestion_takes_anything_away() -> None:
    """Whatever a word looks like, a command or an option that takes something away is not offered."""
    for command in table.COMMANDS.values():
        for option in (one for one in command.every_option if one.takes_away):
            for name in option.names:
                for typed in (name[:-1], f"{name}s", name.replace("e", "a"), name[1:]):
                    assert name not in advice(command, typed)


def test_no_command_that_changes_a_host_is_offered(cli: Callable[..., Ran]) -> None:
    """A command that asks before it acts takes something away from the host, or may."""
    changing = [command.name for command in table.COMMANDS.values() if command.takes_away]

    assert {"node bind", "node unbind", "node journal"} <= set(changing)
    for name in changing:
        *before, last = name.split()
        for typed in (last[:-1], f"{last}{last[-1]}", f"x{last}", last.replace("n", "m")):
            assert f"did you mean passgate {name}?" not in cli(*before, typed).err


def test_every_habit_that_is_answered_is_told_from_those_that_are_taken() -> None:
    for command in table.COMMANDS.values():
        taken = spellings(command)
        assert not set(command.instead) & set(taken), command.name
    assert not set(INSTEAD) & set(FILES)


def test_the_versions_are_those_of_the_package(cli: Callable[..., Ran]) -> None:
    assert cli("version").out == version_text()


def test_json_from_a_habit_is_json(cli: Callable[..., Ran]) -> None:
    assert json.loads(cli("ls", *QAT, "--json").out)["kind"] == "DeviceList"


def test_help_tells_where_short_commands_come_from() -> None:
    assert "The commands of `passgate node` go without that word too" in help_text("")


def _words(line: str) -> list[str]:
    words: list[str] = []
    for word in line.split():
        words += QAT if word == "HOST" else [word.replace("MACHINE", QAT[1]).replace("DOMAIN", DOMAIN)]
    return words
