"""A Space: axes and a budget, as data. It loads, takes overrides, checks itself and yields Conditions."""

import dataclasses
import importlib
import importlib.util
import inspect
import itertools
import math
import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness import probes
from harness.clip_rules import clip_rules
from harness.condition import Condition
from harness.errors import UserError
from harness.identity import Value, content_hash
from harness.models import models
from harness.optimizers import optimizers
from harness.planning.fields import (
    AXES,
    BUDGET,
    SETTABLE,
    as_axis,
    checked_axis,
    checked_flag,
    checked_learning_rate,
    checked_whole,
    without_repeats,
)
from harness.planning.fits import check_fit
from harness.planning.rates import grid_size, log_grid
from harness.registry import Option
from harness.results.schema import SCHEMA_VERSION, TRIAL_COLUMNS
from harness.tasks import tasks

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Space:
    """Axes (tuples) and a budget (numbers). One file per space binds one of these to SPACE.

    `learning_rate` is None (every optimizer tunes over its own range), {"low": a, "high": b} (tuned
    over this range), or a tuple of fixed values (nothing is tuned; the learning rate is an axis).
    `max_norms` are the thresholds of clip rule 'norm'; another rule is one arm beside them, or several if its
    own thresholds, which are options, are axes.
    `options` holds the fields that tasks, models, optimizers and clip rules add, each one value or a tuple of
    values (an axis). An option reaches the conditions whose task, model, optimizer or rule has it.
    `probes` are measured of every report trial at its moments (initialisation, solved, end).
    `paper` replaces fields at `--scale paper`.
    """

    name: str
    summary: str
    task: str = "palindrome"
    models: tuple[str, ...] = ("rnn", "lstm")
    optimizers: tuple[str, ...] = ("rmsprop",)
    clip_rules: tuple[str, ...] = ("norm",)
    lengths: tuple[int, ...] = (5, 10, 20)
    max_norms: tuple[float, ...] = (math.inf,)
    hidden_size: tuple[int, ...] | int = (32,)
    batch_size: tuple[int, ...] | int = (32,)
    learning_rate: Mapping[str, float] | tuple[float, ...] | None = None
    lr_trials: int = 8  # learning rates tried per condition
    lr_batch: int = 5  # learning rates asked for at once
    tuning_seeds: int = 2  # seeds per learning rate tried
    seeds: int = 8  # report seeds per condition, at the chosen learning rate
    max_steps: int = 1_000  # a trial not solved by then is unsolved
    observe: int = 800  # steps that a solved trial is watched for
    eval_every: int = 100  # steps between held-out evaluations
    pack_size: int = 32  # trials trained as one program, at most
    probes: tuple[str, ...] = probes.DEFAULT_MOMENT_PROBES
    checkpoints: bool = False  # whether the final weights of report trials are kept
    sample_every: int = 0  # steps between texts sampled from report trials; 0 for none
    options: Mapping[str, Any] = field(default_factory=dict)
    paper: Mapping[str, Any] = field(default_factory=dict, repr=False)
    scale: str = "laptop"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise UserError(f"name={self.name!r} names a folder; expected letters, digits, '_', '-' and '.'")
        for name in AXES:
            object.__setattr__(self, name, checked_axis(name, getattr(self, name)))
        for name, least in BUDGET.items():
            object.__setattr__(self, name, checked_whole(name, getattr(self, name), least))
        object.__setattr__(self, "checkpoints", checked_flag("checkpoints", self.checkpoints))
        object.__setattr__(self, "learning_rate", checked_learning_rate(self.learning_rate))
        chosen: list[tuple[Any, str]] = [(tasks, self.task)]
        chosen += [(models, name) for name in self.models] + [(optimizers, name) for name in self.optimizers]
        chosen += [(clip_rules, name) for name in self.clip_rules]
        for registry, name in chosen:
            registry.check_findable(name)
        check_fit(self.task, self.models, as_axis(self.batch_size))
        object.__setattr__(self, "probes", _checked_probes(self.probes))
        object.__setattr__(self, "options", self._checked_options())
        self._check_first_grid()
        self._check_samples()
        conditions = self.conditions()
        for condition in {(c.length, c.options): c for c in conditions}.values():
            _build_task(self.task, condition.arguments, condition.length)
        for optimizer, options in dict.fromkeys((c.optimizer, c.options) for c in conditions):
            optimizers.build(optimizer, dict(options))
        for rule, options in dict.fromkeys((c.clip_rule, c.options) for c in conditions):
            clip_rules.build(rule, dict(options))

    @property
    def folder_name(self) -> str:
        """Folder of its results: one per space and scale."""
        return self.name if self.scale == "laptop" else f"{self.name}-{self.scale}"

    @property
    def tuned(self) -> bool:
        """Whether learning rates are tuned, and not fixed."""
        return not isinstance(self.learning_rate, tuple)

    @property
    def trials_per_condition(self) -> int:
        """Tuning and report trials of one condition."""
        return self.seeds + (self.lr_trials * self.tuning_seeds if self.tuned else 0)

    def range_of(self, optimizer: str) -> Range:
        """The range over which the learning rate of this optimizer is tuned."""
        if isinstance(self.learning_rate, Mapping):
            return self.learning_rate["low"], self.learning_rate["high"]
        return optimizers.get(optimizer).learning_rates

    def first_grid(self, optimizer: str) -> list[float]:
        """The learning rates that are tried first: at most a decade apart, at least `lr_batch` of them."""
        low, high = self.range_of(optimizer)
        return log_grid(low, high, min(self.lr_trials, max(self.lr_batch, grid_size(low, high))))

    def conditions(self) -> list[Condition]:
        """Every point of the grid, in the order of the axes."""
        rates = self.learning_rate if isinstance(self.learning_rate, tuple) else (None,)
        sizes = itertools.product(as_axis(self.hidden_size), as_axis(self.batch_size))
        counted = self._contents()
        return [
            Condition(
                task=self.task,
                model=model,
                optimizer=optimizer,
                clip_rule=rule,
                length=length,
                max_norm=max_norm,
                hidden_size=hidden_size,
                batch_size=batch_size,
                learning_rate=rate,
                options=tuple((name, counted.get((name, value), value)) for name, value in options),
                files=tuple((name, str(value)) for name, value in options if (name, value) in counted),
            )
            for (hidden_size, batch_size), model, optimizer, rule in itertools.product(
                sizes, self.models, self.optimizers, self.clip_rules
            )
            for options in self._option_points(model, optimizer, rule)
            for length, max_norm, rate in itertools.product(self.lengths, self.max_norms_of(rule), rates)
        ]

    def max_norms_of(self, clip_rule: str) -> tuple[float | None, ...]:
        """The values of max_norm at which conditions with this rule are trained."""
        return self.max_norms if getattr(clip_rules.get(clip_rule), "uses_max_norm", False) else (None,)

    def definition(self) -> dict[str, Any]:
        """Everything that defines the results, as JSON values; inf is the text 'inf'.

        Options appear as {component: {option: [values]}}, defaults included, files as hashes. Classes
        named by import path appear with a hash of their module's source, so that results of an edited
        class are not mixed.
        """
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        for name in ("summary", "paper"):
            del values[name]
        values["schema_version"] = SCHEMA_VERSION
        values["options"] = {
            component: {
                name: tuple(map(option.identity, self.options.get(name, (option.default,))))
                for name, option in options.items()
            }
            for component, options in self._component_options().items()
        }
        tuned = self.optimizers if self.tuned else ()
        values["first_grids"] = {name: tuple(self.first_grid(name)) for name in tuned}
        named = (self.task, *self.models, *self.optimizers, *self.clip_rules)
        paths = [name for name in named if ":" in name]
        values["sources"] = {path: _source_hash(path) for path in paths}
        typed: dict[str, Any] = _json(values)
        return typed

    def option_columns(self) -> dict[str, type]:
        """Columns for the options of everything registered, and of what this space imports by path."""
        every = [r.options(name) for r in REGISTRIES for name in r.names()]
        every += self._component_options().values()
        return {name: option.type for options in every for name, option in options.items()}

    def override(self, values: Mapping[str, Any]) -> "Space":
        """A copy with these fields replaced; options are given by their own names.

        Raises UserError for an unknown field, naming those that are known.
        """
        fields: dict[str, Any] = {}
        options = dict(self.options)
        for name, value in values.items():
            if name in SETTABLE:
                fields[name] = value
            else:
                options[name] = value
        return dataclasses.replace(self, **fields, options=options)

    def at_scale(self, scale: str) -> "Space":
        """The space at its laptop or its paper scale."""
        if scale == "laptop":
            return self
        if not self.paper:
            raise UserError(f"space {self.name} has no {scale} scale; it sets no `paper` fields")
        return dataclasses.replace(self.override(self.paper), scale=scale)

    def _component_options(self) -> dict[str, dict[str, Option]]:
        """Options of the task, of each model, optimizer and clip rule, by component."""
        found = {f"task {self.task}": tasks.options(self.task)}
        found |= {f"model {name}": models.options(name) for name in self.models}
        found |= {f"optimizer {name}": optimizers.options(name) for name in self.optimizers}
        found |= {f"clip_rule {name}": clip_rules.options(name) for name in self.clip_rules}
        return found

    def _checked_options(self) -> dict[str, tuple[Value, ...]]:
        components = self._component_options()
        _check_option_names(components)
        known = {name: option for options in components.values() for name, option in options.items()}
        checked = {}
        for name, values in self.options.items():
            if name not in known:
                raise UserError(_unknown_field(name, sorted([*SETTABLE, *known])))
            axis = tuple(known[name].parse(value) for value in as_axis(values))
            checked[name] = without_repeats(name, axis)
            without_repeats(f"content of {name}", tuple(map(known[name].identity, axis)))
        return checked

    def _contents(self) -> dict[tuple[str, Value], Value]:
        """The hash that counts for each value of an option that names a text, by (option, value)."""
        return {
            (name, value): option.identity(value)
            for name, option in tasks.options(self.task).items()
            if option.content is not None
            for value in self.options.get(name, (option.default,))
        }

    def _option_points(
        self, model: str, optimizer: str, rule: str
    ) -> Iterable[tuple[tuple[str, Value], ...]]:
        """Every combination of the options that this model, optimizer and clip rule and the task have."""
        known = tasks.options(self.task) | models.options(model)
        known |= optimizers.options(optimizer) | clip_rules.options(rule)
        names = sorted(known)
        axes = [self.options.get(name, (known[name].default,)) for name in names]
        for values in itertools.product(*axes):
            yield tuple(zip(names, values, strict=True))

    def _check_first_grid(self) -> None:
        """The first batch of learning rates must be a grid no coarser than one per decade."""
        if not self.tuned:
            return
        for optimizer in self.optimizers:
            low, high = self.range_of(optimizer)
            needed = grid_size(low, high)
            if self.lr_trials < needed:
                raise UserError(
                    f"lr_trials={self.lr_trials} is too few for {optimizer}: the first grid over "
                    f"{low:g}:{high:g} needs at least {needed} (one per decade); raise lr_trials, or narrow "
                    f"or fix learning_rate"
                )

    def _check_samples(self) -> None:
        """Texts are sampled from a task that has characters, when it is evaluated."""
        if not self.sample_every:
            return
        if not hasattr(tasks.get(self.task), "vocabulary"):
            raise UserError(f"sample_every={self.sample_every}: task {self.task} has no text; expected 0")
        if self.sample_every % self.eval_every:
            raise UserError(
                f"sample_every={self.sample_every} is not a multiple of eval_every={self.eval_every}, "
                f"at which texts are sampled"
            )


