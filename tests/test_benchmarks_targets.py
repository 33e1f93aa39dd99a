"""One study tuned for two targets: the runs that both have, compared by hand."""

import pytest

from benchmarks import targets
from harness.condition import Outcome
from tests.folders import made_grid


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """At T = 5 all runs of both are stable; at T = 9 half of the first's; the second has two seeds more."""
    ends = {
        "fast": lambda condition, seed: (
            Outcome.RECOVERED if condition.length == 9 and seed % 2 else Outcome.STABLE
        ),
        "stable": lambda _condition, _seed: Outcome.STABLE,
    }
    found = {
        name: targets.runs_of(
            made_grid(tmp_path_factory.mktemp(name), ends[name], models=("rnn",), seeds=seeds)
        )
        for name, seeds in (("fast", 6), ("stable", 8))
    }
    return targets.shared(found)


def test_only_runs_that_every_folder_has_count(tables):
    assert {name: len(table) for name, table in tables.items()} == {"fast": 24, "stable": 24}
    assert (tables["fast"][targets.PAIR] == tables["stable"][targets.PAIR]).all(axis=None)


def test_the_numbers_of_a_target_are_those_of_its_runs(tables):
    found = targets.summary(tables["fast"])
    assert found["runs"] == 24
    assert found["solved"] == 1
    assert found["stable"] == 18 / 24
    assert found["budget"] == pytest.approx(0.1), "all solve at step 100 of 1,000"
    assert found["rate"] == pytest.approx(0.1)


def test_pairs_share_condition_and_seed(tables):
    (row,) = targets.compared(tables).to_dict("records")
    assert (row["level"], row["other"], row["equal"], row["pairs"]) == ("stable", "fast", 1.0, 24)
    assert row["stable_difference"] == 6 / 24
    assert row["solved_difference"] == 0
    assert row["stable_differ"] == 3, "three seeds of T = 9, both ways of clipping"
    assert row["stable_p"] == pytest.approx(min(1, 3 * 2 / 2**3)), "Holm over stable, kept and solved"
    assert targets.line(targets.compared(tables).iloc[0]).startswith(
        "stable - fast: same rate in 1.00; solved 0"
    )
