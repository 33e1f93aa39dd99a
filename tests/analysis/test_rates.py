"""What the trials at a grid of learning rates say: equal rates, stable ranges, tuning budgets."""

import dataclasses
import itertools
import math

import numpy as np
import pandas as pd
import pytest

from analysis.budgets import choices, judged, mean_over_tunings
from analysis.contrasts import contrasts_at_equal_rates
from analysis.load import load
from analysis.sections import (
    budget,
    coverage,
    critical_length,
    drops,
    equal_rates,
    stability_map,
    stable_range,
    steps_to_solve,
)
from analysis.statistics import mean_interval
from harness.condition import FIRST_TUNING_SEED, Outcome
from harness.planning.space import Space
from harness.target import ENOUGH
from tests.folders import TUNED, a_result, make_folder
from tests.trials import make_trial_of

S, R, U, D = Outcome.STABLE, Outcome.RECOVERED, Outcome.UNSOLVED, Outcome.DIVERGED

RATES = [0.01, 0.1, 1.0]


def tuned(path, ends, seeds=6, **changes):
    """A space tuned at three rates; `ends` gives the outcome of a condition, rate and tuning seed.

    Every report trial is stable. The objective of a trial is .1 where it was solved, else .9.
    """
    space = Space(
        **TUNED | changes, learning_rate={"low": 0.01, "high": 1.0}, lr_trials=3, lr_batch=3, seeds=seeds
    )
    results = []
    for condition in space.conditions():
        trial = dataclasses.replace(make_trial_of(condition), max_steps=1_000)
        for seed in range(seeds):
            for rate in space.first_grid("sgd"):
                outcome = ends(condition, rate, seed)
                own = dataclasses.replace(trial, seed=FIRST_TUNING_SEED + seed, learning_rate=rate)
                solved = outcome in (S, R)
                known = dict(watched_steps=100 if solved else 0, objective=0.1 if solved else 0.9)
                events = [(9, 0.5, 20, True, False)] if outcome == R else []
                results.append(a_result(own, outcome, events, **known))
    for condition, seed in itertools.product(space.conditions(), range(seeds)):
        trial = dataclasses.replace(make_trial_of(condition), learning_rate=0.1, max_steps=1_000)
        results.append(a_result(dataclasses.replace(trial, seed=seed), S, solved_step=100, watched_steps=100))
    return load(make_folder(path / "x", space, results, together=True))


TWO = {"models": ("rnn", "lstm")}


def lstm_keeps_at_a_tenth(condition, rate, _seed):
    """Both solve at .1 only; there the LSTM is stable and the RNN drops once."""
    if rate != 0.1:
        return U if rate < 0.1 else D
    return S if condition.model == "lstm" else R


def test_arms_are_compared_at_equal_rates_by_hand(tmp_path):
    """18 pairs at three rates in 6 clusters; at .1 all solve, the LSTM alone keeps: 6 of 18, p 2 / 2^6."""
    (row,) = contrasts_at_equal_rates(tuned(tmp_path, lstm_keeps_at_a_tenth, **TWO)).to_dict("records")
    assert (row["factor"], row["level"], row["other"]) == ("model", "lstm", "rnn")
    assert (row["rates"], row["pairs"], row["clusters"]) == (3, 18, 6)
    assert (row["both_solved"], row["both_watched"]) == (6, 6)
    assert row["solved_difference"] == 0 and row["stable_difference"] == pytest.approx(1 / 3)
    assert (row["kept_difference"], row["kept_p"], row["stable_p"]) == (1.0, 2 / 2**6, 2 / 2**6)
    assert (row["drops_ratio"], row["drops_p"]) == (0, 2 / 2**6)


def test_runs_at_other_rates_or_of_other_seeds_are_no_pairs(tmp_path):
    """The RNN's trials at .01 are gone, and one at .1: 12 - 1 pairs at two rates are left."""
    results = tuned(tmp_path, lstm_keeps_at_a_tenth, **TWO)
    trials = results.trials
    rnn = (trials["phase"] == "tune") & (trials["model"] == "rnn")
    gone = rnn & ((trials["learning_rate"] == 0.01) | (trials["seed"] == FIRST_TUNING_SEED + 3))
    gone &= trials["learning_rate"] < 0.5
    (row,) = contrasts_at_equal_rates(dataclasses.replace(results, trials=trials[~gone])).to_dict("records")
    assert (row["rates"], row["pairs"], row["both_solved"]) == (2, 11, 5)


