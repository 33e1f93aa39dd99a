"""Tuning the learning rate of one run: ask for a round, tell it whole. The only Optuna import."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from harness.condition import Condition
from harness.identity import stream_seed
from harness.planning.rates import rounded
from harness.results.folder import Folder
from harness.results.schema import JOURNAL

optuna.logging.set_verbosity(optuna.logging.WARNING)

PARAMETER = "learning_rate"

ENOUGH = 0.85
"""The share of the best rate's gain, 1 - objective, from which a slower rate is chosen: see `Study.best`."""


def proposal_seed(condition: Condition, seed: int, number: int) -> int:
    """The seed of TPE's generator for round `number` of the study of a condition and report seed.

    A field or an option at its default does not enter, so one added later changes no proposal.
    """
    return stream_seed("tpe", condition.condition_id, seed, number)


class Study:
    """The search for the learning rate of one condition and report seed, on a log scale.

    The first round is a log grid over the whole range, ends included. Later rounds are proposed by TPE, its
    generator seeded by the condition, the report seed and the number of the round: see `proposal_seed`. So
    the proposals are a function of what was told, and a study rebuilt from recorded objectives goes on as the
    first one would have. Proposals are rounded to six digits, so that they do not hang on the last bit of a
    machine's arithmetic.
    """

    def __init__(self, condition: Condition, seed: int, grid: list[float], later_rounds: list[int]) -> None:
        """`grid` is the first round, over the whole range; `later_rounds` are the sizes of the others."""
        self.condition = condition
        self.seed = seed
        self._grid = grid
        self._later_rounds = later_rounds
        self._told: dict[float, float] = {}

    def ask(self, number: int) -> list[float]:
        """The learning rates of round `number`, from 0; each round is asked for once, in order."""
        if number == 0:
            return self._grid
        size = self._later_rounds[number - 1]
        low, high = self._grid[0], self._grid[-1]
        study = optuna.create_study()
        study.add_trials(self.trials())
        study.sampler = optuna.samplers.TPESampler(
            seed=proposal_seed(self.condition, self.seed, number) % 2**32,
            n_startup_trials=len(self._grid),
            constant_liar=True,
        )
        asked = [study.ask({PARAMETER: self._distribution()}).params[PARAMETER] for _ in range(size)]
        return [min(max(rounded(rate), low), high) for rate in asked]

    def tell(self, objectives: Mapping[float, float]) -> None:
        """The objectives of the whole round, in the order asked: finite, from 0 (best) to 1."""
        for rate, value in objectives.items():
            if not math.isfinite(value):
                raise ValueError(f"the objective of learning rate {rate:g} is {value}; it must be finite")
            self._told[rate] = value

    @property
    def best(self) -> float:
        """The lowest learning rate that gained at least ENOUGH of what the best one did.

        The gain is 1 - objective. The lowest objective rewards speed, and the fastest rate is often near the
        edge of stability. `python benchmarks/tuning.py FOLDER` compares rules like this one.
        """
        gain = ENOUGH * (1 - min(self._told.values()))
        return min(rate for rate, value in self._told.items() if 1 - value >= gain)

    def table(self) -> dict[float, float]:
        """Objective by learning rate, in the order told."""
        return dict(self._told)

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """What was told, as Optuna has it; each trial names its report seed."""
        return [
            optuna.trial.create_trial(
                params={PARAMETER: rate},
                distributions={PARAMETER: self._distribution()},
                user_attrs={"seed": self.seed},
                value=value,
            )
            for rate, value in self._told.items()
        ]

    def _distribution(self) -> optuna.distributions.FloatDistribution:
        return optuna.distributions.FloatDistribution(self._grid[0], self._grid[-1], log=True)


def by_condition(studies: Iterable[Study]) -> dict[Condition, list[optuna.trial.FrozenTrial]]:
    """What was told of each condition, in the order of the studies."""
    found: dict[Condition, list[optuna.trial.FrozenTrial]] = {}
    for study in studies:
        if study.table():
            found.setdefault(study.condition, []).extend(study.trials())
    return found


def export(studies: Iterable[Study], folder: Folder | Path | str) -> None:
    """Write the studies into a results folder, as a journal file that Optuna Dashboard opens.

    The studies of one condition are one study there: each of its trials names the report seed. The file is
    rewritten whole, and never read back: the Parquet tables are the truth. Optuna writes into memory: a file
    of its own it would flush to the disk after each trial, and lock.
    """
    lines = Lines()
    storage = JournalStorage(lines)
    for condition, trials in by_condition(studies).items():
        name = f"{condition} ({condition.condition_id})"
        optuna.create_study(storage=storage, study_name=name).add_trials(trials)
    if lines.text:
        content = "".join(lines.text).encode()
        Folder.of(folder).write_whole(JOURNAL, lambda file: file.write(content))


class Lines(BaseJournalBackend):
    """A journal in memory: the lines that Optuna's own backend would write into its file."""

    def __init__(self) -> None:
        self.text: list[str] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The entries from this one on."""
        return map(json.loads, self.text[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries."""
        self.text += [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
