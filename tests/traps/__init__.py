"""Traps: small classes of a user's own that would bend a number or end the run, and sound ones beside them.

Each trap is a class that changes one thing of a sound base by calling `super()`. So traps
of one part combine: `class Both(KeepsState, NumpyInit): pass`. The comment `# said: a | b` before a
class names what its refusal must mention. `source(names)` is the text of a module that holds traps.

    source("KeepsState", "NumpyInit")     # models=that_module:KeepsState
"""

import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

PARTS = {
    "Cell": "model",
    "Alone": "model",
    "Latch": "task",
    "Momentum": "optimizer",
    "Soft": "clip_rule",
}
"""The part that a class plays, by its base in bases.py."""


@dataclass(frozen=True)
class Trap:
    """A class, and what its refusal must mention; a sound one is not refused."""

    name: str
    base: str
    source: str
    said: tuple[str, ...] = ()

    @property
    def part(self) -> str:
        """Which part it plays: "model", "task", "optimizer" or "clip_rule"."""
        return PARTS[self.base]


def _split(text: str) -> tuple[list[str], str]:
    """The import lines of a file of traps, but for those of its bases, and all that follows them."""
    head, _, rest = re.split(r"(\n\n\n)", text, maxsplit=1)
    return re.findall(r"^(?:import|from (?!tests)).*$", head, re.M), rest


def _traps(file: str) -> list[Trap]:
    """The traps of a file, in its order."""
    found = []
    for block in _split((HERE / f"{file}.py").read_text())[1].split("# said:")[1:]:
        said, _, code = block.partition("\n")
        name, base = re.match(r"class (\w+)\((\w+)\)", code).groups()
        words = (word.strip() for word in said.split("|"))
        found.append(Trap(name, base, code.strip() + "\n", tuple(filter(None, words))))
    return found


IMPURE = [
    trap
    for file in (
        "random_models",
        "starting_models",
        "stateful_models",
        "gradient_models",
        "process_models",
        "raising_models",
        "tasks",
        "optimizers",
        "rules",
    )
    for trap in _traps(file)
]
"""Classes that must be refused before anything starts."""

SOUND = _traps("sound")
"""Classes that must be accepted."""

TRAPS: dict[str, Trap] = {trap.name: trap for trap in [*IMPURE, *SOUND]}
"""By name."""

IMPORTS = "\n".join(sorted({line for file in HERE.glob("*[a-z].py") for line in _split(file.read_text())[0]}))
"""All that the bases and any trap import."""

BASES = IMPORTS + "\n\n\n" + _split((HERE / "bases.py").read_text())[1]
"""A module of the bases alone."""


def source(*names: str) -> str:
    """A module with these traps."""
    return "\n\n".join([BASES, *(TRAPS[name].source for name in names)])