def test_what_is_shown_at_equal_rates_only_is_said(tmp_path):
    """At their own rates all report trials are stable. Of four tests with 9 seeds, 4 x 2 / 2^9 is shown."""
    found = equal_rates.table(tuned(tmp_path, lstm_keeps_at_a_tenth, seeds=9, **TWO))
    (said,) = equal_rates.findings(found)
    assert said.startswith("lstm against rnn. At equal rates: P(stable) +0.33 [")
    assert "; P(stable | solved) +1.00 [" in said and "; ratio of drop rates 0 [" in said
    assert said.endswith("At own rates: not decidable with so few seeds."), "all clusters tie"
    assert len(equal_rates.render(found).get_axes()) == 3


def test_a_difference_at_own_rates_that_equal_rates_do_not_show_may_be_the_rates():
    row = {"level": "adam", "other": "rmsprop", "decidable": True}
    for measure in ("solved", "stable", "kept", "drops"):
        row |= {f"{measure}_{end}": 0.2 for end in ("difference", "low", "high", "p_holm")}
    shown = row | {"stable_p_holm": 0.01}
    assert equal_rates.compared(row, shown) == (
        "adam against rmsprop. At equal rates: no difference shown, so that it may be the rates'. "
        "At own rates: P(stable) +0.20 [+0.20, +0.20]."
    )
    few = equal_rates.compared(row | {"decidable": False}, shown)
    assert "At equal rates: not decidable with so few seeds, so that it may be" in few
    assert equal_rates.compared(row, row) == ""


def up_to(condition, rate, seed):
    """Seeds 0 to 5 are stable at .01 up to nothing, .01, .1, .1, .1 and 1."""
    return S if rate <= (0, 0.01, 0.1, 0.1, 0.1, 1.0)[seed] else D


def test_the_stable_range_of_a_hand_made_grid(tmp_path):
    """Largest rates 0, .01, .1, .1, .1, inf: median .1, limits of six the extremes. Widths 0 1 2 2 2 3."""
    (row,) = stable_range.table(tuned(tmp_path, up_to)).frame.to_dict("records")
    assert (row["rates"], row["lowest"], row["highest"], row["seeds"]) == (3, 0.01, 1.0, 6)
    assert (row["stable_up_to"], row["stable_up_to_low"], row["stable_up_to_high"]) == (0.1, 0, math.inf)
    ends = (row["stable_decades"], row["stable_decades_low"], row["stable_decades_high"])
    assert ends == pytest.approx(np.clip(mean_interval(np.array([0, 1, 2, 2, 2, 3]), 1.0), 0, 3))
    assert (row["stable_nowhere"], row["stable_open"]) == (1, 5), "all but seed 0 at .01, the lowest"
    assert stable_range.worded_widths(pd.DataFrame([row]), "stable")[0].startswith("at least 1.67 [0.58, ")
    assert stable_range.worded_rate(row, "stable") == "0.1 [none, at least 1]"


def test_fewer_than_six_seeds_give_no_limits_of_the_largest_rate_and_half_a_grid_no_row(tmp_path):
    results = tuned(tmp_path, up_to)
    few = results.trials[results.trials["seed"] % 1_000_000 < 5]
    (row,) = stable_range.table(dataclasses.replace(results, trials=few)).frame.to_dict("records")
    assert (row["seeds"], row["stable_up_to_low"], row["stable_up_to_high"]) == (5, 0, math.inf)
    assert stable_range.worded_rate(row, "stable") == "0.1", "no interval is written"
    part = results.trials[results.trials["learning_rate"] < 1]
    assert stable_range.table(dataclasses.replace(results, trials=part)).frame.empty


