"""Report seeds of one task and length, batch by batch, the same for all of its conditions.

So runs that are compared share their seeds, also where a rule says how many are enough.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from harness.condition import Condition
from harness.planning.cohort import Cohort
from harness.planning.space import Space
from harness.planning.until import Until


class Batches:
    """The cohorts of one task and length: those of the first report seeds, and those that are added."""

    def __init__(self, space: Space, siblings: Sequence[Sequence[Condition]]) -> None:
        """`siblings` are the conditions; those that go together as one cohort stand together."""
        self._space = space
        self._siblings = siblings
        self._seeds = 0  # report seeds so far
        self.cohorts: list[Cohort] = []
        self.may_grow = isinstance(space.seeds, Until)
        self._add(space.first_seeds)

    def grow(self, stable: Collection[str]) -> list[Cohort]:
        """The cohorts of the next batch, once the last one is done and if it is needed; else none.

        `stable` are the trial_ids of the trials that ended stable.
        """
        rule = self._space.seeds
        if isinstance(rule, int) or not self.may_grow or any(c.round is not None for c in self.cohorts):
            return []
        if self._sharp(rule, stable):
            self.may_grow = False
            return []
        return self._add(min(rule.batch, rule.max - self._seeds))

    def _sharp(self, rule: Until, stable: Collection[str]) -> bool:
        """Whether every condition has enough report trials."""
        k: Counter[Condition] = Counter()
        for cohort in self.cohorts:
            for trial in cohort.report_trials():
                k[trial.condition] += trial.trial_id in stable
        return all(rule.enough(number, self._seeds) for number in k.values())

    def _add(self, number: int) -> list[Cohort]:
        """Cohorts of so many more seeds."""
        seeds = range(self._seeds, self._seeds + number)
        added = [Cohort(self._space, conditions, seeds) for conditions in self._siblings]
        self.cohorts += added
        self._seeds += number
        return added
