"""Tuning the learning rate of one condition: ask for a batch, tell it whole. The only Optuna import."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from harness.condition import Condition, stream_seed

optuna.logging.set_verbosity(optuna.logging.WARNING)

PARAMETER = "learning_rate"


class Study:
    """One Optuna study over the learning rate of one condition, log scale, minimising the objective.

    The first batch is a log grid over the whole range, ends included; later batches are proposed by
    TPE, its generator seeded by the condition and the number of the batch. So the proposals are a
    function of what was told, and a study rebuilt from recorded objectives goes on as the first one
    would have.
    """

    def __init__(self, condition: Condition, low: float, high: float, batches: list[int]) -> None:
        """`batches` are the numbers of learning rates to ask for, one batch after the other."""
        self.condition = condition
        self._batches = batches
        self._low, self._high = low, high
        self._distribution = optuna.distributions.FloatDistribution(low, high, log=True)
        self._told: dict[float, float] = {}
        self._study = optuna.create_study(direction="minimize")
        self._open: dict[float, optuna.Trial] = {}

    def ask(self, batch: int) -> list[float]:
        """The learning rates of batch number `batch`; each batch is asked for once, in order."""
        size = self._batches[batch]
        if batch == 0:
            return [float(rate) for rate in np.geomspace(self._low, self._high, size)]
        seed = stream_seed("tpe", self.condition.condition_id, batch) % 2**32
        self._study.sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=self._batches[0], constant_liar=True
        )
        for _ in range(size):
            trial = self._study.ask({PARAMETER: self._distribution})
            self._open[trial.params[PARAMETER]] = trial
        return list(self._open)

    def tell(self, objectives: Mapping[float, float]) -> None:
        """The objectives of the whole batch, in the order asked: finite, from 0 (best) to 1."""
        for rate, value in objectives.items():
            if not math.isfinite(value):
                raise ValueError(f"the objective of learning rate {rate:g} is {value}; it must be finite")
            self._told[rate] = value
            if rate in self._open:
                self._study.tell(self._open.pop(rate), value)
            else:
                self._study.add_trial(
                    optuna.trial.create_trial(
                        params={PARAMETER: rate},
                        distributions={PARAMETER: self._distribution},
                        value=value,
                    )
                )

    @property
    def best(self) -> float:
        """The learning rate with the lowest objective told; the lowest such rate if several tie."""
        return min(self._told, key=lambda rate: (self._told[rate], rate))

    def table(self) -> dict[float, float]:
        """Objective by learning rate, in the order told."""
        return dict(self._told)


def export(studies: Iterable[Study], path: Path) -> None:
    """Write the studies, each named by its condition, as a journal file that Optuna Dashboard opens.

    Rewritten whole, and never read back: the Parquet tables are the truth.
    """
    temporary = path.with_name(f".{path.name}.part")
    temporary.unlink(missing_ok=True)
    storage = JournalStorage(JournalFileBackend(str(temporary)))
    for study in studies:
        if study.table():
            name = f"{study.condition} ({study.condition.condition_id})"
            copy = optuna.create_study(storage=storage, study_name=name, direction="minimize")
            copy.add_trials(study._study.trials)
    if temporary.exists():
        temporary.replace(path)
