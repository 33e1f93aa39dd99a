import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.contrasts import MEASURES, contrasts, factors_of
from analysis.load import load
from analysis.paired import holm, sign_flip_p
from analysis.sections import effects
from analysis.shown import SHOWN_AT, decidable
from analysis.standings import standings
from analysis.words import TOO_FEW, difference
from harness.condition import Outcome
from harness.planning.space import Space
from tests.folders import a_result, made_grid, make_folder, with_rate
from tests.trials import make_trial

S, R, U, D = Outcome.STABLE, Outcome.RECOVERED, Outcome.UNSOLVED, Outcome.DIVERGED


def lstm_is_better(condition, seed):
    """The RNN solves T = 5 only; the LSTM all, but drops at T = 9 without clipping."""
    if condition.model == "rnn":
        return S if condition.length == 5 else U
    return R if condition.length == 9 and math.isinf(condition.max_norm) else S


def test_contrasts_by_hand(tmp_path):
    """Of 24 pairs of models the LSTM wins 12 in 6 clusters, all of the length 9: p is 2 / 2^6.

    P(stable): it wins only the 6 with clipping. Clipping makes 6 of 24 runs stable, in the same 6 clusters.
    """
    found = contrasts(made_grid(tmp_path, lstm_is_better)).set_index("factor")
    model, clipping = found.loc["model"], found.loc["clipping"]
    assert (model["level"], model["other"]) == ("lstm", "rnn")
    assert (model["conditions"], model["pairs"]) == (4, 24)
    assert (model["solved_difference"], model["stable_difference"]) == (0.5, 0.25)
    assert model["solved_p"] == model["stable_p"] == pytest.approx(2 / 64)
    assert model["solved_p_holm"] == pytest.approx(6 / 64), "all measures of one factor are a family"
    assert model["solved_low"] < 0.5 < model["solved_high"]
    assert (clipping["level"], clipping["other"]) == ("max_norm 1", "no clipping")
    assert (clipping["solved_difference"], clipping["stable_difference"]) == (0.0, 0.25)
    assert clipping["solved_p"] == 1


def test_numbers_are_compared_with_their_neighbours_and_names_all_with_all(tmp_path):
    results = made_grid(
        tmp_path,
        lambda *_: S,
        seeds=1,
        models=("rnn",),
        optimizers=("sgd", "adam", "rmsprop"),
        hidden_size=(4, 8, 16),
        max_norms=(1.0, 5.0),
    )
    assert factors_of(results) == {
        "optimizer": [("adam", "rmsprop"), ("adam", "sgd"), ("rmsprop", "sgd")],
        "hidden_size": [(8, 4), (16, 8)],
        "clipping": [("max_norm 1", "max_norm 5")],
    }


def test_an_option_that_only_one_side_has_matches_any_value(tmp_path):
    """The LSTM has two forget biases: each of its runs is paired with the RNN's of the same seed."""
    results = made_grid(
        tmp_path,
        lambda condition, _: S if dict(condition.options).get("forget_bias", 1) else U,
        options={"forget_bias": (0.0, 1.0)},
        lengths=(5,),
        max_norms=(1.0,),
    )
    found = contrasts(results).set_index("factor")
    assert (found.loc["model", "pairs"], found.loc["model", "stable_difference"]) == (12, -0.5)
    assert (found.loc["forget_bias", "pairs"], found.loc["forget_bias", "stable_difference"]) == (6, 1.0)


def test_standings_compare_models_where_all_were_trained(tmp_path):
    found = standings(made_grid(tmp_path, lstm_is_better)).set_index("model")
    assert found["rank"].to_dict() == {"lstm": 1, "rnn": 2}, "6 clusters of 6: p is 2 / 2^6"
    assert (found.loc["lstm", "p_solved"], found.loc["lstm", "p_stable"]) == (1.0, 0.75)
    assert found.loc["lstm", "steps_to_solve"] == pytest.approx(0.1)
    assert found.loc["rnn", "steps_to_solve"] == pytest.approx((0.1 + 1) / 2)


