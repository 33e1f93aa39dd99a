"""The first figure: models share a panel, what is left out is said, and labels have room."""

import dataclasses
import math
from itertools import pairwise

import pandas as pd
import pytest

from analysis.arms import arms
from analysis.conditions import recorded_conditions
from analysis.figures import length_ticks, nothing, thinned
from analysis.sections.verdict import headline
from harness.condition import Outcome
from tests.helpers import made_grid

S, U = Outcome.STABLE, Outcome.UNSOLVED


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Two models, two optimizers, two lengths, with and without clipping; the LSTM solves more."""
    results = made_grid(
        tmp_path_factory.mktemp("h"),
        lambda condition, _: S if condition.model == "lstm" or condition.length == 5 else U,
        seeds=1,
        optimizers=("adam", "sgd"),
    )
    return recorded_conditions(results)


def drawn(recorded, differing=()):
    return headline.headline(recorded, arms(recorded), "no clipping", differing, "length T")


def test_models_share_a_panel_per_optimizer_at_the_reference(recorded):
    found = drawn(recorded)
    assert (found.series, found.lines, found.panels) == ("model", ["lstm", "rnn"], ["optimizer"])
    figure = headline.render(found)
    titles = [axis.get_title() for axis in figure.axes if axis.get_visible()]
    assert titles == ["P(solved): Adam", "P(solved): SGD", "P(stable)", "P(stable)"]
    assert [line.get_ydata().tolist() for line in figure.axes[0].get_lines()] == [[1, 1], [1, 0]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["LSTM", "RNN"]
    assert headline.caption(found, arms(recorded)).endswith(
        "Drawn are runs without clipping; other runs are drawn under Stability against length."
    )


def test_clipping_has_panels_of_its_own_where_it_is_shown_to_differ(recorded):
    found = drawn(recorded, ["max_norm 1"])
    assert found.panels == ["optimizer", "arm"]
    titles = [axis.get_title() for axis in headline.render(found).axes]
    assert titles[0:2] == ["P(solved): Adam, no clipping", "P(solved): SGD, no clipping"]
    assert titles[4:6] == ["P(solved): Adam, clipping at 1", "P(solved): SGD, clipping at 1"]


def test_one_model_has_a_line_per_way_of_clipping(recorded):
    found = drawn(recorded.where(recorded.frame["model"] == "rnn"))
    assert (found.series, found.lines) == ("arm", ["max_norm 1", "no clipping"])


def test_of_many_lines_and_panels_some_are_drawn_and_it_is_said(recorded):
    many = [recorded.frame.assign(model=f"model{n}", solved=n, n=20) for n in range(14)]
    sizes = [frame.assign(hidden_size=n) for n, frame in enumerate(many)]
    frame = pd.concat(sizes, ignore_index=True)
    found = drawn(dataclasses.replace(recorded, frame=frame))
    assert len(found.lines) == headline.SERIES
    assert found.lines[0] == "model13"
    assert found.lines[-1] == "model0"
    assert "model6" not in found.lines
    assert found.left_out == [
        "Of 14 lines 12 are drawn, the 6 that solve most and the 6 that solve least.",
        "Of 24 panels the first 6 are drawn.",
    ]


@pytest.mark.parametrize("lengths", [(5, 10, 20), (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 100), (7,)])
def test_labels_of_lengths_never_touch_and_the_longest_has_one(lengths):
    labels = thinned(lengths)
    assert labels[-1] == str(lengths[-1])
    assert sum(len(label) + 1 for label in labels if label) <= 33
    axis = nothing("").subplots()
    length_ticks(axis, lengths)
    shown = [(math.log(n), t.get_text()) for n, t in zip(lengths, axis.get_xticklabels(), strict=True)]
    shown = [pair for pair in shown if pair[1]]
    assert shown[-1][1] == str(lengths[-1])
    span = math.log(lengths[-1] / lengths[0]) or 1
    for (one, label), (two, _) in pairwise(shown):
        assert (two - one) / span * 30 > len(label)
