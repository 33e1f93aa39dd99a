"""Siblings on their way through tuning and report: round by round, each asked for and told as a whole.

Every report seed has a study and tuning seeds of its own: the luck of a choice differs from seed to seed.
"""

from collections.abc import Generator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from harness.condition import FIRST_TUNING_SEED, Condition, Pack, Trial
from harness.planning.cost import Workload
from harness.planning.space import Space
from harness.target import ENOUGH

if TYPE_CHECKING:
    from harness.planning.study import Study

Round = list[Trial]
Objectives = Mapping[str, float]  # by trial_id


class Cohort:
    """Siblings on their way through tuning and report, one round of trials at a time."""

    def __init__(self, space: Space, conditions: Sequence[Condition], seeds: range) -> None:
        self.space = space
        self.conditions = list(conditions)
        self.seeds = seeds  # the report seeds
        self.studies = make_studies(space, self.conditions, seeds) if space.tuned else []
        self.workload = Workload.of(conditions[0])
        self.done = 0  # trials of the rounds that are behind
        self.packs_out = 0  # packs of the current round that are queued or being trained
        self.failed = False
        self._later: list[int] = []  # trials of each round after the current one, if no range grows more
        self._rounds = self._make_rounds()
        self.round: Round | None = next(self._rounds)  # None when all is done

    def advance(self, objectives: Objectives) -> None:
        """Go on to the first round that `objectives` do not cover."""
        while self.round is not None and not self.missing(objectives):
            self.done += len(self.round)
            try:
                self.round = self._rounds.send(objectives)
            except StopIteration:
                self.round = None

    @property
    def total(self) -> int:
        """Trials in all, if no range grows more."""
        return self.done + len(self.round or []) + sum(self._later)

    @property
    def may_grow(self) -> bool:
        """Whether the total may grow: whether some range may."""
        return any(study.may_grow for study in self.studies)

    def recorded(self, objectives: Objectives) -> int:
        """Trials that are recorded."""
        return self.done + len(self.round or []) - len(self.missing(objectives))

    def to_come(self, pack: Pack) -> int:
        """Trials one after the other from this pack of the round on, with a worker for every pack."""
        return len(pack.trials) + sum(min(self.space.pack_size, size) for size in self._later)

    def missing(self, objectives: Objectives) -> Round:
        """Trials of the current round that are not recorded, by max_norm, learning rate and seed."""
        missing = [trial for trial in self.round or [] if trial.trial_id not in objectives]
        return sorted(missing, key=lambda t: (t.condition.max_norm or 0, t.learning_rate, t.seed))

    def _make_rounds(self) -> Generator[Round, Objectives, None]:
        """Yield each round; expect the objectives of at least its trials in return."""
        space = self.space
        while asked := {study: rates for study in self.studies if (rates := study.ask())}:
            tries = {
                study: {rate: tuning_trials(space, study, rate) for rate in rates}
                for study, rates in asked.items()
            }
            self._later = self._sizes_to_come()
            objectives = yield [t for tried in tries.values() for trials in tried.values() for t in trials]
            for study, tried in tries.items():
                study.tell({rate: mean_objective(trials, objectives) for rate, trials in tried.items()})
        self._later = []
        yield self.report_trials()

    def _sizes_to_come(self) -> list[int]:
        """Trials of each round after the current one, if no range grows more, the report last."""
        rounds = zip_longest(*(study.to_come for study in self.studies), fillvalue=0)
        tuning = [sum(rates) * self.space.tuning_seeds for rates in rounds]
        return [*tuning, len(self.conditions) * len(self.seeds)]

    def report_trials(self) -> Round:
        """The trials whose numbers are reported: each seed at the rate that its own tuning chose."""
        space = self.space
        if self.studies:
            return [make_trial(space, study.condition, study.best, study.seed) for study in self.studies]
        return [
            make_trial(space, condition, condition.learning_rate, seed)
            for condition in self.conditions
            if condition.learning_rate is not None
            for seed in self.seeds
        ]


def make_trial(space: Space, condition: Condition, learning_rate: float, seed: int) -> Trial:
    """A trial of this space."""
    return Trial(
        condition=condition,
        learning_rate=learning_rate,
        seed=seed,
        max_steps=space.max_steps,
        observe=space.observe,
        eval_every=space.eval_every,
    )


def tuning_trials(space: Space, study: "Study", learning_rate: float) -> Round:
    """The trials that judge one learning rate of a study: one for each tuning seed of its report seed."""
    first = FIRST_TUNING_SEED + study.seed * space.tuning_seeds
    seeds = range(first, first + space.tuning_seeds)
    return [make_trial(space, study.condition, learning_rate, seed) for seed in seeds]


def later_rounds(space: Space, optimizer: str) -> list[int]:
    """Learning rates per round after the first grid: lr_batch at a time."""
    left = space.lr_trials - len(space.first_grid(optimizer))
    return [min(space.lr_batch, left - done) for done in range(0, left, space.lr_batch)]


def make_studies(space: Space, conditions: Sequence[Condition], seeds: range) -> "list[Study]":
    """A study per condition and report seed. Optuna is imported here: fixed learning rates do without it."""
    from harness.planning.study import Study

    optimizer = conditions[0].optimizer
    grid, rounds = space.first_grid(optimizer), later_rounds(space, optimizer)
    enough = ENOUGH[space.tune_for]
    return [
        Study(condition, seed, grid, rounds, space.lr_extend, enough)
        for condition in conditions
        for seed in seeds
    ]


def mean_objective(trials: Round, objectives: Objectives) -> float:
    """Mean tuning objective of these trials."""
    return sum(objectives[trial.trial_id] for trial in trials) / len(trials)
