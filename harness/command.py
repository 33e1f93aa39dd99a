"""The console command: stability run | report | compare | generate | completion.

It does what `python -m harness.run` and its like do. Modules are looked for in the current folder last. So a
file `analysis.py` of yours hides nothing, and `mycells:Cell` is still found. `--help` waits for nothing.
"""

import importlib
import os
import sys
from collections.abc import Sequence

from harness.own import use_our_analysis

COMMANDS = {
    "run": ("harness.run", "train every condition of a space and record how stably it trained"),
    "report": ("analysis.report", "write the report of results folders"),
    "compare": ("analysis.compare", "say what changed between two results folders"),
    "generate": ("harness.generate", "let a trained model write"),
    "completion": ("harness.completion", "print what makes bash, zsh or fish complete these commands"),
}
"""By command: its module, and what it does."""

OK, REFUSED = 0, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the commands and return its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] in ([], ["--help"], ["-h"]):
        print(usage())  # noqa: T201
        return OK if argv else REFUSED
    if argv[0] not in COMMANDS:
        print(f"error: no command named {argv[0]!r}; known: {', '.join(COMMANDS)}", file=sys.stderr)  # noqa: T201
        return REFUSED
    here = os.getcwd()  # noqa: PTH109  as sys.path has it
    sys.path[:] = [place for place in sys.path if place not in ("", here)] + [here]
    use_our_analysis()
    code: int = importlib.import_module(COMMANDS[argv[0]][0]).main(argv[1:])
    return code


def usage() -> str:
    """What `stability --help` prints."""
    lines = [f"  {name:<11} {what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(["usage: stability COMMAND ...", "", *lines, "", "stability COMMAND --help says more."])
