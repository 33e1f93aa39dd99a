"""The one command that trains a condition again, from what its folder records."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from analysis.arms import THRESHOLD
from analysis.escaping import shell
from analysis.load import Results, made_by
from analysis.reserved import apart
from harness.condition import PARTS

PROGRAM = ("python", "-m", "harness.run")

ELSEWHERE = "again"
"""The results folder of the command: in the one that is there, nothing would be missing."""

NO_SETTING = ("name", "scale", "schema_version", "engine", "device", "tuned_by")
"""Texts and numbers of a definition that --set does not replace."""

DIGEST = re.compile("[0-9a-f]{16}")
"""An option that counts by the content of a file, of which the definition has this hash alone."""

Settings = dict[str, str]
"""What --set gives: by field, its values as text."""


def commands(results: Results) -> dict[str, str]:
    """By condition_id: the command that trains it again, with all its seeds and their tunings.

    Example: python -m harness.run --space clipping_study --set models=lstm --set lengths=10 --results again

    It gives the same trials, by their ids, with the same version of the code. A condition that a space in
    Python defined needs a space of that name. A text or another file is named as the recorded command named
    it.
    """
    return {name: " ".join(map(shell, arguments)) for name, arguments in every(results).items()}


def parts(results: Results) -> tuple[str, dict[str, str]]:
    """The beginning that the commands of all conditions share, and by condition_id the rest of its own.

    A beginning and a rest, one after the other, are a command: its arguments come in any order.
    """
    pairs = {name: list(zip(given[3::2], given[4::2], strict=True)) for name, given in every(results).items()}
    shared = [pair for pair in next(iter(pairs.values())) if all(pair in own for own in pairs.values())]
    own = {name: [pair for pair in given if pair not in shared] for name, given in pairs.items()}
    return joined([PROGRAM, *shared]), {name: joined(given) for name, given in own.items()}


def joined(arguments: Iterable[Sequence[str]]) -> str:
    """Groups of arguments as a shell reads them."""
    return " ".join(shell(argument) for group in arguments for argument in group)


def every(results: Results) -> dict[str, list[str]]:
    """By condition_id: the arguments of the command that trains it again."""
    records = [made_by(d, r) for d, r in zip(results.definitions, results.sources, strict=True)]
    folder = dict(zip(results.trials["condition_id"], results.trials["folder"], strict=True))
    at = {name: number for number, name in enumerate(results.folders)}
    named = {definition["name"]: number for number, definition in enumerate(results.definitions)}
    found = {}
    for condition in results.conditions.to_dict("records"):
        name = condition["condition_id"]
        number = at.get(folder.get(name, ""), named.get(condition["space"], 0))
        found[name] = arguments_of(condition, results.definitions[number], records[number].get("argv"))
    return found


def arguments_of(
    condition: Mapping[Any, Any], definition: Mapping[str, Any], argv: Sequence[str] | None
) -> list[str]:
    """The arguments that train one condition: the program, then pairs of a name and a value.

    `argv` is the command line that made its folder, if there was one.
    """
    recorded = settings(argv) if argv else budget(definition)
    axes = pinned(condition, definition)
    kept = {name: text for name, text in recorded.items() if not is_axis(name, definition)}
    needed = {
        name: text
        for name, (text, values) in axes.items()
        if values > 1 or not argv or any(given.partition(".")[0] == name for given in recorded)
    }
    given = ["--space", space_of(argv) or definition["name"]]
    if definition.get("scale", "laptop") != "laptop":
        given += ["--scale", definition["scale"]]
    for name, text in (kept | with_files(needed, recorded)).items():
        given += ["--set", f"{name}={text}"]
    for name in ("engine", "device"):
        given += [f"--{name}", definition[name]] if definition.get(name) else []
    return [*PROGRAM, *given, "--results", ELSEWHERE]


def pinned(condition: Mapping[Any, Any], definition: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """The axes of a condition: by field, its value as text, and how many values the definition has."""
    lengths = [length for values in definition["lengths"].values() for length in values]
    parts = {part: axis for part, axis in PARTS.items() if has(condition, part)}
    found = {axis: (value(condition[part]), len(definition.get(axis, ()))) for part, axis in parts.items()}
    found["lengths"] = value(condition["length"]), len(set(lengths))
    for name in ("hidden_size", "batch_size"):
        found[name] = value(condition[name]), len(definition[name])
    if has(condition, THRESHOLD):
        found["max_norms"] = value(condition[THRESHOLD]), len(definition["max_norms"])
    if has(condition, "learning_rate"):
        found["learning_rate"] = value(condition["learning_rate"]), len(definition["learning_rate"])
    for part in parts:
        options = definition["options"].get(f"{part} {condition[part]}", {})
        own = {name: values for name, values in options.items() if has(condition, apart(name))}
        found |= {name: option(condition[apart(name)], values) for name, values in own.items()}
    return found


def has(condition: Mapping[Any, Any], name: str) -> bool:
    """Whether a condition has a field: an older folder may lack its column, and NaN is no value."""
    own = condition.get(name)
    return own is not None and own == own


def option(own: Any, values: Sequence[Any]) -> tuple[str, int]:
    """An option of a condition, as the definition has it: a column with gaps holds whole numbers as 1.0."""
    return value(next((known for known in values if known == own), own)), len(values)


def with_files(axes: Settings, recorded: Settings) -> Settings:
    """The axes, but with files by the path that the recorded command gave; a built-in one goes unsaid."""
    return {
        name: recorded.get(name, "") if DIGEST.fullmatch(text) else text
        for name, text in axes.items()
        if not DIGEST.fullmatch(text) or recorded.get(name)
    }


def is_axis(name: str, definition: Mapping[str, Any]) -> bool:
    """Whether a setting gives an axis: its value is the condition's own, or none where it has none."""
    options = {option for owned in definition["options"].values() for option in owned}
    axes = {*PARTS.values(), "lengths", "hidden_size", "batch_size", "max_norms", *options}
    fixed = name == "learning_rate" and isinstance(definition["learning_rate"], list)
    return name.partition(".")[0] in axes or fixed


