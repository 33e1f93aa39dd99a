"""A Space: axes and a budget, as data. It takes overrides, checks itself and yields Conditions."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.condition import PARTS, Condition
from harness.errors import UserError
from harness.planning import parts
from harness.planning.axes import Axes
from harness.planning.conditions import conditions_of
from harness.planning.definition import definition_of
from harness.planning.fields import (
    AXES,
    BUDGET,
    SETTABLE,
    as_axis,
    check_choice,
    check_names,
    checked_axis,
    checked_bracket,
    checked_flag,
    checked_learning_rate,
    checked_lengths,
    checked_probes,
    checked_seeds,
    checked_whole,
    replaced_lengths,
)
from harness.planning.fits import check_fits, has_text, skipped_pairs
from harness.planning.limits import check_counts
from harness.planning.rates import grid_size
from harness.target import TARGETS

SCALES = ("laptop", "paper")


@dataclass(frozen=True, kw_only=True)
class Space(Axes):
    """Axes and a budget that have been checked: see `Axes` for the fields.

    One file per space binds one of these to SPACE. Raises UserError, which names a field, a value or a
    combination that is not allowed.
    """

    def __post_init__(self) -> None:
        for text in ("name", "summary"):
            if not isinstance(getattr(self, text), str):
                raise UserError(f"{text}={getattr(self, text)!r} is not allowed; expected a text")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise UserError(f"name={self.name!r} names a folder; expected letters, digits, '_', '-' and '.'")
        self._check_fields()
        for component in parts.components(self):
            parts.check_component(component)
        check_fits(self.tasks, self.models, as_axis(self.batch_size))
        self._set("options", parts.checked_options(self))
        check_counts(self)
        self._check_first_grid()
        self._check_samples()
        parts.try_building(self.conditions())

    def _check_fields(self) -> None:
        check_choice("scale", self.scale, SCALES)
        check_choice("tune_for", self.tune_for, tuple(TARGETS))
        for name in ("options", "paper"):
            check_names(name, getattr(self, name))
        for name, value_type in AXES.items():
            if name != "lengths":
                self._set(name, checked_axis(name, getattr(self, name), value_type))
        self._set("lengths", checked_lengths(self.lengths, self.tasks))
        for name, least in BUDGET.items():
            if name != "seeds":
                self._set(name, checked_whole(name, getattr(self, name), least))
        self._set("bracket", checked_bracket(self.bracket))
        self._set("seeds", checked_seeds(self.seeds))
        self._set("checkpoints", checked_flag("checkpoints", self.checkpoints))
        self._set("learning_rate", checked_learning_rate(self.learning_rate))
        self._set("probes", checked_probes(self.probes))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

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

        Options are given by their own names. `lengths.TASK` replaces the lengths of one task. An option of
        this space goes with the last component that has it. If a field differs that results cannot grow
        along, the copy is a variant with a results folder of its own. Raises UserError for an unknown field,
        naming what is known.
        """
        by_task = {n.removeprefix("lengths."): values[n] for n in values if n.startswith("lengths.")}
        fields = {name: value for name, value in values.items() if name in SETTABLE}
        options = {n: values[n] for n in values if n not in SETTABLE and not n.startswith("lengths.")}
        tasks = as_axis(fields.get("tasks", self.tasks))
        if "lengths" not in fields and isinstance(self.lengths, Mapping):
            # a task that goes takes its own along
            fields["lengths"] = {task: self.lengths[task] for task in tasks if task in self.lengths}
        if by_task:
            fields["lengths"] = replaced_lengths(fields.get("lengths", self.lengths), tasks, by_task)
        chosen = {part: as_axis(fields.get(axis, getattr(self, axis))) for part, axis in PARTS.items()}
        kept = {n: v for n, v in self.options.items() if parts.has_option(chosen, n)}
        changed = dataclasses.replace(self, **fields, options={**kept, **options})
        changed._set("base", self.base or self)
        return changed

    def at_scale(self, scale: str) -> "Space":
        """The space at its laptop or its paper scale."""
        if scale == "laptop":
            return self
        if not self.paper:
            raise UserError(f"space {self.name} has no {scale} scale; it sets no `paper` fields")
        scaled = dataclasses.replace(self.override(self.paper), scale=scale)
        scaled._set("base", self.base and self.base.at_scale(scale))
        return scaled

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
