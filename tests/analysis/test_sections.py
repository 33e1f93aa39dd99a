import dataclasses
import math
import re

import pandas as pd
import pytest

from analysis.firth import critical_lengths
from analysis.load import load
from analysis.report import write_report
from analysis.sections import (
    clipping,
    critical_length,
    drops,
    gradient_flow,
    learning_rates,
    stability,
    stability_map,
    steps_to_solve,
)
from analysis.statistics import wilson
from harness.condition import FIRST_TUNING_SEED, Outcome, Pack
from harness.planning.space import Space
from tests.folders import ENDS_BY_RATE, TUNED, a_result, drops_folder, grid_folder, make_folder, with_rate
from tests.trials import make_trial, make_trial_of

S, R, U, D = Outcome.STABLE, Outcome.RECOVERED, Outcome.UNSOLVED, Outcome.DIVERGED


def test_learning_rate_response_of_a_hand_made_grid(tmp_path):
    """Mean losses 2.1, .2, .1, .2 and (2.4 + .4) / 2 = 1.4: mean .8, minus the best .1."""
    (row,) = learning_rates.table(load(grid_folder(tmp_path, ENDS_BY_RATE))).frame.to_dict("records")
    assert (row["rates"], row["tuning_seeds"]) == (5, 2)
    assert row["sensitivity"] == pytest.approx(0.7)
    assert (row["best_rate"], row["best_at_edge"]) == (0.1, False)
    assert row["largest_stable"] == 1.0
    assert (row["solved_low"], row["solved_high"], row["solved_decades"]) == (0.1, 1.0, pytest.approx(1.0))


def test_the_page_says_what_learning_rates_were_chosen_by(tmp_path):
    (said,) = learning_rates.findings(learning_rates.table(load(grid_folder(tmp_path, ENDS_BY_RATE))))
    assert said == "Learning rates were chosen by the loss over all of training (tune_for=fast)."


def test_losses_above_the_initial_loss_count_as_the_initial_loss(tmp_path):
    """Five rates at 2.4, 2.4 (from 9 and inf), 2.4, 2.4 and 0: mean 1.92."""
    ends = {rate: [(U, 9.0), (U, math.inf)] for rate in ENDS_BY_RATE} | {10.0: [(S, 0.0), (S, 0.0)]}
    (row,) = learning_rates.table(load(grid_folder(tmp_path, ends))).frame.to_dict("records")
    assert row["sensitivity"] == pytest.approx(1.92)
    assert row["best_at_edge"]
    assert math.isnan(row["largest_stable"]), "the lowest rate already ended above its initial loss"
    assert row["solved_decades"] == 0


def test_a_condition_that_solves_nowhere_has_no_range(tmp_path):
    ends = {rate: [(U, 2.0), (U, 2.0)] for rate in ENDS_BY_RATE}
    found = learning_rates.table(load(grid_folder(tmp_path, ends)))
    (row,) = found.frame.to_dict("records")
    assert (row["sensitivity"], row["largest_stable"]) == (0.0, 10.0)
    assert math.isnan(row["solved_decades"])
    assert learning_rates.readable(found).iloc[0][
        ["largest rate without divergence", "decades"]
    ].tolist() == ["10", "-"]


def test_a_grid_that_is_not_recorded_whole_is_not_read(tmp_path):
    folder = grid_folder(tmp_path, ENDS_BY_RATE)
    lost = Pack((make_trial(FIRST_TUNING_SEED, 1e-3),)).pack_id
    (folder / "trials" / f"{lost}.parquet").unlink()
    assert learning_rates.table(load(folder)).frame.empty


