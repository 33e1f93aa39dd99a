"""One model under two names: the seeds of a finished study in two groups."""

import numpy as np
import pytest

from analysis.contrasts import contrasts
from benchmarks import same
from harness.condition import Outcome
from tests.folders import made_grid


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Every fourth seed solves; 16 seeds of two arms at two lengths."""
    return made_grid(
        tmp_path_factory.mktemp("same"),
        lambda _, seed: Outcome.UNSOLVED if seed % 4 else Outcome.STABLE,
        models=("rnn",),
        seeds=16,
    )


def test_groups_of_seeds_share_none_and_use_all():
    pairs = list(same.groups(np.random.default_rng(0), range(16), 4))
    assert len(pairs) == 2
    assert sorted(seed for pair in pairs for group in pair for seed in group) == list(range(16))


def test_a_group_of_seeds_is_another_model_that_pairs_with_the_first(results):
    solving, others = [0, 4, 8, 12], [1, 5, 9, 13]
    conditions = results.conditions["condition_id"].tolist()
    (row,) = (
        contrasts(same.apart(results, conditions, solving, others)).query("factor == 'model'").itertuples()
    )
    assert {row.level, row.other} == {"rnn", "rnn again"}
    assert (row.conditions, row.pairs, row.clusters) == (4, 16, 8)
    assert abs(row.solved_difference) == 1
    assert row.solved_p_holm < same.SHOWN_AT, "runs that differ are told apart"


def test_equal_groups_are_compared_for_every_arm(results):
    found = same.compared(results, same.ARM, side=4, splits=1)
    assert len(found) == 2 * 2
    assert not (found["solved_p_holm"] < same.SHOWN_AT).all()
    assert same.holds(found, "solved").any()
    assert same.line(found).split()[0] == "4"