def test_a_condition_that_one_model_lacks_does_not_count_for_the_others(tmp_path):
    """The RNN was trained at T = 5 only; that the LSTM fails at 9 must not hold it back."""
    fixed = dict(model="rnn", max_norm=1.0, learning_rate=0.1)
    space = Space(
        name="x",
        summary="",
        optimizers=("sgd",),
        lengths=(5, 9),
        max_norms=(1.0,),
        learning_rate=(0.1,),
        seeds=2,
    )
    short, long = (
        [with_rate(a_result(make_trial(seed, **fixed | {"length": length}), o)) for seed in range(2)]
        for length, o in ((5, S), (9, U))
    )
    lstm = [
        dataclasses.replace(
            r,
            trial=dataclasses.replace(
                r.trial, condition=dataclasses.replace(r.trial.condition, model="lstm")
            ),
        )
        for r in (*short, *long)
    ]
    found = standings(load(make_folder(tmp_path / "x", space, [*short, *lstm])))
    assert found["rank"].tolist() == [1, 1]
    assert found["runs"].tolist() == [2, 2]


def test_effects_say_what_is_shown_and_what_is_not(tmp_path):
    said = effects.findings(effects.table(made_grid(tmp_path, lstm_is_better, seeds=9)))
    assert said[0].startswith("On average over 4 conditions of each model: lstm solved 100 % [")
    assert "] of its runs, and 75 % [" in said[0]
    assert "; rnn solved 50 % [" in said[0]
    assert any(s.startswith("Model: lstm against rnn: P(solved) +0.50 [") and "p = 0.012" in s for s in said)
    assert any(s.startswith("Clipping: max_norm 1 against no clipping: P(stable) +0.25 [") for s in said)


def test_effects_say_no_difference_shown(tmp_path):
    """Each model wins with every other seed: 16 clusters differ."""
    results = made_grid(tmp_path, lambda c, seed: S if (c.model == "lstm") == seed % 2 else U, seeds=8)
    said = effects.findings(effects.table(results))
    assert any(s.startswith("Model, no difference shown: lstm against rnn: P(solved) +0.00 [") for s in said)


@pytest.mark.contract
def test_of_many_levels_the_largest_differences_are_named(tmp_path):
    """Seven thresholds do not differ from the last; Adam differs from three others, which do not differ."""
    results = made_grid(
        tmp_path,
        lambda condition, _: S if condition.optimizer == "adam" else U,
        models=("rnn",),
        optimizers=("adam", "sgd", "momentum", "rmsprop"),
        lengths=(5,),
        max_norms=(0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0),
        seeds=10,
    )
    said = effects.findings(effects.table(results))
    (clipping,) = [s for s in said if s.startswith("Clipping")]
    assert clipping.count("against max_norm 100") == 6
    assert "And 1 more, see the table." in clipping
    assert sum(s.startswith("Optimizer: adam against") for s in said) == 3


def test_what_no_outcome_of_so_few_seeds_could_show_is_not_decidable(tmp_path):
    """Adam wins with every seed. Four seeds: the least p is 2 / 2^4 of one sided test, of three tests."""
    said = effects.findings(effects.table(optimizer_wins(tmp_path / "few", seeds=4)))
    (few,) = [s for s in said if s.startswith("Optimizer")]
    assert few == (
        "Optimizer, not decidable with so few seeds: adam against sgd. For that 7 clusters must lead one "
        "way, and in these at most 4 differ: about 7 seeds could be enough for one of them."
    ), "2 / 2^7 of three tests is .047"
    said = effects.findings(effects.table(optimizer_wins(tmp_path / "many", seeds=8)))
    (many,) = [s for s in said if s.startswith("Optimizer")]
    assert many.startswith("Optimizer: adam against sgd: P(solved) +1.00 [")
    assert "p = 0.016" in many, "2 / 2^8, of two tests: no pair of runs solved together"


