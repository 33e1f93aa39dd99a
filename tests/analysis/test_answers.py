"""The first sentences of a report: true, short, and silent where nothing is shown."""

import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.baseline import with_baseline
from analysis.contrasts import contrasts, factors_of
from analysis.load import load
from analysis.names import arms_in_words, at, length_label, listed, short, spoken, the
from analysis.sections import SECTIONS, by_length, equal_rates
from analysis.sections.verdict import otherwise
from analysis.sections.verdict.answers import answers
from analysis.sections.verdict.evidence import evidence
from analysis.sections.verdict.summary import summary
from harness.condition import Outcome
from harness.errors import UserError
from tests.folders import made_grid

S, R, L, U, D = Outcome.STABLE, Outcome.RECOVERED, Outcome.LOST, Outcome.UNSOLVED, Outcome.DIVERGED

TITLES = {section.title for section in SECTIONS}

FIXED = "Learning rates were fixed, not tuned: what is compared is compared at equal rates."


def said_of(results) -> list[str]:
    found = answers(evidence(results))
    assert {title for sentence in found for title in sentence.sections} <= TITLES
    assert all(sentence.sections for sentence in found)
    return [sentence.words for sentence in found]


def lstm_is_better(condition, seed):
    """The RNN solves T = 5 only; the LSTM all, but drops at T = 9 without clipping, one run for good."""
    if condition.model == "rnn":
        return S if condition.length == 5 else U
    unclipped = condition.length == 9 and math.isinf(condition.max_norm)
    return (L if seed == 0 else R) if unclipped else S


@pytest.fixture(scope="module")
def wins(tmp_path_factory):
    """Nine seeds: the LSTM wins at T = 9 with every one, and keeps the solution only with clipping."""
    return made_grid(tmp_path_factory.mktemp("wins"), lstm_is_better, seeds=9)


def test_what_two_models_say(wins):
    assert said_of(wins) == [
        "Without clipping, within 1,000 steps, the LSTM trains up to T = 9, the longest tried, in all of its "
        "runs; the RNN trains up to T = 5 in all of its runs and from T = 9 on in none.",
        "Of the runs that solved their task, some fell back within the next 800 steps, without clipping: 9 "
        "of 18 with the LSTM and 0 of 9 with the RNN; 1 of these 9 were not back at the end.",
        "With clipping at 1, 33 more of 100 runs that both sides solved stayed solved than without clipping; "
        "no threshold was shown to change how many runs solve their task; looked at length by length, a "
        "difference is shown at T = 9.",
        "With the LSTM, 50 more of 100 runs solved their task than with the RNN; looked at length by length, "
        "a difference is shown at T = 9.",
        FIXED,
    ]


def test_no_difference_is_named_that_is_not_shown(tmp_path):
    """The LSTM wins with all of six seeds at one length: the least p is 2 / 2^6 of 3 tests, .09."""
    results = made_grid(tmp_path, lambda c, _: S if c.model == "lstm" else U, lengths=(5,), max_norms=(1.0,))
    assert contrasts(results)["solved_difference"].tolist() == [1.0]
    assert said_of(results)[2] == ("These seeds are too few to decide between models.")


def test_equal_arms_are_said_not_to_be_shown_to_differ(tmp_path):
    """With each of 8 seeds another of the 8 arms fails: every factor differs in all clusters, in balance."""

    def ends(condition, seed):
        arm = (condition.model == "rnn", condition.optimizer == "sgd", math.isinf(condition.max_norm))
        return U if seed == sum(2**place for place, bit in enumerate(arm) if bit) else S

    said = said_of(made_grid(tmp_path, ends, optimizers=("adam", "sgd"), seeds=8))
    assert said[1:3] == [
        "None of the 56 runs that solved their task fell back within the next 800 steps, without clipping.",
        "No clipping threshold was shown to matter. No difference was shown between models or optimizers.",
    ]


def test_nothing_is_compared_where_nothing_was_solved(tmp_path):
    assert said_of(made_grid(tmp_path, lambda *_: U, seeds=2)) == [
        "None of the 16 runs solved its task (T = 5 to 9): how far a model trains, and whether it keeps what "
        "it learnt, cannot be said.",
        FIXED,
    ]


def test_missing_runs_and_divergences_are_counted(tmp_path):
    ends = {(5, 0): D, (9, 0): D}
    results = made_grid(
        tmp_path, lambda c, seed: ends.get((c.length, seed), S), seeds=3, models=("rnn",), max_norms=(1.0,)
    )
    next(Path(results.folders[0]).glob("trials/*.parquet")).unlink()
    said = said_of(load(*results.folders))
    assert said[1].endswith("1 of all 3 runs diverged.")
    assert said[-1] == "This is unfinished: 3 of 6 runs are missing, and much of this may change."


