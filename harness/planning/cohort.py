"""Siblings on their way through tuning and report: round by round, each asked for and told as a whole."""

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.condition import FIRST_TUNING_SEED, Condition, Pack, Trial
from harness.planning.cost import Workload
from harness.planning.recall import Tried, recalled_rates
from harness.planning.space import Space

if TYPE_CHECKING:
    from harness.planning.study import Study

Round = list[Trial]
Objectives = Mapping[str, float]  # by trial_id


class Cohort:
    """Siblings on their way through tuning and report, one round of trials at a time."""

    def __init__(
        self, space: Space, conditions: Sequence[Condition], objectives: Objectives, tried: Tried
    ) -> None:
        self.space = space
        self.conditions = list(conditions)
        self.studies = make_studies(space, self.conditions) if space.tuned else []
        self.workload = Workload.of(conditions[0])
        ask = [study for study in self.studies if not self._recall(study, objectives, tried)]
        recalled = len(self.studies) - len(ask)
        self.done = recalled * space.lr_trials * space.tuning_seeds  # trials of the rounds that are behind
        self.packs_out = 0  # packs of the current round that are queued or being trained
        self.failed = False
        self._rounds = self._make_rounds(ask)
        self.round: Round | None = next(self._rounds)  # None when all is done
        self._later = round_sizes(space, self.conditions, len(ask))[1:]
        self._early = self._report_trials_known(ask, objectives)

    def advance(self, objectives: Objectives) -> None:
        """Go on to the first round that `objectives` do not cover."""
        while self.round is not None and not self.missing(objectives):
            self.done += len(self.round)
            del self._later[:1]
            try:
                self.round = self._rounds.send(objectives)
            except StopIteration:
                self.round = None

    def to_come(self, pack: Pack) -> int:
        """Trials one after the other from this pack of the round on, with a worker for every pack."""
        return len(pack.trials) + sum(min(self.space.pack_size, size) for size in self._later)

    def recorded(self, objectives: Objectives) -> int:
        """Trials that are recorded."""
        return (
            self.done
            + len(self.round or [])
            - len(self.missing(objectives))
            + self._early * bool(self._later)
        )

    def missing(self, objectives: Objectives) -> Round:
        """Trials of the current round that are not recorded, by max_norm, learning rate and seed."""
        missing = [trial for trial in self.round or [] if trial.trial_id not in objectives]
        return sorted(missing, key=lambda t: (t.condition.max_norm or 0, t.learning_rate, t.seed))

    def _recall(self, study: "Study", objectives: Objectives, tried: Tried) -> bool:
        """Tell a study all that is recorded of it, if that is all that it would ask for."""
        condition = study.condition
        found = tried.get(condition.condition_id)
        rates = recalled_rates(self.space, condition.optimizer, found) if found else None
        if rates is None:
            return False
        told = {rate: tuning_trials(self.space, condition, rate) for rate in rates}
        if any(trial.trial_id not in objectives for trials in told.values() for trial in trials):
            return False
        study.recall({rate: mean_objective(trials, objectives) for rate, trials in told.items()})
        return True

    def _report_trials_known(self, ask: "Sequence[Study]", objectives: Objectives) -> int:
        """Recorded report trials of studies that need not ask, while their siblings do."""
        rates = {study.condition: study.best for study in self.studies if study not in ask} if ask else {}
        return sum(trial.trial_id in objectives for trial in report_trials(self.space, rates))

    def _make_rounds(self, studies: "Sequence[Study]") -> Generator[Round, Objectives, None]:
        """Yield each round of these studies; expect the objectives of at least its trials in return."""
        space = self.space
        if studies:
            for number in range(1 + len(later_rounds(space, self.conditions[0].optimizer))):
                tries = [
                    (study, rate, tuning_trials(space, study.condition, rate))
                    for study in studies
                    for rate in study.ask(number)
                ]
                objectives = yield [trial for _, _, trials in tries for trial in trials]
                for study in studies:
                    mine = [(rate, trials) for owner, rate, trials in tries if owner is study]
                    study.tell({rate: mean_objective(trials, objectives) for rate, trials in mine})
        yield report_trials(space, self.chosen_rates())

    def chosen_rates(self) -> dict[Condition, float]:
        """The learning rate at which each condition is reported; complete once tuning is over."""
        if self.studies:
            return {study.condition: study.best for study in self.studies}
        return {c: c.learning_rate for c in self.conditions if c.learning_rate is not None}


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


def tuning_trials(space: Space, condition: Condition, learning_rate: float) -> Round:
    """The trials that judge one learning rate: one for each tuning seed."""
    seeds = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + space.tuning_seeds)
    return [make_trial(space, condition, learning_rate, seed) for seed in seeds]


def report_trials(space: Space, rates: Mapping[Condition, float]) -> Round:
    """The trials that are reported: one for each seed of each condition, at its learning rate."""
    return [
        make_trial(space, condition, rate, seed)
        for condition, rate in rates.items()
        for seed in range(space.seeds)
    ]


def later_rounds(space: Space, optimizer: str) -> list[int]:
    """Learning rates per round after the first grid: lr_batch at a time."""
    left = space.lr_trials - len(space.first_grid(optimizer))
    return [min(space.lr_batch, left - done) for done in range(0, left, space.lr_batch)]


def round_sizes(space: Space, conditions: Sequence[Condition], tuned: int) -> list[int]:
    """Trials of every round of siblings, of which so many are tuned; the report seeds last."""
    optimizer = conditions[0].optimizer
    rates = [len(space.first_grid(optimizer)), *later_rounds(space, optimizer)] if tuned else []
    return [*(tuned * n * space.tuning_seeds for n in rates), len(conditions) * space.seeds]


def make_studies(space: Space, conditions: Sequence[Condition]) -> "list[Study]":
    """One study per condition. Optuna is imported here, so that fixed learning rates do without it."""
    from harness.planning.study import Study

    optimizer = conditions[0].optimizer
    grid, rounds = space.first_grid(optimizer), later_rounds(space, optimizer)
    return [Study(condition, grid, rounds) for condition in conditions]


def mean_objective(trials: Round, objectives: Objectives) -> float:
    """Mean tuning objective of these trials."""
    return sum(objectives[trial.trial_id] for trial in trials) / len(trials)
