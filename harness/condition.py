"""The nouns of the instrument: Condition, Trial, Pack, Outcome, Result, and the seeds they imply.

Standard library only, so that analysis can use the nouns without importing torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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

    `clip_rule` says how gradients are clipped; `max_norm` is the threshold of rule 'norm' on the global L2
    norm, inf means no clipping. Other rules have their thresholds among the options, and max_norm None.
    `learning_rate` is a number when the space fixes it, None when it is tuned for this condition.
    `options` are (name, value) pairs, sorted by name, of everything the task, the model, the optimizer
    and the clipping rule add, defaults included. An option that counts by the content of a file is a hash
    here; `files` are (option, path) pairs that say where it was read, and identify nothing.
    """

    task: str
    model: str
    optimizer: str
    clip_rule: str = "norm"
    length: int
    max_norm: float | None
    hidden_size: int
    batch_size: int
    learning_rate: float | None = None
    options: tuple[tuple[str, Value], ...] = ()
    files: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def arguments(self) -> dict[str, Value]:
        """The options as constructors take them: files by their paths."""
        return {**dict(self.options), **dict(self.files)}

    def fields(self) -> dict[str, Value | None]:
        """Every field and option under its column name."""
        own = {name: getattr(self, name) for name in CONDITION_FIELDS}
        return {**own, **dict(self.options)}

    @property
    def condition_id(self) -> str:
        """Content hash of every field: 16 hexadecimal digits."""
        return content_hash(self.fields())

    def siblings_key(self) -> tuple[tuple[str, Value | None], ...]:
        """Equal for conditions that differ only in max_norm and learning_rate."""
        return tuple((k, v) for k, v in self.fields().items() if k not in ("max_norm", "learning_rate"))

    def __str__(self) -> str:
        threshold = [] if self.max_norm is None else [f"max_norm={self.max_norm:g}"]
        clipping = " ".join([*([self.clip_rule] if self.clip_rule != "norm" else []), *threshold])
        name = f"{self.task} {self.model} {self.optimizer} T={self.length} {clipping}"
        return name if self.learning_rate is None else f"{name} lr={self.learning_rate:g}"


CONDITION_FIELDS = (
    "task",
    "model",
    "optimizer",
    "clip_rule",
    "length",
    "max_norm",
    "hidden_size",
    "batch_size",
    "learning_rate",
)


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
        return self.condition.fields() | {
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "max_steps": self.max_steps,
            "observe": self.observe,
            "eval_every": self.eval_every,
        }

    @property
    def trial_id(self) -> str:
        """Content hash: 16 hexadecimal digits, the same whether the learning rate was tuned or fixed."""
        return content_hash(self.fields())

    @property
    def phase(self) -> str:
        """'tune' if the run helps to choose a learning rate, 'report' if its numbers are reported."""
        return "tune" if self.seed >= FIRST_TUNING_SEED else "report"

    @property
    def heldout_split(self) -> str:
        """Tuning is judged on the validation set; the report never sees the set that chose its rates."""
        return "validation" if self.phase == "tune" else "test"


@dataclass(frozen=True)
class Pack:
    """Trials trained together as one program; they differ only in seed, learning_rate and max_norm.

    `probes` names what is measured of them at moments of their training, `checkpoints` keeps their final
    weights, `sample_every` is the steps between texts sampled from them (0 for none); none of it changes
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

    @property
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

    `summary` holds one value per column of the trials table; the others hold equally long arrays or lists
    by column, none of them if there are no rows. Divergence is an outcome: its history is here too, up to
    the step it happened.
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
