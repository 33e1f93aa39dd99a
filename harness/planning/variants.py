"""The folder of a variant: of a space with fields replaced that a results folder cannot grow along.

`--space smoke --set max_steps=50` has its results in `smoke--max_steps-50`, beside those of `smoke`. What may
grow (axes, seeds) names no folder: it grows in the one that is there.
"""

from collections.abc import Mapping
from typing import Any

from harness.identity import content_hash
from harness.planning.fields import BUDGET

FIXED = sorted({*BUDGET, "checkpoints", "learning_rate", "probes", "tune_for"} - {"seeds"})
"""Fields of a space that results cannot grow along; of learning rates only fixed ones grow."""

LONGEST = 60
"""Characters of a variant's name, after which a hash stands for the rest."""


def folder_of(space: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    """What a space adds to the name of the folder of its base, such as '--max_steps-50'; often nothing.

    Both are given as the values of their fields, by name.

    It has letters, digits, '.', '_' and '-' alone, which no shell, file system or object store reads as
    anything else. It depends on the values that differ, not on their order, and no two variants share one.
    """
    ours, theirs = _texts(space), _texts(base)
    differing = {name: ours[name] for name in FIXED if ours[name] != theirs[name]}
    parts = [f"--{name}-{text}" for name, text in differing.items()]
    if len("".join(parts)) <= LONGEST:
        return "".join(parts)
    shown = ""
    for part in parts:
        if len(shown + part) > LONGEST - len("--12345678"):
            break
        shown += part
    return f"{shown}--{content_hash(differing)[:8]}"


def _texts(space: Mapping[str, Any]) -> dict[str, str]:
    return {name: _rates(space[name]) if name == "learning_rate" else _text(space[name]) for name in FIXED}


def _rates(learning_rate: Any) -> str:
    """A range, or how the rates are chosen: fixed ones may grow."""
    if isinstance(learning_rate, Mapping):
        return f"{_text(learning_rate['low'])}-to-{_text(learning_rate['high'])}"
    return "default" if learning_rate is None else "fixed"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "-".join(value) or "none"
    return value if isinstance(value, str) else repr(value).lower().replace("+", "")