def test_the_stability_map_of_a_hand_made_grid(tmp_path):
    """Of two seeds at rates .001 to 10: stable 0, 1, 1, 2, 1; solved 0, 1, 2, 2, 1; one diverged at 10."""
    found = stability_map.table(load(grid_folder(tmp_path, ENDS_BY_RATE)))
    frame = found.frame
    assert frame["rate"].tolist() == list(ENDS_BY_RATE), "a rate off the grid is left out"
    assert frame["n"].tolist() == [2] * 5
    assert frame["stable"].tolist() == [0, 1, 1, 2, 1]
    assert frame["solved"].tolist() == [0, 1, 2, 2, 1]
    assert frame["diverged"].tolist() == [0, 0, 0, 0, 1]
    assert frame["p_stable_low"].tolist() == pytest.approx([wilson(k, 2)[0] for k in (0, 1, 1, 2, 1)])
    (row,) = stability_map.readable(found).to_dict("records")
    assert (row["learning rates"], row["stable"]) == ("0.001 0.01 0.1 1 10", "0 1 1 2 1")
    (axis, *_) = stability_map.render(found).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["0.001", "0.01", "0.1", "1", "10"]
    assert sorted(label.get_text() for label in axis.texts) == ["0/2", "1/2", "1/2", "1/2", "2/2"]


def test_the_outline_surrounds_the_cells_where_half_the_runs_are_stable(tmp_path):
    """The four highest of five rates: a box of four cells has ten unit edges."""
    figure = stability_map.render(stability_map.table(load(grid_folder(tmp_path, ENDS_BY_RATE))))
    edges = {tuple(map(tuple, line.get_xydata())) for line in figure.axes[0].lines}
    sides = {((x, y), (x, y + 1)) for x in (0, 1) for y in (1, 2, 3, 4)}
    assert edges == sides | {((0, 1), (1, 1)), ((0, 5), (1, 5))}


def test_drops_of_hand_made_trials(tmp_path):
    found = drops.table(load(drops_folder(tmp_path))).frame.set_index("arm")
    clipped, free = found.loc["max_norm 1"], found.loc["no clipping"]
    assert (clipped["with_drops"], clipped["n"]) == (2, 2)
    assert (clipped["drops"], clipped["watched_steps"]) == (3, 2_000)
    assert clipped["drops_per_1000"] == pytest.approx(1.5)
    assert (clipped["drops_per_1000_low"], clipped["drops_per_1000_high"]) == (
        pytest.approx(0.6187 / 2, abs=1e-4),
        pytest.approx(8.7673 / 2, abs=1e-4),
    )
    assert clipped["median_depth"] == 0.5
    assert clipped["median_recovery"] == 30, "10, 30, and more than 10: half by 30"
    assert (free["drops"], free["drops_per_1000_high"]) == (0, pytest.approx(3.6889, abs=1e-4))
    assert math.isnan(free["median_recovery"])


def test_a_drop_is_censored_after_the_steps_it_was_seen_to_last():
    """Starts 10, 9 and 100 steps before the end of 500, and one that recovers in 10: half by 10."""
    frame = pd.DataFrame({"start_step": [100, 491, 400], "end_step": [110, None, None], "steps": 500})
    frame["censored"] = frame["end_step"].isna()
    assert drops.recovery(frame) == 10
    assert drops.recovery(frame, divergences=2) == math.inf, (
        "half by 10, of three; of five only one recovered"
    )
    frame["censored"] = False
    assert drops.recovery(frame) == math.inf, "a divergence cut them off"


def test_a_condition_with_two_chosen_rates_counts_one_of_them_everywhere(tmp_path):
    space = Space(**TUNED, seeds=2, tuning_seeds=1)
    tune = [a_result(make_trial(FIRST_TUNING_SEED, r), objective=r) for r in (0.1, 0.2)]
    report = [
        a_result(make_trial(s, r), Outcome.RECOVERED, [(9, 0.5, 20, True, False)], watched_steps=500)
        for r in (0.1, 0.2)
        for s in range(2)
    ]
    (row,) = drops.table(load(make_folder(tmp_path / "x", space, [*tune, *report]))).frame.to_dict("records")
    assert (row["with_drops"], row["n"], row["drops"], row["watched_steps"]) == (2, 2, 2, 1_000)
    assert row["drops_per_1000"] == pytest.approx(2.0)


def test_the_figure_of_drops_has_a_series_per_arm(tmp_path):
    (axis,) = drops.render(drops.table(load(drops_folder(tmp_path)))).get_axes()
    handles, labels = axis.get_legend_handles_labels()
    assert labels == ["max_norm 1", "no clipping"]
    assert handles[0].lines[0].get_xdata().tolist() == [1.5]


