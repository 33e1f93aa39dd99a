"""Tuning the learning rate of one condition: ask for a batch, tell it whole. The only Optuna import."""

import math
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from harness.condition import Condition
from harness.identity import stream_seed
from harness.planning.rates import rounded
from harness.results.folder import Folder

optuna.logging.set_verbosity(optuna.logging.WARNING)

PARAMETER = "learning_rate"

JOURNAL = "optuna.journal"
"""The export's name in a results folder."""


class Study:
    """The search for the learning rate of one condition, on a log scale, minimising the objective.

    The first batch is a log grid over the whole range, ends included; later batches are proposed by
    TPE, its generator seeded by the condition and the number of the batch. So the proposals are a
    function of what was told, and a study rebuilt from recorded objectives goes on as the first one
    would have. Proposals are rounded to six digits, so that they do not hang on the last bit of a
    machine's arithmetic.
    """

    def __init__(self, condition: Condition, grid: list[float], later_batches: list[int]) -> None:
        """`grid` is the first batch, over the whole range; `later_batches` are the sizes of the others."""
        self.condition = condition
        self._grid = grid
        self._later_batches = later_batches
        self._distribution = optuna.distributions.FloatDistribution(grid[0], grid[-1], log=True)
        self._told: dict[float, float] = {}

    def ask(self, batch: int) -> list[float]:
        """The learning rates of batch number `batch`; each batch is asked for once, in order."""
        if batch == 0:
            return self._grid
        size = self._later_batches[batch - 1]
        low, high = self._distribution.low, self._distribution.high
        study = self.as_optuna()
        study.sampler = optuna.samplers.TPESampler(
            seed=stream_seed("tpe", self.condition.condition_id, batch) % 2**32,
            n_startup_trials=len(self._grid),
            constant_liar=True,
        )
        asked = [study.ask({PARAMETER: self._distribution}).params[PARAMETER] for _ in range(size)]
        return [min(max(rounded(rate), low), high) for rate in asked]

    def tell(self, objectives: Mapping[float, float]) -> None:
        """The objectives of the whole batch, in the order asked: finite, from 0 (best) to 1."""
        for rate, value in objectives.items():
            if not math.isfinite(value):
                raise ValueError(f"the objective of learning rate {rate:g} is {value}; it must be finite")
            self._told[rate] = value

    @property
    def best(self) -> float:
        """The learning rate with the lowest objective told; the lowest such rate if several tie."""
        return min(self._told, key=lambda rate: (self._told[rate], rate))

    def table(self) -> dict[float, float]:
        """Objective by learning rate, in the order told."""
        return dict(self._told)

    def as_optuna(self, storage: JournalStorage | None = None) -> optuna.Study:
        """An Optuna study of what was told, named by the condition."""
        name = f"{self.condition} ({self.condition.condition_id})"
        study = optuna.create_study(storage=storage, study_name=name, direction="minimize")
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={PARAMETER: rate}, distributions={PARAMETER: self._distribution}, value=value
                )
                for rate, value in self._told.items()
            ]
        )
        return study


def export(studies: Iterable[Study], folder: Folder | Path | str) -> None:
    """Write the studies into a results folder, as a journal file that Optuna Dashboard opens.

    Rewritten whole, and never read back: the Parquet tables are the truth. Optuna writes elsewhere,
    because a lock that it left here when killed would stop the next run.
    """
    with tempfile.TemporaryDirectory(prefix="stability-optuna-") as scratch:
        written = Path(scratch) / "journal"
        storage = JournalStorage(JournalFileBackend(str(written)))
        for study in studies:
            if study.table():
                study.as_optuna(storage)
        if written.exists():
            content = written.read_bytes()
            Folder.of(folder).write_whole(JOURNAL, lambda file: file.write(content))