def budget(definition: Mapping[str, Any]) -> Settings:
    """What a definition says that is no axis, as --set gives it."""
    found = {
        name: value(own)
        for name, own in definition.items()
        if name not in NO_SETTING and isinstance(own, bool | int | float | str)
    }
    if isinstance(definition["learning_rate"], Mapping):
        ends = (value(definition["learning_rate"][end]) for end in ("low", "high"))
        found["learning_rate"] = ":".join(ends)
    return found | {"probes": ",".join(definition.get("probes", ())) or "none"}


def value(own: Any) -> str:
    """A value as --set reads it, to its last digit; in double quotes where it would be read as several."""
    if isinstance(own, bool):
        return str(own).lower()
    if isinstance(own, float):
        return repr(float(own))
    text = str(own)
    bare = text and text == text.strip() and not set(text) & set(',"') and text[0] not in "[("
    doubled = text.replace('"', '""')
    return text if bare else f'"{doubled}"'


def settings(argv: Sequence[str]) -> Settings:
    """The --set of a command line."""
    given = (each.partition("=") for each in given_to(argv, "--set"))
    return {name.strip(): text.strip() for name, _, text in given}


def space_of(argv: Sequence[str] | None) -> str | None:
    """The --space of a command line."""
    return next(iter(given_to(argv or (), "--space")), None)


def given_to(argv: Sequence[str], name: str) -> Iterator[str]:
    """What a command line gives to an argument, as argparse reads it: --set x, --set=x, --se x."""
    for given, after in zip(argv, [*argv[1:], ""], strict=False):
        flag, equals, text = given.partition("=")
        if len(flag) >= len("--se") and name.startswith(flag):
            yield text if equals else after
