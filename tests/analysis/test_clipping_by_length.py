"""What each way of clipping does by length: counts, pairs that had to end alike, the difference of others."""

import dataclasses
import math

import pytest

from analysis.sections import clipping_by_length
from harness.condition import Outcome
from tests.folders import made_grid

S, R, U = Outcome.STABLE, Outcome.RECOVERED, Outcome.UNSOLVED


def ends(condition, seed):
    """At T = 5 all are stable. At 9 no run without clipping is, and of those at 1 half of the seeds."""
    if condition.length == 5:
        return S
    return S if condition.max_norm == 1 and seed % 2 == 0 else R


def with_flags(results, unclipped):
    """The results with a flag for each trial: whether no step of it was clipped."""
    trials = results.trials
    flags = [unclipped(row) for row in trials.to_dict("records")]
    return dataclasses.replace(results, trials=trials.assign(clip_never_active=flags))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Six seeds of two models; a threshold of 1 acts at T = 9 only."""
    grid = made_grid(tmp_path_factory.mktemp("grid"), ends, models=("rnn", "lstm"))
    return with_flags(grid, lambda row: math.isinf(row["max_norm"]) or row["length"] == 5)


def row_of(found, length):
    frame = found.frame[found.frame["arm"] == "max_norm 1"]
    return frame[frame["length"].fillna(0) == (length or 0)].iloc[0]


def test_runs_of_all_models_are_counted_together(results):
    found = clipping_by_length.table(results)
    assert row_of(found, 5)[["n", "stable", "solved"]].tolist() == [12, 12, 12]
    assert row_of(found, 9)[["n", "stable", "solved"]].tolist() == [12, 6, 12]
    assert row_of(found, None)[["n", "stable", "solved"]].tolist() == [24, 18, 24]


def test_the_difference_is_of_the_pairs_that_clipping_could_change(results):
    """6 of 12 more at T = 9; over all 24 pairs it is half as much."""
    whole = row_of(clipping_by_length.table(results), None)
    assert whole[["pairs", "identical"]].tolist() == [24, 12]
    assert whole["stable_difference"] == pytest.approx(0.5)
    assert whole["stable_low"] <= 0.5 <= whole["stable_high"]
    assert whole["solved_difference"] == 0
    (said,) = clipping_by_length.findings(clipping_by_length.table(results))
    assert said.startswith("In 12 of 24 pairs of runs no step was clipped")


def test_other_rates_or_other_ends_are_no_identical_pairs(results):
    """Runs that tuned apart, and runs that rounding parted, may differ."""
    rates = results.trials["learning_rate"].where(results.trials["max_norm"] != 1, 0.2)
    apart = dataclasses.replace(results, trials=results.trials.assign(learning_rate=rates))
    assert row_of(clipping_by_length.table(apart), None)["identical"] == 0
    never = with_flags(results, lambda _: True)
    assert row_of(clipping_by_length.table(never), 9)["identical"] == 6, "the others ended otherwise"


def test_the_table_has_a_line_per_measure_and_way_of_clipping(results):
    shown = clipping_by_length.readable(clipping_by_length.table(results)).set_index(["runs", "clipping"])
    assert shown.loc[("stable", "max_norm 1"), "T = 9"] == "6 of 12"
    assert shown.loc[("stable", "max_norm 1"), "identical pairs"] == "12 of 24"
    assert shown.loc[("stable", "max_norm 1"), "difference in other pairs"].startswith("+0.50 [")
    assert shown.loc[("solved", "no clipping"), "difference in other pairs"] == "-"


def test_one_way_of_clipping_has_no_such_section(results):
    one = results.conditions[results.conditions["max_norm"] == 1]
    assert clipping_by_length.several(results)
    assert not clipping_by_length.several(dataclasses.replace(results, conditions=one))