def bars(found):
    """Heights of the bars of each upper panel, and its top over the highest rate tried."""
    axes = stable_range.render(found).get_axes()
    segments = [axis.containers[0].lines[2][0].get_segments() for axis in axes[: len(axes) // 2]]
    return [[float(np.ptp(s[:, 1])) for s in panel] for panel in segments], axes


def test_few_seeds_have_no_bar_and_each_optimizer_its_own_rates(tmp_path):
    found = stable_range.table(tuned(tmp_path, up_to))
    six, few = bars(found)[0], bars(dataclasses.replace(found, frame=found.frame.assign(seeds=5)))[0]
    assert six[0][0] > 0 and few == [[0.0]]
    faster = found.frame.assign(optimizer="sgd", lowest=1.0, highest=100.0)
    slower = found.frame.assign(optimizer="adam")
    _, axes = bars(dataclasses.replace(found, frame=pd.concat([slower, faster])))
    assert [round(axis.get_ylim()[1], 1) for axis in axes[:2]] == [2.2, 220.0]
    assert axes[2].get_ylim() == axes[3].get_ylim(), "widths in decades share their axis"


def fixed(path, rates):
    """Two lengths at fixed rates, 6 seeds each: stable up to .1 at T = 5 and up to .01 at T = 9.

    At .1 and T = 9 runs diverge while they are watched, of every other seed; the others are not watched.
    """
    space = Space(**TUNED | {"lengths": (5, 9)}, learning_rate=rates, seeds=6)
    results = []
    for condition, seed in itertools.product(space.conditions(), range(6)):
        rate = condition.learning_rate
        trial = dataclasses.replace(make_trial_of(condition), seed=seed, learning_rate=rate, max_steps=1_000)
        stable = rate <= (0.1 if condition.length == 5 else 0.01)
        watched = 50 if stable or (rate == 0.1 and seed % 2) else 0
        known = dict(solved_step=100 if stable else None, watched_steps=watched)
        results.append(a_result(trial, S if stable else D, **known))
    return load(make_folder(path / "x", space, results, together=True))


def test_fixed_rates_have_a_map_and_a_range_too(tmp_path):
    results = fixed(tmp_path, tuple(RATES))
    cells = stability_map.table(results).frame
    assert cells["n"].tolist() == [6] * 6
    assert cells.pivot(index="rate", columns="length", values="stable").to_numpy().tolist() == [
        [6, 6], [6, 0], [0, 0],
    ]  # fmt: skip
    found = stable_range.table(results)
    assert found.frame["stable_up_to"].tolist() == [0.1, 0.01]
    assert stable_range.findings(found) == [
        "rnn, sgd: at least 2.00 [1.67, 2.33] decades of rates at T = 5 and at least 1.00 [0.67, 1.33] at "
        "T = 9 are stable; the highest stable rate is 0.1 and 0.01."
    ]
    upper, lower = stable_range.render(found).get_axes()
    assert upper.get_yscale() == "log" and lower.get_xlabel() == "length T"
    assert contrasts_at_equal_rates(results).empty, "the verdict compares them at equal rates"


def test_where_rates_are_an_axis_they_are_the_axis_of_every_figure(tmp_path):
    """Stable up to .1 at T = 5 and up to .01 at T = 9; beyond, all diverge. One panel, a line per length."""
    results = fixed(tmp_path, tuple(RATES))
    steps = steps_to_solve.table(results)
    assert steps.by_rate.sort_values(["length", "learning_rate"])["share"].tolist() == [
        0.1,
        0.1,
        1,
        0.1,
        1,
        1,
    ]
    (axis,) = steps_to_solve.render(steps).get_axes()
    assert [line.get_ydata().tolist() for line in axis.get_lines()] == [[0.1, 0.1, 1.0], [0.1, 1.0, 1.0]]
    assert axis.get_xlabel() == "learning rate" and "share of the budget" in steps_to_solve.remarks(steps)
    (axis,) = critical_length.render(critical_length.table(results)).get_axes()
    assert sorted({line.get_xdata()[0] for line in axis.get_lines() if len(line.get_xdata())}) == RATES
    found = drops.table(results)
    axis, _ = drops.render(found).get_axes()
    assert [text.get_text() for text in axis.texts] == ["0 in 6", "0 in 6", "0 in 6", "3 in 3"]
    assert "drops in how many watched runs" in drops.remarks(found)
    assert len(stable_range.render(stable_range.table(results)).get_axes()) == 2
    (row,) = coverage.table(results).frame.to_dict("records")
    assert (row["conditions"], row["planned"]) == (6, 36)
    assert "chosen rate at an edge" not in coverage.readable(coverage.table(results))


def test_a_single_fixed_rate_has_neither(tmp_path):
    results = fixed(tmp_path, (0.1,))
    assert stability_map.table(results).frame.empty and stable_range.table(results).frame.empty
    assert stable_range.render(stable_range.table(results)).axes == []
    (axis,) = steps_to_solve.render(steps_to_solve.table(results)).get_axes()
    assert axis.get_xlabel() == "steps"


def chosen(objective, drawn):
    """The rate that a tuning chooses of those drawn: the slowest that gained 85 % of what the best did."""
    gain = 1 - objective
    return min(rate for rate in drawn if gain[rate] >= ENOUGH["fast"] * max(gain[list(drawn)]))


@pytest.mark.parametrize("tied", [False, True])
def test_the_chance_of_a_rate_to_be_chosen_is_that_of_all_draws(tied):
    generator = np.random.default_rng(1)
    for _ in range(5):
        objective = generator.uniform(size=6).round(1 if tied else 6)
        for tried in range(1, 7):
            draws = list(itertools.combinations(range(6), tried))
            counts = np.bincount([chosen(objective, drawn) for drawn in draws], minlength=6)
            assert choices(objective, tried, ENOUGH["fast"]) == pytest.approx(counts / len(draws))


def test_where_no_rate_gained_the_slowest_is_chosen():
    assert choices(np.ones(4), 2, 0.85) == pytest.approx([3 / 6, 2 / 6, 1 / 6, 0]), "none gained: the slowest"


@pytest.mark.parametrize(("norms", "first"), [((1.0, 2.0, math.inf), "max_norm"), ((1.0, math.inf), "lstm")])
def test_clipping_comes_first_where_most_contrasts_are_of_it(tmp_path, norms, first):
    """The models differ by more, and all is shown."""
    results = tuned(tmp_path, lstm_keeps_at_a_tenth, seeds=2, max_norms=norms, **TWO)
    found = equal_rates.table(results)
    shown = {name: 0.001 for name in found.frame if name.endswith("_p_holm")}
    size = {"model": 0.9, "clipping": 0.1}
    frame = found.frame.assign(**shown, solved_difference=found.frame["factor"].map(size))
    assert equal_rates.findings(dataclasses.replace(found, frame=frame))[0].startswith(first)


def test_the_budget_follows_what_a_tuning_chose_by(tmp_path):
    """Both rates learn equally fast; the slower one drops once, so that only `stable` passes it over."""
    ends = {0.01: R, 0.1: S, 1.0: D}
    worth = {}
    for tune_for in ("fast", "stable"):
        results = tuned(tmp_path / tune_for, lambda _c, rate, _s: ends[rate], seeds=3, tune_for=tune_for)
        found = budget.table(results)
        worth[tune_for] = found.frame.set_index("rates")["p_stable"][3]
        assert f"tune_for={tune_for}" in budget.SECTION.remarks(found)
    assert worth == {"fast": 0.0, "stable": 1.0}


def test_a_rate_is_judged_by_the_other_tunings():
    """Each tuning solves at its own rate only: what it chooses is worth nothing to the other, or to none."""
    objective, value = 1 - np.eye(2), np.eye(2)
    assert judged(objective, value, 2, 0.85)[0, 1] == judged(objective, value, 2, 0.85)[1, 0] == 0
    assert np.isnan(judged(objective, value, 2, 0.85)[0, 0])
    assert mean_over_tunings([judged(objective, value, 1, 0.85)]) == (0.5, 0.0, 1.0), (
        "one rate: half of the time"
    )
    agreeing = np.where(np.eye(4), np.nan, 0.5)
    low, high = mean_over_tunings([agreeing], run=0.01)[1:]
    assert (low, high) == pytest.approx((0.5 - 3.182 * 0.01, 0.5 + 3.182 * 0.01), rel=1e-3)


def test_the_order_of_the_models_holds_from_some_number_of_rates_on(tmp_path):
    """The RNN is stable at two of three rates, the LSTM at the fastest only, and in all draws of three."""

    def ends(condition, rate, seed):
        if condition.model == "lstm":
            return S if rate == 1.0 else U
        return R if rate == 1.0 and seed else S if rate >= 0.1 and seed else U

    found = budget.table(tuned(tmp_path, ends, **TWO))
    share = found.frame.pivot(index="rates", columns="model", values="p_stable")
    assert share["lstm"].tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert share["rnn"].iloc[0] == pytest.approx(5 / 18), "at one rate of three, 5 of 6 runs"
    assert share["rnn"].iloc[2] == pytest.approx(5 / 6 * 4 / 5), (
        "seed 0 solves nowhere, and chooses the slowest"
    )
    (said,) = budget.findings(found)
    assert said == (
        "With 1 to 3 rates tried, the mean P(stable) stays highest with lstm, then rnn. Whether models "
        "differ is tested under Effects."
    )
    turned = found.frame.assign(
        p_stable=found.frame["p_stable"].where(found.frame["rates"] > 1, 0.5)  # equal with one rate
    )
    assert budget.findings(dataclasses.replace(found, frame=turned))[0].startswith(
        "With 2 to 3 rates tried, the mean P(stable) is highest with lstm, then rnn; with 1 it is so with "
        "lstm and rnn. "
    )
    assert len(budget.render(found).get_axes()) == 2
