"""What may change about the definition that a results folder holds: it may grow, nothing else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.records import RecordsError

GROWING = ("models", "optimizers", "lengths", "max_norms", "hidden_size", "batch_size", "options", "seeds")
"""Fields of a definition that may grow: axes gain values, the number of report seeds rises."""


def check_growth(held: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path) -> None:
    """Raise RecordsError unless `wanted` is `held`, or `held` grown along axes or in report seeds.

    The message names every field that differs and both values.
    """
    refused = []
    for name in sorted(held.keys() | wanted.keys()):
        before, now = held.get(name), wanted.get(name)
        if before == now or _grown(name, before, now):
            continue
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
    if name == "sources":
        return all(now.get(path) == source for path, source in before.items())
    is_axis = name in GROWING or name == "learning_rate"
    return is_axis and isinstance(before, list) and isinstance(now, list) and set(before) <= set(now)
