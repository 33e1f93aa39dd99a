"""What a trial costs, learnt from the trials that have ended."""

from typing import NamedTuple

from harness.condition import Condition, Result


class Workload(NamedTuple):
    """What the cost of a trial mostly depends on."""

    task: str
    model: str
    length: int

    @classmethod
    def of(cls, condition: Condition) -> "Workload":
        """The workload of every trial of a condition."""
        return cls(condition.task, condition.model, condition.length)


class Cost:
    """Seconds of work per trial by task, model and length, learnt from the trials that have ended."""

    def __init__(self) -> None:
        self._seconds: dict[Workload, tuple[float, int]] = {}  # the sum, and of how many
        self._per_length: dict[str, float] = {}  # by model, seconds over length; until more is learnt

    def learn(self, result: Result) -> None:
        """Take one trial into account."""
        workload = Workload.of(result.trial.condition)
        seconds, trials = self._seconds.get(workload, (0.0, 0))
        self._seconds[workload] = (seconds + result.summary["seconds"], trials + 1)
        self._per_length.clear()

    def of(self, workload: Workload) -> float:
        """Expected seconds of one trial: of its workload, else of the same model by length, else of any.

        While nothing has ended it is the length.
        """
        if workload in self._seconds:
            seconds, trials = self._seconds[workload]
            return seconds / trials
        if workload.model not in self._per_length:
            self._per_length[workload.model] = self._mean_per_length(workload.model)
        return self._per_length[workload.model] * workload.length

    def _mean_per_length(self, model: str) -> float:
        known = [w for w in self._seconds if w.model == model] or list(self._seconds)
        return sum(self.of(w) / w.length for w in known) / len(known) if known else 1.0

    @property
    def total(self) -> float:
        """Seconds of work seen so far."""
        return sum(seconds for seconds, _ in self._seconds.values())
