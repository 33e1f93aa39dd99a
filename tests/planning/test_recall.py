"""What is recorded whole is not proposed again, and a plan that recalls is the plan that proposes."""

import math

import pytest

from harness.condition import FIRST_TUNING_SEED
from harness.planning.plan import Plan
from harness.planning.recall import recalled_rates, tried_in
from harness.planning.study import Study
from tests.planning.test_plan import run_plan, space

Trained = dict


def recorded_in(trained: Trained) -> tuple[dict, dict]:
    """Objectives, and what was tried, as `resumed` reads them from a folder."""
    trials = [result.trial for _, result in trained.values()]
    columns = [(t.condition.condition_id, t.learning_rate, t.seed) for t in trials]
    objectives = {trial_id: result.summary["objective"] for trial_id, (_, result) in trained.items()}
    return objectives, tried_in(*zip(*columns, strict=True))


@pytest.fixture
def asked(monkeypatch):
    """The conditions and rounds that are proposed."""
    calls, ask = [], Study.ask

    def noted(self, number):
        calls.extend([(self.condition.condition_id, number)] if number else [])
        return ask(self, number)

    monkeypatch.setattr(Study, "ask", noted)
    return calls


def packs(trained: Trained) -> dict:
    return {trial_id: pack_id for trial_id, (pack_id, _) in trained.items()}


@pytest.fixture
def whole() -> Trained:
    return run_plan(Plan(space(), {}))


def test_a_finished_plan_proposes_nothing_again(whole, asked):
    asked.clear()
    plan = Plan(space(), *recorded_in(whole))
    assert plan.finished and plan.done == plan.total
    assert asked == []
    proposing = Plan(space(), recorded_in(whole)[0])
    assert asked, "without what was tried it would"
    for one, other in zip(plan.cohorts, proposing.cohorts, strict=True):
        assert one.chosen_rates() == other.chosen_rates()


@pytest.mark.parametrize("stop_after", range(2, 30, 3))
def test_an_interrupted_plan_that_recalls_goes_on_as_one_that_proposes(stop_after, whole):
    first = run_plan(Plan(space(), {}), workers=3, stop_after=stop_after, seed=stop_after)
    plan = Plan(space(), *recorded_in(first))
    assert plan.done == len(first)
    second = run_plan(plan, workers=2)
    assert packs(first | second) == packs(whole)


def test_report_seeds_that_join_are_trained_at_the_recalled_rates(whole, asked):
    grown = space(seeds=5)
    asked.clear()
    new = run_plan(Plan(grown, *recorded_in(whole)))
    assert asked == []
    assert packs(new) == packs(run_plan(Plan(grown, recorded_in(whole)[0])))
    assert len(new) == 2 * len(grown.conditions())


def test_siblings_that_join_ask_alone(whole, asked):
    grown = space(max_norms=(0.5, 1.0, math.inf))
    asked.clear()
    plan = Plan(grown, *recorded_in(whole))
    assert plan.done == len(whole)
    new = run_plan(plan)
    own = {result.trial.condition.condition_id for _, result in new.values()}
    assert {condition_id for condition_id, _ in asked} == own and len(own) == 4
    assert packs(new) == packs(run_plan(Plan(grown, recorded_in(whole)[0])))


def test_what_is_left_of_a_grown_space_is_what_will_be_trained(whole):
    grown = space(max_norms=(0.5, 1.0, math.inf), seeds=4)
    plan = Plan(grown, *recorded_in(whole))
    left = plan.left().total()
    assert left == len(run_plan(plan)) == plan.total - len(whole)
    assert plan.left().total() == 0


def test_half_a_study_is_not_taken_for_a_whole_one():
    this = space()
    seeds = {FIRST_TUNING_SEED, FIRST_TUNING_SEED + 1}
    grid = this.first_grid("sgd")
    tried = dict.fromkeys((*grid, 0.2, 0.3), seeds)
    assert recalled_rates(this, "sgd", tried) == [*grid, 0.2, 0.3]
    for changed in (
        dict.fromkeys((*grid, 0.2), seeds),
        dict.fromkeys((*grid, 0.2, 0.3, 0.4), seeds),
        dict.fromkeys((*grid[1:], 0.2, 0.3, 0.4), seeds),
        tried | {0.3: {FIRST_TUNING_SEED}},
        tried | {0.3: {*seeds, FIRST_TUNING_SEED + 2}},
    ):
        assert recalled_rates(this, "sgd", changed) is None


def test_a_trial_of_another_budget_is_not_recalled(whole):
    """It has the rates and seeds, and another trial_id."""
    objectives, tried = recorded_in(whole)
    plan = Plan(space(max_steps=7), objectives, tried)
    assert plan.done == 0


def test_the_export_of_a_recalled_study_has_its_trials_in_their_order(whole):
    told = Plan(space(), recorded_in(whole)[0])
    recalled = Plan(space(), *recorded_in(whole))
    for one, other in zip(told.cohorts, recalled.cohorts, strict=True):
        for a, b in zip(one.studies, other.studies, strict=True):
            assert list(a.table().items()) == list(b.table().items())
            assert [t.params for t in b.as_optuna().trials] == [t.params for t in a.as_optuna().trials]