def test_clusters_that_tie_cannot_decide(tmp_path):
    """The LSTM wins with all seeds at T = 13; at 5 and 9 all is solved. 4 of 12 clusters: 2 / 2^4 at best."""
    results = made_grid(
        tmp_path,
        lambda c, _: U if c.model == "rnn" and c.length == 13 else S,
        seeds=4,
        lengths=(5, 9, 13),
        max_norms=(1.0,),
    )
    found = effects.table(results)
    (row,) = found.frame.to_dict("records")
    assert (row["clusters"], row["solved_differ"], row["kept_differ"], row["drops_differ"]) == (12, 4, 0, 0)
    assert row["solved_p"] == 2 / 2**4
    said = effects.findings(found)
    assert said[-1].startswith(
        "Model, not decidable with so few seeds: lstm against rnn. For that 7 clusters"
    )
    shown = effects.readable(found)
    assert shown["clusters that differ: solved, stable"].tolist() == ["4, 4 of 12"]
    assert shown["p, adjusted p (solved)"].tolist() == ["-"], "an estimate and its interval, but no p"
    assert shown["P(solved)"].iloc[0].startswith("+0.333 [")


def test_a_measure_that_could_not_have_been_shown_is_said_to_be_so_beside_one_that_could(tmp_path):
    """T = 9: each side is stable alone with 4 of 8 seeds, and solves alone with one of 4 of them."""

    def ends(condition, seed):
        ahead = (condition.model == "lstm") == (seed < 4)
        return S if ahead else R if seed % 4 else U

    found = effects.table(made_grid(tmp_path, ends, seeds=8, lengths=(9,), max_norms=(1.0,)))
    (row,) = found.frame.to_dict("records")
    assert (row["solved_differ"], row["stable_differ"], row["stable_p"]) == (2, 8, 1.0)
    said = effects.findings(found)[-1]
    assert "P(solved) +0.00 [" in said and "] (not decidable); P(stable) +0.00 [" in said
    shown = effects.readable(found)
    assert shown["p, adjusted p (solved)"].tolist() == ["-"]
    assert shown["p, adjusted p (stable)"].tolist() == ["1, 1"]


def test_few_pairs_that_both_solved_have_no_interval_in_sentences_tables_and_figures(tmp_path):
    """At T = 5 of 6 seeds 4 solve with both models, and drop with the RNN; at 9 none solves with the RNN."""

    def ends(condition, seed):
        if condition.model == "lstm":
            return S
        return R if condition.length == 5 and seed < 4 else U

    found = effects.table(made_grid(tmp_path, ends, max_norms=(1.0,)))
    assert found.frame["both_solved"].tolist() == [4]
    assert effects.readable(found)["P(stable | solved)"].tolist() == [TOO_FEW]
    (axis,) = effects.render(found).get_axes()
    drawn = {c.get_label(): c.lines[0].get_xdata() for c in axis.containers}
    assert np.isnan(drawn["P(stable | solved)"]).all() and np.isfinite(drawn["P(solved)"]).all()
    assert "Of fewer than 5 pairs" in effects.remarks(found)
    five = {"both_solved": 5, "kept_difference": 1.0, "kept_low": 0.4, "kept_high": 1.0}
    assert difference(five, "kept") == "+1.00 [+0.40, +1.00]"


def test_a_difference_over_a_grid_of_rates_is_said_to_be_its_mean(tmp_path):
    results = made_grid(
        tmp_path, lambda *_: S, seeds=1, learning_rate=(0.01, 0.1, 1.0), max_norms=(1.0,), hidden_size=(4, 8)
    )
    found = effects.table(results)
    assert found.axes == {"hidden_size": [4, 8], "learning_rate": [0.01, 0.1, 1.0]}
    over = "2 values of hidden_size from 4 to 8"
    rates = "3 learning rates from 0.01 to 1"
    assert f"Differences are means over {over} and {rates}." in effects.remarks(found)
    names = [said.partition(", not decidable")[0] for said in effects.findings(found)[1:]]
    assert names == [
        f"Model, mean over {over}, mean over {rates}", f"Hidden size, mean over {rates}",
        f"Learning rate, mean over {over}",
    ]  # fmt: skip


