"""What is left to train, asked for pack by pack and told as results come in.

Conditions that differ only in max_norm, or in a fixed learning rate, are siblings. They go together, as one
cohort: round by round through tuning, then the report seeds. A round is asked for and told as a whole. Every
report seed has a study and tuning seeds of its own: the luck of a choice differs from seed to seed. Which
trials share a pack depends on the space and on what is recorded, never on timing. Which pack is next depends
on what trials have cost so far. The cohort that will take longest goes first, so that no worker is left with
a long pack at the end.
"""

from collections import Counter, deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.condition import FIRST_TUNING_SEED, Condition, Pack, Result, Trial
from harness.planning.cost import Cost, Workload
from harness.planning.fits import has_text
from harness.planning.space import Space

if TYPE_CHECKING:
    from harness.planning.study import Study

Round = list[Trial]
Objectives = Mapping[str, float]  # by trial_id


class Cohort:
    """Siblings on their way through tuning and report, one round of trials at a time."""

    def __init__(self, space: Space, conditions: Sequence[Condition]) -> None:
        self.space = space
        self.conditions = list(conditions)
        self.studies = make_studies(space, self.conditions) if space.tuned else []
        self.workload = Workload.of(conditions[0])
        self.done = 0  # trials of the rounds that are behind
        self.packs_out = 0  # packs of the current round that are queued or being trained
        self.failed = False
        self._rounds = self._make_rounds()
        self.round: Round | None = next(self._rounds)  # None when all is done
        self._later = round_sizes(space, self.conditions)[1:]

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

    def missing(self, objectives: Objectives) -> Round:
        """Trials of the current round that are not recorded, by max_norm, learning rate and seed."""
        missing = [trial for trial in self.round or [] if trial.trial_id not in objectives]
        return sorted(missing, key=lambda t: (t.condition.max_norm or 0, t.learning_rate, t.seed))

    def _make_rounds(self) -> Generator[Round, Objectives, None]:
        """Yield each round; expect the objectives of at least its trials in return."""
        space = self.space
        if self.studies:
            for number in range(1 + len(later_rounds(space, self.conditions[0].optimizer))):
                tries = [
                    (study, rate, tuning_trials(space, study, rate))
                    for study in self.studies
                    for rate in study.ask(number)
                ]
                objectives = yield [trial for _, _, trials in tries for trial in trials]
                for study in self.studies:
                    mine = [(rate, trials) for owner, rate, trials in tries if owner is study]
                    study.tell({rate: mean_objective(trials, objectives) for rate, trials in mine})
        yield self.report_trials()

    def report_trials(self) -> Round:
        """The trials whose numbers are reported: each seed at the rate that its own tuning chose."""
        space = self.space
        if self.studies:
            return [make_trial(space, study.condition, study.best, study.seed) for study in self.studies]
        return [
            make_trial(space, condition, condition.learning_rate, seed)
            for condition in self.conditions
            if condition.learning_rate is not None
            for seed in range(space.seeds)
        ]


