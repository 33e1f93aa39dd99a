"""What defines the results of a space, as JSON values: what a results folder holds, and what may grow."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from harness.planning.axes import Axes
from harness.planning.parts import components, options_of
from harness.planning.sources import source_hash
from harness.planning.until import Until
from harness.results.schema import SCHEMA_VERSION

UNRECORDED = ("summary", "paper", "base")
"""Fields of a space that do not define its results."""


def definition_of(space: Axes) -> dict[str, Any]:
    """Everything that defines the results, as JSON values; inf is the text 'inf'.

    `seeds` is a number; the rule that adds to it, if there is one, stands in `seeds_until`.

    Lengths appear as {task: [lengths]}. Options appear as {component: {option: [values]}}, such as
    {"model lstm": {"layers": [1, 2]}}, defaults included, files as hashes. Classes named by import path
    appear with a hash of the sources that define them, so that results of an edited class are not mixed:
    see `harness.planning.sources`.
    """
    values = {f.name: getattr(space, f.name) for f in dataclasses.fields(space) if f.name not in UNRECORDED}
    chosen = components(space)
    values["schema_version"] = SCHEMA_VERSION
    values["seeds"] = space.first_seeds
    if isinstance(space.seeds, Until):
        values["seeds_until"] = str(space.seeds)
    values["lengths"] = {task: space.lengths_of(task) for task in space.tasks}
    values["options"] = {
        " ".join(component): {
            name: tuple(map(option.identity, space.options.get(name, (option.default,))))
            for name, option in options.items()
        }
        for component, options in options_of(chosen).items()
    }
    tuned = space.optimizers if space.tuned else ()
    values["first_grids"] = {name: tuple(space.first_grid(name)) for name in tuned}
    if space.tuned:  # before, one tuning chose the rate of all report seeds
        values["tuned_by"] = "seed"
    values["sources"] = {name: source_hash(name) for _, name in chosen if ":" in name}
    typed: dict[str, Any] = _json(values)
    return typed


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value
