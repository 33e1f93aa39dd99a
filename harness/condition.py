"""The nouns of the instrument: Condition, Trial, Pack, Outcome, Result, and the seeds they imply.

Standard library only, so that analysis can use the nouns without importing torch.
"""

import functools
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from typing import Any

from harness.identity import Value, content_hash

FIRST_TUNING_SEED = 1_000_000
"""Report seeds count from 0, tuning seeds from here: the two sets are disjoint by construction."""


class Outcome(StrEnum):
    """How a trial ended, as a finding. The first that applies, in this order of precedence."""

    FAILED = "failed"  # a fault of the program or the machine; not a measurement
    PRUNED = "pruned"  # stopped by a scheduler; censored
    DIVERGED = "diverged"  # loss or gradient norm not finite, or the loss ran away
    UNSOLVED = "unsolved"  # not solved within max_steps
    LOST = "lost"  # solved, but fallen apart at the end of the observation window
    RECOVERED = "recovered"  # solved, dropped at least once, recovered by the end
    STABLE = "stable"  # solved and never dropped


SOLVED = frozenset({Outcome.STABLE, Outcome.RECOVERED, Outcome.LOST})
"""Outcomes of trials that solved their task and did not diverge afterwards."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One point of the grid: what a conclusion is about.

    A field with an `axis` is a part: it names a registered class, or one by its import path. The axis is the
    field of Space that holds the part's values. It is also the module of `harness` whose registry knows their
    names. A further part is one such field here, the axis in `harness.planning.axes`, and its module. Its
    default is what every condition had before the part existed.

    `clip_rule` says how gradients are clipped. `max_norm` is the threshold of a rule that uses one, on the
    global L2 norm. inf means no clipping. None belongs to the rules without a threshold. `learning_rate` is a
    number when the space fixes it, None when it is tuned for this condition.

    `options` are (name, value) pairs, sorted by name, of everything that the parts add, defaults included;
    `at_default` names the options that have their default. An option that counts by the content of a file is
    a hash here. `files` are (option, path) pairs that say where it was read; they identify nothing.
    """

    task: str = field(metadata={"axis": "tasks"})
    model: str = field(metadata={"axis": "models"})
    optimizer: str = field(metadata={"axis": "optimizers"})
    clip_rule: str = field(default="norm", metadata={"axis": "clip_rules"})
    length: int
    max_norm: float | None
    hidden_size: int
    batch_size: int
    learning_rate: float | None = None
    options: tuple[tuple[str, Value], ...] = ()
    at_default: frozenset[str] = frozenset()
    files: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def arguments(self) -> dict[str, Value]:
        """The options as constructors take them: files by their paths."""
        return {**dict(self.options), **dict(self.files)}

    @property
    def parts(self) -> dict[str, str]:
        """The name of each part's class: {"task": "palindrome", ...}."""
        return {part: getattr(self, part) for part in PARTS}

    def fields(self) -> dict[str, Value | None]:
        """Every field and option under its column name."""
        own = {name: getattr(self, name) for name in CONDITION_COLUMNS}
        return {**own, **dict(self.options)}

    def defaults_taken(self) -> frozenset[str]:
        """The fields and options that have their default."""
        return (_fields_at_default(self) & CONDITION_COLUMNS.keys()) | self.at_default

    def identity(self) -> dict[str, Value | None]:
        """The fields and options that are not at their default: a new one with a default renames nothing."""
        left_out = self.defaults_taken()
        return {name: value for name, value in self.fields().items() if name not in left_out}

    @functools.cached_property
    def condition_id(self) -> str:
        """Content hash of `identity()`: 16 hexadecimal digits."""
        return content_hash(self.identity())

    def siblings_key(self) -> tuple[tuple[str, Value | None], ...]:
        """Equal for conditions that differ only in max_norm and learning_rate."""
        return tuple((k, v) for k, v in self.fields().items() if k not in ("max_norm", "learning_rate"))

    def __str__(self) -> str:
        """Such as 'palindrome rnn sgd T=5 max_norm=1': a part that has its default goes without saying."""
        always = [name for part, name in self.parts.items() if part not in DEFAULTS[type(self)]]
        chosen = [name for part, name in self.parts.items() if name != DEFAULTS[type(self)].get(part, name)]
        threshold = [] if self.max_norm is None else [f"max_norm={self.max_norm:g}"]
        rate = [] if self.learning_rate is None else [f"lr={self.learning_rate:g}"]
        return " ".join([*always, f"T={self.length}", *chosen, *threshold, *rate])


