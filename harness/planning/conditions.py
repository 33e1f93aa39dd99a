"""The conditions of a space: every combination of its parts that fit together, at every point of its axes."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.condition import PARTS, Condition
from harness.identity import Value
from harness.planning.axes import Axes
from harness.planning.fields import as_axis
from harness.planning.fits import fits, fits_batch_size, uses_max_norm
from harness.planning.parts import options_of
from harness.registry import Option


def conditions_of(space: Axes) -> list[Condition]:
    """Every condition of the space, in the order of its axes."""
    rates = space.learning_rate if isinstance(space.learning_rate, tuple) else (None,)
    identity = functools.cache(Option.identity)  # a text is read once
    return [
        Condition(
            **parts,
            **point,
            length=length,
            max_norm=max_norm,
            hidden_size=hidden_size,
            batch_size=batch_size,
            learning_rate=rate,
        )
        for hidden_size, batch_size in itertools.product(
            as_axis(space.hidden_size), as_axis(space.batch_size)
        )
        for parts in combinations(space)
        if fits_batch_size(parts["task"], batch_size)
        for point in option_points(space, parts, identity)
        for length, max_norm, rate in itertools.product(
            space.lengths_of(parts["task"]), thresholds(space, parts["clip_rule"]), rates
        )
    ]


def count_conditions(space: Axes) -> int:
    """How many conditions the space has, without making any."""
    rates = len(space.learning_rate) if isinstance(space.learning_rate, tuple) else 1
    sizes = as_axis(space.batch_size)
    total = 0
    for parts in combinations(space):
        known = {name for options in options_of(parts.items()).values() for name in options}
        points = math.prod(len(as_axis(space.options[name])) for name in known & space.options.keys())
        batches = sum(fits_batch_size(parts["task"], size) for size in sizes)
        lengths = len(space.lengths_of(parts["task"]))
        total += batches * points * lengths * len(thresholds(space, parts["clip_rule"]))
    return total * len(as_axis(space.hidden_size)) * rates


def combinations(space: Axes) -> Iterator[dict[str, Any]]:
    """One class of each part, by part, in every way that fits together."""
    for names in itertools.product(*(getattr(space, axis) for axis in PARTS.values())):
        parts = dict(zip(PARTS, names, strict=True))
        if fits(parts["model"], parts["task"]):
            yield parts


def thresholds(space: Axes, clip_rule: str) -> tuple[float | None, ...]:
    """The values of max_norm at which conditions with this rule are trained."""
    return space.max_norms if uses_max_norm(clip_rule) else (None,)


def option_points(
    space: Axes, parts: Mapping[str, str], identity: Callable[[Option, Value], Value]
) -> Iterator[dict[str, Any]]:
    """Every combination of the options that these parts have, as fields of a Condition.

    An option that counts by its content is never at its default: what the default names may change.
    """
    every = options_of(parts.items()).values()
    known = {name: option for options in every for name, option in options.items()}
    axes = {name: space.options.get(name, (known[name].default,)) for name in sorted(known)}
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        contents = {name for name in point if known[name].content is not None}
        yield {
            "options": tuple((name, identity(known[name], value)) for name, value in point.items()),
            "at_default": frozenset(n for n in point.keys() - contents if point[n] == known[n].default),
            "files": tuple((name, str(value)) for name, value in point.items() if name in contents),
        }
