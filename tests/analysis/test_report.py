import dataclasses
import math
import re

import numpy as np
import pandas as pd
import pytest

from analysis.alarms import alarms
from analysis.conditions import conditions_table
from analysis.load import LoadError, load
from analysis.report import main, write_report
from analysis.sections import stability
from analysis.table import panel_keys
from analysis.trials import median_steps_to_solve
from harness import probes
from harness.condition import FIRST_TUNING_SEED, Condition, Outcome, Pack, Result, Trial
from harness.planning.space import Space
from harness.results.schema import EVAL_SCHEMA, STEP_SCHEMA
from harness.results.writer import Writer
from tests.folders import make_summary
from tests.trials import make_trial

SOLVED_STEPS = {Outcome.STABLE: 100, Outcome.RECOVERED: 200, Outcome.LOST: 300}


def result(trial, outcome: Outcome) -> Result:
    solved = SOLVED_STEPS.get(outcome)
    drops = 2 if outcome == Outcome.RECOVERED else 0
    return Result(
        trial=trial,
        outcome=outcome,
        summary=make_summary(
            objective=1.0 if outcome == Outcome.DIVERGED else 0.3,
            solved_step=solved,
            drops=drops,
            watched_steps=500 if solved else 0,
            clipped_share=0.25,
            final_score=1.0,
            control_score=0.5,
            seconds=1.0,
        ),
        steps={name: np.zeros(1) for name in STEP_SCHEMA.names[1:]},
        evals={name: np.zeros(1) for name in EVAL_SCHEMA.names[1:]},
    )


def make_folder(folder, space: Space, trials: list[tuple[Trial, Outcome]], failed: list[Trial]):
    conditions = list(dict.fromkeys([t.condition for t, _ in trials] + [t.condition for t in failed]))
    recorder = Writer(
        folder, space.definition(), conditions,
        options=space.option_columns(), measures=probes.measure_columns(),
        provenance={"git_commit": "abc123"},
    )  # fmt: skip
    for trial, outcome in trials:
        recorder.write_pack(Pack((trial,)), [result(trial, outcome)])
    if failed:
        recorder.write_failure(Pack(tuple(failed)), "MemoryError")
    recorder.close()
    return folder


@pytest.fixture
def folder(tmp_path):
    """max_norm 1: stable, stable, recovered, diverged. max_norm inf: unsolved, lost, and 2 failed."""
    space = Space(name="made_up", summary="", models=("rnn",), optimizers=("sgd",), lengths=(5,), seeds=4)
    ends = {
        1.0: [Outcome.STABLE, Outcome.STABLE, Outcome.RECOVERED, Outcome.DIVERGED],
        math.inf: [Outcome.UNSOLVED, Outcome.LOST],
    }
    report = [(make_trial(s, max_norm=m), o) for m, outcomes in ends.items() for s, o in enumerate(outcomes)]
    rates = {1.0: (0.01, 0.1, 1.0), math.inf: (0.1, 1.0)}
    tune = [
        (make_trial(FIRST_TUNING_SEED + seed, max_norm=max_norm, learning_rate=rate), Outcome.STABLE)
        for max_norm, tried in rates.items()
        for seed in range(len(ends[max_norm]))
        for rate in tried
    ]
    failed = [make_trial(seed, max_norm=math.inf) for seed in (2, 3)]
    return make_folder(tmp_path / "made_up", space, report + tune, failed)


def test_the_conditions_table_counts_exactly(folder):
    table = conditions_table(load(folder)).frame.set_index("max_norm")
    clipped, free = table.loc[1.0], table.loc[math.inf]
    counts = ["n", "missing", "stable", "recovered", "lost", "solved", "unsolved", "diverged"]
    assert clipped[counts].tolist() == [4, 0, 2, 1, 0, 3, 0, 1]
    assert free[counts].tolist() == [2, 2, 0, 0, 1, 1, 1, 0]
    assert (clipped["p_stable"], clipped["p_solved"]) == (0.5, 0.75)
    assert clipped["drops_per_1000"] == pytest.approx(1000 * 2 / 1500)
    assert clipped["median_steps_to_solve"] == 100
    assert not clipped["at_edge"]
    assert free["at_edge"], "the lowest rate tried was chosen"
    assert free["median_steps_to_solve"] == 300


def test_divergence_counts_in_the_denominator(folder):
    clipped = conditions_table(load(folder)).frame.set_index("max_norm").loc[1.0]
    assert clipped["n"] == 4
    assert clipped["p_stable_low"] < 0.5 < clipped["p_stable_high"]


