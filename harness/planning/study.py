"""Tuning the learning rate of one run: ask for a round, tell it whole. The only Optuna import."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from harness.condition import Condition
from harness.identity import stream_seed
from harness.planning.rates import decade_beyond, decades, per_decade, rounded
from harness.results.folder import Folder
from harness.results.schema import JOURNAL
from harness.target import ENOUGH

optuna.logging.set_verbosity(optuna.logging.WARNING)

PARAMETER = "learning_rate"


def proposal_seed(condition: Condition, seed: int, number: int) -> int:
    """The seed of TPE's generator for round `number` of the study of a condition and report seed.

    A field or an option at its default does not enter, so one added later changes no proposal.
    """
    return stream_seed("tpe", condition.condition_id, seed, number)


class Study:
    """The search for the learning rate of one condition and report seed, on a log scale.

    The first round is a log grid over the whole range, ends included. Where the best rate lies at an end, the
    range grows there by a decade, and does so again, up to `extend` decades on each side. Then come rounds
    that TPE proposes, its generator seeded by the condition, the report seed and the number of the round: see
    `proposal_seed`. So all rates are a function of what was told, and a study rebuilt from recorded
    objectives goes on as the first one would have. Rates are rounded to six digits, so that they do not hang
    on the last bit of a machine's arithmetic.
    """

    def __init__(
        self,
        condition: Condition,
        seed: int,
        grid: Sequence[float],
        proposed: Sequence[int] = (),
        extend: int = 0,
        enough: float = ENOUGH["fast"],
    ) -> None:
        """`grid` is the first round, over the whole range; `proposed` are the sizes of the rounds of TPE.

        `extend` is by how many decades the range may grow on each side. `enough` is the share of the best
        rate's gain from which a slower rate is taken.
        """
        self.condition = condition
        self.seed = seed
        self._grid = list(grid)
        self._proposed = list(proposed)
        self._extend = extend
        self._enough = enough
        self._asked = 0  # rounds of TPE that were asked for
        self._told: dict[float, float] = {}

    @property
    def to_come(self) -> list[int]:
        """Learning rates of each round after the one that was asked for last, if the range grows no more."""
        return self._proposed[self._asked :]

    @property
    def may_grow(self) -> bool:
        """Whether rates may be added to those of the round that is out and of `to_come`."""
        if not self._told:
            return self._extend > 0
        return not self._asked and bool(self.growth())

    def ask(self) -> list[float]:
        """The learning rates of the next round; none when there is no more. Each is told before the next."""
        if not self._told:
            return self._grid
        if not self._asked and (rates := self.growth()):
            return rates
        return self._propose() if self.to_come else []

    def growth(self) -> list[float]:
        """The rates of a decade below the range, above it, or both: where the best of what was told lies.

        Below, if the chosen rate is the lowest tried: a slower one may do as well. Above, if the rate with
        the lowest objective is the highest tried. Where none gained anything the lowest is chosen, so the
        range grows downwards: what gains nothing has mostly diverged, which a lower rate mends.
        """
        tried = sorted(self._told)
        low, high, number = tried[0], tried[-1], per_decade(self._grid)
        below = self.best == low and round(decades(low, self._grid[0])) < self._extend
        above = self.fastest == high and round(decades(self._grid[-1], high)) < self._extend
        return [
            *(decade_beyond(low, number, up=False) if below else ()),
            *(decade_beyond(high, number, up=True) if above else ()),
        ]

    def _propose(self) -> list[float]:
        """The next round of TPE, within the range tried so far."""
        size = self._proposed[self._asked]
        self._asked += 1
        low, high = min(self._told), max(self._told)
        study = optuna.create_study()
        study.add_trials(self.trials())
        study.sampler = optuna.samplers.TPESampler(
            seed=proposal_seed(self.condition, self.seed, self._asked) % 2**32,
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
        """The lowest learning rate that gained at least `enough` of what the best one did.

        The gain is 1 - objective. The lowest objective rewards speed, and the fastest rate is often near the
        edge of stability. `python benchmarks/tuning.py FOLDER` compares rules like this one.
        """
        gain = self._enough * (1 - min(self._told.values()))
        return min(rate for rate, value in self._told.items() if 1 - value >= gain)

    @property
    def fastest(self) -> float:
        """The learning rate with the lowest objective; of several the lowest."""
        return min(sorted(self._told), key=lambda rate: self._told[rate])

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
        return optuna.distributions.FloatDistribution(min(self._told), max(self._told), log=True)


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