def test_conditions_that_were_never_watched_have_no_row_and_no_figure(tmp_path):
    space = Space(**TUNED, seeds=1)
    folder = make_folder(tmp_path / "x", space, [a_result(make_trial(), Outcome.UNSOLVED, watched_steps=0)])
    found = drops.table(load(folder))
    assert found.frame.empty
    assert drops.render(found).axes == []
    assert "Nothing is recorded for this yet." in write_report(load(folder)).read_text()


def test_clipping_rules_are_arms_of_the_same_panel(tmp_path):
    """A rule with one threshold goes by its name, one with several by name and threshold."""
    space = Space(
        **TUNED | {"max_norms": (1.0, math.inf)},
        clip_rules=("norm", "zclip", "value"),
        options={"max_value": (2.0, 1e-5)},
        learning_rate=(0.1,),
        seeds=1,
    )
    results = [
        a_result(make_trial_of(condition), watched_steps=10, solved_step=5)
        for condition in space.conditions()
    ]
    table = stability.table(load(make_folder(tmp_path / "x", space, results)))
    figure = stability.render(table)
    assert len(figure.get_axes()) == 2, "one panel for each of the two measures"
    labels = figure.get_axes()[0].get_legend_handles_labels()[1]
    assert labels == ["max_norm 1", "no clipping", "value max_value 1e-05", "value max_value 2", "zclip"]


@pytest.mark.contract
def test_a_folder_with_tuning_trials_only_gives_a_page_that_says_what_is_missing(tmp_path):
    page = write_report(load(grid_folder(tmp_path, ENDS_BY_RATE))).read_text()
    assert "1 report trials are missing in 1 of 1 conditions" in page
    assert "Nothing is recorded for this yet." in page


def clipping_folder(tmp_path):
    """max_norm 1 clips 60 % and 80 % of the steps, max_norm 50 none."""
    space = Space(**TUNED | {"max_norms": (1.0, 50.0, math.inf)}, learning_rate=(0.1,), seeds=2)
    shares = {1.0: (0.6, 0.8), 50.0: (0.0, 0.0), math.inf: (0.0, 0.0)}
    results = [
        a_result(
            make_trial(seed, 0.1, max_norm=max_norm),
            clipped_share=share,
            clip_never_active=share == 0,
            clip_mostly_active=share > 0.5,
            mean_clip_coefficient=1 - share / 2,
            grad_norm_p50=2.0 + seed,
        )
        for max_norm, pair in shares.items()
        for seed, share in enumerate(pair)
    ]
    return make_folder(tmp_path / "x", space, [with_rate(result) for result in results])


def test_clip_accounting_by_condition(tmp_path):
    found = clipping.table(load(clipping_folder(tmp_path))).frame.set_index("arm")
    always, never = found.loc["max_norm 1"], found.loc["max_norm 50"]
    assert (always["never_active"], always["mostly_active"], always["n"]) == (0, 2, 2)
    assert (always["clipped_share"], always["clipped_share_low"], always["clipped_share_high"]) == (
        pytest.approx(0.7),
        0.6,
        0.8,
    )
    assert always["mean_clip_coefficient"] == pytest.approx(0.65)
    assert always["grad_norm_p50"] == 2.5
    assert (never["never_active"], never["mostly_active"]) == (2, 0)


def test_thresholds_that_never_or_mostly_act_are_named_on_the_page(tmp_path):
    folder = clipping_folder(tmp_path)
    never, mostly = clipping.warnings(clipping.table(load(folder)))
    assert "1 of 2 conditions with a threshold no step was ever clipped" in never
    assert "(max_norm 50)" in never
    assert "1 of 2 conditions more than half" in mostly
    assert "(max_norm 1)" in mostly
    assert never in write_report(load(folder)).read_text()


def test_the_figure_of_clipping_leaves_out_no_clipping(tmp_path):
    (axis,) = clipping.render(clipping.table(load(clipping_folder(tmp_path)))).get_axes()
    handles, labels = axis.get_legend_handles_labels()
    assert labels == ["max_norm 1", "max_norm 50"]
    assert handles[0].lines[0].get_ydata().tolist() == pytest.approx([0.7])