def test_a_run_that_diverged_after_it_was_solved_is_infinitely_late():
    trials = pd.DataFrame(
        {
            "outcome": ["stable", "diverged", "diverged"],
            "solved_step": pd.array([100, 50, None], dtype="Int64"),
        }
    )
    assert median_steps_to_solve(trials) == math.inf
    assert median_steps_to_solve(trials.iloc[:2]) == 100


def test_the_page_is_self_contained_and_names_what_is_missing(folder):
    page = write_report(load(folder)).read_text()
    assert "<svg" in page
    assert not re.search(
        r"<(link|img)|url\(http|src=|https?://(?!www.w3.org|purl.org|creativecommons.org|matplotlib.org)",
        page,
    )
    assert "2 of 4" in page
    assert "2 trials failed" in page
    assert "2 report trials are missing in 1 of 2 conditions" in page
    assert "abc123" in page
    assert "NaN" not in page.partition("<script>")[0]


def test_alarms_flag_an_optimum_at_the_edge(folder):
    assert any(
        "1 of 2 conditions the best learning rate is the lowest" in alarm for alarm in alarms(load(folder))
    )


def test_the_figure_has_a_panel_per_measure_and_an_arm_per_max_norm(folder):
    figure = stability.render(stability.table(load(folder)))
    axes = figure.get_axes()
    assert len(axes) == 2
    handles, labels = axes[0].get_legend_handles_labels()
    assert labels == ["max_norm 1", "no clipping"]
    assert handles[0].lines[0].get_ydata().tolist() == [0.5]


def test_an_empty_or_foreign_folder_is_a_clear_error(tmp_path, capsys):
    with pytest.raises(LoadError, match="holds no results"):
        load(tmp_path / "nowhere")
    assert main([str(tmp_path)]) == 2
    assert "holds no results" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_options_are_keys_and_panels_only_where_they_are_axes(tmp_path):
    """RMSprop has an alpha and SGD has none; only the forget bias of the LSTM varies here."""
    space = Space(
        name="axes",
        summary="",
        optimizers=("rmsprop", "sgd"),
        lengths=(5,),
        seeds=1,
        options={"forget_bias": (0.0, 1.0)},
    )
    trials = [(make_trial_of(condition), Outcome.STABLE) for condition in space.conditions()]
    table = stability.table(load(make_folder(tmp_path / "axes", space, trials, [])))
    assert table.keys[-1] == "forget_bias"
    assert panel_keys(table) == ["model", "optimizer", "forget_bias"]
    assert len(table.frame) == 2 * 2 + 2
    assert len(stability.render(table).get_axes()) == 2 * (2 * 2 + 2)


def make_trial_of(condition: Condition) -> Trial:
    return Trial(condition=condition, learning_rate=0.1, seed=0, max_steps=30, observe=20, eval_every=10)


@pytest.mark.contract
def test_conditions_without_report_trials_are_named_and_panels_share_their_lengths(tmp_path):
    """As an interrupted run leaves it: the LSTM has T = 5 and 10, the RNN has T = 10 only."""
    space = Space(name="part", summary="", lengths=(5, 10), seeds=1)
    done = [c for c in space.conditions() if (c.model, c.length) != ("rnn", 5)]
    folder = make_folder(
        tmp_path / "part",
        space,
        [(make_trial_of(condition), Outcome.STABLE) for condition in done],
        [make_trial_of(c) for c in space.conditions() if c not in done],
    )
    results = load(folder)
    table = stability.table(results)
    assert table.frame[["model", "length", "n"]].to_numpy().tolist() == [
        ["lstm", 5, 1],
        ["lstm", 10, 1],
        ["rnn", 5, 0],
        ["rnn", 10, 1],
    ]
    assert "1 report trials are missing in 1 of 4 conditions, 1 of which have none" in " ".join(
        alarms(results)
    )
    for axis in stability.render(table).get_axes()[2:]:
        assert [label.get_text() for label in axis.get_xticklabels()] == ["5", "10"]
    assert write_report(load(folder)).read_text().count("0 of 0") == 2


def test_a_failure_made_good_in_another_pack_is_no_alarm(tmp_path):
    space = Space(name="good", summary="", models=("rnn",), lengths=(5,), seeds=1)
    (trial,) = [make_trial_of(condition) for condition in space.conditions()]
    folder = make_folder(tmp_path / "good", space, [(trial, Outcome.STABLE)], [trial])
    assert load(folder).failures.empty
    assert alarms(load(folder)) == []


