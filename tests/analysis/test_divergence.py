"""No number of the report improves when a run is turned into one that diverged, as the harness records it."""

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.load import Results, load
from analysis.sections import SECTIONS
from analysis.standings import standings
from harness.condition import FIRST_TUNING_SEED, Outcome, Trial
from harness.planning.space import Space
from harness.probes import Levels
from harness.results.schema import TRIAL_COLUMNS
from harness.training.log import Log
from tests.analysis.directions import BETTER, LESS, MORE
from tests.folders import make_folder
from tests.trials import make_trial_of

SPACE = Space(
    name="x",
    summary="",
    optimizers=("sgd",),
    lengths=(5, 9),
    max_norms=(1.0, math.inf),
    learning_rate={"low": 0.1, "high": 10.0},
    lr_trials=3,
    seeds=3,
    batch_size=128,
    max_steps=200,
    observe=100,
    eval_every=50,
)

ENDS = ("stable", "recovered", "unsolved", "stable", "lost", "recovered", "stable")
"""How runs end, in turn: seven, which no axis of the space has."""


def scores_of(kind: str, number: int) -> np.ndarray:
    """A score of .1 until it is 1 for good, but for drops."""
    score = np.ones(300)
    score[: 200 if kind == "unsolved" else 20 + 40 * (number % 3)] = 0.1
    for drop in range(1 + number % 3 if kind == "recovered" else 0):
        score[155 + 25 * drop :][:8] = 0.2
    if kind == "lost":
        score[180:] = 0.3 - 0.01 * (number % 5)
    return score


def recorded(trial: Trial, number: int, diverges: int | None = None) -> Any:
    """What the harness records of a run, or of the same run that diverges at a step."""
    score = scores_of(ENDS[number % len(ENDS)], number)
    log = Log(trial, Levels(solved_at=0.99, drop_at=0.90, recovered_at=0.98, baseline_loss=2.0))
    weights = torch.zeros(1)
    log.add_eval(0, 2.2, 0.1, weights, 0.0)
    loss = 2.0 * (1 - score)
    if diverges is not None:
        loss[diverges - 1] = math.nan
    for step in range(0, 300, 50):
        if log.diverged or step >= log.stop_step:
            break
        block = slice(step, min(step + 50, log.stop_step))
        scalars = np.stack([loss[block], score[block], np.ones_like(loss[block]), np.ones_like(loss[block])])
        log.add_block(step, scalars, [(step + 1, 0.1, 1.0)], 0.001)
        if not log.diverged:
            log.add_eval(block.stop, loss[block.stop - 1], score[block.stop - 1], weights, 0.0)
    if not log.diverged:
        log.control_score = float(score[log.stop_step - 1])
    return log.result()


def trials_of(space: Space) -> list[Trial]:
    """The 72 trials of tunings, then 24 report trials at rates that differ between seeds."""
    grid, seeds = space.first_grid("sgd"), range(space.seeds)
    tuning = [(rate, FIRST_TUNING_SEED + seed) for seed in seeds for rate in grid]
    report = [(grid[seed % 3], seed) for seed in seeds]
    budget = dict(max_steps=200, observe=100, eval_every=50)
    return [
        dataclasses.replace(make_trial_of(condition), learning_rate=rate, seed=seed, **budget)
        for phase in (tuning, report)
        for condition in space.conditions()
        for rate, seed in phase
    ]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> tuple[Results, list[Trial]]:
    trials = trials_of(SPACE)
    runs = [recorded(trial, number) for number, trial in enumerate(trials)]
    assert {run.outcome for run in runs} == {Outcome(kind) for kind in ENDS}
    folder = make_folder(tmp_path_factory.mktemp("base") / "x", SPACE, runs, together=True)
    return load(folder), trials


def turned(results: Results, trial: Trial, number: int, step: int) -> Results:
    """The same results, but for one run that diverges at this step."""
    run = recorded(trial, number, step)
    assert run.outcome == Outcome.DIVERGED
    row = {**run.summary, "outcome": str(run.outcome)}
    trials = results.trials.copy()
    (index,) = trials.index[trials["trial_id"] == trial.trial_id]
    for name in row.keys() & set(trials.columns):
        value = row[name]
        trials.loc[index, name] = pd.NA if value is None and name in TRIAL_COLUMNS else value
    changed = WithEvents(**{f.name: getattr(results, f.name) for f in dataclasses.fields(results)})
    object.__setattr__(changed, "trials", trials)
    events = results.read("events", trials=results.trials["trial_id"])
    own = pd.DataFrame(run.events).assign(trial_id=trial.trial_id)
    kept = events[events["trial_id"] != trial.trial_id]
    object.__setattr__(changed, "events", pd.concat([kept, own[kept.columns]], ignore_index=True))
    return changed


