"""The scripts of `passgate completion`: each asks `passgate __complete` and hands the answer to its shell."""

from __future__ import annotations

import argparse

from domxml.errors import ExitCode
from hostdev.cli import output

BASH = r"""# passgate completion for bash
_passgate() {
    # The words as typed: bash's own are split at the colons of PCI addresses.
    local line=${COMP_LINE:0:COMP_POINT} current kept=
    local -a words found
    IFS=$' \t\n' read -ra words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=("")
    current=${words[-1]}
    mapfile -t found < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
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
}
complete -F _passgate passgate
"""

ZSH = r"""#compdef passgate
# passgate completion for zsh
_passgate() {
    local -a found described
    local line
    found=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
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
    _describe passgate described
}
if [[ "${funcstack[1]}" == _passgate ]]; then
    _passgate "$@"
else
    compdef _passgate passgate
fi
"""

FISH = r"""# passgate completion for fish
function __passgate_complete
    set -l words (commandline -opc) "$(commandline -ct)"
    set -l found ($words[1] __complete $words[2..-1] 2>/dev/null)
    switch "$found[1]"
        case :file
            __fish_complete_path "$words[-1]"
        case :directory
            __fish_complete_directories "$words[-1]"
        case '?*'
            printf '%s\n' $found
    end
end
complete --command passgate --no-files --arguments '(__passgate_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def run(arguments: argparse.Namespace) -> int:
    """Print the script for one shell."""
    output.write(SCRIPTS[arguments.shell])
    return ExitCode.DONE
