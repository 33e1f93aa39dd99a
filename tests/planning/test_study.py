import math

import numpy as np
import optuna
import pytest

from harness.planning.space import Space
from harness.planning.study import Study, export, proposal_seed
from tests.trials import make_condition

GRID = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
LATER = [3, 2]
ROUNDS = [len(GRID), *LATER]


def bowl(rate: float) -> float:
    """Lowest at 3e-3, between 0 and 1."""
    return min(1.0, abs(math.log10(rate / 3e-3)) / 3)


def run_study(
    condition=None, objective=bowl, seed: int = 0, later=LATER, extend: int = 0, grid=GRID
) -> tuple[Study, list[list[float]]]:
    """A study that was asked until it had no more, and its rounds."""
    study = Study(condition or make_condition(), seed, grid, later, extend)
    asked = []
    while rates := study.ask():
        asked.append(rates)
        study.tell({rate: objective(rate) for rate in rates})
    return study, asked


def test_the_first_round_is_the_grid():
    assert run_study()[1][0] == GRID


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
    study, _ = run_study(later=[3] * 8)
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
        study.tell(dict.fromkeys(study.ask(), value))


def falling(rate: float) -> float:
    """Lower at every higher rate, and at least .85 of the best gain nowhere but at the two highest."""
    return 0.9 - 0.05 * math.log10(rate / 1e-9)


@pytest.mark.parametrize(
    ("objective", "extend", "grown"),
    [
        (bowl, 2, []),  # the best lies inside
        (falling, 2, [[1.0], [10.0]]),  # the lowest objective is at the top, to the end
        (falling, 1, [[1.0]]),
        (falling, 0, []),
        (lambda rate: 1 - falling(rate), 2, [[1e-6], [1e-7]]),  # at the bottom, to the end
        (lambda rate: 0.5, 2, [[1e-6], [1e-7]]),  # all alike: the lowest is chosen, and is the fastest
        (lambda rate: 1.0, 2, [[1e-6], [1e-7]]),  # all diverged
        (lambda rate: 0.9 if 5e-5 < rate < 5e-2 else 0.5 - rate / 100, 2, [[1e-6, 1.0], [1e-7, 10.0]]),
        (lambda rate: min(1.0, abs(math.log10(rate)) / 3), 2, [[1.0], [10.0]]),  # found, and looked past
        (lambda rate: 1.0 if rate > 3e-6 else 0.5 if rate > 3e-7 else 0.9, 2, [[1e-6], [1e-7]]),
    ],
)
def test_a_range_grows_by_decades_where_its_best_lies_at_an_end(objective, extend, grown):
    study, asked = run_study(objective=objective, later=[], extend=extend)
    assert asked == [GRID, *grown]
    assert not study.may_grow
    assert study.ask() == []


@pytest.mark.parametrize(
    ("grid", "below"),
    [
        ([1e-4, 10**-3.5, 1e-3, 10**-2.5, 1e-2, 10**-1.5, 1e-1], [3.16228e-05, 1e-05]),
        ([1e-4, 1e-3, 1e-2, 1e-1], [1e-05]),
        ([1e-2, 2e-2, 4e-2], [4.64159e-3, 2.15443e-3, 1e-3]),
        ([1e-2, 2e-2], [3.16228e-3, 1e-3]),  # three fit into a decade, which is more than the grid has
    ],
)
def test_a_range_grows_in_the_steps_of_its_grid(grid, below):
    _, asked = run_study(objective=lambda rate: 1.0, later=[], extend=1, grid=grid)
    assert asked == [grid, below]


def test_a_range_does_not_grow_beyond_float32():
    _, asked = run_study(objective=lambda rate: 1.0, later=[], extend=99, grid=[1e-36, 1e-35])
    assert asked[1:] == [[1e-37]]


def test_tpe_proposes_within_the_range_that_has_grown():
    study, asked = run_study(objective=falling, extend=2, later=[30])
    assert [len(rates) for rates in asked] == [5, 1, 1, 30]
    assert max(asked[3]) > 1e-1
    assert all(1e-5 <= rate <= 10 for rate in asked[3])
    (distribution,) = {trial.distributions["learning_rate"] for trial in study.trials()}
    assert (distribution.low, distribution.high, distribution.log) == (1e-5, 10.0, True)


def test_a_study_without_growth_has_the_proposals_that_it_always_had():
    assert run_study(extend=2)[1] == run_study(extend=0)[1]


def test_a_study_rebuilt_from_any_of_its_rounds_goes_on_alike():
    whole = run_study(objective=falling, extend=2)[1]
    for known in range(len(whole)):
        again = Study(make_condition(), 0, GRID, LATER, 2)
        for rates in whole[:known]:
            assert again.ask() == rates
            again.tell({rate: falling(rate) for rate in rates})
        assert again.ask() == whole[known]


def test_rounds_to_come_are_counted_until_there_are_none():
    study = Study(make_condition(), 0, GRID, LATER, 2)
    counted = []
    while rates := study.ask():
        counted.append((study.to_come, study.may_grow))
        study.tell({rate: falling(rate) for rate in rates})
    assert counted == [([3, 2], True)] * 3 + [([2], False), ([], False)]


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


def test_the_export_has_each_seed_with_the_range_that_it_tried(tmp_path):
    export([run_study(seed=s, objective=f, extend=2)[0] for s, f in enumerate((bowl, falling))], tmp_path)
    path = str(tmp_path / "optuna.journal")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))
    (name,) = optuna.get_all_study_names(storage)
    ranges = {
        (trial.user_attrs["seed"], trial.distributions["learning_rate"].low, d.high)
        for trial in optuna.load_study(study_name=name, storage=storage).trials
        for d in trial.distributions.values()
    }
    assert ranges == {(0, 1e-5, 1e-1), (1, 1e-5, 10.0)}


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