def moments_folder(tmp_path):
    """Two trials of T = 5 with a gradient that halves, and quarters, per step back."""
    space = Space(**TUNED, learning_rate=(0.1,), seeds=2)
    results = []
    for seed, factor in enumerate((0.5, 0.25)):
        result = with_rate(a_result(make_trial(seed, 0.1)))
        norms = [factor**back for back in (3, 2, 1, 0)]
        moments = {"moment": ["init"], "step": [0], "grad_state_rate": [factor], "lyapunov_1": [math.nan]}
        profiles = {
            "moment": ["init"] * 4,
            "step": [0] * 4,
            "t": [1, 2, 3, 4],
            "quantity": ["grad_state"] * 4,
            "mean_norm": norms,
            "median_norm": norms,
        }
        results.append(dataclasses.replace(result, moments=moments, profiles=profiles))
    return make_folder(tmp_path / "x", space, results, ("grad_state_rate", "lyapunov_1"))


def test_gradient_flow_by_moment(tmp_path):
    found = gradient_flow.table(load(moments_folder(tmp_path)))
    (row,) = found.frame.to_dict("records")
    assert (row["moment"], row["n"], row["seeds"], row["length"]) == ("init", 2, 2, 5)
    assert (row["grad_state_rate"], row["grad_state_rate_low"], row["grad_state_rate_high"]) == (
        0.25,
        0.25,
        0.5,
    )
    assert math.isnan(row["lyapunov_1"])
    profile = found.profiles.set_index("back")["gradient"]
    assert profile.tolist() == pytest.approx([1, 0.375, (0.25 + 0.0625) / 2, (1 / 8 + 1 / 64) / 2])
    (axis,) = gradient_flow.render(found).get_axes()
    assert axis.get_legend_handles_labels()[1] == ["before training"]


def flow_folder(tmp_path, rates):
    """Two optimizers, two ways of clipping, three seeds; SGD solves with seed 0, Adam with all, at any rate.

    A network's factor is .9 - seed / 10 before training, for all, then 1 when solved, 2 and 1e-9 at the end.
    """
    space = Space(
        **TUNED | {"optimizers": ("sgd", "adam"), "max_norms": (1.0, math.inf)}, learning_rate=rates, seeds=3
    )
    results = []
    for condition in space.conditions():
        for seed in range(3):
            solves = condition.optimizer == "adam" or seed == 0
            own = dict(learning_rate=condition.learning_rate, seed=seed, max_steps=1_000)
            trial = dataclasses.replace(make_trial_of(condition), **own)
            result = a_result(trial, Outcome.STABLE if solves else Outcome.UNSOLVED)
            names = ["init", "solved", "end"] if solves else ["init", "end"]
            end = {"init": 0.9 - seed / 10, "solved": 1.0, "end": 2.0 if solves else 1e-9}
            found = {"moment": names, "step": [0, 9, 99][: len(names)]}
            found |= {"grad_state_rate": [end[name] for name in names]}
            reach = {"init": math.inf, "solved": math.inf, "end": math.inf if solves else 3.0}
            found |= {"grad_state_reach": [reach[name] for name in names]}
            profiles = {
                "moment": [name for name in names for _ in range(2)],
                "step": [0] * 2 * len(names),
                "t": [1, 2] * len(names),
                "quantity": ["grad_state"] * 2 * len(names),
                "mean_norm": [norm for name in names for norm in (1e-169, end[name])],
                "median_norm": [1.0] * 2 * len(names),
            }
            results.append(dataclasses.replace(result, moments=found, profiles=profiles))
    names = ("grad_state_rate", "grad_state_reach")
    return load(make_folder(tmp_path / "x", space, results, names, together=True))


