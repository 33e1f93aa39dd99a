"""The fields of a space: their types, their limits, and how they are read from text."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from harness import probes
from harness.condition import FIRST_TUNING_SEED, PARTS
from harness.errors import UserError
from harness.registry import FLAGS, check_float32, import_path
from harness.registry import closest as closest

AXES: dict[str, type] = {
    **dict.fromkeys(PARTS.values(), str),
    "lengths": int,
    "max_norms": float,
    "hidden_size": int,
    "batch_size": int,
}
"""Fields that hold one or several values, and the type of a value."""

BUDGET = {
    "lr_trials": 1,
    "lr_batch": 1,
    "tuning_seeds": 1,
    "seeds": 1,
    "max_steps": 1,
    "observe": 0,
    "eval_every": 1,
    "pack_size": 1,
    "sample_every": 0,
}
"""Fields that hold one whole number, and the least it may be."""

SETTABLE = (*AXES, "learning_rate", *BUDGET, "probes", "checkpoints")
"""Fields that a command line or a paper scale may replace."""

Lengths = tuple[int, ...] | Mapping[str, tuple[int, ...]]
"""Lengths of every task, or by task."""


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """`name=value[,value...]` texts as a mapping from name to values still in text form."""
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UserError(f"--set {setting!r} is not of the form name=value or name=value,value")
        if name in values:
            raise UserError(f"{name} is set twice")
        items = tuple(item.strip() for item in text.split(",")) if text.strip() else ()
        single = name in BUDGET or name == "checkpoints"
        values[name] = items[0] if single and len(items) == 1 else items
        if name == "learning_rate" and len(items) == 1 and ":" in items[0]:
            low, _, high = items[0].partition(":")
            values[name] = {"low": low, "high": high}
    return values


def as_axis(values: Any) -> tuple[Any, ...]:
    """Several values as they are, one as an axis of one."""
    return tuple(values) if isinstance(values, list | tuple) else (values,)


def checked_axis(name: str, values: Any, value_type: type) -> tuple[Any, ...]:
    """The values of an axis, typed; UserError if one is not allowed, repeated, or none is given."""
    axis: tuple[Any, ...]
    if value_type is str:
        axis = tuple(import_path(name, value) for value in as_axis(values))
    elif value_type is int:
        axis = tuple(checked_whole(name, value, 1) for value in as_axis(values))
    else:
        axis = tuple(_positive(name, value, "inf for no clipping") for value in as_axis(values))
    return without_repeats(name, axis)


def checked_lengths(values: Any, tasks: tuple[str, ...]) -> Lengths:
    """Lengths of every task, or {task: lengths}; UserError if a task has none or is not one of `tasks`."""
    if not isinstance(values, Mapping):
        return checked_axis("lengths", values, int)
    known = ", ".join(tasks)
    for task in values:
        if task not in tasks:
            raise UserError(f"lengths.{task}: the space has no task {task!r}; known: {known}")
    for task in tasks:
        if task not in values:
            raise UserError(f"lengths has no value for task {task}; give lengths.{task}, or lengths for all")
    return {task: checked_axis(f"lengths.{task}", values[task], int) for task in tasks}


def replaced_lengths(lengths: Any, tasks: Iterable[str], replaced: Mapping[str, Any]) -> dict[str, Any]:
    """`lengths` by task, with the lengths of some tasks replaced."""
    by_task = lengths if isinstance(lengths, Mapping) else dict.fromkeys(tasks, lengths)
    return {**by_task, **replaced}


def checked_probes(names: Any) -> tuple[str, ...]:
    """The names of probes, sorted; UserError if one is not known."""
    known = probes.PROBES
    chosen = () if names in ("none", ("none",)) else tuple(str(name) for name in as_axis(names))
    for name in chosen:
        if name not in known:
            raise UserError(f"probes={name} is not known; known: {', '.join(sorted(known))}, or none")
    return tuple(sorted(without_repeats("probes", chosen))) if chosen else ()


def without_repeats(name: str, axis: tuple[Any, ...]) -> tuple[Any, ...]:
    """The axis itself; UserError if it is empty or repeats a value."""
    if not axis:
        raise UserError(f"{name} is empty; give at least one value")
    repeated = sorted({str(value) for value in axis if axis.count(value) > 1})
    if repeated:
        raise UserError(f"{name} repeats {', '.join(repeated)}; give each value once")
    return axis


def checked_learning_rate(value: Any) -> Any:
    """None, {"low", "high"} or a tuple of fixed values, typed; UserError if it is none of these."""
    if value is None:
        return None
    expected = "low:high to tune, or fixed values"
    if isinstance(value, Mapping):
        low = _positive("learning_rate", value["low"], expected)
        high = _positive("learning_rate", value["high"], expected)
        if not low < high < math.inf:
            raise UserError(
                f"learning_rate={low:g}:{high:g} is not a range; expected low:high with low < high < inf"
            )
        return {"low": low, "high": high}
    axis = tuple(_positive("learning_rate", item, expected) for item in as_axis(value))
    if math.inf in axis:
        raise UserError(f"learning_rate=inf is not allowed; expected {expected}")
    return without_repeats("learning_rate", axis)


def _positive(name: str, value: Any, expected: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not number > 0:
        raise UserError(f"{name}={value} is not allowed; expected numbers > 0 ({expected})")
    check_float32(name, number)
    return number


def checked_whole(name: str, value: Any, least: int) -> int:
    """A whole number of at least `least`; UserError for anything else."""
    try:
        number = int(value)
        if isinstance(value, bool) or number != float(value):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{name}={_text(value)} is not allowed; expected a whole number >= {least}") from None
    if number < least:
        raise UserError(f"{name}={_text(value)} is not allowed; expected a whole number >= {least}")
    if name in ("seeds", "tuning_seeds") and number > FIRST_TUNING_SEED:
        raise UserError(f"{name}={number} is too many; at most {FIRST_TUNING_SEED}")
    return number


def checked_flag(name: str, value: Any) -> bool:
    """True or false; UserError for anything else."""
    if str(value).lower() not in FLAGS:
        raise UserError(f"{name}={_text(value)} is not allowed; expected true or false")
    return FLAGS[str(value).lower()]


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