def test_the_least_p_of_a_factor_are_adjusted_together():
    """Least p of 10 and 6 clusters are .002 and .031: Holm multiplies the larger by one, not by two."""
    p = {f"{m}_p": [1.0, 1.0] if m == "solved" else math.nan for m in MEASURES}
    rows = pd.DataFrame(p | {f"{m}_differ": [10, 6] for m in MEASURES}, index=[7, 3])
    assert decidable(rows).to_dict() == {7: True, 3: True}
    assert decidable(rows.assign(solved_differ=[6, 6])).to_dict() == {7: False, 3: False}


@given(st.lists(st.lists(st.integers(-2, 2), min_size=1, max_size=12), min_size=1, max_size=6))
def test_whatever_is_shown_was_decidable(tests):
    """A row per test, of one measure: no adjusted p is less than the least that it could have been."""
    p = [sign_flip_p(np.array(sums)) for sums in tests]
    rows = pd.DataFrame({f"{m}_{end}": math.nan for m in MEASURES for end in ("p", "differ")}, range(len(p)))
    rows = rows.assign(solved_p=p, solved_differ=[np.count_nonzero(sums) for sums in tests])
    assert all(decidable(rows) | (np.array(holm(p)) >= SHOWN_AT))


def optimizer_wins(folder, seeds):
    return made_grid(
        folder,
        lambda condition, _: S if condition.optimizer == "adam" else U,
        seeds=seeds,
        models=("rnn",),
        optimizers=("adam", "sgd"),
        lengths=(5,),
        max_norms=(1.0,),
    )


def test_what_happens_after_solving_is_compared_where_both_solved(tmp_path):
    """With clipping all 12 stay stable. Without, the RNN fails at T = 9 and drops in every run at T = 5."""
    results = made_grid(
        tmp_path,
        lambda condition, _: S if condition.max_norm == 1 else U if condition.length == 9 else R,
        models=("rnn",),
    )
    row = contrasts(results).set_index("factor").loc["clipping"]
    assert (row["pairs"], row["both_solved"], row["clusters"]) == (12, 6, 12)
    assert (row["kept_difference"], row["kept_p"]) == (1.0, 2 / 2**6)


def test_seeds_of_different_lengths_are_different_clusters(tmp_path):
    """Wins at T = 5 and losses at T = 9 of the same seeds: 6 and 6 clusters, no difference, p = 1."""
    results = made_grid(
        tmp_path,
        lambda condition, _: S if (condition.optimizer == "adam") == (condition.length == 5) else U,
        models=("rnn",),
        optimizers=("adam", "sgd"),
    )
    row = contrasts(results).set_index("factor").loc["optimizer"]
    assert (row["solved_difference"], row["solved_p"]) == (0, 1)
    assert row["solved_high"] < 0.2, "lengths are strata: nothing varies within them"


def test_the_reference_is_the_highest_threshold_that_was_recorded(tmp_path):
    """No clipping was planned and not trained; another rule is no reference while there are thresholds."""
    results = made_grid(tmp_path, lambda *_: S, seeds=1, max_norms=(1.0, 5.0), clip_rules=("norm", "zclip"))
    assert factors_of(results)["clipping"] == [("max_norm 1", "max_norm 5"), ("zclip", "max_norm 5")]
    planned = dataclasses.replace(
        results,
        conditions=results.conditions.replace({"max_norm": {5.0: math.inf}}),
        trials=results.trials[results.trials["max_norm"] != 5.0],
    )
    assert factors_of(planned)["clipping"] == [("zclip", "max_norm 1")]


def test_models_with_different_values_of_an_option_that_both_have_are_not_compared(tmp_path):
    """The RNN starts orthogonal, the LSTM by Xavier: no condition is shared."""
    results = made_grid(tmp_path, lambda *_: S, seeds=1, options={"init": ("orthogonal", "xavier")})
    start = {"rnn": "orthogonal", "lstm": "xavier"}
    kept = results.trials[results.trials["init"] == results.trials["model"].map(start)]
    apart = dataclasses.replace(results, trials=kept)
    assert standings(apart).empty
    assert contrasts(apart).query("factor == 'model'").empty
    assert not any(s.startswith("On average") for s in effects.findings(effects.table(apart)))