REGISTRIES: tuple[typing.Any, ...] = (tasks, models, optimizers, clip_rules)

RESERVED = {*SETTABLE, *TRIAL_COLUMNS, *probes.columns()}
"""Names that an option may not have: its column would hide another."""


def _check_option_names(components: Mapping[str, Mapping[str, Option]]) -> None:
    """Raise UserError if an option hides a column, or components of different kinds share one."""
    owner: dict[str, str] = {}
    for component, options in components.items():
        kind = component.partition(" ")[0]
        for name in options:
            if owner.setdefault(name, component).partition(" ")[0] != kind:
                raise UserError(
                    f"{owner[name]} and {component} both have an option named {name!r}; rename one"
                )
        taken = sorted(options.keys() & RESERVED)
        if taken:
            raise UserError(f"{component} has an option named {taken[0]!r}, which is a column of its own")


def _build_task(name: str, options: dict[str, Value], length: int) -> None:
    """Raise UserError if the task cannot be built, also for what a class of the user's own raises."""
    try:
        tasks.build(name, options, length=length)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"task {name!r} cannot be built for lengths={length}: {type(error).__name__}: {error}"
        ) from error


def _checked_probes(names: Any) -> tuple[str, ...]:
    """The names of moment probes; UserError if one is not known."""
    known = probes.MOMENT_PROBES
    chosen = () if names in ("none", ("none",)) else tuple(str(name) for name in as_axis(names))
    for name in chosen:
        if name not in known:
            raise UserError(f"probes={name} is not known; known: {', '.join(sorted(known))}, or none")
    return tuple(sorted(without_repeats("probes", chosen))) if chosen else ()


def _unknown_field(name: str, known: list[str]) -> str:
    owners = [
        f"{registry.kind} {component}"
        for registry in REGISTRIES
        for component in registry.names()
        if name in registry.options(component)
    ]
    belongs = f" (it belongs to {', '.join(owners)}, not in this space)" if owners else ""
    return f"unknown field {name!r}{belongs}; known: {', '.join(known)}"


def _source_hash(path: str) -> str:
    """16 hexadecimal digits of the source of the module in an import path."""
    source = inspect.getsource(importlib.import_module(path.partition(":")[0]))
    return content_hash([source])


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value
