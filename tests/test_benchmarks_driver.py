"""The benchmarks of the driver and of scheduling measure what they say."""

import gc

import pytest

from benchmarks import driver, scheduling
from harness.executors import base
from harness.results.reader import read


def test_a_space_has_about_as_many_trials_as_are_asked_for():
    for trials in driver.TRIALS[:2]:
        space = driver.space_of(trials)
        assert len(space.conditions()) * space.trials_per_condition == pytest.approx(trials, rel=0.15)


@pytest.mark.slow
def test_a_run_that_trains_nothing_records_every_trial_and_the_next_one_adds_none(tmp_path, monkeypatch):
    monkeypatch.setattr(base, "blocks", base.blocks)  # put back
    threshold = gc.get_threshold()
    try:
        first = driver.one_run(1, tmp_path, ray=False)
        table = read(tmp_path / "driver", "trials")
        again = driver.one_run(1, tmp_path, ray=False)
    finally:
        gc.set_threshold(*threshold)
    assert first["trials"] == len(table) == table["trial_id"].nunique() == 560
    assert table["objective"].nunique() == 560
    assert 0 < again["processor"] < first["processor"]
    assert len(read(tmp_path / "driver", "trials")) == 560


def test_the_share_while_all_are_up_leaves_out_how_they_start_and_end():
    worked = [(1, 0.0, 10.0), (2, 4.0, 5.0), (2, 6.0, 8.0)]
    assert scheduling.steady(worked) == pytest.approx((4 + 1 + 2) / 4 / 2)
