import json
import math

import numpy as np
import optuna
import pytest

from harness.identity import content_hash, stream_seed
from harness.models import models
from harness.planning.space import Space
from harness.planning.study import Study, export, proposal_seed
from tests.helpers import make_condition

GRID = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
LATER = [3, 2]
ROUNDS = [len(GRID), *LATER]


def bowl(rate: float) -> float:
    """Lowest at 3e-3, between 0 and 1."""
    return min(1.0, abs(math.log10(rate / 3e-3)) / 3)


def run_study(condition=None, objective=bowl, until: int = len(ROUNDS)) -> tuple[Study, list[list[float]]]:
    study = Study(condition or make_condition(), GRID, LATER)
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
    assert study.best == min(rate for round in asked for rate in round)


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
    assert len(loaded.trials) == sum(ROUNDS)
    assert loaded.best_params["learning_rate"] == run_study()[0].best


def test_the_export_is_what_optuna_writes_into_a_file_of_its_own(tmp_path):
    """But for the names of the workers that wrote it, and the clock."""
    export([run_study()[0]], tmp_path)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "own"))
    run_study()[0].as_optuna(optuna.storages.JournalStorage(backend))
    clocks = ("worker_id", "datetime_start", "datetime_complete")
    found = [
        [{name: value for name, value in json.loads(line).items() if name not in clocks} for line in file]
        for file in ((tmp_path / name).read_text().splitlines() for name in ("optuna.journal", "own"))
    ]
    assert found[0] == found[1] and found[0]


SEEDS = [  # of rounds 1 and 2, as the first version of the studies had them
    (
        dict(models=("rnn",), optimizers=("adam",), lengths=(5,), max_norms=(1.0,)),
        [8555832525383275116, 8517555229688158345],
    ),
    (
        dict(
            models=("lstm",),
            optimizers=("rmsprop",),
            clip_rules=("zclip",),
            lengths=(10,),
            hidden_size=64,
            options={"forget_bias": (0.0,)},
        ),
        [5194751283270294099, 4901497555953149564],
    ),
    (
        dict(
            tasks=("graph_signal",),
            models=("gcn_lstm",),
            optimizers=("sgd",),
            lengths=(6,),
            options={"nodes": (60,)},
        ),
        [1964621708951614825, 1304276737657242831],
    ),
]


@pytest.mark.parametrize(("fields", "seeds"), SEEDS)
def test_the_seeds_of_proposals_never_change(fields, seeds):
    """Else a study that was begun with one seed would go on with another."""
    (condition,) = Space(name="test", summary="", **fields).conditions()
    assert [proposal_seed(condition, number) for number in (1, 2)] == seeds


def test_an_option_that_came_later_enters_the_seed_only_when_it_is_set():
    plain = make_condition()
    later = (*plain.options, ("heat", 0.5))
    assert proposal_seed(make_condition(options=later, at_default=frozenset({"heat"})), 1) == proposal_seed(
        plain, 1
    )
    assert proposal_seed(make_condition(options=later), 1) != proposal_seed(plain, 1)


def test_an_option_of_the_first_version_enters_the_seed_also_at_its_default():
    plain = make_condition()  # it names encoding and init
    assert proposal_seed(make_condition(at_default=frozenset({"encoding", "init"})), 1) == proposal_seed(
        plain, 1
    )
    assert proposal_seed(make_condition(options=()), 1) != proposal_seed(plain, 1)


class Leaky(models.get("rnn")):
    """A model named by its import path, with an option of its own."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int, leak: float = 0.5) -> None:
        super().__init__(input_size, hidden_size, output_size)


def test_options_of_an_own_class_enter_the_seed_of_proposals_also_at_their_default():
    """As they did when the first studies were made."""
    space = Space(
        name="own", summary="", models=("tests.planning.test_study:Leaky",), lengths=(5,), tasks=("parity",)
    )
    (condition,) = space.conditions()
    assert "leak" in condition.at_default
    assert proposal_seed(condition, 1) == stream_seed("tpe", content_hash(condition.fields()), 1)
