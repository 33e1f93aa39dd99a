"""What may change about the definition that a results folder holds: it may grow, nothing else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import RecordsError

GROWING = (
    "models",
    "optimizers",
    "clip_rules",
    "lengths",
    "max_norms",
    "hidden_size",
    "batch_size",
    "options",
    "seeds",
)
"""Fields of a definition that may grow: axes gain values, the number of report seeds rises."""

DERIVED = ("first_grids",)
"""Fields that follow from others: named only if no other differs."""


def check_growth(held: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path) -> None:
    """Raise RecordsError unless `wanted` is `held`, or `held` grown along axes or in report seeds.

    The message names every field that differs and both values.
    """
    version, ours = held.get("schema_version"), wanted.get("schema_version")
    if version != ours:
        raise RecordsError(
            f"{folder} was written with version {version} of the tables, this is version {ours}: "
            f"use --results with another folder"
        )
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


def _grown(name: str, before: Any, now: Any) -> bool:
    if name == "seeds":
        return bool(now >= before)
    if name == "options":  # {component: {option: [values]}}
        return all(
            options.keys() == now.get(component, {}).keys()
            and all(set(values) <= set(now[component][option]) for option, values in options.items())
            for component, options in before.items()
        )
    if name in ("sources", "first_grids"):  # {path: hash}, {optimizer: [rates]}
        return isinstance(now, dict) and all(now.get(key) == value for key, value in before.items())
    is_axis = name in GROWING or name == "learning_rate"
    return is_axis and isinstance(before, list) and isinstance(now, list) and set(before) <= set(now)