class WithEvents(Results):
    """Results whose events are those given."""

    def read(self, table, columns=None, trials=None):
        if table != "events":
            return super().read(table, columns, trials)
        return self.events[self.events["trial_id"].isin(list(trials))]


NAMES = (
    "factor",
    "level",
    "other",
    "model",
    "task",
    "length",
    "arm",
    "rate",
    "moment",
    "ended",
    "outcome",
    "measure",
    "along",
    "at",
    "what",
)
"""Columns that say what a row is about, besides its keys."""


def numbers(results: Results) -> dict[str, pd.DataFrame]:
    """Every number of every section, and of the standings, by what its row is about."""
    tables = {section.title: section.table(results) for section in SECTIONS}
    frames = {title: (table.frame, table.keys) for title, table in tables.items()}
    frames["Standings"] = (standings(results), [])
    found = {}
    for title, (frame, keys) in frames.items():
        names = [*NAMES, "rates"] if title == "Tuning budget" else NAMES
        own = list(dict.fromkeys([*(name for name in names if name in frame), *keys]))
        rows = frame.set_index([frame[name].astype(str) for name in own]) if own else frame
        assert rows.index.is_unique, title
        found[title] = (
            rows.select_dtypes(["number", "bool"]).drop(columns=own, errors="ignore").astype("float64")
        )
    return found


def test_of_every_number_it_is_said_which_way_is_better(before):
    assert set(before) == set(BETTER)
    for title, frame in before.items():
        missing = set(frame.columns) - set(BETTER[title])
        assert not missing, f"{title}: say in tests/analysis/directions.py which way of these is better"


def improved(before: pd.DataFrame, after: pd.DataFrame, title: str, signs: dict[Any, int]) -> list[str]:
    """The numbers that got better; `signs` has rows for which the opposite counts, or neither (0)."""
    found = []
    for row in before.index.intersection(after.index):
        sign = signs.get(row, 1)
        for name, way in BETTER[title].items():
            if way in (MORE, LESS) and name in before and sign:
                one, two = before.loc[row, name], after.loc[row, name]
                gain = (two - one if one != two else 0.0) * (1 if way == MORE else -1) * sign
                if gain > 1e-12:
                    found.append(f"{title}, {row}: {name} from {one} to {two}")
    return found


def sides(index: pd.Index, run: pd.Series, arm: str) -> dict[Any, int]:
    """Of each contrast: 1 if the run is of its level, -1 if of the other, 0 if of neither."""
    levels = {"clipping": arm, "model": run["model"], "optimizer": run["optimizer"]}
    return {
        (factor, level, other): (level == levels[factor]) - (other == levels[factor])
        for factor, level, other in index
    }


def assert_nothing_improves(results, trial, number, step, before):
    after = numbers(turned(results, trial, number, step))
    run = results.trials.set_index("trial_id").loc[trial.trial_id]
    arm = "no clipping" if math.isinf(run["max_norm"]) else "max_norm 1"
    said = []
    for title, frame in before.items():
        signs = {}
        if title in ("Effects", "At equal learning rates"):
            signs = sides(frame.index, run, arm)
        if title == "Standings":
            signs = {model: int(model == run["model"]) for model in frame.index}
        said += improved(frame, after[title], title, signs)
    assert said == []


@pytest.fixture(scope="module")
def before(base):
    return numbers(base[0])


MORE_RUNS = [pytest.param(78, 120, marks=pytest.mark.slow), pytest.param(72, 10, marks=pytest.mark.slow)]


@pytest.mark.parametrize(("number", "step"), [(73, 3), (74, 130), (7, 100), *MORE_RUNS])
def test_no_number_improves_where_a_run_diverges(base, before, number, step):
    """Runs that were stable, recovered, lost and unsolved, in both phases, early and late."""
    results, trials = base
    assert_nothing_improves(results, trials[number], number, step, before)


@pytest.mark.slow
def test_no_number_improves_whichever_run_diverges_and_when(base, before):
    results, trials = base
    generator = np.random.default_rng(0)
    for number in generator.choice(len(trials), 12, replace=False):
        stop = recorded(trials[number], int(number)).summary["steps"]
        step = int(generator.integers(2, stop))
        assert_nothing_improves(results, trials[number], int(number), step, before)