def test_networks_are_counted_before_training_and_the_same_runs_are_compared_after(tmp_path):
    """Before: 3 networks, not 12 runs. SGD solves 2 of 6 runs, of one seed; both optimizers stand apart."""
    found = gradient_flow.table(flow_folder(tmp_path, (0.1,)))
    names = ["moment", "optimizer", "ended", "n", "seeds", "grad_state_rate"]
    rows = found.frame[names].astype(object).where(found.frame[names].notna(), None).to_numpy().tolist()
    assert rows == [
        ["init", None, None, 3, 3, 0.8],
        ["solved", "adam", "solved", 6, 3, 1.0],
        ["end", "adam", "solved", 6, 3, 2.0],
        ["solved", "sgd", "solved", 2, 1, 1.0],
        ["end", "sgd", "solved", 2, 1, 2.0],
        ["end", "sgd", "not solved", 4, 2, 1e-9],
    ]
    shown = gradient_flow.readable(found)
    assert shown["reach (steps)"].tolist() == ["-"] * 5 + ["3 (3, 3)"]
    first = found.profiles[(found.profiles["moment"] == "init") & (found.profiles["back"] == 0)]
    assert first["gradient"].tolist() == pytest.approx([0.8, 0.8]), "the middle of 3 networks, a panel each"
    adam, sgd = gradient_flow.render(found).get_axes()
    assert adam.get_ylim()[0] > 1e-10, "a norm of 1e-169 lies at the edge"
    assert "values beyond 1e-08" in gradient_flow.remarks(found)
    assert len(sgd.get_lines()) == 4 and len(adam.get_lines()) == 3


def test_learning_rates_are_on_the_axis_of_the_figure_and_together_in_the_table(tmp_path):
    found = gradient_flow.table(flow_folder(tmp_path, (0.01, 0.1)))
    whole = found.frame[found.frame["learning_rate"].isna()]
    assert whole["n"].tolist() == [3, 12, 12, 4, 4, 8], "networks once, runs of both rates"
    assert len(gradient_flow.readable(found)) == 6 and len(found.frame) == 6 + 2 * 5
    axes = gradient_flow.render(found).get_axes()
    assert len(axes) == 4, "a column per optimizer, solved above, not solved below"
    assert axes[0].get_lines()[0].get_xdata().tolist() == [0.01, 0.1]
    assert axes[3].get_lines()[0].get_ydata().tolist() == [0.1, 0.1], "1e-9 lies at the edge"
    assert "All learning rates are together" in gradient_flow.remarks(found)


def test_gradient_flow_of_trials_without_moments_says_nothing(tmp_path):
    folder = drops_folder(tmp_path)
    found = gradient_flow.table(load(folder))
    assert found.frame.empty
    assert gradient_flow.render(found).axes == []


def lengths_folder(tmp_path):
    """Five seeds at T = 4, 8, 16: no clipping solves 5, 5, 0; max_norm 1 solves 5, 3, 1, one of them lost."""
    norms, lengths = (1.0, math.inf), (4, 8, 16)
    space = Space(**TUNED | {"max_norms": norms, "lengths": lengths}, learning_rate=(0.1,), seeds=5)
    solved = {1.0: (5, 3, 1), math.inf: (5, 5, 0)}
    results = []
    for max_norm in norms:
        for length, count in zip(lengths, solved[max_norm], strict=True):
            for seed in range(5):
                outcome = Outcome.UNSOLVED if seed >= count else Outcome.STABLE
                if (max_norm, length, seed) == (1.0, 8, 0):
                    outcome = Outcome.DIVERGED
                step = None if outcome == Outcome.UNSOLVED else 100 * (seed + 1)
                trial = make_trial(seed, 0.1, length=length, max_norm=max_norm, max_steps=1_000)
                results.append(with_rate(a_result(trial, outcome, solved_step=step)))
    return make_folder(tmp_path / "x", space, results)


def test_critical_lengths_of_separated_and_overlapping_arms(tmp_path):
    found = critical_length.table(load(lengths_folder(tmp_path)))
    rows = found.frame.set_index("arm")
    free, clipped = rows.loc["no clipping"], rows.loc["max_norm 1"]
    assert (free["lengths"], free["n"], free["solved_separated"]) == (3, 15, True)
    assert (free["solved_all"], free["solved_none"]) == (8, 16)
    assert 8 < free["solved_T50"] < 16
    assert (clipped["solved_all"], clipped["solved_none"], clipped["solved_separated"]) == (
        4,
        math.inf,
        False,
    )
    assert clipped["solved_T90"] < clipped["solved_T50"] < 16
    shown = critical_length.readable(found).set_index("max_norm")
    assert shown.loc["inf", "T50 (solved)"] == "8 to 16"
    assert re.fullmatch(r"[\d.]+ \[[\d.]+, [\d.]+\]", shown.loc["1", "T50 (solved)"])
    (axis,) = critical_length.render(found).get_axes()
    assert axis.get_legend_handles_labels()[1] == ["max_norm 1", "no clipping"]


