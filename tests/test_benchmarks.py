"""The benchmarks compare equal work, and their tables say what was measured."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.load import load
from benchmarks import end_to_end, results
from benchmarks.step import __main__ as command
from benchmarks.step import contestants, report
from benchmarks.step.floor import Rates
from benchmarks.step.harness_side import HarnessSide
from benchmarks.step.loop_side import LoopSide
from benchmarks.step.rounds import timed
from benchmarks.step.work import Work
from harness.planning.space import Space
from tests.folders import TUNED, a_result, make_folder, with_rate
from tests.trials import make_trial

RATES = Rates(flops=1e9, tanh=1e9, sqrt=1e9, names=("a", "b", "c"))


def test_products_of_a_step_are_three_per_time_step_after_the_first():
    work = Work("lstm", 32, 10)
    recurrent, readout = 8 * 32 * 32 * (4 * 32), 32 * 32 * 10
    assert work.flops == 3 * 2 * (recurrent + readout)
    assert work.functions == 9 * 32 * 32 * 5


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
def test_parameters_are_those_of_the_model(model):
    assert HarnessSide(Work(model, 8, 4), "eager").weights_RP.shape[1] == Work(model, 8, 4).parameters


def test_steps_of_a_measurement_are_a_multiple_of_the_least():
    assert Work("rnn", 32, 10).steps(10) == 100
    assert Work("lstm", 128, 50, pack=32).steps(10) == 10
    assert Work("lstm", 128, 50, pack=32).steps(2) == 2


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
def test_usual_loop_starts_from_the_loss_of_the_harness(model):
    work = Work(model, 8, 5)
    ((before, after, norm),) = HarnessSide(work, "eager").first_steps()
    assert LoopSide(work).first_loss() == pytest.approx(before, abs=1e-5)
    assert after < before and norm > 0


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
def test_jax_takes_the_steps_of_the_harness(model):
    pytest.importorskip("optax")
    from benchmarks.step.jax_side import JaxSide

    for pack in (1, 2):
        harness = HarnessSide(Work(model, 8, 5, pack), "eager")
        found = JaxSide(harness.work, harness).first_steps()
        contestants.check(harness.work, "JAX", found, harness.first_steps())


def test_unequal_work_is_refused():
    with pytest.raises(ValueError, match=r"rnn 8 T=5, pack of 2, replica 1: JAX finds"):
        contestants.check(Work("rnn", 8, 5, 2), "JAX", [(2.3,), (2.3001,)], [(2.3,), (2.3,)])


def test_an_engine_that_is_not_there_is_named_once_and_left_out(monkeypatch):
    said = []
    monkeypatch.setattr(contestants, "ENGINES", ("eager", "quantum"))
    monkeypatch.setattr(contestants, "missing_jax", lambda: "none here")
    found = contestants.contestants(Work("rnn", 8, 5), (1,), said.append)
    assert [c.name for c in found] == ["loop", "eager drawn", "eager given"]
    (line,) = said
    assert line.startswith("without quantum: no engine named 'quantum'; known: eager")


def test_contestants_have_a_positive_time_in_every_round(monkeypatch):
    monkeypatch.setattr(contestants, "ENGINES", ("eager",))
    monkeypatch.setattr(contestants, "missing_jax", lambda: "none here")
    found = contestants.contestants(Work("rnn", 4, 4), (2,), lambda line: None)
    times = timed(found, rounds=2)
    assert set(times) == {("loop", 1), ("eager drawn", 2), ("eager given", 2)}
    assert all(len(own) == 2 and min(own) > 0 for own in times.values())


def test_drawn_blocks_go_on_with_new_batches_and_given_ones_do_not():
    side = HarnessSide(Work("rnn", 4, 4), "eager")
    side.block(2, draw=False)
    at = next(iter(side.drawing.values())).state()[0]
    side.block(2, draw=False)
    assert next(iter(side.drawing.values())).state()[0] == at
    side.block(2, draw=True)
    assert next(iter(side.drawing.values())).state()[0] == at + 2


def measured() -> report.Timed:
    """Times in which JAX is best one by one for packs of 8, and twice as slow as `compiled`."""
    times = {
        ("loop", 1): [9.0, 9.0, 9.0],
        ("compiled drawn", 8): [1.0, 2.0, 1.0],
        ("jax scan", 1): [2.0, 4.0, 3.0],
        ("jax scan", 8): [5.0, 5.0, 5.0],
        ("compiled given", 8): [1.0, 1.0, 1.0],
        ("jax given", 8): [8.0, 6.0, 7.0],
    }
    return report.Timed(Work("rnn", 32, 10), times, floor=0.5)


def test_jax_is_taken_in_its_fastest_form():
    assert measured().jax(8) == ("jax scan", 1)
    assert report.form_of(measured().jax(8), 8) == "scan one by one"


def test_gain_is_the_median_of_the_rounds():
    assert measured().gain("compiled", 8, "drawn") == 2
    assert measured().gain("compiled", 8, "given") == 7
    assert measured().gain("eager", 8, "drawn") is None


def test_summary_has_means_worst_ratios_and_shares_of_the_floor():
    rows = report.summary_table([measured()], [8]).splitlines()[2:]
    assert rows == [
        "| JAX / compiled, batches drawn | 2.00, least 2.00 (rnn 32 T=10), of 1 |",
        "| JAX / compiled, batches given | 7.00, least 7.00 (rnn 32 T=10), of 1 |",
        "| floor / compiled | 0.50, least 0.50 (rnn 32 T=10), of 1 |",
        "| JAX / floor | 6.00, least 6.00 (rnn 32 T=10), of 1 |",
    ]


def test_geometric_mean_and_least_are_over_what_was_measured():
    assert report.said_of({"a": 1.0, "b": 4.0, "c": None}) == "2.00, least 1.00 (a), of 2"
    assert report.said_of({"a": None}) == "-"


def test_drawn_table_has_a_row_per_configuration():
    head, _, row = report.drawn_table([measured()], [8]).splitlines()
    assert head == (
        "|  | floor | usual loop | eager | compiled | JAX | JAX's form | JAX / eager | JAX / compiled |"
    )
    assert row == "| rnn 32 T=10 | 0.5 | 9 | - | 1 | 3 | scan one by one | - | 2 |"


def test_floor_adds_products_functions_and_square_roots():
    work = Work("gru", 32, 10)
    expected = (work.flops + work.functions + work.parameters) / 1e6
    assert math.isclose(RATES.floor(work), expected)


def test_only_picks_by_what_it_begins_with():
    everything = command.chosen(None, quick=False)
    assert len(everything) == 18 and {sizes for _, sizes in everything} == {(1, 8, 32)}
    assert command.chosen([("lstm", "64", "10", "8")], quick=False) == [(Work("lstm", 64, 10), (8,))]
    assert len(command.chosen([("lstm", "64")], quick=False)) == 2
    with pytest.raises(SystemExit, match="--only fits nothing"):
        command.chosen([("lstm", "65")], quick=False)


def test_a_section_of_results_takes_the_place_of_the_one_before(tmp_path):
    path = tmp_path / "RESULTS.md"
    for title, text in (("A", "old"), ("B", "kept\n\n### Part"), ("A", "new")):
        results.write_section(title, text, path)
    assert path.read_text() == f"{results.HEAD}\n## A\n\nnew\n\n## B\n\nkept\n\n### Part\n"


def test_engines_take_turns_and_a_single_round_has_a_rerun(monkeypatch):
    monkeypatch.setattr(end_to_end, "run", lambda engine, folder, settings: (engine, folder.name))
    assert end_to_end.all_runs(Path(), (), 2) == [
        ("eager", "eager0"),
        ("compiled", "compiled0"),
        ("compiled", "compiled1"),
        ("eager", "eager1"),
    ]
    assert end_to_end.all_runs(Path(), (), 1)[2:] == [("compiled", "rerun")]


def test_a_rerun_that_differs_in_one_history_is_said_to(tmp_path):
    """The trials are alike; clocks do not count, one loss on the way does."""
    first, slower, other = (
        recorded(tmp_path / name, **steps)
        for name, steps in {"a": {}, "b": {"seconds": 2.0}, "c": {"loss": 2.0}}.items()
    )
    same = end_to_end.said_of_rerun(first, slower)
    assert "1 of 1 pairs of trials are the same to the bit; steps, evals, events, moments" in same
    assert end_to_end.said_of_rerun(first, other).endswith("same to the bit; steps differ")


def recorded(path: Path, **steps: float):
    """Results of one report trial, with these values in its only step."""
    result = with_rate(a_result(make_trial(0, 0.1), final_loss=0.5))
    changed = {name: np.full(1, value) for name, value in steps.items()}
    space = Space(**TUNED, learning_rate=(0.1,), seeds=1)
    return load(make_folder(path, space, [replace(result, steps={**result.steps, **changed})]))