def test_equally_stable_models_share_a_rank_and_stand_in_the_order_of_their_speed(tmp_path):
    results = made_grid(tmp_path, lambda *_: S)
    slower = results.trials["model"] == "rnn"
    trials = results.trials.assign(solved_step=results.trials["solved_step"].mask(slower, 500))
    found = standings(dataclasses.replace(results, trials=trials)).set_index("model")
    assert found.index.tolist() == ["lstm", "rnn"]
    assert found["rank"].to_dict() == {"lstm": 1, "rnn": 1}
    assert found["shared"].all()
    assert found.loc["rnn", "steps_to_solve"] == 0.5


@pytest.mark.parametrize(("seeds", "ranks"), [(5, [1, 1]), (6, [1, 2])])
def test_a_model_ranks_behind_another_only_where_the_difference_is_shown(tmp_path, seeds, ranks):
    """The LSTM is stable with every seed, the RNN with none: of one pair p is 2 / 2^5 = .06, or .03."""
    results = made_grid(
        tmp_path, lambda c, _: S if c.model == "lstm" else R, seeds=seeds, lengths=(5,), max_norms=(1.0,)
    )
    found = standings(results)
    assert found["model"].tolist() == ["lstm", "rnn"]
    assert found["rank"].tolist() == ranks
    assert found["shared"].tolist() == [ranks == [1, 1]] * 2
    assert (found["p_stable_low"] <= found["p_stable"]).all()
    assert (found["p_stable"] <= found["p_stable_high"]).all()


def test_pairs_in_which_one_solves_sooner_by_hand(tmp_path):
    """Both solve at step 100 at T = 5, a tie; the RNN never does at T = 9: (12 x 1 + 12 x 1/2) / 24."""
    row = contrasts(made_grid(tmp_path, lstm_is_better)).set_index("factor").loc["model"]
    assert row["sooner"] == 0.75
    assert row["sooner_low"] < 0.75 < row["sooner_high"]
    assert (row["both_solved"], row["both_watched"]) == (12, 24)


@pytest.mark.parametrize(("seeds", "shown"), [(7, True), (6, False)])
def test_a_difference_is_shown_below_five_percent(tmp_path, seeds, shown):
    """All seeds of one length win: p is 2 / 2^7 = .0156, of two equal ones .031. Of six seeds it is .0625."""
    results = made_grid(
        tmp_path,
        lambda condition, _: S if condition.model == "lstm" else U,
        seeds=seeds,
        lengths=(5,),
        max_norms=(1.0,),
    )
    said = effects.findings(effects.table(results))
    assert any(s.startswith("Model: lstm against rnn: P(solved) +1.00") for s in said) == shown


@pytest.mark.contract
def test_the_largest_difference_is_named_first(tmp_path):
    """Adam wins at both lengths over SGD, at one over momentum."""
    solved = {"adam": (5, 9), "momentum": (5,), "sgd": ()}
    results = made_grid(
        tmp_path,
        lambda condition, _: S if condition.length in solved[condition.optimizer] else U,
        seeds=10,
        models=("rnn",),
        optimizers=("momentum", "sgd", "adam"),
    )
    shown = [s for s in effects.findings(effects.table(results)) if s.startswith("Optimizer: ")]
    assert [s.partition(":")[2].partition(":")[0].strip() for s in shown] == [
        "adam against sgd", "adam against momentum", "momentum against sgd",
    ]  # fmt: skip


def test_the_figure_names_the_axis_where_its_levels_do_not(tmp_path):
    results = made_grid(
        tmp_path, lambda *_: S, seeds=2, models=("rnn",), optimizers=("sgd", "adam"), hidden_size=(4, 8)
    )
    (axis,) = effects.render(effects.table(results)).get_axes()
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == ["adam - sgd", "hidden_size: 8 - 4", "max_norm 1 - no clipping"]