def test_critical_lengths_where_all_or_none_succeed():
    def words(*solved):
        found = critical_lengths([4, 8], list(solved), [5, 5], [0.5, 0.9])
        row = critical_length.columns_of("solved", found) | {"shortest": 4, "longest": 8}
        return critical_length.worded(row, "solved", "T90")

    assert words(5, 5) == "beyond 8"
    assert words(0, 0) == "below 4"
    assert words(5, 0) == "4 to 8"
    assert words(4, 5) == "not determined", "longer sequences are solved more often: nothing is excluded"
    assert words(4, 4) == "not determined", "as often"
    assert re.fullmatch(r"below 4 \[0, [\d.]+\]", words(1, 0)), "no number outside of what was tried"
    assert [critical_length.steps(x) for x in (0.5, 12.345, math.inf)] == ["0", "12.3", "inf"]


def test_steps_to_solve_count_who_never_does(tmp_path):
    """At T = 8: 100 and then diverged, 200, 300, never, never: mean of 1000, 200, 300, 1000, 1000."""
    found = steps_to_solve.table(load(lengths_folder(tmp_path)))
    rows = found.frame.set_index(["arm", "length"])
    row = rows.loc[("max_norm 1", 8)]
    assert (row["n"], row["solved"], row["budget"]) == (5, 2, 1_000)
    assert row["restricted_mean"] == pytest.approx(700)
    assert 0 < row["p_logrank"] < 0.2, "2 of 5 against 5 of 5 without clipping"
    assert math.isnan(rows.loc[("no clipping", 8), "p_logrank"]), "it is not tested against itself"
    curves = found.curves
    at_8 = curves[curves["length"] == 8]
    assert at_8["unsolved"].iloc[-1] == pytest.approx(3 / 10)
    (axis,) = steps_to_solve.render(found).get_axes()
    assert axis.get_legend_handles_labels()[1] == ["T = 4", "T = 8", "T = 16"]


@pytest.mark.parametrize("max_norms", [(math.inf,), (1.0, math.inf)])
def test_steps_are_compared_at_the_same_learning_rate_or_not_at_all(tmp_path, max_norms):
    """Without clipping the rate 1 solves nothing and .1 everything; with it all is solved at both."""
    space = Space(**TUNED | {"max_norms": max_norms}, learning_rate=(0.1, 1.0), seeds=5)
    results = [
        a_result(trial, Outcome.UNSOLVED if fails else Outcome.STABLE, solved_step=step)
        for condition in space.conditions()
        for seed in range(5)
        for fails in [condition.learning_rate == 1.0 and math.isinf(condition.max_norm)]
        for step in [None if fails else 100]
        for own in [dict(learning_rate=condition.learning_rate, seed=seed, max_steps=1_000)]
        for trial in [dataclasses.replace(make_trial_of(condition), **own)]
    ]
    found = steps_to_solve.table(load(make_folder(tmp_path / "x", space, results)))
    p = found.frame.set_index(["arm", "learning_rate"])["p_logrank"].dropna()
    shown = "p against no clipping" in steps_to_solve.readable(found)
    if len(max_norms) == 1:
        assert p.empty and not shown
    else:
        assert list(p.index) == [("max_norm 1", 1.0)] and p.iloc[0] < 0.01 and shown


def test_conditions_without_an_option_match_each_other():
    assert steps_to_solve.point({"alpha": math.nan, "length": 5}, ["alpha", "length"]) == (None, 5)


def test_many_panels_wrap_and_those_left_over_are_not_drawn(tmp_path):
    space = Space(
        **TUNED | {"optimizers": ("rmsprop",)},
        options={"alpha": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)},
        learning_rate=(0.1,),
        seeds=1,
    )
    results = [a_result(make_trial_of(condition)) for condition in space.conditions()]
    figure = stability.render(stability.table(load(make_folder(tmp_path / "x", space, results))))
    assert sum(axis.get_visible() for axis in figure.get_axes()) == 2 * 7
    assert figure.get_figwidth() < 20
