"""The parts of a condition in a space: their registries, their options, and what is refused of both.

Everything here loops over PARTS, so that a further part needs nothing here.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from harness import probes
from harness.condition import CONDITION_COLUMNS, PARTS, Condition
from harness.errors import UserError, shortened
from harness.held import held
from harness.identity import Value
from harness.planning.axes import Axes
from harness.planning.contracts import check_class, check_object
from harness.planning.fields import SETTABLE, as_axis, without_repeats
from harness.reading import closest
from harness.registry import Option, Registry, import_path
from harness.results.schema import TRIAL_COLUMNS

REGISTRIES: dict[str, Registry[Any]] = {
    part: getattr(import_module(f"harness.{axis}"), axis) for part, axis in PARTS.items()
}
"""The registry of each part: `harness.models.models` for `model`."""

Component = tuple[str, str]
"""A part and the name of one of its classes: ("model", "lstm")."""

FACTS = {"asks", "parameters", "chance", *(field.name for field in dataclasses.fields(probes.Levels))}
"""Columns of the conditions table beside its fields: see `harness.driver.facts`."""

RESERVED = {*SETTABLE, *TRIAL_COLUMNS, *FACTS, *probes.measure_columns()}
"""Names that an option may not have: its column would hide another."""


def components(space: Axes) -> list[Component]:
    """Every class that the space names, part by part."""
    return [(part, name) for part, axis in PARTS.items() for name in getattr(space, axis)]


def check_component(component: Component) -> None:
    """Raise UserError for a class that other processes cannot find, or that is none of its part."""
    part, name = component
    REGISTRIES[part].check_findable(name)
    if ":" in name:
        check_class(part, name, REGISTRIES[part].get(name))


def options_of(chosen: Iterable[Component]) -> dict[Component, dict[str, Option]]:
    """The options of each of these components."""
    return {(part, name): REGISTRIES[part].options(name) for part, name in chosen}


def has_option(chosen: Mapping[str, Iterable[Any]], name: str) -> bool:
    """Whether one of these classes, given by part as a space names them, has an option of this name."""
    return any(
        name in REGISTRIES[part].options(import_path(PARTS[part], component))
        for part, components in chosen.items()
        for component in components
    )


def option_columns(space: Axes) -> dict[str, type]:
    """Columns for the options of everything registered, and of what this space imports by path."""
    registered = [(part, name) for part, registry in REGISTRIES.items() for name in registry.names()]
    every = options_of([*registered, *components(space)]).values()
    return {name: option.type for options in every for name, option in options.items()}


def checked_options(space: Axes) -> dict[str, tuple[Value, ...]]:
    """The options of a space, typed, each a tuple; UserError names what is not allowed or not known."""
    found = options_of(components(space))
    _check_option_names(found)
    _check_option_types(found)
    checked = {}
    for name, values in space.options.items():
        owners = [options[name] for options in found.values() if name in options]
        if not owners:
            raise UserError(
                _unknown_field(name, [*SETTABLE, *sorted({n for o in found.values() for n in o})])
            )
        axis = as_axis(values)
        for option in owners:
            axis = tuple(option.parse(value) for value in axis)
            without_repeats(f"content of {name}", tuple(map(option.identity, axis)))
        checked[name] = without_repeats(name, axis)
    return checked


def try_building(conditions: Iterable[Condition]) -> None:
    """Raise UserError for a component that cannot be built with its options, naming it.

    A model is left out: it needs the sizes of its task, and is tried out before a run.
    """
    tried = set()
    for condition in conditions:
        for part, name in condition.parts.items():
            registry = REGISTRIES[part]
            if not CONDITION_COLUMNS.keys() >= set(registry.given):
                continue
            given = {field: getattr(condition, field) for field in registry.given}
            known = registry.options(name)
            options = {option: value for option, value in condition.arguments.items() if option in known}
            key = (part, name, *given.items(), *options.items())
            if key not in tried:
                tried.add(key)
                with held(own=True) as changed:
                    built = registry.build(name, options, **given)
                if changed:
                    raise UserError(f"{part} {name}: its constructor changes {', '.join(changed)}")
                check_object(part, name, built)


def _check_option_names(found: Mapping[Component, Mapping[str, Option]]) -> None:
    """Raise UserError if an option hides a column, or components of different parts share one."""
    owner: dict[str, Component] = {}
    for component, options in found.items():
        for name in options:
            first = owner.setdefault(name, component)
            if first[0] != component[0]:
                raise UserError(
                    f"{' '.join(first)} and {' '.join(component)} both have an option named {name!r}; "
                    f"rename one"
                )
        taken = sorted(options.keys() & RESERVED)
        if taken:
            raise UserError(
                f"{' '.join(component)} has an option named {taken[0]!r}, which is a column of its own"
            )


def _check_option_types(found: Mapping[Component, Mapping[str, Option]]) -> None:
    """Raise UserError if an option has another type than in a class of its part, of this space or built in.

    Both would fill one column, here or in the results that these are held against.
    """
    built_in = options_of((part, name) for part in REGISTRIES for name in REGISTRIES[part].names())
    kinds: dict[tuple[str, str], tuple[Component, type]] = {}
    for component, options in {**built_in, **found}.items():
        for name, option in options.items():
            other, kind = kinds.setdefault((component[0], name), (component, option.type))
            if option.type is not kind:
                raise UserError(
                    f"{' '.join(other)} has the option {name}: {kind.__name__}, and {' '.join(component)} "
                    f"has {name}: {option.type.__name__}; give it that type, or rename it"
                )


def _unknown_field(name: str, known: list[str]) -> str:
    """One line: whose option it is, or else what may have been meant, and all that is known."""
    owners = [
        f"{part} {component}"
        for part, registry in REGISTRIES.items()
        for component in registry.names()
        if name in registry.options(component)
    ]
    belongs = f" (it belongs to {', '.join(owners)}, not in this space)"
    hint = belongs if owners else closest(name, known)
    return f"unknown field {shortened(name)!r}{hint}; known: {', '.join(known)}"