def test_before_any_report_run_nothing_is_said_to_be_found(tmp_path):
    results = made_grid(tmp_path, lambda *_: S, seeds=1, models=("rnn",))
    bare = dataclasses.replace(results, trials=results.trials.iloc[:0])
    assert said_of(bare) == ["No run that counts is recorded yet: nothing can be said."]


@pytest.mark.contract
def test_many_models_are_named_at_the_ends(tmp_path):
    """Of six models two solve everything, two the shorter length, two nothing."""
    reach = {"lstm": 9, "gru": 9, "rnn": 5, "irnn": 5, "mgu": 0, "lru": 0}
    results = made_grid(
        tmp_path,
        lambda c, _: S if c.length <= reach[c.model] else U,
        seeds=1,
        models=tuple(reach),
        max_norms=(1.0,),
    )
    assert said_of(results)[0] == (
        "Within 1,000 steps, of 6 models these 2 solve most: the GRU trains up to T = 9, the longest tried, "
        "in all of its runs; the LSTM trains up to T = 9, the longest tried, in all of its runs. These solve "
        "least: the LRU solved its task in none of its 2 runs; the MGU solved its task in none of its 2 runs."
    )


@pytest.mark.contract
def test_settings_of_a_model_are_named_up_to_three_and_then_counted(tmp_path):
    reach = {"adam": 9, "sgd": 5, "rmsprop": 5, "momentum": 0}
    three, four = (
        made_grid(
            tmp_path / str(len(optimizers)),
            lambda c, _: S if c.length <= reach[c.optimizer] else U,
            seeds=2,
            models=("rnn",),
            max_norms=(1.0,),
            optimizers=optimizers,
        )
        for optimizers in (("adam", "sgd", "rmsprop"), tuple(reach))
    )
    assert said_of(three)[0] == (
        "Within 1,000 steps, the RNN trains up to T = 9, the longest tried, in all of its runs with Adam and "
        "up to T = 5 in all of its runs with RMSprop and SGD and from T = 9 on in none."
    )
    assert said_of(four)[0] == (
        "Within 1,000 steps, the RNN trains beyond T = 9 in half of its runs with Adam, the best of 4 "
        "settings (optimizer), chosen on these runs."
    )


def test_what_equal_rates_show_is_said_where_tuned_ones_show_nothing(wins):
    shown = evidence(wins)
    silent = shown.effects.copy()
    silent[[name for name in silent if name.endswith("_p_holm")]] = 1.0
    found = dataclasses.replace(
        shown, effects=silent, at_equal_rates=shown.effects, tuned=8, tuned_diverged=3
    )
    said = [sentence.words for sentence in answers(found)]
    assert said[1].endswith("Of the 8 runs that tuned learning rates, with any clipping, 3 diverged.")
    assert said[2:4] == [
        "At tuned learning rates no clipping threshold was shown to matter. No difference was shown between "
        "models.",
        "At equal learning rates: with clipping at 1, 33 more of 100 runs that both sides solved stayed "
        "solved than without clipping; with the LSTM, 50 more of 100 runs solved their task than with the "
        "RNN.",
    ]


def test_fixed_rates_say_from_which_on_runs_diverge_and_how_many_neighbours_differ(tmp_path):
    """Six seeds; at .1 all diverge, at .01 all solve, at .001 none does."""
    ends = {0.001: U, 0.01: S, 0.1: D}
    rates = {"learning_rate": tuple(ends), "max_norms": (1.0,)}
    results = made_grid(tmp_path, lambda c, _: ends[c.learning_rate], models=("rnn",), **rates)
    said = said_of(results)
    assert said[1].endswith("12 of all 36 runs diverged, all at learning rates from 0.1 on.")
    assert any(s.startswith("With learning_rate 0.01, 100 more of 100 runs solved their task") for s in said)


def test_a_baseline_turns_every_comparison_towards_itself(wins):
    """The LSTM wins: told of the RNN against it, fewer solve."""
    against = with_baseline(wins, "lstm")
    row = contrasts(against).set_index("factor").loc["model"]
    assert (row["level"], row["other"], row["solved_difference"]) == ("rnn", "lstm", -0.5)
    assert any(s.startswith("With the RNN, 50 fewer of 100 runs solved") for s in said_of(against))
    clipped = with_baseline(wins, "max_norm 1")
    assert factors_of(clipped)["clipping"] == [("no clipping", "max_norm 1")]
    assert summary(clipped)["arm"].unique().tolist() == ["max_norm 1"]


def test_an_unknown_baseline_is_refused_with_what_is_known(tmp_path):
    results = made_grid(tmp_path, lambda *_: S, seeds=1)
    with pytest.raises(UserError) as error:
        with_baseline(results, "lstn")
    assert str(error.value) == (
        "baseline=lstn is not in these results; known: model: lstm, rnn; optimizer: sgd; clipping: "
        "max_norm 1, no clipping"
    )


