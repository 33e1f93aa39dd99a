"""What a definition, the content of space.json, must look like for anyone to go by it."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from harness.results.schema import SCHEMA_VERSION

Check = Callable[[Any], bool]

SEAL = "sha256"
"""The last field of the file."""

DIGEST = re.compile("[0-9a-f]{64}")


def parse(content: bytes) -> dict[str, Any]:
    """The definition in a file's content; ValueError says what is wrong with it.

    A definition of another version of the tables is returned as it is: `said_of_version` says what to do.
    """
    try:
        definition = json.loads(content.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(definition, dict):
        raise ValueError("it holds no fields")
    seal = definition.pop(SEAL, None)
    if definition.get("schema_version") == SCHEMA_VERSION:
        check_seal(definition, seal)
        check_fields(definition)
    return definition


def written(definition: Mapping[str, Any]) -> bytes:
    """The content of the file: the definition as JSON, and a digest of it that `parse` checks and drops."""
    return (json.dumps({**definition, SEAL: digest(definition)}, indent=1) + "\n").encode()


def digest(definition: Mapping[str, Any]) -> str:
    """SHA-256 of a definition as JSON, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()


def check_seal(definition: Mapping[str, Any], seal: object) -> None:
    """Raise ValueError if the digest is another definition's. Older folders have none."""
    hidden = any(isinstance(value, str) and DIGEST.fullmatch(value) for value in definition.values())
    if hidden or (seal is not None and seal != digest(definition)):
        raise ValueError(f"it is not as it was written, by its {SEAL}")


def check_fields(definition: dict[str, Any]) -> None:
    """Raise ValueError, naming the field, if one is missing or of another type than it should be."""
    for name, (check, expected) in FIELDS.items():
        if name not in definition:
            if name in OPTIONAL:
                continue
            raise ValueError(f"{name} is missing")
        if not check(definition[name]):
            raise ValueError(f"{name} is no {expected}")


def said_of_version(folder: object, definition: dict[str, Any]) -> str | None:
    """A line on a folder whose tables are of another version than ours, or None."""
    version: Any = definition.get("schema_version")
    if is_whole(version) and version == SCHEMA_VERSION:
        return None
    if not is_whole(version) or not 0 < version < 10_000:
        return f"{folder} does not say which version its tables have: restore its space.json, or {AGAIN}"
    wrote = "a later" if version > SCHEMA_VERSION else "an earlier"
    return (
        f"{folder} was written with version {version} of the tables, this code has version {SCHEMA_VERSION}: "
        f"use {wrote} version of the harness, or {AGAIN}"
    )


AGAIN = "train again into another --results"


def is_whole(value: Any) -> bool:
    """Whether it is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_plain(value: Any) -> bool:
    """Whether it is a text, a number, a flag or null."""
    return value is None or isinstance(value, str | int | float)


def is_list(value: Any) -> bool:
    """Whether it is a list of plain values."""
    return isinstance(value, list) and all(map(is_plain, value))


def is_named(of: Check) -> Check:
    """A check for an object whose values pass `of`."""
    return lambda value: isinstance(value, dict) and all(map(of, value.values()))


def is_rates(value: Any) -> bool:
    """Whether it is null, a range or a list of learning rates."""
    if isinstance(value, dict):
        return value.keys() == {"low", "high"} and all(map(is_plain, value.values()))
    return value is None or is_list(value)


TEXT = (lambda value: isinstance(value, str), "text")
WHOLE = (is_whole, "whole number")
LIST = (is_list, "list")
LISTS = (is_named(is_list), "object of lists")

FIELDS: dict[str, tuple[Check, str]] = {
    **dict.fromkeys(("name", "scale", "device", "engine", "tuned_by", "seeds_until", "tune_for"), TEXT),
    **dict.fromkeys(("seeds", "tuning_seeds", "lr_trials", "lr_batch", "pack_size", "sample_every"), WHOLE),
    **dict.fromkeys(("max_steps", "observe", "eval_every", "lr_extend"), WHOLE),
    **dict.fromkeys(("tasks", "models", "optimizers", "clip_rules", "probes"), LIST),
    **dict.fromkeys(("max_norms", "hidden_size", "batch_size"), LIST),
    **dict.fromkeys(("lengths", "first_grids"), LISTS),
    "learning_rate": (is_rates, "range or list"),
    "checkpoints": (lambda value: isinstance(value, bool), "flag"),
    "options": (is_named(LISTS[0]), "object of objects of lists"),
    "sources": (is_named(is_plain), "object of texts"),
}
"""By field: what it must be, and what to call that. Fields that are not here may be anything."""

OPTIONAL = (
    "device", "engine", "scale", "clip_rules", "probes", "checkpoints", "sample_every", "sources", "tuned_by",
    "lr_extend", "seeds_until", "tune_for",
)  # fmt: skip
"""Fields that folders of this version may lack: they were added later, or have a default."""
