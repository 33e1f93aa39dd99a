import itertools
from collections import Counter

import pytest

from harness.driver.counts import counts_of
from harness.driver.dry_run import basis, left_of
from harness.driver.estimate import Recorded, estimate
from harness.driver.preflight import check_job
from harness.driver.rates import NOMINAL, measured_rates, reference, step_seconds, timed
from harness.planning.plan import Plan, Workload
from harness.planning.space import Space
from harness.tasks import tasks

ROWS = dict(lengths=(4, 9, 12, 13, 40), hidden_size=(8, 16), lr_trials=6)


def rows(recorded: Recorded, **changes):
    space = Space(name="test", summary="", models=("rnn",), **{**ROWS, **changes})
    left = Counter(Workload.of(condition) for condition in space.conditions())
    return estimate(space, left, lambda condition: NOMINAL, recorded)


def test_an_estimate_grows_with_length_units_and_batch():
    for changes in ({}, {"hidden_size": 64}, {"hidden_size": 64, "batch_size": 128}):
        minutes = [row["core_minutes"] for row in rows(Recorded({}, 0), **changes)]
        assert all(less < more for less, more in itertools.pairwise(minutes))
    sized = [rows(Recorded({}, 0), lengths=(9,), hidden_size=n)[0]["core_minutes"] for n in (8, 64, 512)]
    assert sized == sorted(sized)


def test_recorded_trials_set_an_estimate_right():
    plain, doubled = (rows(Recorded(f, len(f)))[0] for f in ({}, {("palindrome", "rnn"): 2.0}))
    assert doubled["core_minutes"] == pytest.approx(2 * plain["core_minutes"], rel=0.01)
    assert Recorded({("a", "rnn"): 1.0, ("a", "gru"): 3.0, ("a", "lstm"): 9.0}, 3).factor("b", "lru") == 3.0
    assert "No recorded trial" in basis(NOMINAL, Recorded({}, 0))
    assert "palindrome rnn 2.00" in basis(NOMINAL, Recorded({("palindrome", "rnn"): 2.0}, 5))


def test_measured_rates_tell_the_time_of_a_step_within_a_factor_of_three():
    rates = measured_rates("cpu", "eager")
    condition = reference("gru", 10, 32, 32)
    counts = counts_of(condition, tasks.build("palindrome", {}, length=10))
    ratio = 8 * step_seconds(counts, 8, rates) / timed(condition, 8, "cpu")
    assert 1 / 3 < ratio < 3


def test_what_is_left_of_a_new_folder_is_counted_without_a_plan(tmp_path, monkeypatch):
    space = Space(name="test", summary="", models=("rnn",), lengths=(4, 5), learning_rate=(0.1, 0.2), seeds=3)
    how = dict(executor="serial", workers=None, address=None, device="cpu")
    planned = Plan(space, {})
    monkeypatch.setattr("harness.driver.dry_run.plan_of", lambda *_: pytest.fail("planned"))
    assert left_of(check_job(space, tmp_path, **how)) == (planned.left(), planned.total, planned.total)


def test_what_is_left_of_ranges_that_may_grow_is_counted_at_least_and_at_most(tmp_path):
    space = Space(name="test", summary="", models=("rnn",), lengths=(4, 5), seeds=3, lr_trials=4)
    how = dict(executor="serial", workers=None, address=None, device="cpu")
    remaining = left_of(check_job(space, tmp_path, **how))
    assert remaining.total == remaining.left.total() == 2 * 3 * (1 + 4)
    assert remaining.at_most == 2 * 3 * (1 + 4 + 2 * 2)
