import math

import numpy as np
import optuna
import pytest

from harness.planning.space import Space
from harness.planning.study import Study, export, proposal_seed
from tests.helpers import make_condition

GRID = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
LATER = [3, 2]
ROUNDS = [len(GRID), *LATER]


def bowl(rate: float) -> float:
    """Lowest at 3e-3, between 0 and 1."""
    return min(1.0, abs(math.log10(rate / 3e-3)) / 3)


def run_study(
    condition=None, objective=bowl, until: int = len(ROUNDS), seed: int = 0
) -> tuple[Study, list[list[float]]]:
    study = Study(condition or make_condition(), seed, GRID, LATER)
    asked = []
    for number in range(until):
        asked.append(study.ask(number))
        study.tell({rate: objective(rate) for rate in asked[-1]})
    return study, asked


def test_the_first_round_is_the_grid():
    _, asked = run_study(until=1)
    assert asked[0] == GRID


def test_later_rounds_are_proposed_within_the_range_and_rounds_have_their_sizes():
    _, asked = run_study()
    assert [len(round) for round in asked] == ROUNDS
    assert all(1e-5 <= rate <= 1e-1 for round in asked for rate in round)
    assert len({rate for round in asked for rate in round}) == sum(ROUNDS)


def test_proposals_are_a_function_of_condition_seed_and_objectives():
    assert run_study()[1] == run_study()[1]
    assert run_study()[1] != run_study(seed=1)[1]
    assert run_study()[1] != run_study(make_condition(length=9))[1]
    assert run_study()[1][2] != run_study(objective=lambda rate: 1 - bowl(rate))[1][2]


def test_proposals_gather_where_the_objective_is_low():
    """Uniform proposals would be a median of one decade away from the best rate."""
    study = Study(make_condition(), 0, GRID, [3] * 8)
    for number in range(9):
        study.tell({rate: bowl(rate) for rate in study.ask(number)})
    proposed = list(study.table())[5:]
    assert np.median([abs(math.log10(rate / 3e-3)) for rate in proposed]) < 0.6


@pytest.mark.parametrize(
    ("objectives", "best"),
    [
        ([1.0, 0.9, 0.42, 0.3, 1.0], 1e-2),
        ([1.0, 0.9, 0.4, 0.3, 1.0], 1e-3),  # it gained .6, and 85 % of .7 is .595
        ([1.0, 0.4, 0.5, 0.3, 1.0], 1e-4),
        ([1.0, 0.99, 0.97, 0.95, 0.96], 1e-2),  # where nothing is solved, the best
        ([1.0, 1.0, 1.0, 1.0, 0.0], 1e-1),
        ([1.0] * 5, 1e-5),
    ],
)
def test_the_slowest_rate_that_gains_enough_is_best(objectives, best):
    study = Study(make_condition(), 0, GRID, [])
    study.tell(dict(zip(GRID, objectives, strict=True)))
    assert study.best == best


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_objective_that_is_not_finite_is_refused(value):
    study = Study(make_condition(), 0, GRID, LATER)
    with pytest.raises(ValueError, match="must be finite"):
        study.tell(dict.fromkeys(study.ask(0), value))


def test_the_export_opens_as_one_optuna_study_per_condition(tmp_path):
    path = tmp_path / "optuna.journal"
    conditions = [make_condition(), make_condition(hidden_size=99)]
    for _ in range(2):  # rewritten, not appended to
        export([run_study(c, seed=seed)[0] for c in conditions for seed in (0, 1)], tmp_path)
    assert list(tmp_path.iterdir()) == [path], "nothing is left beside it"
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    names = optuna.get_all_study_names(storage)
    assert [name.rpartition(" ")[2] for name in names] == [f"({c.condition_id})" for c in conditions]
    loaded = optuna.load_study(study_name=names[0], storage=storage)
    told = [(trial.user_attrs["seed"], trial.params["learning_rate"], trial.value) for trial in loaded.trials]
    assert told == [(s, *row) for s in (0, 1) for row in run_study(seed=s)[0].table().items()]


@pytest.mark.parametrize(
    ("fields", "seeds"),
    [
        (
            dict(models=("rnn",), optimizers=("adam",), lengths=(5,), max_norms=(1.0,)),
            [2455272181883598728, 8831755767719611298],
        ),
        (
            dict(tasks=("graph_signal",), models=("gcn_lstm",), lengths=(6,), options={"nodes": (60,)}),
            [7813536452245667942, 8911148569758681541],
        ),
    ],
)
def test_the_seeds_of_proposals_never_change(fields, seeds):
    """Else a study that was begun with one seed would go on with another."""
    (condition,) = Space(name="test", summary="", **fields).conditions()
    assert [proposal_seed(condition, 3, number) for number in (1, 2)] == seeds


def test_an_option_that_came_later_enters_the_seed_only_when_it_is_set():
    plain = make_condition()
    later = (*plain.options, ("heat", 0.5))
    unset = make_condition(options=later, at_default=plain.at_default | {"heat"})
    assert proposal_seed(unset, 0, 1) == proposal_seed(plain, 0, 1)
    assert proposal_seed(make_condition(options=later), 0, 1) != proposal_seed(plain, 0, 1)
