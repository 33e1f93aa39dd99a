"""The line that a run shows: what matters first, at every width."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from harness.condition import Outcome
from harness.driver.progress import RunProgress, Workload, fitting, said_of
from harness.executors.base import Load
from tests.folders import a_result
from tests.trials import make_trial

ENDED = {Outcome.STABLE: 1200, Outcome.DIVERGED: 300, Outcome.UNSOLVED: 70, Outcome.RECOVERED: 5}
OUTCOMES = [outcome for outcome, count in ENDED.items() for _ in range(count)]


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    """Every run has lasted for 100 s."""
    seconds = iter([0.0])
    monkeypatch.setattr(
        "harness.driver.progress.time", SimpleNamespace(monotonic=lambda: next(seconds, 100.0))
    )


def progress(outcomes, width, failed=0, terminal=True):
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal)
    trial = make_trial()
    shown = RunProgress({Workload.of(trial.condition): 10_000}, 80, console)
    shown.add(a_result(trial, outcome) for outcome in outcomes)
    if failed:
        shown.add_failed(failed)
    shown.stop()
    return shown, console.file.getvalue()


@pytest.mark.parametrize("width", range(40, 201, 10))
def test_at_every_width_the_line_shows_whole_words_and_the_stable_ones_and_faults_first(width):
    shown, drawn = progress(OUTCOMES, width, failed=16)
    line = shown.narrow_line(width)
    assert line.startswith("1655/10080: stable 1200, failed 16")
    assert len(line) <= width
    pieces = line.partition(": ")[2].split(", ")
    assert set(pieces) <= set(shown.line().partition(": ")[2].split(", "))
    assert "diverged 300" in line or width < 80
    assert "stable 1200, failed 16" in drawn
    assert "…" not in drawn


def test_without_faults_the_time_left_is_shown_at_forty_columns():
    shown, _ = progress(OUTCOMES, 40)
    assert "stable 1200" in shown.narrow_line(40)
    assert "failed" not in shown.line()


def test_elsewhere_than_on_a_terminal_the_line_is_whole():
    shown, drawn = progress(OUTCOMES, 40, failed=16, terminal=False)
    assert shown.line() in drawn
    assert "diverged 300, unsolved 70, recovered 5" in drawn


def test_before_the_first_result_it_says_how_many():
    shown, drawn = progress([], 40)
    assert "80/10080: starting" in drawn
    assert shown.narrow_line(40) == "80/10080: stable 0, time left unknown"


@pytest.mark.parametrize(
    ("width", "line"), [(None, "a: bb, cccc, d"), (8, "a: bb, d"), (5, "a: bb"), (4, "a: d"), (0, "a: ")]
)
def test_pieces_that_do_not_fit_are_left_out_whole(width, line):
    assert fitting("a: ", ["bb", "cccc", "d"], width) == line


def test_trials_that_a_range_grows_by_are_counted_and_timed():
    shown, _ = progress(OUTCOMES, 200)
    before = shown.line()
    assert before.startswith("1655 of 10080 trials")
    shown.grew({Workload.of(make_trial().condition): 8425})
    assert shown.line().startswith("1655 of 18505 trials")
    assert "about 8 min 55 s left" in before
    assert "about 17 min 50 s left" in shown.line()


def load(**changes):
    fields = dict(nodes=3, gpus=8, places=8, training=8, waiting=0, starting=0)
    return Load(**fields | changes)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (load(waiting=12), "3 nodes, 8 GPUs, 8 of 8 places train, 12 packs wait for a place"),
        (load(nodes=0, training=0, places=1, starting=2), "no node is up that can train a pack"),
        (load(gpus=0, training=6), "3 nodes, 6 of 8 places train, 2 places wait for a pack"),
        (
            load(gpus=0, training=6, waiting=1, starting=2),
            "3 nodes, 6 of 8 places train, 2 workers start or wait for a node, 1 packs wait for a place",
        ),
    ],
)
def test_what_trains_on_a_cluster_and_what_waits_for_what(known, said):
    assert ", ".join(said_of(known)) == said


def test_the_line_says_so_of_several_nodes_and_not_of_one():
    shown, _ = progress(OUTCOMES, 200)
    shown.works(load())
    assert "8 of 8 places train" in shown.line()
    assert shown.narrow_line(40).startswith("1655/10080: stable 1200")
    shown.works(load(nodes=1))
    assert "places" not in shown.line()
