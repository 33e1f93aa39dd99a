"""The first figure: models share a panel, what is left out is said, and labels have room."""

import dataclasses
import math
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.text import Text

from analysis import figures
from analysis.conditions import recorded_conditions
from analysis.drawing import svg
from analysis.figures import AS_DRAWN, length_ticks, nothing, rate_ticks, thinned
from analysis.headline import Limits, choose_from
from analysis.lines import apart, look_of
from analysis.sections import SECTIONS, stability_map
from analysis.sections.verdict import headline
from analysis.words import two_digits
from harness.condition import Outcome
from tests.folders import made_grid

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


def drawn(table, differing=(), limits=headline.LIMITS):
    return choose_from(table, "no clipping", differing, "length T", limits)


def six_arms(table):
    """The same with six ways of clipping."""
    more = [table.frame.assign(arm=f"max_norm {n:g}", max_norm=n) for n in (2.0, 3.0, 4.0, 5.0)]
    return dataclasses.replace(table, frame=pd.concat([table.frame, *more], ignore_index=True))


def test_models_share_a_panel_per_optimizer(recorded):
    found = drawn(recorded)
    assert (found.lines, found.arms) == (["LSTM", "RNN"], ["max_norm 1", "no clipping"])
    figure = headline.render(found)
    assert [axis.get_title() for axis in figure.axes] == ["Adam", "SGD", "", ""]
    assert [axis.get_ylabel() for axis in figure.axes] == ["P(solved)", "", "P(stable)", ""]
    whole = [line.get_ydata().tolist() for line in figure.axes[0].get_lines() if len(line.get_xdata()) > 1]
    assert whole == [[1, 1], [1, 1], [1, 0], [1, 0]]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["LSTM", "RNN", "clipping at 1", "no clipping"]
    assert headline.caption(found) == "Figure: shares of runs with Wilson 95 % intervals, n = 1 a point."


def test_of_many_arms_the_reference_is_drawn_and_those_that_differ(recorded):
    many = six_arms(recorded)
    assert drawn(many).arms == ["no clipping"]
    found = drawn(many, ["max_norm 4", "max_norm 2", "max_norm 1"])
    assert found.arms == ["max_norm 2", "max_norm 4", "no clipping"]
    assert headline.caption(found).endswith(
        "Drawn are runs with clipping at 2, with clipping at 4 and without clipping, of 6 ways of clipping. "
        "Stability against length draws all."
    )


def test_one_model_has_a_line_per_way_of_clipping(recorded):
    many = six_arms(recorded)
    found = drawn(many.where(many.frame["model"] == "rnn"))
    assert (found.lines, len(found.arms)) == ([""], 6)


def test_options_of_some_models_tell_lines_apart_and_those_of_all_tell_panels_apart(recorded):
    sizes = [recorded.frame.assign(hidden_size=n, gates=n if n > 4 else 2) for n in (4, 8)]
    frame = pd.concat(sizes, ignore_index=True)
    frame.loc[frame["model"] == "rnn", "gates"] = None
    found = drawn(dataclasses.replace(recorded, frame=frame, keys=[*recorded.keys, "gates"]))
    assert found.lines == ["LSTM, gates 2", "RNN", "LSTM, gates 8"]
    assert [title for title, _ in found.panels()] == [
        "Adam, hidden_size 4", "SGD, hidden_size 4", "Adam, hidden_size 8", "SGD, hidden_size 8",
    ]  # fmt: skip


def test_many_learning_rates_are_an_axis(recorded):
    rates = [recorded.frame.assign(learning_rate=10.0**-n) for n in range(4)]
    table = dataclasses.replace(recorded, frame=pd.concat(rates), keys=[*recorded.keys, "learning_rate"])
    found = drawn(table.where(table.frame["arm"] == "no clipping"))
    assert (found.x, found.x_label, found.lines) == ("learning_rate", "learning rate", ["T = 5", "T = 9"])
    assert [title for title, _ in found.panels()] == ["LSTM, Adam", "LSTM, SGD", "RNN, Adam", "RNN, SGD"]


def test_of_many_lines_some_share_a_panel_and_of_many_panels_some_are_drawn(recorded):
    many = [recorded.frame.assign(model=f"model{n}", p_solved=n / 20) for n in range(14)]
    table = dataclasses.replace(recorded, frame=pd.concat(many, ignore_index=True))
    found = drawn(table, limits=Limits(lines=4, panels=3))
    assert found.lines == [f"model{n}" for n in range(13, 6, -1)]
    sizes = [points["line"].nunique() for _, points in found.panels()]
    assert sizes == [4, 4, 3] and len(found.arms) == 1
    assert found.left_out == [
        "Drawn are runs without clipping, of 2 ways of clipping.",
        "Of 8 panels the first 3 are drawn.",
    ]


@pytest.mark.parametrize("few", [False, True])
def test_points_of_one_length_stand_apart_and_nearer_than_half_way_to_the_next(recorded, few):
    found = drawn(recorded.where(recorded.frame["length"] == 5) if few else recorded)
    figure = headline.render(found)
    axis = figure.axes[0]
    at = [line.get_xdata()[0] for line in axis.get_lines() if line.get_gid()]
    assert len(set(at)) == len(at) and apart(found) > 1
    low, high = axis.get_xlim()
    assert low < min(at) and max(at) < high
    first = sorted(at)[:4]
    assert first[-1] / first[0] < math.sqrt(9 / 5)


def test_every_figure_says_layers_where_these_are_counted(tmp_path):
    layered = made_grid(
        tmp_path, lambda *_: S, tasks=("sbm",), models=("gcn",), lengths=(2, 4), learning_rate=(0.1, 0.2, 0.3)
    )  # fmt: skip
    figures = [section.render(section.table(layered)) for section in SECTIONS]
    said = [text.get_text() for figure in figures for text in figure.findobj(Text)]
    assert {"layers", "4 layers", "gcn, sgd, 2 layers"} <= {
        line for words in said for line in words.splitlines()
    }
    assert not [words for words in said if "length T" in words or "T = " in words]


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


@pytest.mark.parametrize("rates", [(0.003, 0.0095, 0.03), tuple(10.0 ** -(n / 2) for n in range(9))])
def test_labels_of_learning_rates_are_few_and_of_rates_that_were_tried(rates):
    axis = nothing("").subplots()
    axis.set_xscale("log")
    rate_ticks(axis.xaxis, rates)
    labels = [label.get_text() for label in axis.get_xticklabels(which="both")]
    assert len(labels) == len(rates) and 3 <= len([label for label in labels if label]) <= 5
    assert labels[0] == two_digits(min(rates))


def test_shades_keep_their_colours_on_a_dark_page(tmp_path):
    results = made_grid(tmp_path, lambda *_: S, models=("rnn",), learning_rate=(0.1, 0.2))
    drawn = ElementTree.fromstring(svg(stability_map.render(stability_map.table(results))))
    kept = [element for element in drawn.iter() if element.get("id") == AS_DRAWN]
    assert len(kept) == 1 + 4, "cells and their counts"
    assert len([element for element in drawn.iter() if element.tag.endswith("}image")]) == 1, "the scale"
    assert (
        f"figure image, figure [id={AS_DRAWN}] {{ filter"
        in (Path(figures.__file__).parent / "report.html").read_text()
    )


def test_no_two_of_twelve_lines_share_colour_and_dash():
    shown = SimpleNamespace(lines=[f"model {number}" for number in range(12)], arms=["no clipping"])
    looks = [look_of(shown, line, "no clipping", headline.PEN) for line in shown.lines]
    assert len({(look["color"], str(look["linestyle"])) for look in looks}) == 12
