import math

import numpy as np
import optuna
import pytest

from harness.planning.study import Study, export
from tests.conftest import make_condition

GRID = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
LATER = [3, 2]
BATCHES = [len(GRID), *LATER]


def bowl(rate: float) -> float:
    """Lowest at 3e-3, between 0 and 1."""
    return min(1.0, abs(math.log10(rate / 3e-3)) / 3)


def run_study(condition=None, objective=bowl, until: int = len(BATCHES)) -> tuple[Study, list[list[float]]]:
    study = Study(condition or make_condition(), GRID, LATER)
    asked = []
    for number in range(until):
        asked.append(study.ask(number))
        study.tell({rate: objective(rate) for rate in asked[-1]})
    return study, asked


def test_the_first_batch_is_the_grid():
    _, asked = run_study(until=1)
    assert asked[0] == GRID


def test_later_batches_are_proposed_within_the_range_and_batches_have_their_sizes():
    _, asked = run_study()
    assert [len(batch) for batch in asked] == BATCHES
    assert all(1e-5 <= rate <= 1e-1 for batch in asked for rate in batch)
    assert len({rate for batch in asked for rate in batch}) == sum(BATCHES)


def test_proposals_are_a_function_of_condition_and_objectives():
    assert run_study()[1] == run_study()[1]
    assert run_study()[1] != run_study(make_condition(length=9))[1]
    assert run_study()[1][2] != run_study(objective=lambda rate: 1 - bowl(rate))[1][2]


def test_proposals_gather_where_the_objective_is_low():
    """Uniform proposals would be a median of one decade away from the best rate."""
    study = Study(make_condition(), GRID, [3] * 8)
    for number in range(9):
        study.tell({rate: bowl(rate) for rate in study.ask(number)})
    proposed = list(study.table())[5:]
    assert np.median([abs(math.log10(rate / 3e-3)) for rate in proposed]) < 0.6


def test_best_is_the_lowest_objective():
    study, _ = run_study()
    assert study.best == min(study.table(), key=study.table().get)
    assert run_study(objective=lambda rate: 1 - math.log10(rate / 1e-5) / 4)[0].best == 1e-1


def test_among_equals_the_lowest_rate_is_best():
    study, asked = run_study(objective=lambda _rate: 1.0)
    assert study.best == min(rate for batch in asked for rate in batch)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_objective_that_is_not_finite_is_refused(value):
    study = Study(make_condition(), GRID, LATER)
    with pytest.raises(ValueError, match="must be finite"):
        study.tell(dict.fromkeys(study.ask(0), value))


def test_the_export_opens_as_optuna_studies(tmp_path):
    path = tmp_path / "optuna.journal"
    conditions = [make_condition(), make_condition(hidden_size=99)]
    for _ in range(2):  # rewritten, not appended to
        export([run_study(condition)[0] for condition in conditions], tmp_path)
    assert list(tmp_path.iterdir()) == [path], "nothing is left beside it"
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    names = optuna.get_all_study_names(storage)
    assert [name.rpartition(" ")[2] for name in names] == [f"({c.condition_id})" for c in conditions]
    loaded = optuna.load_study(study_name=names[0], storage=storage)
    assert len(loaded.trials) == sum(BATCHES)
    assert loaded.best_params["learning_rate"] == run_study()[0].best