def test_a_users_own_class_is_compared_with_what_is_built_in(tmp_path):
    """In the alphabet it comes last; its last name is enough for the baseline."""
    results = made_grid(tmp_path, lambda c, _: S if c.model == "rnn" else U, seeds=8, lengths=(5,))
    own = {"rnn": "mine.cells:MyCell", "lstm": "lstm"}
    frames = (frame.assign(model=frame["model"].map(own)) for frame in (results.conditions, results.trials))
    conditions, trials = frames
    results = dataclasses.replace(results, conditions=conditions, trials=trials)
    row = contrasts(results).set_index("factor").loc["model"]
    assert (row["level"], row["other"], row["solved_difference"]) == ("mine.cells:MyCell", "lstm", 1.0)
    assert any(s.startswith("With MyCell, 100 more of 100 runs solved") for s in said_of(results))
    turned = contrasts(with_baseline(results, "MyCell")).set_index("factor").loc["model"]
    assert (turned["level"], turned["other"]) == ("lstm", "mine.cells:MyCell")


def test_lengths_are_looked_at_only_where_a_difference_is_shown_over_all(tmp_path, wins):
    """By hand: 9 seeds at T = 9 win, p is 2 / 2^9. All tie at T = 5: that shows nothing and costs nothing."""
    found = by_length.table(wins).frame
    row = found.set_index(["factor", "measure", "along", "at"]).loc[("model", "solved", "length", 9)]
    assert (row["value"], row["p"], row["pairs"], row["clusters"]) == (1.0, 2 / 2**9, 18, 9)
    assert row["p_holm"] == row["p"]
    assert set(found["measure"]) == {"solved", "kept"}, "these say what P(stable) mixes"
    assert by_length.lengths(wins)["length"].tolist() == [5, 9, 5, 9]
    assert by_length.table(made_grid(tmp_path, lambda *_: S, seeds=1, models=("rnn",))).frame.empty


RATES = (0.01, 0.1, 1.0)


@pytest.fixture(scope="module")
def crossing(tmp_path_factory):
    """Four seeds, three lengths and rates. The RNN wins at .01 and T = 5, the LSTM at .1 and 1 everywhere."""

    def ends(condition, seed):
        if condition.learning_rate == 0.01:
            return S if condition.model == "rnn" and condition.length == 5 else U
        return S if condition.model == "lstm" else U

    return made_grid(
        tmp_path_factory.mktemp("crossing"), ends, seeds=4, lengths=(5, 9, 13), max_norms=(1.0,),
        learning_rate=RATES,
    )  # fmt: skip


def frame(*rows):
    """Contrasts: factor, level, other, and by measure the difference (of drops the ratio) and adjusted p."""
    found = []
    for factor, level, other, measures in rows:
        row = {"factor": factor, "level": level, "other": other}
        for measure in ("solved", "stable", "kept", "drops"):
            value, p = measures.get(measure, (0.0 if measure != "drops" else 1.0, 1.0))
            row |= {f"{measure}_{'ratio' if measure == 'drops' else 'difference'}": value}
            row |= {f"{measure}_p_holm": p}
        found.append(row)
    return pd.DataFrame(found)


def test_what_equal_rates_have_the_other_way_round_is_said():
    own = frame(
        ("optimizer", "adam", "sgd", {"kept": (0.1, 0.01), "drops": (0.2, 0.01), "solved": (0.1, 0.01)})
    )
    equal = frame(
        ("optimizer", "adam", "sgd", {"kept": (-0.04, 0.3), "drops": (0.1, 0.3), "solved": (0.2, 0.01)})
    )
    found = SimpleNamespace(effects=own, at_equal_rates=equal)
    assert otherwise.turned_round(found, "optimizer") == [
        "at equal learning rates Adam and SGD differ the other way in how many stay solved"
    ]
    assert otherwise.turned_round(found, "model") == []
    assert otherwise.turned_round(SimpleNamespace(effects=own, at_equal_rates=equal[:0]), "optimizer") == []
    pairs = [(equal.to_dict("records")[0], own.to_dict("records")[0])]
    assert equal_rates.changed_sign(pairs) == [
        "The other way round at own rates than at equal ones: adam against sgd in P(stable | solved)."
    ]
    assert equal_rates.changed_sign([(pairs[0][1], pairs[0][1])]) == []


