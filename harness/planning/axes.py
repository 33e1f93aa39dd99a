"""What a space holds: axes and a budget, as data, and what follows from them alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.optimizers import optimizers
from harness.planning.bracket import Bracket
from harness.planning.fields import Lengths
from harness.planning.rates import grid_size, log_grid, per_decade
from harness.planning.until import Until
from harness.planning.variants import folder_of
from harness.probes import DEFAULT_PROBES

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Axes:
    """Axes (tuples) and a budget (numbers), unchecked: see `harness.planning.space.Space`.

    - `tasks`, `models`, `optimizers` and `clip_rules` hold names, or import paths `package.module:Class`.
      Every task is trained with every model and batch size that fits it; `skipped` names the other pairs.
    - `lengths` are the same for every task, or given by task: {"palindrome": (5, 10), "adding": (20,)}.
    - `learning_rate` is None, {"low": a, "high": b}, or a tuple. With None every optimizer is tuned over its
      own range. With low and high it is tuned over this range. A tuple holds fixed values: nothing is tuned,
      and the learning rate is an axis.
    - `lr_extend` is by how many decades the range of a tuning may grow on each side, where the best rate lies
      at its end. Every tuning goes by its own results. 0 keeps every range as it is.
    - `seeds` is a number, or a rule such as "until:width=0.2,max=64": see `harness.planning.until`.
    - `bracket`, such as "until:ratio=1.25,max=160", adds lengths: see `harness.planning.bracket`.
    - `max_norms` are the thresholds of clip rule 'norm'. Another rule is one arm beside them, or several if
      its own options are axes.
    - `options` holds what the parts add: by name, one value or a tuple of values (an axis). An option reaches
      the conditions whose parts have it.
    - `probes` are taken of every report trial at its moments (init, solved, end).
    - `paper` replaces fields at `--scale paper`.
    """

    name: str
    summary: str
    tasks: tuple[str, ...] = ("palindrome",)
    models: tuple[str, ...] = ("rnn", "lstm")
    optimizers: tuple[str, ...] = ("rmsprop",)
    clip_rules: tuple[str, ...] = ("norm",)
    lengths: Lengths = (5, 10, 20)
    bracket: Bracket | None = None
    max_norms: tuple[float, ...] = (math.inf,)
    hidden_size: tuple[int, ...] | int = (32,)
    batch_size: tuple[int, ...] | int = (32,)
    learning_rate: Mapping[str, float] | tuple[float, ...] | None = None
    seeds: int | Until = 8  # report seeds per condition: each tunes, then runs at the rate that it chose
    lr_trials: int = 7  # learning rates that a tuning tries
    lr_batch: int = 7  # learning rates asked for at once: first a grid, then proposals
    lr_extend: int = 2  # decades by which the range of a tuning may grow on each side
    tuning_seeds: int = 1  # seeds on which a tuning tries each rate
    max_steps: int = 1_000  # a trial not solved by then is unsolved
    observe: int = 800  # steps that a solved trial is watched for
    eval_every: int = 100  # steps between held-out evaluations
    tune_for: str = "fast"  # what a learning rate is chosen by: see `harness.target`
    pack_size: int = 32  # trials trained as one program, at most
    probes: tuple[str, ...] = DEFAULT_PROBES
    checkpoints: bool = False  # whether the final weights of report trials are kept
    sample_every: int = 0  # steps between texts sampled from report trials; 0 for none
    options: Mapping[str, Any] = field(default_factory=dict)
    paper: Mapping[str, Any] = field(default_factory=dict, repr=False)
    scale: str = "laptop"
    base: Any = field(default=None, init=False, repr=False, compare=False)  # of an override

    @property
    def plain_folder_name(self) -> str:
        """Folder of the results of the space as its file has it, and of all that grows from it."""
        return self.name if self.scale == "laptop" else f"{self.name}-{self.scale}"

    @property
    def folder_name(self) -> str:
        """Folder of its results: one per space, scale and variant; see `harness.planning.variants`."""
        return self.plain_folder_name + (folder_of(vars(self), vars(self.base)) if self.base else "")

    @property
    def tuned(self) -> bool:
        """Whether learning rates are tuned, and not fixed."""
        return not isinstance(self.learning_rate, tuple)

    @property
    def first_seeds(self) -> int:
        """Report seeds of every condition, before any are added."""
        return self.seeds if isinstance(self.seeds, int) else self.seeds.batch

    @property
    def trials_per_condition(self) -> int:
        """Tuning and report trials of one condition, if no range grows and no seeds are added."""
        return self.first_seeds * (1 + (self.lr_trials * self.tuning_seeds if self.tuned else 0))

    def range_of(self, optimizer: str) -> Range:
        """The range over which the learning rate of this optimizer is tuned."""
        if isinstance(self.learning_rate, Mapping):
            return self.learning_rate["low"], self.learning_rate["high"]
        return optimizers.get(optimizer).learning_rates

    def first_grid(self, optimizer: str) -> list[float]:
        """The learning rates that are tried first: at most a decade apart, at least `lr_batch` of them."""
        low, high = self.range_of(optimizer)
        return log_grid(low, high, min(self.lr_trials, max(self.lr_batch, grid_size(low, high))))

    def most_trials(self, optimizer: str) -> int:
        """Trials of one condition with this optimizer, if its ranges and seeds grow to their ends."""
        seeds = self.seeds if isinstance(self.seeds, int) else self.seeds.max
        if not self.tuned:
            return seeds
        rates = self.lr_trials + 2 * self.lr_extend * per_decade(self.first_grid(optimizer))
        return seeds * (1 + rates * self.tuning_seeds)

    def lengths_of(self, task: str) -> tuple[int, ...]:
        """The lengths at which this task is trained."""
        return self.lengths[task] if isinstance(self.lengths, Mapping) else self.lengths
