"""What may change about the definition that a results folder holds: it may grow, nothing else."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import RecordsError
from harness.planning.fields import AXES
from harness.planning.parts import REGISTRIES
from harness.planning.space import Space

GROWING = (*AXES, "options", "seeds")
"""Fields of a definition that may grow: axes gain values, the number of report seeds rises."""

DERIVED = ("first_grids",)
"""Fields that follow from others: named only if no other differs."""


def check_growth(held: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path) -> None:
    """Raise RecordsError unless `wanted` is `held`, or `held` grown along axes or in report seeds.

    What `held` does not name, because it was added to the code since, counts as at its default. The message
    names every field that differs and both values.
    """
    version, ours = held.get("schema_version"), wanted.get("schema_version")
    if version != ours:
        raise RecordsError(
            f"{folder} was written with version {version} of the tables, this is version {ours}: "
            f"use --results with another folder"
        )
    held = with_defaults(held, wanted)
    refused: list[str] = []
    for name in sorted(held.keys() | wanted.keys(), key=lambda name: (name in DERIVED, name)):
        before, now = held.get(name), wanted.get(name)
        if before == now or _grown(name, before, now) or (name in DERIVED and refused):
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            before, now = ({k: d[k] for k in d if before.get(k) != now.get(k)} for d in (before, now))
        refused.append(f"{name}: {json.dumps(before)} here, {json.dumps(now)} asked for")
    if refused:
        raise RecordsError(
            f"{folder} holds results of another definition ({'; '.join(refused)}). Axes and seeds may grow, "
            f"nothing else may change: use --results with another folder, or set the fields as they were"
        )


def with_defaults(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`held` with the fields of Space and the options that only `wanted` names, at their defaults."""
    defaults = Space(name="defaults", summary="").definition()
    own = {field.name for field in dataclasses.fields(Space)}
    filled = {name: defaults[name] for name in wanted.keys() - held.keys() if name in own}
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


def _grown(name: str, before: Any, now: Any) -> bool:
    if name == "seeds":
        return bool(now >= before)
    if name == "options":  # {component: {option: [values]}}
        return all(
            options.keys() == now.get(component, {}).keys()
            and all(set(values) <= set(now[component][option]) for option, values in options.items())
            for component, options in before.items()
        )
    if name == "lengths":  # {task: [lengths]}
        return all(set(lengths) <= set(now.get(task, ())) for task, lengths in before.items())
    if name in ("sources", "first_grids"):  # {path: hash}, {optimizer: [rates]}
        return isinstance(now, dict) and all(now.get(key) == value for key, value in before.items())
    is_axis = name in GROWING or name == "learning_rate"
    return is_axis and isinstance(before, list) and isinstance(now, list) and set(before) <= set(now)
