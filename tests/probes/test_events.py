import math

import numpy as np

from harness.probes.events import events
from harness.probes.solved import solved
from harness.probes.updates import updates
from tests.trials import SOLVED_EVALS, dropping, make_curves


def rows(found):
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


def only(kind, run):
    return [row for row in rows(events(run)) if row["kind"] == kind]


def test_a_drop_is_an_event_with_its_depth_and_its_recovery():
    """Down at steps 200-204 to .3; the mean of 10 batches is back at .98 at step 214."""
    (drop,) = only("drop", make_curves(dropping(200, 5), evals=SOLVED_EVALS, solved=100))
    assert (drop["start_step"], drop["end_step"]) == (200, 214)
    assert (drop["extreme"], round(drop["depth"], 6)) == (0.3, 0.69)
    assert (drop["recovered"], drop["censored"]) == (True, False)


def test_a_drop_that_the_end_cuts_off_is_censored():
    (drop,) = only("drop", make_curves(dropping(495, 6), evals=SOLVED_EVALS, solved=100))
    assert (drop["end_step"], drop["recovered"], drop["censored"]) == (None, False, True)


def test_a_drop_that_ends_in_divergence_is_neither_recovered_nor_censored():
    run = make_curves(dropping(495, 6), evals=SOLVED_EVALS, solved=100, diverged=500)
    (drop,) = only("drop", run)
    assert (drop["end_step"], drop["recovered"], drop["censored"]) == (None, False, False)
    (end,) = only("divergence", run)
    assert (end["start_step"], end["extreme"], end["depth"], end["end_step"]) == (500, 0.0, -2.0, None)


def test_spikes_of_the_gradient_norm_are_events():
    norm = np.ones(500)
    norm[[300, 499]] = [7.0, 9.0]
    first, last = only("grad_norm_spike", make_curves(norm=norm, max_norm=math.inf))
    assert (first["start_step"], first["end_step"], first["extreme"], first["depth"]) == (301, 302, 7.0, 6.0)
    assert (first["recovered"], last["recovered"], last["censored"]) == (True, False, True)


def test_a_calm_run_has_no_events_but_all_columns():
    found = events(make_curves(evals=SOLVED_EVALS, solved=100))
    assert set(map(len, found.values())) == {0}
    assert list(found) == ["kind", "start_step", "depth", "extreme", "end_step", "recovered", "censored"]


def test_events_are_in_the_order_of_their_start():
    norm = np.ones(500)
    norm[150] = 50.0
    found = events(make_curves(dropping(200, 5), evals=SOLVED_EVALS, solved=100, norm=norm))
    assert found["start_step"] == sorted(found["start_step"])
    assert found["kind"] == ["grad_norm_spike", "drop"]


def test_last_solved_step_and_steps_below():
    run = make_curves(dropping(200, 5), evals=[*SOLVED_EVALS, (600, 1.0, 0.5)], solved=100)
    assert solved(run) == {"last_solved_step": 500, "steps_below_drop": 5}
    assert solved(make_curves(dropping(50, 5), evals=SOLVED_EVALS, solved=100))["steps_below_drop"] == 0
    assert solved(make_curves()) == {"last_solved_step": None, "steps_below_drop": None}


def test_batches_from_before_solving_are_not_steps_below():
    """Batch of 32 pools 4: the pools of steps 101-103 reach back before step 100."""
    score = np.ones(500)
    score[:100] = 0.0
    assert solved(make_curves(score, evals=SOLVED_EVALS, solved=100, batch_size=32))["steps_below_drop"] == 0


def test_update_norms_and_ratios():
    run = make_curves()
    run.update_norm[:3], run.weight_norm[:3] = [0.4, 0.2, np.nan], [2.0, 0.0, 2.0]
    found = updates(run)
    assert (found["update_norm_p50"], found["update_norm_max"]) == (0.1, math.inf)
    assert (found["update_ratio_p50"], found["update_ratio_max"]) == (0.05, math.inf)
