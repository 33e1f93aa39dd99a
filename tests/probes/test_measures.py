import math

import numpy as np
import pytest

from harness.condition import Outcome
from harness.probes import MEASURES, measure_columns, measure_curves, outcome
from harness.probes.clipping import clipping
from harness.probes.objective import objective
from harness.training.thinning import kept_steps
from tests.trials import SOLVED_EVALS, dropping, make_curves


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        (Outcome.STABLE, dict(evals=SOLVED_EVALS, solved=100)),
        (Outcome.RECOVERED, dict(evals=SOLVED_EVALS, solved=100, score=dropping(200, 5))),
        (Outcome.RECOVERED, dict(evals=SOLVED_EVALS, solved=100, score=dropping(495, 6))),
        (Outcome.LOST, dict(evals=[*SOLVED_EVALS[:2], (500, 1.0, 0.97)], solved=100, score=dropping(495, 6))),
        (Outcome.LOST, dict(evals=[*SOLVED_EVALS[:2], (500, 1.0, 0.89)], solved=100)),
        (Outcome.STABLE, dict(evals=[*SOLVED_EVALS[:2], (500, 1.0, 0.90)], solved=100)),
        (Outcome.UNSOLVED, dict(evals=[(0, 2.0, 0.1), (500, 2.0, 0.5)])),
        (Outcome.DIVERGED, dict(evals=SOLVED_EVALS, solved=100, diverged=500)),
        (Outcome.DIVERGED, dict(evals=[(0, 2.0, 0.1)], diverged=3)),
        (
            Outcome.STABLE,
            dict(evals=SOLVED_EVALS, solved=100, score=dropping(60, 5)),
        ),
    ],
)
def test_outcomes_of_hand_made_runs(expected, arguments):
    assert outcome(make_curves(**arguments)) == expected


def test_objective_is_the_trapezoid_area_capped_at_the_baseline():
    """Heights 1 (capped), .5, 0 at steps 0, 200, 400: area 150 + 50 of 400."""
    run = make_curves(np.ones(400), evals=[(0, 9.0, 0.1), (200, 1.0, 0.5), (400, 0.0, 0.9)])
    assert objective(run)["objective"] == pytest.approx(0.5)


def test_objective_of_a_run_that_stopped_goes_on_at_its_observed_mean():
    """Heights 1, .1, .3 at 0, 100, 200, then (.1 + .3)/2 = .2 for 200 steps: 55 + 20 + 40 of 400."""
    run = make_curves(np.ones(200), evals=[(0, 2.0, 0.1), (100, 0.2, 1.0), (200, 0.6, 0.95)], solved=100)
    assert objective(run)["objective"] == pytest.approx(115 / 400)


def test_objective_ignores_what_lies_beyond_max_steps():
    """Heights 1, 0 at 0, 300, then up to 1 at 500; at 400 it is at .5: 150 + 25 of 400."""
    run = make_curves(evals=[(0, 2.0, 0.1), (300, 0.0, 1.0), (500, 2.0, 0.1)], solved=300)
    assert objective(run)["objective"] == pytest.approx(175 / 400)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_objective_is_finite_whatever_the_loss(loss):
    assert objective(make_curves(evals=[(0, 2.0, 0.1), (500, loss, 0.1)]))["objective"] == 1.0
    assert objective(make_curves(evals=[(0, 2.0, 0.1)], diverged=3))["objective"] == 1.0


def test_clip_accounting_of_a_hand_made_run():
    found = clipping(make_curves(np.ones(4), norm=[0.5, 1.0, 2.0, 4.0]))
    assert found["clipped_share"] == 0.5
    assert found["mean_clip_coefficient"] == pytest.approx((1 + 1 + 0.5 + 0.25) / 4)
    assert (found["grad_norm_p50"], found["grad_norm_max"]) == (1.0, 4.0)


def test_clip_accounting_of_a_diverged_run_counts_the_overflow_as_infinite():
    found = clipping(make_curves(np.ones(4), norm=[0.5, 1.0, 2.0, math.nan]))
    assert (found["grad_norm_p50"], found["grad_norm_max"]) == (1.0, math.inf)
    assert found["clipped_share"] == 1 / 3, "of the steps with a finite norm"
    unclipped = clipping(make_curves(np.ones(2), norm=[1.0, math.inf], max_norm=math.inf))
    assert (unclipped["clipped_share"], unclipped["mean_clip_coefficient"]) == (0.0, 1.0)


def test_drops_and_watched_steps_of_a_run():
    found = measure_curves(make_curves(dropping(200, 5), evals=SOLVED_EVALS, solved=100))
    assert (found["drops"], found["watched_steps"]) == (1, 450)


def test_spike_columns_are_percentages_of_the_right_series():
    """One spike of 500 steps in the gradient norm is .2 %; the loss is calm."""
    norm = np.ones(500)
    norm[300] = 9.0
    found = measure_curves(make_curves(norm=norm, max_norm=math.inf))
    assert (found["grad_norm_spikes_7sigma"], found["grad_norm_spikes_6sigma"]) == (0.2, 0.2)
    assert (found["loss_spikes_7sigma"], found["loss_spikes_6sigma"]) == (0.0, 0.0)


def test_every_measure_fills_its_columns_and_no_two_share_one():
    assert measure_curves(make_curves()).keys() == measure_columns().keys()
    assert len(measure_columns()) == sum(len(probe.columns) for probe in MEASURES)


def history(steps: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {name: generator.random(steps) for name in ("loss", "score", "grad_norm", "clip_coefficient")}


def test_the_first_5000_steps_are_all_kept():
    assert kept_steps(history(5_000)).tolist() == list(range(5_000))


def test_later_steps_are_thinned_but_no_spike_is_lost():
    rows = history(20_000)
    rows["loss"][12_345], rows["grad_norm"][15_432], rows["score"][17_003] = 50, np.inf, -1
    kept = set(kept_steps(rows).tolist())
    assert {12_345, 15_432, 17_003, 19_999} <= kept
    assert 5_000 + 15_000 / 20 <= len(kept) <= 5_000 + 15_000 / 20 * 5 + 1
    assert max(rows["loss"][list(kept)]) == 50
    bins = {index // 20 for index in kept}
    assert bins == set(range(1_000))


def test_a_diverged_last_step_is_kept():
    rows = history(7_003)
    rows["loss"][-1] = np.nan
    assert kept_steps(rows)[-1] == 7_002
