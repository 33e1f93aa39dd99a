"""Several tasks in one folder: a task is a key, and a length means nothing across tasks."""

import dataclasses
import math

import numpy as np
import pytest

from analysis import compare
from analysis.conditions import condition_keys, conditions_table, recorded_conditions
from analysis.contrasts import contrasts, factors_of
from analysis.load import Results, load
from analysis.report import write_report
from analysis.sections import critical_length, examples, gradient_flow, steps_to_solve, verdict
from analysis.standings import standings
from analysis.table import panel_keys, panel_title
from harness.condition import Outcome
from harness.planning.space import Space
from tests.folders import a_result, make_folder
from tests.trials import make_trial_of, mostly_contract

S, U = Outcome.STABLE, Outcome.UNSOLVED

LENGTHS = {"palindrome": (5, 9), "adding": (9, 30)}

SEEDS = 6


def two_tasks(folder, ends, add=lambda result: result) -> Results:
    """Palindrome at T = 5 and 9, adding at T = 9 and 30: two models and two ways of clipping, six seeds."""
    space = Space(
        name="x",
        summary="",
        optimizers=("sgd",),
        lengths=(5, 9, 30),
        max_norms=(1.0, math.inf),
        learning_rate=(0.1,),
        seeds=SEEDS,
    )
    conditions = [
        dataclasses.replace(condition, task=task, options=condition.options if task == "palindrome" else ())
        for task, lengths in LENGTHS.items()
        for condition in space.conditions()
        if condition.length in lengths
    ]
    results = []
    for condition in conditions:
        for seed in range(SEEDS):
            trial = dataclasses.replace(make_trial_of(condition), seed=seed, max_steps=1_000)
            outcome = ends(condition, seed)
            result = a_result(trial, outcome, solved_step=100 if outcome == S else None, watched_steps=9)
            results.append(add(result))
    return load(make_folder(folder, space, results, together=True))


def lstm_is_better_at_9(condition, _):
    """At T = 9 only the LSTM solves either task; all solve palindrome at 5, none adding at 30."""
    return S if condition.length == 5 or (condition.length, condition.model) == (9, "lstm") else U


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    return two_tasks(tmp_path_factory.mktemp("tasks") / "x", lstm_is_better_at_9)


def test_the_task_is_the_first_key_and_tells_panels_apart(results):
    table = conditions_table(results)
    assert condition_keys(results)[0] == "task"
    assert len(table.frame) == 2 * 2 * 2 * 2
    assert panel_keys(table) == ["model", "optimizer", "task"]
    assert panel_title(panel_keys(table), ("lstm", "sgd", "adding")) == "lstm, sgd, task adding"


def test_tasks_are_no_factor_and_their_runs_are_never_matched(results):
    """The LSTM wins at T = 9: of 48 pairs 24, in 6 seeds of each task, which are 12 clusters."""
    assert set(factors_of(results)) == {"model", "clipping"}
    model = contrasts(results).set_index("factor").loc["model"]
    assert (model["conditions"], model["pairs"]) == (8, 48)
    assert model["solved_difference"] == 0.5
    assert model["solved_p"] == pytest.approx(2 / 2**12)


def test_a_critical_length_is_of_one_task(results):
    frame = critical_length.table(results).frame.set_index(["task", "model", "arm"])
    assert len(frame) == 2 * 2 * 2
    for model in ("rnn", "lstm"):
        assert frame.loc[("palindrome", model, "no clipping"), ["shortest", "longest"]].tolist() == [5, 9]
        assert frame.loc[("adding", model, "no clipping"), ["shortest", "longest"]].tolist() == [9, 30]
    said = [sentence.words for sentence in verdict.table(results).sentences]
    assert said[:2] == [
        "On the task adding, without clipping, within 1,000 steps, the LSTM trains up to T = 9 in all of its "
        "runs and from T = 30 on in none; the RNN solved its task in none of its 12 runs.",
        "On the task palindrome, without clipping, within 1,000 steps, the LSTM trains up to T = 9, the "
        "longest tried, in all of its runs; the RNN trains up to T = 5 in all of its runs and from T = 9 on "
        "in none.",
    ]


def test_standings_are_over_the_conditions_of_all_tasks(results):
    found = standings(results).set_index("model")
    assert found["conditions"].tolist() == [8, 8]
    assert found["p_solved"].to_dict() == {"lstm": 0.75, "rnn": 0.25}


def test_a_model_that_fits_one_task_only_is_compared_there(results):
    trials = results.trials
    kept = trials[(trials["task"] == "palindrome") | (trials["model"] == "lstm")]
    found = standings(dataclasses.replace(results, trials=kept)).set_index("model")
    assert found["conditions"].tolist() == [4, 4]
    assert found["p_solved"].to_dict() == {"lstm": 1.0, "rnn": 0.5}


def test_steps_to_solve_are_held_against_no_clipping_of_the_same_task(results):
    recorded = recorded_conditions(results)
    task = recorded.frame.set_index("condition_id")["task"]
    pairs = steps_to_solve.unclipped(recorded)
    assert len(pairs) == 8
    assert all(task[own] == task[other] for own, other in pairs.items())


def test_an_example_names_its_task(results):
    for row in examples.table(results).frame.to_dict("records"):
        assert row["name"].startswith(f"{row['task']}, {row['model']}, sgd, T = {row['length']}\n")


def test_the_gradient_flow_is_drawn_at_the_longest_length_of_each_task(tmp_path):
    """Norms of T - 1 time steps that halve per step back, whatever the task's longest length."""

    def with_profile(result):
        t = list(range(1, result.trial.condition.length))
        norms = [0.5 ** (t[-1] - at) for at in t]
        profile = {"moment": ["init"] * len(t), "step": [0] * len(t), "t": t}
        profile |= {"quantity": ["grad_state"] * len(t), "mean_norm": norms, "median_norm": norms}
        return dataclasses.replace(result, profiles=profile)

    profiles = gradient_flow.table(two_tasks(tmp_path / "x", lstm_is_better_at_9, with_profile)).profiles
    assert profiles.groupby("task")["length"].unique().map(list).to_dict() == {
        "adding": [30],
        "palindrome": [9],
    }
    assert profiles.groupby("task")["back"].min().tolist() == [0, 0]
    assert np.allclose(profiles["gradient"], 0.5 ** profiles["back"])


def test_comparisons_count_the_seeds_of_each_task(tmp_path, results):
    """All runs of T = 9 turn unsolved, of 6 seeds of two tasks: 12 clusters."""
    worse = two_tasks(tmp_path / "b", lambda condition, _: S if condition.length == 5 else U)
    found = compare.table(results, worse)
    assert found.keys[0] == "task"
    assert found.overall["solved_p"] == pytest.approx(2 / 2**12)


@pytest.mark.parametrize("style", mostly_contract(["html", "md", "json"], "json"))
def test_a_page_of_two_tasks_can_be_written(tmp_path, results, style):
    page = write_report(results, tmp_path / f"page.{style}", style).read_text()
    assert "Task adding." in page and "Task palindrome." in page
