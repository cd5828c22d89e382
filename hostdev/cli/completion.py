"""Shell completion: the scripts, and the answers that they ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from domxml.errors import ExitCode
from hostdev.cli import helppages, resolve
from hostdev.cli.commands import table
from hostdev.commandline import COMMON, VERSION, Argument, Command, Complete
from hostdev.printing import output

BASH = r"""# passgate completion for bash
_passgate() {
    # The words as typed: bash's own are split at the colons of PCI addresses.
    local line=${COMP_LINE:0:COMP_POINT} current kept=
    local -a words found
    IFS=$' \t\n' read -ra words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=("")
    current=${words[-1]}
    local program=${words[0]##*/} tool=passgate
    [[ $program == passgate ]] && tool=${words[0]}
    mapfile -t found < <("$tool" __complete_for "$program" "${words[@]:1}" 2>/dev/null)
    COMPREPLY=()
    case ${found[0]} in
        :file) compopt -o default; return ;;
        :directory) compopt -o dirnames; return ;;
    esac
    # Bash replaces only what stands behind the last of its word breaks.
    local breaks=${COMP_WORDBREAKS//[^:=]/}
    [[ -n $breaks ]] && kept=${current%"${current##*[$breaks]}"}
    found=("${found[@]%%$'\t'*}")
    COMPREPLY=("${found[@]#"$kept"}")
    # After a setting's name comes its value.
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -F _passgate PROGRAMS
"""

ZSH = r"""#compdef PROGRAMS
# passgate completion for zsh
_passgate() {
    local -a found described
    local line program=${words[1]:t} tool=passgate
    local -a close
    [[ $program == passgate ]] && tool=${words[1]}
    found=("${(@f)$("$tool" __complete_for "$program" "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
    case "${found[1]}" in
        :file) _files; return ;;
        :directory) _files -/; return ;;
        '') return 1 ;;
    esac
    for line in "${found[@]}"; do
        if [[ "$line" == *$'\t'* ]]; then
            described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        else
            described+=("${line//:/\\:}")
        fi
    done
    # After a setting's name comes its value.
    [[ "${found[1]%%$'\t'*}" == *= ]] && close=(-S '')
    _describe passgate described "${close[@]}"
}
if [[ "${funcstack[1]}" == _passgate ]]; then
    _passgate "$@"
else
    compdef _passgate PROGRAMS
fi
"""

FISH = r"""# passgate completion for fish
function __passgate_complete
    set -l words (commandline -opc) "$(commandline -ct)"
    set -l program (path basename $words[1])
    set -l tool passgate
    test "$program" = passgate; and set tool $words[1]
    set -l found ($tool __complete_for $program $words[2..-1] 2>/dev/null)
    switch "$found[1]"
        case :file
            __fish_complete_path "$words[-1]"
        case :directory
            __fish_complete_directories "$words[-1]"
        case '?*'
            printf '%s\n' $found
    end
end
for program in PROGRAMS
    complete --command $program --no-files --arguments '(__passgate_complete)'
end
"""

OTHERS = ("kubectl-passgate", "passgate-hook", "passgate-agent", "passgate-claims", "onDefineDomain")
"""The programs that are completed beside passgate, by passgate."""
SCRIPTS = {
    shell: script.replace("PROGRAMS", " ".join(["passgate", *OTHERS]))
    for shell, script in (("bash", BASH), ("zsh", ZSH), ("fish", FISH))
}

if TYPE_CHECKING:
    # Completion answers at every key press, without it.
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Print the script for one shell."""
    output.write(SCRIPTS[arguments.shell])
    return ExitCode.DONE


Candidate = tuple[str, str]
"""A word and what it means."""

_DEVICES = "sys/bus/pci/devices"
_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]", re.ASCII)
_SHELL_KNOWS = {Complete.FILE: ":file", Complete.DIRECTORY: ":directory"}


def answer(words: Sequence[str], program: str = "passgate") -> int:
    """Print the candidates for the last word."""
    try:
        found = candidates(words or [""], program)
    except Exception:  # noqa: BLE001  a shell at its prompt has no use for errors
        return 1
    output.write("".join(f"{word}\t{about}".rstrip() + "\n" for word, about in found))
    return 0


def candidates(words: Sequence[str], program: str = "passgate") -> list[Candidate]:
    """List what can stand where the last word stands, and begins as it does."""
    *before, current = words
    if program not in {"passgate", "kubectl-passgate"}:
        return _of_program(program, before, current)
    early: list[str] = []
    prefix = ""
    while before:
        word = before.pop(0)
        option = resolve.early_options().get(word)
        if word == "help":
            return _help_words(before, current)
        if option is not None and not option.flag and not before:
            return _values(option, current, {})
        if word.startswith("-"):
            early += [word] if option is None or option.flag else [word, before.pop(0)]
            continue
        prefix = resolve.find_name(prefix, word)
        if not prefix or prefix in table.COMMANDS:
            return _arguments(table.COMMANDS[prefix], [*before, *early], current) if prefix else []
    return _words(prefix, current)


def _words(prefix: str, current: str) -> list[Candidate]:
    if current.startswith("-"):
        return _options((*COMMON, *(() if prefix else (VERSION,))), current)
    return _starting(_below(prefix), current) or ([] if prefix else _starting(_below(resolve.SHORT), current))


def _below(prefix: str) -> list[Candidate]:
    words = [(word, helppages.summary(f"{prefix} {word}".strip())) for word in table.below(prefix)]
    return words if prefix else [*words, ("help", "Tell about a command, or a topic.")]


def _help_words(before: Sequence[str], current: str) -> list[Candidate]:
    prefix = ""
    for word in before:
        prefix = resolve.find_name(prefix, word)
        if prefix not in table.GROUPS:
            return []
    return _starting([*_below(prefix), *(() if prefix else table.TOPICS.items())], current)


