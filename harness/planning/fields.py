"""The fields of a space: their types, their limits, and how they are read from text."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from harness import probes
from harness.condition import FIRST_TUNING_SEED, PARTS
from harness.errors import UserError
from harness.planning.until import EXAMPLE, PREFIX, Until, parse_until
from harness.reading import closest, real_number, whole_number
from harness.registry import FLAGS, check_float32, import_path

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
    "lr_extend": 0,
    "tuning_seeds": 1,
    "seeds": 1,
    "max_steps": 1,
    "observe": 0,
    "eval_every": 1,
    "pack_size": 1,
    "sample_every": 0,
}
"""Fields that hold one whole number, and the least it may be."""

SETTABLE = (*AXES, "learning_rate", *BUDGET, "tune_for", "probes", "checkpoints")
"""Fields that a command line or a paper scale may replace."""

SHOWN = 80
"""Characters of a value that an error shows."""

Lengths = tuple[int, ...] | Mapping[str, tuple[int, ...]]
"""Lengths of every task, or by task."""


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """`name=value[,value...]` texts as a mapping from name to values still in text form.

    Values may stand in brackets, [5,6] or (5,6). Double quotes keep a comma: corpus="a,b.txt".
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UserError(f"--set {setting!r} is not of the form name=value or name=value,value")
        if name in values:
            raise UserError(f"{name} is set twice")
        if name == "seeds" and text.strip().startswith(PREFIX):
            values[name] = text.strip()
            continue
        items = listed(name, text.strip())
        single = name in BUDGET or name in ("checkpoints", "tune_for")
        values[name] = items[0] if single and len(items) == 1 else items
        if name == "learning_rate" and len(items) == 1 and ":" in items[0]:
            low, _, high = items[0].partition(":")
            values[name] = {"low": low, "high": high}
    return values


def listed(name: str, text: str) -> tuple[str, ...]:
    """The values in a text such as `5,6` or `[5,6]`; UserError if a bracket or a quote is not closed."""
    inner = text[1:-1].strip() if text[:1] + text[-1:] in ("[]", "()") else text
    how = f"write several values as {name}=5,6 or {name}=[5,6], and a value with a comma in double quotes"
    if inner is text and (text[:1] in ("[", "(", "{") or text[-1:] in ("]", ")", "}")):
        by_task = f"; lengths by task as {name}.adding=5,6" if name == "lengths" else ""
        raise UserError(f"--set {name}={text} has a bracket too few or of another kind; {how}{by_task}")
    try:
        rows = list(csv.reader([inner], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise UserError(f"--set {name}={text} cannot be read ({error}); {how}") from None
    return tuple(item.strip() for item in rows[0]) if inner else ()


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
            near = closest(task, tasks)
            raise UserError(f"lengths.{task}: the space has no task {task!r}{near}; known: {known}")
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
            raise UserError(
                f"probes={name} is not known{closest(name, known)}; "
                f"known: {', '.join(sorted(known))}, or none"
            )
    return tuple(sorted(without_repeats("probes", chosen))) if chosen else ()


def without_repeats(name: str, axis: tuple[Any, ...]) -> tuple[Any, ...]:
    """The axis itself; UserError if it is empty or repeats a value."""
    if not axis:
        raise UserError(f"{name} is empty; give at least one value")
    repeated = sorted({str(value) for value, count in Counter(axis).items() if count > 1})
    if repeated:
        raise UserError(f"{name} repeats {_some(repeated)}; give each value once")
    return axis


def checked_learning_rate(value: Any) -> Any:
    """None, {"low", "high"} or a tuple of fixed values, typed; UserError if it is none of these."""
    if value is None:
        return None
    expected = "low:high to tune, or fixed values"
    if isinstance(value, Mapping):
        if set(value) != {"low", "high"}:
            raise UserError(f"learning_rate={_text(value)} is not allowed; expected {{'low': a, 'high': b}}")
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
        number = real_number(value)
    except ValueError:
        number = math.nan
    if not number > 0:
        raise UserError(f"{name}={_text(value)} is not allowed; expected numbers > 0 ({expected})")
    check_float32(name, number)
    return number


def checked_whole(name: str, value: Any, least: int) -> int:
    """A whole number of at least `least`, such as 1000, 1e3 or 1000.0; UserError for anything else."""
    try:
        number = whole_number(value)
    except ValueError:
        number = least - 1
    if number < least:
        raise UserError(f"{name}={_text(value)} is not allowed; expected a whole number >= {least}")
    if name in ("seeds", "tuning_seeds") and number > FIRST_TUNING_SEED:
        raise UserError(f"{name}={number} is too many; at most {FIRST_TUNING_SEED}")
    return number


def checked_seeds(value: Any) -> int | Until:
    """A number of report seeds, or the rule that says when there are enough; UserError for anything else."""
    if isinstance(value, Until):
        value = str(value)
    if isinstance(value, str) and value.startswith(PREFIX):
        return parse_until(value)
    try:
        return checked_whole("seeds", value, BUDGET["seeds"])
    except UserError as error:
        raise UserError(f"{error}, or a rule such as seeds={EXAMPLE}") from None


def check_names(name: str, value: Any) -> None:
    """Raise UserError unless this is a mapping from names."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UserError(f"{name}={_text(value)} is not allowed; expected a dict of fields, {{'name': value}}")


def check_choice(name: str, value: Any, known: Iterable[str]) -> None:
    """Raise UserError unless this is one of the known values."""
    if value not in known:
        raise UserError(
            f"{name}={_text(value)} is not known{closest(value, known)}; known: {', '.join(known)}"
        )


def checked_flag(name: str, value: Any) -> bool:
    """True or false; UserError for anything else."""
    if str(value).lower() not in FLAGS:
        near = closest(_text(value), FLAGS)
        raise UserError(f"{name}={_text(value)} is not allowed{near}; expected true or false")
    return FLAGS[str(value).lower()]


def _text(value: Any) -> str:
    """A value as it is named in an error: bounded, on one line."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _some(names: Iterable[str]) -> str:
    return _text(tuple(names)).replace(",", ", ")
