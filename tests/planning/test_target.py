"""What a tuning ranks learning rates by, and that tables alone rebuild it."""

import pytest

from harness.condition import Outcome, Pack
from harness.errors import UserError
from harness.planning.fields import parse_settings
from harness.planning.growth import check_growth
from harness.planning.plan import Plan, plan_of
from harness.planning.space import Space
from harness.planning.study import Study
from harness.results.reader import ENDS, ends
from harness.target import ENOUGH, TARGETS, target
from tests.folders import a_result, make_folder
from tests.trials import make_condition

S, R, L, U, D = Outcome.STABLE, Outcome.RECOVERED, Outcome.LOST, Outcome.UNSOLVED, Outcome.DIVERGED


def of(tune_for: str, outcome: Outcome, objective: float = 0.5, final_loss: float = 0.5) -> float:
    summary = {"objective": objective, "initial_loss": 2.0, "final_loss": final_loss}
    return target(tune_for, outcome, summary)


def test_each_target_ranks_by_what_it_names():
    assert of("fast", L, objective=0.2) == 0.2
    assert of("loss", L, final_loss=0.5) == 0.25
    assert of("loss", U, final_loss=5.0) == 1.0
    assert [of("stable", outcome, objective=0.6) for outcome in (S, R, L, U)] == pytest.approx(
        [0.2, 1.6 / 3, 2.6 / 3, 2.6 / 3]
    )


@pytest.mark.parametrize("tune_for", TARGETS)
@pytest.mark.parametrize("final_loss", [0.0, 1e30, float("nan"), float("inf")])
def test_every_target_lies_between_0_and_1_and_is_1_where_a_trial_diverged(tune_for, final_loss):
    for outcome in (S, R, L, U):
        for objective in (0.0, 1.0):
            assert 0 <= of(tune_for, outcome, objective, final_loss) <= 1
    assert of(tune_for, D, 0.0, final_loss) == 1


@pytest.mark.parametrize(("tune_for", "chosen"), [("fast", 0.1), ("stable", 0.001), ("loss", 1.0)])
def test_the_target_decides_which_rate_is_chosen(tune_for, chosen):
    """The fast rate drops, the slow one is stable, and the fastest has the lowest loss at the end."""
    ended = {0.001: (S, 0.7, 1.0), 0.1: (R, 0.1, 1.0), 1.0: (L, 0.3, 0.01)}
    assert best(tune_for, ended) == chosen


def best(tune_for, ended):
    study = Study(make_condition(), 0, list(ended), enough=ENOUGH[tune_for])
    study.tell({rate: of(tune_for, *how) for rate, how in ended.items()})
    return study.best


@pytest.mark.parametrize("tune_for", TARGETS)
def test_a_rate_that_hardly_learns_is_not_enough(tune_for):
    """At .001 it just solves its task at the end, at .01 soon; .1 is faster still, and drops."""
    ended = {0.001: (S, 0.6, 0.1), 0.01: (S, 0.2, 0.01), 0.1: (R, 0.1, 0.008)}
    assert best(tune_for, ended) == 0.01


def test_an_unknown_target_is_refused_with_those_that_are_known():
    with pytest.raises(
        UserError, match=r"tune_for=fats is not known \(did you mean fast\?\); known: fast, loss"
    ):
        Space(name="x", summary="").override(parse_settings(["tune_for=fats"]))


def test_a_target_is_part_of_the_definition_and_of_the_name_of_a_variant(tmp_path):
    plain = Space(name="x", summary="")
    stable = plain.override(parse_settings(["tune_for=stable"]))
    assert stable.folder_name == "x--tune_for-stable"
    assert {c.condition_id for c in stable.conditions()} == {c.condition_id for c in plain.conditions()}
    before = {name: value for name, value in plain.definition().items() if name != "tune_for"}
    check_growth(before, plain.definition(), tmp_path)


@pytest.mark.parametrize("tune_for", TARGETS)
def test_a_plan_made_of_the_tables_is_the_plan_that_wrote_them(tune_for, tmp_path):
    this = Space(
        name="x", summary="", models=("rnn",), optimizers=("sgd",), lengths=(5,), seeds=1, lr_trials=4,
        learning_rate={"low": 0.01, "high": 10}, lr_extend=1, tune_for=tune_for,
    )  # fmt: skip
    ended = {0.001: (S, 0.9, 0.9), 0.01: (S, 0.7, 1.0), 0.1: (R, 0.1, 1.0), 1.0: (L, 0.3, 0.01)}
    plan, results = Plan(this, {}), []
    while (pack := plan.ask()) is not None:
        done = [made(pack, trial, *ended.get(trial.learning_rate, (D, 1.0, 1.0))) for trial in pack.trials]
        results += done
        plan.tell(pack, done)
    folder = make_folder(tmp_path / "x", this, results)
    assert tuple(ends(folder).columns) == ENDS
    again = plan_of(this, ends(folder))
    assert again.finished
    assert again.total == plan.total == len(results)
    assert [s.table() for c in again.cohorts for s in c.studies] == [
        s.table() for c in plan.cohorts for s in c.studies
    ]


def made(pack: Pack, trial, outcome: Outcome, objective: float, final_loss: float):
    """A result that ended so."""
    return a_result(trial, outcome, objective=objective, initial_loss=2.0, final_loss=final_loss)
