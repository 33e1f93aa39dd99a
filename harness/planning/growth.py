"""What may change about the definition that a results folder holds: it may grow, nothing else."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import RecordsError
from harness.planning.fields import AXES, SETTABLE
from harness.planning.parts import REGISTRIES
from harness.planning.space import Space
from harness.planning.until import parse_until
from harness.results.definition import said_of_version

GROWING = (*AXES, "learning_rate")
"""Fields of a definition whose lists may grow. So may the values of options, and the number of seeds."""

DERIVED = ("first_grids",)
"""Fields that follow from others: named only if no other differs."""

BEFORE = {"lr_extend": 0}
"""What folders did that do not name a field, where it is not the field's default."""

NAMED = 3
"""Fields that a refusal names; it counts the others."""

LONGEST = 200
"""Characters of settings that a refusal advises."""

Flat = dict[tuple[str, str], Any]
"""A definition by field and owner: ("seeds", ""), ("lengths", "adding"), ("layers", "model lstm")."""


def check_growth(held: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path | str) -> None:
    """Raise RecordsError unless `wanted` is `held`, or `held` grown along axes or in report seeds.

    What `held` does not name, because it was added to the code since, counts as at its default, or as what
    was done before: see BEFORE. The message
    names three fields that differ with both values, and says how to go on with the folder.
    """
    if said := said_of_version(folder, dict(held)):
        raise RecordsError(said)
    refused = refused_fields(held, wanted)
    if not refused:
        return
    shown = [
        f"{name}: {short(before)} here, {short(now)} asked for"
        for name, (before, now) in list(refused.items())[:NAMED]
    ]
    more = [f"and {len(refused) - NAMED} more"] if len(refused) > NAMED else []
    raise RecordsError(
        f"{folder} holds another definition ({'; '.join([*shown, *more])}). Only axes and seeds may grow: "
        f"{remedy(refused, wanted)}"
    )


def refused_fields(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The value held and the value wanted of every field that has changed and not grown."""
    before, now = flat(with_defaults(held, wanted)), flat(wanted)
    refused: dict[str, tuple[Any, Any]] = {}
    for key in sorted(before.keys() | now.keys(), key=lambda key: (key[0] in DERIVED, key)):
        name, owner = key
        if owner and not (owns(held, key) and owns(wanted, key)):
            continue  # its task or component came or went: an axis says so
        values = before.get(key), now.get(key)
        if not has_grown(name, *values) and not (name in DERIVED and refused):
            label = label_of(key, wanted)
            apart = f"{name} of {owner}" if owner else name
            refused[label if refused.get(label, values) == values else apart] = values
    return refused


def label_of(key: tuple[str, str], wanted: Mapping[str, Any]) -> str:
    """What --set calls a field, or other words for what it cannot set: the content of a file."""
    name, owner = key
    if name == "lengths":
        return name if len(wanted["lengths"]) == 1 else f"lengths.{owner}"
    if name == "seeds_until":
        return "seeds"
    part, _, component = owner.partition(" ")
    option = REGISTRIES[part].options(component).get(name) if owner else None
    return f"content of {name}" if option is not None and option.content is not None else name


def remedy(refused: Mapping[str, tuple[Any, Any]], wanted: Mapping[str, Any]) -> str:
    """How to go on: with what the folder holds, if a command line can say it, or elsewhere."""
    lengths = {f"lengths.{task}" for task in wanted["lengths"]}
    options = {name for values in wanted["options"].values() for name in values}
    settings = [
        f"--{name} {before}"
        if name in ("device", "engine")
        else f"--set {name}={as_setting(together(name, before, now))}"
        for name, (before, now) in refused.items()
        if before is not None and name in {*SETTABLE, *options, *lengths, "device", "engine"}
    ]
    elsewhere = "--results with another folder"
    if len(settings) < len(refused) or len(settings) > NAMED or len(" ".join(settings)) > LONGEST:
        return f"use {elsewhere}"
    return f"use {' '.join(settings)} to go on with it, or {elsewhere}"


def together(name: str, before: Any, now: Any) -> Any:
    """A value that the folder may grow to: of a growing list both."""
    growing = isinstance(before, list) and isinstance(now, list) and name != "probes"
    return [*before, *(value for value in now if value not in before)] if growing else before


def as_setting(value: Any) -> str:
    """A value as --set takes it."""
    if isinstance(value, list):
        return ",".join(map(as_setting, value)) or "none"
    if isinstance(value, dict):
        return ":".join(as_setting(value[end]) for end in ("low", "high"))
    return str(value).lower() if isinstance(value, bool) else str(value)


def short(value: Any, longest: int = 40) -> str:
    """A value as --set takes it, cut after so many characters."""
    text = "none" if value is None else as_setting(value) if not _is_table(value) else str(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() != {"low", "high"}


def flat(definition: Mapping[str, Any]) -> Flat:
    """The definition with lengths and options by their owners."""
    found: Flat = {(n, ""): v for n, v in definition.items() if n not in ("options", "lengths")}
    found |= {("lengths", task): values for task, values in definition["lengths"].items()}
    for component, options in definition["options"].items():
        found |= {(name, component): values for name, values in options.items()}
    return found


def owns(definition: Mapping[str, Any], key: tuple[str, str]) -> bool:
    """Whether the definition has the task or the component that a field belongs to."""
    return key[1] in definition["lengths" if key[0] == "lengths" else "options"]


def has_grown(name: str, before: Any, now: Any) -> bool:
    """Whether a value is as it was, or has grown where it may."""
    if before == now:
        return True
    if name == "seeds_until":  # a rule may be added, and ask for more
        return now is not None and (before is None or parse_until(now).goes_beyond(parse_until(before)))
    if before is None or now is None:
        return False
    if name == "seeds":
        return bool(now > before)
    if name in ("sources", "first_grids"):  # {path: hash}, {optimizer: [rates]}
        return all(now[key] == before[key] for key in before.keys() & now.keys())
    fixed = name in SETTABLE and name not in GROWING
    lists = isinstance(before, list) and isinstance(now, list)
    return not fixed and lists and set(before) <= set(now)


def with_defaults(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`held` with the fields of Space and the options that only `wanted` names: see `check_growth`."""
    defaults = Space(name="defaults", summary="").definition()
    own = {field.name for field in dataclasses.fields(Space)}
    filled = {name: BEFORE.get(name, defaults[name]) for name in wanted.keys() - held.keys() if name in own}
    options = {
        component: _default_options(component, wanted["options"].get(component, {})) | named
        for component, named in held["options"].items()
    }
    return {**filled, **held, "options": options}


def _default_options(component: str, wanted: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The default of every wanted option of a component such as 'model lstm', as a definition has it."""
    part, _, name = component.partition(" ")
    if not wanted:  # the space no longer names it
        return {}
    known = REGISTRIES[part].options(name)
    return {n: [known[n].identity(known[n].default)] for n in wanted if n in known}