PARTS: dict[str, str] = {f.name: f.metadata["axis"] for f in fields(Condition) if "axis" in f.metadata}
"""The parts of a condition, and the axis of each: {"task": "tasks", "model": "models", ...}."""

CONDITION_COLUMNS: dict[str, type] = {
    name: (typing.get_args(hint) or (hint,))[0]  # of `float | None`, float
    for name, hint in typing.get_type_hints(Condition).items()
    if name not in ("options", "at_default", "files")
}
"""The fields of a condition that are columns of tables, and their types."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training run. Its `trial_id` covers every field that can change its numbers."""

    condition: Condition
    learning_rate: float
    seed: int
    max_steps: int
    observe: int
    eval_every: int

    def fields(self) -> dict[str, Value | None]:
        """Every field that can change the numbers, the condition's included, under its column name."""
        return self.condition.fields() | self._own()

    @functools.cached_property
    def trial_id(self) -> str:
        """Content hash of all that is not at its default: 16 hexadecimal digits.

        It is the same whether the learning rate was tuned or fixed.
        """
        left_out = _fields_at_default(self)
        own = {name: value for name, value in self._own().items() if name not in left_out}
        return content_hash(self.condition.identity() | own)

    def _own(self) -> dict[str, Value | None]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "condition"}

    @property
    def phase(self) -> str:
        """'tune' if the run helps to choose a learning rate, 'report' if its numbers are reported."""
        return "tune" if self.seed >= FIRST_TUNING_SEED else "report"

    @property
    def heldout_split(self) -> str:
        """Tuning is judged on the validation set; the report never sees the set that chose its rates."""
        return "validation" if self.phase == "tune" else "test"


DEFAULTS: dict[type[Any], dict[str, Any]] = {
    cls: {f.name: f.default for f in fields(cls) if f.default is not MISSING} for cls in (Condition, Trial)
}
"""The fields that have a default."""


def _fields_at_default(value: Condition | Trial) -> frozenset[str]:
    """The fields that have their default."""
    return frozenset(n for n, default in DEFAULTS[type(value)].items() if getattr(value, n) == default)


@dataclass(frozen=True)
class Pack:
    """Trials trained together as one program; they differ only in seed, learning_rate and max_norm.

    `probes` names what is taken of them at moments of their training. `checkpoints` keeps their final
    weights. `sample_every` is the steps between texts sampled from them, 0 for none. None of these changes
    their numbers.
    """

    trials: tuple[Trial, ...]
    probes: tuple[str, ...] = ()
    checkpoints: bool = False
    sample_every: int = 0

    def __post_init__(self) -> None:
        if not self.trials:
            raise ValueError("a pack needs at least one trial")
        first = _shared_by_a_pack(self.trials[0])
        for trial in self.trials[1:]:
            for name, value in _shared_by_a_pack(trial).items():
                if first.get(name) != value:
                    raise ValueError(
                        f"trials of one pack may differ only in seed, learning_rate and max_norm; "
                        f"these differ in {name}: {first.get(name)!r} and {value!r}"
                    )

    @functools.cached_property
    def pack_id(self) -> str:
        """Content hash of the trial ids, in order: 16 hexadecimal digits."""
        return content_hash([trial.trial_id for trial in self.trials])

    def __str__(self) -> str:
        return self.pack_id


def _shared_by_a_pack(trial: Trial) -> dict[str, Any]:
    return {
        **dict(trial.condition.siblings_key()),
        "phase": trial.phase,
        "max_steps": trial.max_steps,
        "observe": trial.observe,
        "eval_every": trial.eval_every,
    }


@dataclass(frozen=True)
class Checkpoint:
    """Weights as arrays by name, and as JSON values what they are of and how to build the model."""

    tensors: Mapping[str, Any]
    metadata: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a trial left behind.

    `summary` holds one value per column of the trials table. The others hold equally long arrays or lists by
    column, or nothing if there are no rows. Divergence is an outcome: its history is here too, up to the step
    it happened.
    """

    trial: Trial
    outcome: Outcome
    summary: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Any] = field(default_factory=dict)
    evals: Mapping[str, Any] = field(default_factory=dict)
    events: Mapping[str, Any] = field(default_factory=dict)
    moments: Mapping[str, Any] = field(default_factory=dict)
    profiles: Mapping[str, Any] = field(default_factory=dict)
    samples: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