def test_a_seed_counts_once_when_a_folder_holds_two_chosen_rates(tmp_path):
    """As after a change of versions that choose other rates: the lower one is reported."""
    space = Space(name="two", summary="", models=("rnn",), optimizers=("sgd",), lengths=(5,), seeds=2)
    report = [(make_trial(s, learning_rate=r), Outcome.STABLE) for r in (0.1, 0.2) for s in (0, 1)]
    results = load(make_folder(tmp_path / "two", space, report, []))
    (row,) = stability.table(results).frame.to_dict("records")
    assert (row["n"], row["missing"], row["learning_rate"]) == (2, 0, 0.1)
    assert any("2 report seeds have trials at several" in alarm for alarm in alarms(results))


def test_the_rates_of_a_condition_are_those_that_its_seeds_chose(tmp_path):
    """Seeds 0 to 2 chose 1, .01 and .1 of a grid from .01 to 1: two of three are at an edge."""
    space = Space(name="own", summary="", models=("rnn",), optimizers=("sgd",), lengths=(5,), seeds=3)
    report = [(make_trial(s, learning_rate=r), Outcome.STABLE) for s, r in enumerate((1.0, 0.01, 0.1))]
    tune = [
        (make_trial(FIRST_TUNING_SEED + seed, learning_rate=rate), Outcome.STABLE)
        for seed in range(3)
        for rate in (0.01, 0.1, 1.0)
    ]
    results = load(make_folder(tmp_path / "own", space, report + tune, []))
    table = stability.table(results)
    (row,) = table.frame.to_dict("records")
    assert (row["learning_rate"], row["learning_rate_low"], row["learning_rate_high"]) == (0.1, 0.01, 1.0)
    assert row["at_edge"]
    assert stability.readable(table)["learning rate"].tolist() == ["0.1 (0.01 to 1)*"]


def test_a_rate_is_at_the_edge_of_what_its_own_tuning_tried(tmp_path):
    """The range of seed 1 grew downwards. It chose inside, and so did the others."""
    space = Space(name="own", summary="", models=("rnn",), optimizers=("sgd",), lengths=(5,), seeds=3)
    tried = {0: (0.01, 0.1, 1.0), 1: (1e-4, 1e-3, 0.01, 0.1, 1.0), 2: (0.01, 0.1, 1.0)}
    tune = [
        (make_trial(FIRST_TUNING_SEED + seed, learning_rate=rate), Outcome.STABLE)
        for seed, rates in tried.items()
        for rate in rates
    ]
    for chosen, edge in (((0.1, 0.01, 0.1), False), ((0.01, 0.01, 1.0), True), ((0.1, 1e-4, 0.1), False)):
        report = [(make_trial(s, learning_rate=r), Outcome.STABLE) for s, r in enumerate(chosen)]
        results = load(make_folder(tmp_path / f"own{chosen}", space, report + tune, []))
        (row,) = conditions_table(results).frame.to_dict("records")
        assert row["at_edge"] == edge


@pytest.mark.parametrize(("highest", "asked"), [(3, 4), (4, 8), (7, 8), (8, 10), (9, 10)])
def test_where_a_rule_adds_seeds_those_of_a_batch_that_has_begun_are_asked_for(highest, asked, tmp_path):
    space = Space(
        name="sharp", summary="", models=("rnn",), optimizers=("sgd",), lengths=(5,),
        max_norms=(1.0, math.inf), seeds="until:width=.3,batch=4,max=10", learning_rate=(0.1,),
    )  # fmt: skip
    report = [(dataclasses.replace(make_trial(s), condition=space.conditions()[0]), Outcome.STABLE)
              for s in range(highest + 1)]  # fmt: skip
    failed = [dataclasses.replace(make_trial(0), condition=space.conditions()[1])]
    results = load(make_folder(tmp_path / "sharp", space, report, failed))
    assert results.conditions["planned"].tolist() == [asked, asked]
    assert conditions_table(results).frame["missing"].tolist() == [asked - highest - 1, asked]


def test_a_folder_that_tuned_once_for_all_seeds_is_marked(tmp_path):
    space = Space(name="once", summary="", models=("rnn",), optimizers=("sgd",), lengths=(5,), seeds=1)
    results = load(make_folder(tmp_path / "once", space, [(make_trial(0), Outcome.STABLE)], []))
    assert not any("one learning rate for all" in alarm for alarm in alarms(results))
    before = {name: value for name, value in results.definitions[0].items() if name != "tuned_by"}
    old = dataclasses.replace(results, definitions=(before,))
    assert any(alarm.startswith("1 of 1 folders chose one learning rate for all") for alarm in alarms(old))