def test_thresholds_that_change_solving_at_equal_rates_only_are_named_so():
    rows = [("clipping", f"max_norm {n}", "no clipping", {"solved": (d, p)}) for n, d, p in
            ((1, 0.034, 0.001), (2, 0.012, 0.04), (5, 0.05, 0.06))]  # fmt: skip
    said = otherwise.solving_unshown(SimpleNamespace(at_equal_rates=frame(*rows)))
    assert said.endswith("; at equal rates 2 of 3 were, by +1 to +3 of 100 runs")
    plain = otherwise.solving_unshown(SimpleNamespace(at_equal_rates=frame(rows[2])))
    assert plain == "no threshold was shown to change how many runs solve their task"


def test_differences_are_looked_at_rate_by_rate_too(crossing):
    """Of 36 pairs the LSTM wins 24 and loses 4: +.56. At .1 all 12 clusters lead one way: p is 2 / 2^12."""
    found = by_length.table(crossing)
    rows = found.frame[found.frame["measure"] == "solved"].set_index(["factor", "along", "at"]).sort_index()
    assert rows.loc[("model", "learning_rate"), "value"].to_list() == [pytest.approx(-1 / 3), 1.0, 1.0]
    assert rows.loc[("model", "length"), "value"].to_list() == [pytest.approx(1 / 3), 2 / 3, 2 / 3]
    at = rows.loc[("model", "learning_rate", 0.1)]
    assert (at["pairs"], at["differ"], at["p"]) == (12, 12, 2 / 2**12)
    assert at["p_holm"] == 2 * at["p"], "two of six rows could be shown: four clusters decide nothing"
    assert rows.loc[("model", "length"), "p_holm"].isna().all()
    assert set(found.frame["factor"]) == {"model"}, "between rates: the stability map has them"
    assert by_length.findings(found) == [
        "lstm - rnn, P(solved): above 0 at learning rate 0.1 and 1, below at 0.01 (95 % intervals). The mean "
        "+0.56 is over 3 values from 0.01 to 1: others give another."
    ]
    assert by_length.remarks(found) == (
        "Model: 4 of 6 rows have no p, because at most 4 clusters (a seed of one length each) differ there; "
        "from 8 on that lead one way any row could have one."
    ), "2 / 2^8 of six tests is .047"
    assert by_length.readable(found)["adjusted p"].tolist().count("-") == 4


def test_differences_are_drawn_against_the_length_and_the_rate(crossing):
    axes = by_length.render(by_length.table(crossing)).get_axes()
    assert [axis.get_xlabel() for axis in axes] == ["length T", "learning rate"]
    assert [axis.get_xscale() for axis in axes] == ["log", "log"]
    assert [len(axis.containers) for axis in axes] == [1, 1], "nobody solved with both models"
    assert axes[1].containers[0].lines[0].get_ydata().tolist() == pytest.approx([-1 / 3, 1, 1])


def test_the_verdict_names_lengths_and_no_rates_as_lengths(crossing):
    assert set(evidence(crossing).by_length["along"]) == {"length"}
    assert not any("T = 0.1" in said for said in said_of(crossing))


@pytest.mark.parametrize(
    ("name", "every", "expected"),
    [
        ("lstm", ["lstm"], "LSTM"),
        ("a.b:Cell", ["a.b:Cell", "rnn"], "Cell"),
        ("a.b:Cell", ["a.b:Cell", "c:Cell"], "a.b:Cell"),
        ("a.b:LSTM", ["a.b:LSTM"], "a.b:LSTM"),
        ("a:", ["a:"], "a:"),
        (0.1, [0.1], "0.1"),
    ],
)
def test_a_name_is_short_where_it_is_clear(name, every, expected):
    assert spoken(name, every) == expected


def test_words():
    assert (the("gru", ["gru"]), the("m:Mine", ["m:Mine"])) == ("the GRU", "Mine")
    assert (listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], "or")) == ("a", "a and b", "a, b or c")
    assert (
        arms_in_words(["max_norm 0.5", "max_norm 1", "zclip"]) == "clipping at 0.5 and 1 and the rule zclip"
    )
    assert (at(5, False), at(1, True), at(4, True)) == ("T = 5", "1 layer", "4 layers")
    assert length_label(["sbm", "karate"]) == "layers"
    assert length_label(["adding"]) == "length T"
    assert short("x", ["x"]) == "x"


def test_along_a_numeric_axis_the_best_value_and_the_ends_are_counted(tmp_path):
    rates = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    ends = dict(zip(rates, (U, S, U, R, U, S, U), strict=True))
    fields = dict(models=("rnn",), lengths=(5,), max_norms=(1.0,), learning_rate=rates, seeds=10)
    results = made_grid(tmp_path, lambda condition, _: ends[condition.learning_rate], **fields)
    assert (
        "Along learning rate, neighbouring values differ in how many solved their task: "
        "10 of 10 at 0.003, 0 of 10 at 0.001 and 0 of 10 at 1 solved it."
    ) in said_of(results)
