"""A Space: axes and a budget, as data. It takes overrides, checks itself and yields Conditions."""

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness import probes
from harness.condition import Condition
from harness.errors import UserError
from harness.optimizers import optimizers
from harness.planning import parts
from harness.planning.conditions import conditions_of
from harness.planning.definition import definition_of
from harness.planning.fields import (
    AXES,
    BUDGET,
    SETTABLE,
    Lengths,
    as_axis,
    checked_axis,
    checked_flag,
    checked_learning_rate,
    checked_lengths,
    checked_probes,
    checked_whole,
    replaced_lengths,
)
from harness.planning.fits import check_fits, has_text, skipped_pairs
from harness.planning.rates import grid_size, log_grid

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Space:
    """Axes (tuples) and a budget (numbers). One file per space binds one of these to SPACE.

    `tasks`, `models`, `optimizers` and `clip_rules` hold names, or import paths `package.module:Class`. Every
    task is trained with every model and batch size that fits it; `skipped` names the pairs that do not.
    `lengths` are the same for every task, or given by task: {"palindrome": (5, 10), "adding": (20,)}.
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
    tasks: tuple[str, ...] = ("palindrome",)
    models: tuple[str, ...] = ("rnn", "lstm")
    optimizers: tuple[str, ...] = ("rmsprop",)
    clip_rules: tuple[str, ...] = ("norm",)
    lengths: Lengths = (5, 10, 20)
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
    probes: tuple[str, ...] = probes.DEFAULT_PROBES
    checkpoints: bool = False  # whether the final weights of report trials are kept
    sample_every: int = 0  # steps between texts sampled from report trials; 0 for none
    options: Mapping[str, Any] = field(default_factory=dict)
    paper: Mapping[str, Any] = field(default_factory=dict, repr=False)
    scale: str = "laptop"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise UserError(f"name={self.name!r} names a folder; expected letters, digits, '_', '-' and '.'")
        self._check_fields()
        for part, name in parts.components(self):
            parts.REGISTRIES[part].check_findable(name)
        check_fits(self.tasks, self.models, as_axis(self.batch_size))
        self._set("options", parts.checked_options(self))
        self._check_first_grid()
        self._check_samples()
        parts.try_building(self.conditions())

    def _check_fields(self) -> None:
        for name, value_type in AXES.items():
            if name != "lengths":
                self._set(name, checked_axis(name, getattr(self, name), value_type))
        self._set("lengths", checked_lengths(self.lengths, self.tasks))
        for name, least in BUDGET.items():
            self._set(name, checked_whole(name, getattr(self, name), least))
        self._set("checkpoints", checked_flag("checkpoints", self.checkpoints))
        self._set("learning_rate", checked_learning_rate(self.learning_rate))
        self._set("probes", checked_probes(self.probes))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

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

    def lengths_of(self, task: str) -> tuple[int, ...]:
        """The lengths at which this task is trained."""
        return self.lengths[task] if isinstance(self.lengths, Mapping) else self.lengths

    def conditions(self) -> list[Condition]:
        """Every point of the grid, in the order of the axes."""
        return conditions_of(self)

    @property
    def skipped(self) -> list[str]:
        """The pairs that are not trained because they do not fit, a line each."""
        return skipped_pairs(self.tasks, self.models, as_axis(self.batch_size))

    def definition(self) -> dict[str, Any]:
        """Everything that defines the results, as JSON values: see `harness.planning.definition`."""
        return definition_of(self)

    def option_columns(self) -> dict[str, type]:
        """Columns for the options of everything registered, and of what this space imports by path."""
        return parts.option_columns(self)

    def override(self, values: Mapping[str, Any]) -> "Space":
        """A copy with these fields replaced, such as {"seeds": 3, "lengths.adding": (20, 40)}.

        Options are given by their own names. `lengths.TASK` replaces the lengths of one task. Raises
        UserError for an unknown field, naming what is known.
        """
        by_task = {n.removeprefix("lengths."): values[n] for n in values if n.startswith("lengths.")}
        fields = {name: value for name, value in values.items() if name in SETTABLE}
        options = {n: values[n] for n in values if n not in SETTABLE and not n.startswith("lengths.")}
        tasks = as_axis(fields.get("tasks", self.tasks))
        if "lengths" not in fields and isinstance(
            self.lengths, Mapping
        ):  # a task that goes takes its own along
            fields["lengths"] = {task: self.lengths[task] for task in tasks if task in self.lengths}
        if by_task:
            fields["lengths"] = replaced_lengths(fields.get("lengths", self.lengths), tasks, by_task)
        return dataclasses.replace(self, **fields, options={**self.options, **options})

    def at_scale(self, scale: str) -> "Space":
        """The space at its laptop or its paper scale."""
        if scale == "laptop":
            return self
        if not self.paper:
            raise UserError(f"space {self.name} has no {scale} scale; it sets no `paper` fields")
        return dataclasses.replace(self.override(self.paper), scale=scale)

    def _check_first_grid(self) -> None:
        """The first round of learning rates is a grid no coarser than one per decade."""
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
        """Texts are sampled from tasks that have characters, when they are evaluated."""
        if not self.sample_every:
            return
        if not any(map(has_text, self.tasks)):
            raise UserError(
                f"sample_every={self.sample_every}: no text in tasks={','.join(self.tasks)}; expected 0"
            )
        if self.sample_every % self.eval_every:
            raise UserError(
                f"sample_every={self.sample_every} is not a multiple of eval_every={self.eval_every}, "
                f"at which texts are sampled"
            )