class Plan:
    """All cohorts of a space, and the packs that they wait for."""

    def __init__(self, space: Space, recorded: Objectives) -> None:
        """`recorded` are the objectives of the trials that are already done, by trial_id."""
        self.space = space
        self._objectives = dict(recorded)
        groups: dict[object, list[Condition]] = {}
        for condition in space.conditions():
            groups.setdefault(condition.siblings_key(), []).append(condition)
        cohorts = [Cohort(space, conditions) for conditions in groups.values()]
        self.cohorts = sorted(cohorts, key=lambda cohort: -cohort.conditions[0].length)  # longest first
        self._cost = Cost()
        self._begun: set[Workload] = set()
        self._waiting: dict[Cohort, deque[Pack]] = {}
        self._running: dict[str, Cohort] = {}  # by pack_id
        for cohort in self.cohorts:
            self._queue_next(cohort)

    @property
    def total(self) -> int:
        """Trials of the whole plan, done or not."""
        return len(self.space.conditions()) * self.space.trials_per_condition

    @property
    def done(self) -> int:
        """Trials of the plan that are recorded."""
        return self.total - self.left().total()

    def left(self) -> Counter[Workload]:
        """Trials that are not recorded, by task, model and length."""
        left: Counter[Workload] = Counter()
        for cohort in self.cohorts:
            recorded = cohort.done + len(cohort.round or []) - len(cohort.missing(self._objectives))
            total = len(cohort.conditions) * self.space.trials_per_condition
            left[cohort.workload] += total - recorded
        return left

    @property
    def finished(self) -> bool:
        """Nothing is queued and nothing is out: every cohort is done, or stopped by a failure."""
        return not self._waiting and not self._running

    @property
    def waiting(self) -> int:
        """How many packs could be asked for at once."""
        return sum(map(len, self._waiting.values()))

    def ask(self) -> Pack | None:
        """The next pack to train; None while results are awaited, or when the plan is finished.

        A workload that has had no pack comes first, so that its cost is soon known. Then comes the cohort
        that will take longest, by what its trials have cost so far.
        """
        if not self._waiting:
            return None
        seconds = {workload: self._cost.of(workload) for workload in {c.workload for c in self._waiting}}

        def rank(cohort: Cohort) -> tuple[bool, float]:
            takes = seconds[cohort.workload] * cohort.to_come(self._waiting[cohort][0])
            return cohort.workload not in self._begun, takes

        cohort = max(self._waiting, key=rank)  # the first of equals
        self._begun.add(cohort.workload)
        pack = self._waiting[cohort].popleft()
        if not self._waiting[cohort]:
            del self._waiting[cohort]
        self._running[pack.pack_id] = cohort
        return pack

    def tell(self, pack: Pack, results: Iterable[Result]) -> None:
        """This pack is trained and recorded."""
        for result in results:
            self._objectives[result.trial.trial_id] = result.summary["objective"]
            self._cost.learn(result)
        self._returned(pack)

    def fail(self, pack: Pack) -> None:
        """This pack failed: its cohort finishes what is out and stops there; the next run tries again."""
        self._running[pack.pack_id].failed = True
        self._returned(pack)

    def divide(self, pack: Pack) -> None:
        """This pack met a fault: ask for its trials again, in two packs of half, before its siblings."""
        cohort, middle = self._running.pop(pack.pack_id), len(pack.trials) // 2
        halves = [replace(pack, trials=part) for part in (pack.trials[:middle], pack.trials[middle:])]
        self._waiting.setdefault(cohort, deque()).extendleft(reversed(halves))
        cohort.packs_out += 1

    def _returned(self, pack: Pack) -> None:
        cohort = self._running.pop(pack.pack_id)
        cohort.packs_out -= 1
        if cohort.packs_out == 0 and not cohort.failed:
            self._queue_next(cohort)

    def _queue_next(self, cohort: Cohort) -> None:
        cohort.advance(self._objectives)
        trials = cohort.missing(self._objectives)
        for begin in range(0, len(trials), self.space.pack_size):
            chunk = tuple(trials[begin : begin + self.space.pack_size])
            self._waiting.setdefault(cohort, deque()).append(make_pack(self.space, chunk))
            cohort.packs_out += 1


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


def make_pack(space: Space, trials: tuple[Trial, ...]) -> Pack:
    """A pack of this space: only of report trials more is kept than their curves."""
    if trials[0].phase == "tune":
        return Pack(trials)
    sample_every = space.sample_every if has_text(trials[0].condition.task) else 0
    return Pack(trials, space.probes, space.checkpoints, sample_every)


def tuning_trials(space: Space, study: "Study", learning_rate: float) -> Round:
    """The trials that judge one learning rate of a study: one for each tuning seed of its report seed."""
    first = FIRST_TUNING_SEED + study.seed * space.tuning_seeds
    seeds = range(first, first + space.tuning_seeds)
    return [make_trial(space, study.condition, learning_rate, seed) for seed in seeds]


def later_rounds(space: Space, optimizer: str) -> list[int]:
    """Learning rates per round after the first grid: lr_batch at a time."""
    left = space.lr_trials - len(space.first_grid(optimizer))
    return [min(space.lr_batch, left - done) for done in range(0, left, space.lr_batch)]


def round_sizes(space: Space, conditions: Sequence[Condition]) -> list[int]:
    """Trials of every round of siblings, the report seeds last."""
    optimizer = conditions[0].optimizer
    rates = [len(space.first_grid(optimizer)), *later_rounds(space, optimizer)] if space.tuned else []
    reported = len(conditions) * space.seeds
    return [*(reported * n * space.tuning_seeds for n in rates), reported]


def make_studies(space: Space, conditions: Sequence[Condition]) -> "list[Study]":
    """A study per condition and report seed. Optuna is imported here: fixed learning rates do without it."""
    from harness.planning.study import Study

    optimizer = conditions[0].optimizer
    grid, rounds = space.first_grid(optimizer), later_rounds(space, optimizer)
    return [Study(c, seed, grid, rounds) for c in conditions for seed in range(space.seeds)]


def mean_objective(trials: Round, objectives: Objectives) -> float:
    """Mean tuning objective of these trials."""
    return sum(objectives[trial.trial_id] for trial in trials) / len(trials)
