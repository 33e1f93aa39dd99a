"""Tuning the learning rate of one condition: ask for a round, tell it whole. The only Optuna import."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from harness.condition import Condition
from harness.identity import content_hash, stream_seed
from harness.planning.parts import REGISTRIES
from harness.planning.rates import rounded
from harness.results.folder import Folder
from harness.results.schema import JOURNAL

optuna.logging.set_verbosity(optuna.logging.WARNING)

PARAMETER = "learning_rate"

SEEDED_FIELDS = frozenset({
    "task", "model", "optimizer", "clip_rule", "length", "max_norm", "hidden_size", "batch_size",
    "learning_rate",
})  # fmt: skip
"""Fields that enter the seed of proposals also at their default. Closed: no name is added."""

SEEDED_OPTIONS: dict[str, str] = {
    "digits": "order",
    "graph_signal": "homophily nodes noise",
    "palindrome": "encoding",
    "recall": "pairs vocabulary",
    "sbm": "homophily nodes noise",
    "text": "corpus",
    "gat": "init norm residual",
    "gcn": "init norm residual",
    "gcn_lstm": "forget_bias init use_graph use_memory",
    "gcn_rnn": "init use_graph use_memory",
    "gru": "bidirectional init layer_norm layers",
    "irnn": "bidirectional layer_norm layers",
    "lru": "max_phase r_max r_min",
    "lstm": "bidirectional forget_bias init layer_norm layers",
    "mgu": "bidirectional init layer_norm layers",
    "min_gru": "init layers",
    "min_lstm": "init layers",
    "rnn": "bidirectional init layer_norm layers",
    "transformer": "heads init layers",
    "adam": "beta1 beta2 eps",
    "momentum": "momentum",
    "rmsprop": "alpha eps",
    "autoclip": "percentile",
    "value": "max_value",
    "zclip": "z_threshold zclip_alpha zclip_warmup",
}
"""By built-in class, options that enter the seed of proposals also at their default. Closed likewise."""


def proposal_seed(condition: Condition, number: int) -> int:
    """The seed of TPE's generator for round `number` of a condition's study.

    It is made from the condition's fields and options, not from its `condition_id`. What has its default does
    not enter. So a field or an option added later changes no proposal of a study that leaves it alone.
    SEEDED_FIELDS and SEEDED_OPTIONS enter all the same: they entered when the first studies were made, and
    what was proposed then is proposed today. All options of a class named by its import path enter, too: if
    they change, the hash of its source changes, and the results need another folder.
    """
    seeded = SEEDED_FIELDS.union(*(seeded_options(part, name) for part, name in condition.parts.items()))
    left_out = condition.defaults_taken() - seeded
    entering = {name: value for name, value in condition.fields().items() if name not in left_out}
    return stream_seed("tpe", content_hash(entering), number)


def seeded_options(part: str, name: str) -> Iterable[str]:
    """The options of a class that enter the seed of proposals also at their default."""
    return REGISTRIES[part].options(name) if ":" in name else SEEDED_OPTIONS.get(name, "").split()


class Study:
    """The search for the learning rate of one condition, on a log scale, minimising the objective.

    The first round is a log grid over the whole range, ends included. Later rounds are proposed by TPE, its
    generator seeded by the condition and the number of the round: see `proposal_seed`. So the proposals are a
    function of what was told, and a study rebuilt from recorded objectives goes on as the first one
    would have. Proposals are rounded to six digits, so that they do not hang on the last bit of a
    machine's arithmetic.
    """

    def __init__(self, condition: Condition, grid: list[float], later_rounds: list[int]) -> None:
        """`grid` is the first round, over the whole range; `later_rounds` are the sizes of the others."""
        self.condition = condition
        self._grid = grid
        self._later_rounds = later_rounds
        self._distribution = optuna.distributions.FloatDistribution(grid[0], grid[-1], log=True)
        self._told: dict[float, float] = {}
        self._recalled = False

    def ask(self, number: int) -> list[float]:
        """The learning rates of round `number`, from 0; each round is asked for once, in order."""
        if number == 0:
            return self._grid
        size = self._later_rounds[number - 1]
        low, high = self._distribution.low, self._distribution.high
        study = self.as_optuna()
        study.sampler = optuna.samplers.TPESampler(
            seed=proposal_seed(self.condition, number) % 2**32,
            n_startup_trials=len(self._grid),
            constant_liar=True,
        )
        asked = [study.ask({PARAMETER: self._distribution}).params[PARAMETER] for _ in range(size)]
        return [min(max(rounded(rate), low), high) for rate in asked]

    def tell(self, objectives: Mapping[float, float]) -> None:
        """The objectives of the whole round, in the order asked: finite, from 0 (best) to 1."""
        for rate, value in objectives.items():
            if not math.isfinite(value):
                raise ValueError(f"the objective of learning rate {rate:g} is {value}; it must be finite")
            self._told[rate] = value

    def recall(self, objectives: Mapping[float, float]) -> None:
        """The objectives of all rounds, in any order; nothing will be asked."""
        self.tell(objectives)
        self._recalled = True

    @property
    def best(self) -> float:
        """The learning rate with the lowest objective told; the lowest such rate if several tie."""
        return min(self._told, key=lambda rate: (self._told[rate], rate))

    @property
    def begun(self) -> bool:
        """Whether anything was told."""
        return bool(self._told)

    def table(self) -> dict[float, float]:
        """Objective by learning rate, in the order told, or in which a recalled study would be told again."""
        if not self._recalled:
            return dict(self._told)
        again = Study(self.condition, self._grid, self._later_rounds)
        for number in range(1 + len(self._later_rounds)):
            again.tell({rate: self._told[rate] for rate in again.ask(number) if rate in self._told})
        return again.table() | self._told

    def as_optuna(self, storage: JournalStorage | None = None) -> optuna.Study:
        """An Optuna study of what was told, named by the condition."""
        name = f"{self.condition} ({self.condition.condition_id})"
        study = optuna.create_study(storage=storage, study_name=name, direction="minimize")
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={PARAMETER: rate}, distributions={PARAMETER: self._distribution}, value=value
                )
                for rate, value in self.table().items()
            ]
        )
        return study


def export(studies: Iterable[Study], folder: Folder | Path | str) -> None:
    """Write the studies into a results folder, as a journal file that Optuna Dashboard opens.

    Rewritten whole, and never read back: the Parquet tables are the truth. Optuna writes into memory: a file
    of its own it would flush to the disk after each trial, and lock.
    """
    lines = Lines()
    storage = JournalStorage(lines)
    for study in studies:
        if study.begun:
            study.as_optuna(storage)
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
