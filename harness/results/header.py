"""What the header of a checkpoint must hold: it may come from anyone, so each field is checked."""

import math
from collections.abc import Mapping
from typing import Any

from harness.errors import RecordsError

SIZES = ("input_size", "hidden_size", "output_size", "length")

TYPES: dict[str, tuple[type, ...]] = {
    "trial_id": (str,),
    "step": (int,),
    "model": (str,),
    "options": (dict,),
    **dict.fromkeys(SIZES, (int,)),
    "every_step": (bool,),
    "task": (str,),
    "heldout_split": (str,),
    "heldout_loss": (int, float),
    "heldout_accuracy": (int, float, type(None)),
}
"""The fields that every checkpoint has, and their types."""

OF_TEXT: dict[str, tuple[type, ...]] = {
    "vocabulary": (str,),
    "unigram_entropy": (int, float),
    "bigram_entropy": (int, float),
}
"""Fields that a task may add: those of text, and their types."""


LARGEST = 2**63 - 1
"""The largest number that a field may have."""


def checked_header(found: Any, trial_id: str, where: str) -> dict[str, Any]:
    """The fields of a checkpoint; RecordsError names the file `where` and the field that is wrong."""
    if not isinstance(found, Mapping):
        raise RecordsError(f"{where}: its header holds a {type(found).__name__}; expected fields by name")
    for name, types in {**TYPES, **{name: OF_TEXT[name] for name in OF_TEXT if name in found}}.items():
        if name not in found:
            raise RecordsError(f"{where}: its header has no {name}")
        value = found[name]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            expected = " or ".join(kind.__name__ for kind in types)
            raise RecordsError(f"{where}: its {name} is {shown(value)}; expected {expected}")
        if isinstance(value, str) and not value.isprintable() and name != "vocabulary":
            raise RecordsError(f"{where}: its {name} is {shown(value)}; expected printable characters")
        least = 1 if name in SIZES else 0 if name == "step" else -LARGEST
        if isinstance(value, int | float) and not (least <= value <= LARGEST or value != value):
            raise RecordsError(f"{where}: its {name} is {shown(value)}; expected {least} to {LARGEST}")
    if found["trial_id"] != trial_id:
        raise RecordsError(f"{where}: its trial_id is {shown(found['trial_id'])}; expected {trial_id}")
    if "vocabulary" in found:
        check_vocabulary(found, where)
    return dict(found)


def check_vocabulary(found: Mapping[str, Any], where: str) -> None:
    """Raise RecordsError unless each input and output of the model is a character of its own."""
    vocabulary = found["vocabulary"]
    if any(0xD800 <= ord(character) < 0xE000 for character in vocabulary):
        raise RecordsError(f"{where}: its vocabulary has a lone surrogate, which is no character")
    if len(set(vocabulary)) < len(vocabulary):
        raise RecordsError(f"{where}: its vocabulary has a character twice")
    for name in ("input_size", "output_size"):
        if found[name] != len(vocabulary):
            raise RecordsError(
                f"{where}: its {name} is {found[name]}; expected {len(vocabulary)}, as in its vocabulary"
            )


def shown(value: Any) -> str:
    """A value in a message, cut to a bounded length."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = ascii(value)
    return text if len(text) <= 60 else text[:56] + " ..."
