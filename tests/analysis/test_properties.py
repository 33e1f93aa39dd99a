"""What must hold for any results: a divergence never helps, a fault is never a measurement."""

import dataclasses
import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.alarms import alarms
from analysis.conditions import conditions_table
from analysis.contrasts import contrasts
from analysis.load import Results, load
from analysis.sections import coverage, steps_to_solve, verdict
from analysis.standings import standings
from harness.condition import Outcome
from harness.planning.space import Space
from tests.folders import a_result, make_folder
from tests.trials import make_trial_of

SEEDS = 4

MEASURED = [Outcome.STABLE, Outcome.RECOVERED, Outcome.LOST, Outcome.UNSOLVED, Outcome.DIVERGED]


@pytest.fixture(scope="module")
def blank(tmp_path_factory) -> Results:
    """Two models at two lengths with two ways of clipping and four seeds each: 32 trials, all stable."""
    space = Space(
        name="x",
        summary="",
        optimizers=("sgd",),
        lengths=(5, 9),
        max_norms=(1.0, math.inf),
        learning_rate=(0.1,),
        seeds=SEEDS,
    )
    trials = [
        dataclasses.replace(make_trial_of(condition), seed=seed, max_steps=1_000)
        for condition in space.conditions()
        for seed in range(SEEDS)
    ]
    results = [a_result(trial, solved_step=100, watched_steps=50) for trial in trials]
    return load(make_folder(tmp_path_factory.mktemp("any") / "x", space, results, together=True))


runs = st.lists(
    st.tuples(st.sampled_from(MEASURED), st.integers(1, 10)), min_size=8 * SEEDS, max_size=8 * SEEDS
)


def with_runs(blank: Results, ends: list[tuple[Outcome, int]]) -> Results:
    """The results in which the trials ended like this, solved at these hundreds of steps if at all."""
    trials = blank.trials.copy()
    trials["outcome"] = [str(outcome) for outcome, _ in ends]
    steps = pd.Series([100 * step for _, step in ends], dtype="Int64", index=trials.index)
    trials["solved_step"] = steps.mask(trials["outcome"] == Outcome.UNSOLVED)
    return dataclasses.replace(blank, trials=trials)


def with_outcome(results: Results, index: int, outcome: Outcome) -> Results:
    trials = results.trials.copy()
    trials.loc[index, "outcome"] = str(outcome)
    return dataclasses.replace(results, trials=trials)


MIXED = [(MEASURED[run % 5], 1 + run % 10) for run in range(8 * SEEDS)]
"""Every outcome in turn, solved at any step."""


def test_a_run_that_diverges_does_not_make_its_model_look_better(blank):
    assert_a_divergence_never_helps(blank, MIXED, 0)


@pytest.mark.contract
@settings(max_examples=60, deadline=None)
@given(ends=runs, index=st.integers(0, 8 * SEEDS - 1))
def test_no_run_that_diverges_ever_makes_its_model_look_better(blank, ends, index):
    assert_a_divergence_never_helps(blank, ends, index)


def assert_a_divergence_never_helps(blank, ends, index):
    before = with_runs(blank, ends)
    after = with_outcome(before, index, Outcome.DIVERGED)
    model = before.trials.loc[index, "model"]
    own = before.trials.loc[index, "condition_id"]
    one, two = (conditions_table(r).frame.set_index("condition_id") for r in (before, after))
    for name in ("p_stable", "p_solved", "p_stable_low", "p_solved_low", "p_stable_high", "p_solved_high"):
        assert (two[name] <= one[name]).all()
    assert (two["median_steps_to_solve"] >= one["median_steps_to_solve"]).all()
    assert (two["n"] == one["n"]).all(), "it stays in the denominator"
    assert two.loc[own, "diverged"] == one.loc[own, "diverged"] + (ends[index][0] != Outcome.DIVERGED)
    slow = [steps_to_solve.table(r).frame["restricted_mean"] for r in (before, after)]
    assert (slow[1] >= slow[0]).all()
    ranks = [standings(r).set_index("model").loc[model] for r in (before, after)]
    assert ranks[1]["rank"] >= ranks[0]["rank"]
    assert ranks[1]["p_stable"] <= ranks[0]["p_stable"]
    assert ranks[1]["p_solved"] <= ranks[0]["p_solved"]
    assert ranks[1]["steps_to_solve"] >= ranks[0]["steps_to_solve"]
    sides = [contrasts(r).set_index("factor").loc["model"] for r in (before, after)]
    sign = 1 if sides[0]["level"] == model else -1
    for measure in ("solved", "stable"):
        assert sign * (sides[1][f"{measure}_difference"] - sides[0][f"{measure}_difference"]) <= 1e-12


def test_a_failed_run_leaves_n_is_named_and_leaves_its_condition_incomplete(blank):
    assert_a_failed_run_is_missing(blank, MIXED, 0)


@pytest.mark.contract
@settings(max_examples=30, deadline=None)
@given(ends=runs, index=st.integers(0, 8 * SEEDS - 1))
def test_any_failed_run_leaves_n_is_named_and_leaves_its_condition_incomplete(blank, ends, index):
    assert_a_failed_run_is_missing(blank, ends, index)


def assert_a_failed_run_is_missing(blank, ends, index):
    before = with_runs(blank, ends)
    lost = before.trials.loc[index]
    failure = {name: lost[name] for name in ("trial_id", "condition_id")}
    failure |= {"condition": "the condition", "error": "MemoryError", "attempts": 1}
    after = dataclasses.replace(
        before, trials=before.trials.drop(index=index), failures=pd.DataFrame([failure])
    )
    one, two = (conditions_table(r).frame.set_index("condition_id") for r in (before, after))
    own = lost["condition_id"]
    assert (two.loc[own, "n"], two.loc[own, "missing"]) == (SEEDS - 1, 1)
    others = two.index != own
    pd.testing.assert_frame_equal(one[others], two[others])
    assert two.loc[own, "diverged"] == one.loc[own, "diverged"] - (lost["outcome"] == Outcome.DIVERGED)
    found = coverage.table(after)
    assert found.frame["failed"].sum() == 1
    assert any("the condition: 1 trials (MemoryError)" in said for said in coverage.warnings(found))
    assert any("1 trials failed" in said for said in alarms(after))
    assert verdict.table(after).sentences
