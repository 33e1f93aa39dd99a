"""What makes a shell complete the console command: stability completion bash | zsh | fish."""

import sys
from collections.abc import Sequence
from pathlib import Path

OPTIONS = {
    "run": "--space --list --set --results --scale --executor --address --workers --device --engine "
    "--save-every --hang-after --wait-for-nodes --take-over --dry-run --yes --traceback --table --format",
    "report": "--format --out --baseline --mixed",
    "compare": "--tolerance --allow-missing",
    "generate": "--trial --results --model --prompt --length --mode --temperature --seed --n --beams",
    "completion": "bash zsh fish",
}
"""What may follow each command."""

SPACES = Path(__file__).parents[1] / "search_spaces"

BASH = """_stability() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    if (( COMP_CWORD == 1 )); then COMPREPLY=($(compgen -W "{commands}" -- "$word")); return; fi
    if [[ $before == --space ]]; then COMPREPLY=($(compgen -W "{spaces}" -f -- "$word")); return; fi
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
}}
complete -o default -F _stability stability"""


def script(shell: str) -> str:
    """The completion of a shell: `eval "$(stability completion bash)"`, or `... fish | source`."""
    spaces = " ".join(sorted(p.stem for p in SPACES.glob("*.py") if p.stem[0] != "_"))
    if shell == "fish":
        first = f"complete -c stability -n __fish_use_subcommand -xa '{' '.join(OPTIONS)}'"
        rest = [
            f"complete -c stability -n '__fish_seen_subcommand_from {command}' -a '{words}'"
            for command, words in OPTIONS.items()
        ]
        return "\n".join([first, *rest])
    cases = "\n".join(
        f'        {command}) COMPREPLY=($(compgen -W "{words}" -- "$word"));;'
        for command, words in OPTIONS.items()
    )
    bash = BASH.format(commands=" ".join(OPTIONS), spaces=spaces, cases=cases)
    return bash if shell == "bash" else f"autoload -U +X bashcompinit && bashcompinit\n{bash}"


def main(argv: Sequence[str]) -> int:
    """Print the completion script of the shell that is named."""
    if list(argv) not in (["bash"], ["zsh"], ["fish"]):
        print("usage: stability completion bash|zsh|fish", file=sys.stderr)  # noqa: T201
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    print(script(argv[0]))  # noqa: T201
    return 0
