"""What is left to train, asked for pack by pack and told as results come in.

Conditions that differ only in max_norm, or in a fixed learning rate, are siblings. They go together, as one
cohort: see `cohort`. Which trials share a pack depends on the space and on what is recorded, never on timing.
Which pack is next depends on what trials have cost so far. The cohort that will take longest goes first, so
that no worker is left with a long pack at the end.
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from harness.condition import Condition, Outcome, Pack, Result, Trial
from harness.planning.batches import Batches
from harness.planning.cohort import Cohort, Objectives
from harness.planning.cost import Cost, Workload
from harness.planning.fits import has_text
from harness.planning.space import Space
from harness.target import target

ASKS_PER_RANKING = 1 / 8
"""Packs that are handed out between two rankings of the waiting cohorts, as a share of these."""


class Plan:
    """All cohorts of a space, and the packs that they wait for."""

    def __init__(self, space: Space, recorded: Objectives, stable: Iterable[str] = ()) -> None:
        """`recorded` are the objectives of the trials that are already done, by trial_id.

        `stable` are the trial_ids of those that ended stable.
        """
        self.space = space
        self._objectives = dict(recorded)
        self._stable = set(stable)
        groups: dict[object, dict[object, list[Condition]]] = {}  # of a task and length, siblings together
        for condition in space.conditions():
            group = groups.setdefault((condition.task, condition.length), {})
            group.setdefault(condition.siblings_key(), []).append(condition)
        self._batches = [Batches(space, list(group.values())) for group in groups.values()]
        self._batches_of = {cohort: each for each in self._batches for cohort in each.cohorts}
        self.cohorts = sorted(self._batches_of, key=lambda cohort: -cohort.conditions[0].length)
        self._cost = Cost()
        self._begun: set[Workload] = set()
        self._waiting: dict[Cohort, deque[Pack]] = {}
        self._ranked: deque[Cohort] = deque()  # those whose packs are next, until they are ranked again
        self._running: dict[str, Cohort] = {}  # by pack_id
        self.total = sum(c.total for c in self.cohorts)  # trials, done or not, if no range grows more
        self._grown: Counter[Workload] = Counter()
        for cohort in list(self.cohorts):
            self._queue_next(cohort)
        self._grown.clear()

    @property
    def may_grow(self) -> bool:
        """Whether the total may grow: whether a range of learning rates may, or seeds may be added."""
        seeds = any(batches.may_grow for batches in self._batches)
        return seeds or any(cohort.may_grow for cohort in self.cohorts)

    @property
    def done(self) -> int:
        """Trials of the plan that are recorded."""
        return self.total - self.left().total()

    def left(self) -> Counter[Workload]:
        """Trials that are not recorded, by task, model and length, if no range grows more."""
        left: Counter[Workload] = Counter()
        for cohort in self.cohorts:
            left[cohort.workload] += cohort.total - cohort.recorded(self._objectives)
        return left

    def grown(self) -> dict[Workload, int]:
        """By how many trials the total has grown, by task, model and length, since this was last asked."""
        grown = {workload: trials for workload, trials in self._grown.items() if trials}
        self._grown.clear()
        return grown

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
        if not self._ranked:
            self._ranked.extend(self._next())
        cohort = self._ranked.popleft()
        self._begun.add(cohort.workload)
        pack = self._waiting[cohort].popleft()
        if not self._waiting[cohort]:
            del self._waiting[cohort]
        self._running[pack.pack_id] = cohort
        return pack

    def _next(self) -> list[Cohort]:
        """The cohorts whose packs are next, in order: few, for the costs and what waits will have changed."""
        seconds = {workload: self._cost.of(workload) for workload in {c.workload for c in self._waiting}}

        def takes(cohort: Cohort) -> float:
            return seconds[cohort.workload] * cohort.to_come(self._waiting[cohort][0])

        number = max(1, int(len(self._waiting) * ASKS_PER_RANKING))
        new: dict[Workload, Cohort] = {}  # the one that takes longest, of workloads that have had no pack
        for cohort in self._waiting:
            workload = cohort.workload
            if workload not in self._begun and (workload not in new or takes(cohort) > takes(new[workload])):
                new[workload] = cohort
        return heapq.nlargest(number, new.values() if new else self._waiting, key=takes)

    def tell(self, pack: Pack, results: Iterable[Result]) -> None:
        """This pack is trained and recorded."""
        for result in results:
            found = target(self.space.tune_for, result.outcome, result.summary)
            self._objectives[result.trial.trial_id] = found
            if result.outcome == Outcome.STABLE:
                self._stable.add(result.trial.trial_id)
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
        """Queue the packs of the round that a cohort goes on to, or those of more seeds."""
        before = cohort.total
        cohort.advance(self._objectives)
        self.total += cohort.total - before
        self._grown[cohort.workload] += cohort.total - before
        trials = cohort.missing(self._objectives)
        for begin in range(0, len(trials), self.space.pack_size):
            chunk = tuple(trials[begin : begin + self.space.pack_size])
            self._waiting.setdefault(cohort, deque()).append(make_pack(self.space, chunk))
            cohort.packs_out += 1
        batches = self._batches_of[cohort]
        added = batches.grow(self._stable)
        for new in added:
            self._batches_of[new] = batches
            self.cohorts.append(new)
            self.total += new.total
            self._grown[new.workload] += new.total
        for new in added:
            self._queue_next(new)


def plan_of(space: Space, ends: pd.DataFrame) -> Plan:
    """The plan of a space of which so much is recorded: see `harness.results.reader.ends`."""
    objectives = {
        str(row["trial_id"]): target(space.tune_for, str(row["outcome"]), row)
        for row in ends.to_dict("records")
    }
    return Plan(space, objectives, ends.loc[ends["outcome"] == Outcome.STABLE, "trial_id"])


def make_pack(space: Space, trials: tuple[Trial, ...]) -> Pack:
    """A pack of this space: only of report trials more is kept than their curves."""
    if trials[0].phase == "tune":
        return Pack(trials)
    sample_every = space.sample_every if has_text(trials[0].condition.task) else 0
    return Pack(trials, space.probes, space.checkpoints, sample_every)