def _of_program(program: str, before: list[str], current: str) -> list[Candidate]:
    """Those of a program that is not passgate."""
    commands = {command.name: command for command in helppages.programs() if command.program == program}
    names = [name for name in commands if name]
    if before and before[0] in names:
        return _arguments(commands[before[0]], before[1:], current)
    if not before and current[:1] != "-":
        words = [*names, "help", "version"]
        return _starting(((word, commands[word].summary if word in commands else "") for word in words), current)
    return _arguments(commands[""], before, current) if "" in commands else []


class _Line(NamedTuple):
    """The arguments before the current word."""

    awaiting: Argument | None
    """The option whose value comes next."""
    given: Mapping[str, str]
    positionals: int


def _arguments(command: Command, rest: Sequence[str], current: str) -> list[Candidate]:
    options = {name: option for option in command.every_option for name in option.names}
    line = _read(options, rest)
    if line.awaiting is not None:
        return _values(line.awaiting, current, line.given)
    name, equals, value = current.partition("=")
    if equals and name in options:
        return [(f"{name}={found}", about) for found, about in _values(options[name], value, line.given)]
    if current.startswith("-") and current != "-":
        return _options(command.every_option, current)
    positionals = command.positionals
    if positionals and positionals[-1].nargs in {"*", "+"}:
        return _values(positionals[-1], current, line.given)
    return _values(positionals[line.positionals], current, line.given) if line.positionals < len(positionals) else []


def _read(options: Mapping[str, Argument], words: Iterable[str]) -> _Line:
    awaiting: Argument | None = None
    given: dict[str, str] = {}
    positionals = 0
    for word in words:
        name, equals, value = word.partition("=")
        if awaiting is not None:
            given[awaiting.dest] = word
            awaiting = None
        elif word in options:
            awaiting = None if options[word].flag else options[word]
        elif equals and name in options:
            given[options[name].dest] = value
        else:
            positionals += 1
    return _Line(awaiting, given, positionals)


def _values(argument: Argument, current: str, given: Mapping[str, str]) -> list[Candidate]:
    if argument.choices:
        return _starting(((choice, "") for choice in argument.choices), current)
    if argument.complete in _SHELL_KNOWS:
        return [(_SHELL_KNOWS[argument.complete], "")]
    if argument.complete is Complete.SPEC and "," in current:
        return _settings(current)
    if argument.complete in {Complete.ADDRESS, Complete.SPEC, Complete.SELECTOR}:
        selectors = _selectors(current) if argument.complete is Complete.SELECTOR else []
        return [*_starting(_addresses(given.get("host", "/")), current), *_starting(selectors, current)]
    if argument.complete is Complete.CODE:
        return _starting(_codes(), current)
    return []


def _selectors(current: str) -> Iterable[Candidate]:
    """Keys with their meanings, words that need none, and behind a key and the last comma its values."""
    from hostdev.gate.selection import FLAGS, KEYS, NOT  # noqa: PLC0415  only where devices are selected
    from hostdev.inventory.devicewords import known_words  # noqa: PLC0415

    name, equals, value = current.partition("=")
    if equals:
        key = next((key for key in KEYS if name.rstrip("!") in key.names), None)
        before = value[: value.rfind(",") + 1]
        return [(f"{name}={before}{word}", "") for word in (key.values() if key else ())]
    keys = [(f"{key.names[0]}=", key.help) for key in KEYS]
    flags = [(f"{negation}{word}", "") for negation in ("", NOT) for word in FLAGS]
    # A list of all classes would hide the addresses.
    return [*keys, *flags, *((word, "") for word in known_words() if current)]


def _settings(current: str) -> list[Candidate]:
    """What may follow the last comma: a setting that is not there yet, or one of its values."""
    from hostdev.vmi.settings import NAMES, SETTINGS  # noqa: PLC0415  loads lxml

    start, _, last = current.rpartition(",")
    key, equals, _ = last.partition("=")
    if equals:
        row = SETTINGS.get(NAMES.get(key, ""))
        return _starting(((f"{start},{key}={one}", "") for one in (row.choices if row else ())), current)
    there = {NAMES.get(setting.partition("=")[0]) for setting in start.split(",")}
    rows = (row for row in SETTINGS.values() if not row.which and row.name not in there)
    return _starting(((f"{start},{row.name}=", row.meaning) for row in rows), current)


def _options(options: Iterable[Argument], current: str) -> list[Candidate]:
    return _starting(((name, option.help) for option in options for name in option.names), current)


def _starting(found: Iterable[Candidate], current: str) -> list[Candidate]:
    return [(word, about) for word, about in found if word.startswith(current)]


def _addresses(spec: str) -> list[Candidate]:
    """Addresses of the host, and the short ones that most people type; what is none would end in a command line."""
    names = [name for name in _devices("/" if spec == "none" else spec) if _ADDRESS.fullmatch(name)]
    return [(name, "") for name in names] + [(name[5:], "") for name in names if name.startswith("0000:")]


def _devices(spec: str) -> list[str]:
    if spec.endswith(".toml"):
        from hostdev.inventory.recorded.layout import open_host  # noqa: PLC0415  takes three times as long as a directory does

        with open_host(spec) as host:
            return host.names(_DEVICES) or []
    from hostdev.inventory.host import Host  # noqa: PLC0415  only where addresses are wanted

    with Host(spec) as host:
        return host.names(_DEVICES) or []


def _codes() -> list[Candidate]:
    from hostdev.findings.explain import EXPLAINED  # noqa: PLC0415  only where codes are wanted

    return [(code, row.title) for code, row in EXPLAINED.items()]
