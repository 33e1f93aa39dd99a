"""Sections that say what is there: example runs, fairness and coverage, methods."""

import dataclasses
import math
import shlex

import numpy as np
import pytest

from analysis.again import commands
from analysis.alarms import alarms
from analysis.as_json import as_json
from analysis.load import LoadError, load
from analysis.page import views
from analysis.report import write_report
from analysis.sections import SECTIONS, coverage, examples, methods, stability
from harness import probes
from harness.condition import FIRST_TUNING_SEED, Outcome, Pack
from harness.errors import RecordsError
from harness.planning.space import Space
from harness.results.schema import STEP_SCHEMA
from harness.results.writer import Writer
from tests.folders import TUNED, a_result, make_folder, with_rate
from tests.trials import make_trial

S, R, D = Outcome.STABLE, Outcome.RECOVERED, Outcome.DIVERGED


def open_writer(folder, space: Space, conditions, provenance) -> Writer:
    return Writer(
        folder, space.definition(), conditions,
        options=space.option_columns(), measures=probes.measure_columns(), provenance=provenance,
    )  # fmt: skip


def tuned_folder(tmp_path, failed=(), provenance=None):
    """max_norm 1: seeds 0 to 2, of which 1 and 2 recovered; no clipping: 0 and 1. A tuning trial diverged."""
    norms = (1.0, math.inf)
    space = Space(**TUNED | {"max_norms": norms}, seeds=3, tuning_seeds=1)
    drop = [(100, 0.5, 110, True, False)]
    report = [
        a_result(make_trial(seed, max_norm=1.0), R if seed else S, drop if seed else (), solved_step=50)
        for seed in range(3)
    ] + [a_result(make_trial(seed, max_norm=math.inf), S, solved_step=50) for seed in range(2)]
    tune = [
        a_result(make_trial(FIRST_TUNING_SEED, rate, max_norm=norm), D if (rate, norm) == (1.0, 1.0) else S)
        for norm in norms
        for rate in (0.1, 1.0)
    ]
    conditions = list(dict.fromkeys(r.trial.condition for r in report))
    recorder = open_writer(tmp_path / "x", space, conditions, provenance or {})
    for result in [*report, *tune]:
        recorder.write_pack(Pack((result.trial,)), [result])
    for trial in failed:
        recorder.write_failure(Pack((trial,)), "Traceback\n  somewhere\nMemoryError: no room")
    recorder.close()
    return tmp_path / "x"


def test_an_example_of_every_outcome_that_occurred(tmp_path):
    examined = examples.table(load(tuned_folder(tmp_path)))
    found = examined.frame.set_index("outcome")
    assert found.index.tolist() == ["stable", "recovered", "diverged"]
    assert found.loc["stable", ["max_norm", "seed", "of"]].tolist() == [math.inf, 0, 3], "where most are"
    assert found.loc["recovered", ["max_norm", "seed", "of"]].tolist() == [1.0, 1, 2], "the lowest seed"
    assert found.loc["diverged", "phase"] == "tune", "no report trial diverged"
    assert set(examined.steps["trial_id"]) == set(found["trial_id"])
    figure = examples.render(examined)
    assert [axis.get_title().splitlines()[0] for axis in figure.get_axes()[:3]] == found.index.tolist()


def test_a_long_curve_keeps_its_extremes_and_its_divergence():
    value = np.zeros(100_000)
    value[[777, 54_321]] = 9.0, -9.0
    value[-1] = math.nan
    step, kept = examples.envelope(np.arange(100_000), value)
    assert len(step) <= examples.DRAWN_POINTS
    assert (np.diff(step) > 0).all()
    assert (np.nanmax(kept), np.nanmin(kept)) == (9.0, -9.0)
    assert math.isnan(kept[-1])


def test_coverage_counts_budgets_and_names_what_is_missing(tmp_path):
    lost = make_trial(2, max_norm=math.inf)
    found = coverage.table(load(tuned_folder(tmp_path, failed=[lost])))
    (row,) = found.frame.to_dict("records")
    assert (row["conditions"], row["complete"], row["recorded"], row["planned"]) == (2, 1, 5, 6)
    assert (row["failed"], row["diverged"]) == (1, 1)
    assert (row["rates_low"], row["rates_high"], row["tuning_low"], row["tuning_high"]) == (2, 2, 2, 2)
    assert row["hours"] == pytest.approx(9 / 3600)
    assert coverage.findings(found) == [
        "Every condition was tuned with the same budget: 2 learning rates in 2 trials.",
        "Seeds that chose a learning rate (1000000) and seeds that are reported (0 to 2) have none in common"
        ". Their held-out sets are drawn apart; where a task has few sequences, as palindromes up to T = 8 "
        "have, they overlap.",
        "1 of 2 conditions with report trials have the same 3 seeds; where they do, comparisons are paired.",
    ]
    failed, missing = coverage.warnings(found)
    assert failed.endswith("palindrome rnn sgd T=5 max_norm=inf: 1 trials (MemoryError: no room).")
    assert missing == "Report trials are missing in: palindrome rnn sgd T=5 max_norm=inf."


def test_budgets_that_differ_are_a_warning(tmp_path):
    space = Space(**TUNED | {"max_norms": (1.0, 2.0)}, seeds=1, tuning_seeds=1)
    results = [a_result(make_trial(0, max_norm=norm)) for norm in (1.0, 2.0)]
    results += [a_result(make_trial(FIRST_TUNING_SEED, rate, max_norm=1.0)) for rate in (0.1, 1.0)]
    results.append(a_result(make_trial(FIRST_TUNING_SEED, 0.1, max_norm=2.0)))
    found = coverage.table(load(make_folder(tmp_path / "x", space, results)))
    (said,) = coverage.warnings(found)
    assert "because ranges grew or trials are missing: 1 to 2 rates and 1 to 2 trials a condition." in said


def test_many_names_are_cut_short():
    assert coverage.listed([str(i) for i in range(14)]).endswith("11; and 2 more")


def test_methods_print_the_commands_that_make_the_page_again(tmp_path, monkeypatch):
    """The runs at their commit, the report at its own."""
    monkeypatch.setattr(methods, "git_commit", lambda: "def")
    definition = Space(**TUNED | {"max_norms": (1.0, math.inf)}, seeds=3, tuning_seeds=1).definition()
    made = {
        "definition": definition,
        "argv": ["--space", "my space.py"],
        "git_commit": "abc",
        "python": "3.11.9",
    }
    folder = tuned_folder(tmp_path, provenance=made)
    found = methods.table(load(folder))
    assert found.commands == [
        "git checkout abc",
        "python -m harness.run --space 'my space.py'",
        "git checkout def",
        f"python -m analysis.report {folder}",
    ]
    facts = dict(zip(found.frame["what"], found.frame["x"], strict=True))
    assert facts["Python"] == "3.11.9"
    assert facts["max_norm"] == "1, inf"
    grid = "0.01, 0.0316228, 0.1, 0.316228, 1, 3.16228, 10"
    assert facts["learning rate"] == (
        f"tuned per condition and report seed: {grid} (sgd). Where the best rate of a seed is an end of its "
        "range, the range grows by a decade, up to 2 decades on each side. The slowest rate was taken that "
        "gained 85 % of what the best one did. The gain is of the loss over all of training (tune_for=fast)."
    )
    assert facts["encoding (task palindrome)"] == "one_hot"


def test_methods_say_how_a_rate_was_chosen_under_older_rules():
    """One tuning for all seeds took the lowest loss, and no range grew."""
    older = {"first_grids": {"sgd": [0.1, 1.0]}, "lr_trials": 4}
    assert methods.tuning(older) == (
        "tuned per condition: 0.1, 1 (sgd); then by TPE. The rate with the lowest loss was taken."
    )
    newer = older | {"tuned_by": "seed", "tune_for": "stable", "lr_extend": 1}
    assert "up to 1 decade on each side. The slowest" in methods.tuning(newer)
    assert methods.tuning(newer).endswith("(tune_for=stable).")


def test_a_folder_that_has_grown_names_the_run_of_its_present_definition(tmp_path):
    """Files of the first run stay, with its command in their footers."""
    space = Space(**TUNED, seeds=2, tuning_seeds=1)
    smaller = dataclasses.replace(space, seeds=1)
    for own, seed, argv in ((smaller, 0, ["first"]), (space, 1, ["second"])):
        made = {"definition": own.definition(), "argv": argv}
        trial = make_trial(seed)
        recorder = open_writer(tmp_path / "x", own, [trial.condition], made)
        recorder.write_pack(Pack((trial,)), [a_result(trial)])
        recorder.close()
    assert "python -m harness.run second" in methods.table(load(tmp_path / "x")).commands


def titles(results) -> list[str]:
    return [each["title"] for each in views(SECTIONS, results)]


def without_clipping(path, seeds: int):
    """One fixed rate and no clipping; of 2 report seeds so many are recorded."""
    space = Space(**TUNED | {"max_norms": (math.inf,)}, learning_rate=(0.1,), seeds=2)
    trials = [make_trial(seed, max_norm=math.inf) for seed in range(seeds)]
    results = [with_rate(a_result(trial, Outcome.UNSOLVED, watched_steps=0)) for trial in trials]
    return load(make_folder(path / "x", space, results))


NEVER = (
    "Did clipping act?",
    "Learning-rate response",
    "Tuning budget",
    "At equal learning rates",
    "Stability map",
)


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_section_that_does_not_apply_is_no_part_of_the_page(tmp_path, seeds):
    results = without_clipping(tmp_path, seeds)
    found = titles(results)
    assert not {*NEVER, "Stable range", "Where differences arise", "Critical length"} & {*found}
    assert ("Drops after convergence" in found) == (seeds == 1), "a run that goes on may bring drops"
    assert {"Verdict", "Steps to solve", "Methods and provenance"} <= {*found}
    assert set(as_json(results)["sections"]) == {section.title for section in SECTIONS}


def test_a_page_has_no_column_without_a_value(tmp_path):
    page = views(SECTIONS, without_clipping(tmp_path, 2))
    (table,) = [each for each in page if each["title"] == "Stability against length"]
    heads = [head["label"] for head in table["heads"]]
    assert {"model", "solved"} <= {*heads}
    assert not {"max_norm", "clipped %", "control score"} & {*heads}
    assert len(table["rows"][0]) == len(heads)
    methods_of = {
        row[0]["label"] for each in page if each["title"].startswith("Methods") for row in each["rows"]
    }
    assert not {methods.DESIGN[name] for name in methods.OF_A_TUNING} & methods_of


def test_a_row_of_the_page_has_what_trains_it_again(tmp_path):
    """The command above the table and the settings of a row are the command for a paper, in another order."""
    results = load(
        tuned_folder(tmp_path, provenance={"argv": ["--space", "my space.py", "--set", "seeds=3"]})
    )
    (table,) = [each for each in views(SECTIONS, results) if each["again"]]
    shared, own = table["again"]
    assert own == ["--set max_norms=1.0", "--set max_norms=inf"]
    assert shared == "python -m harness.run --space 'my space.py' --set seeds=3 --results again"
    wanted = [commands(results)[name] for name in stability.table(results).frame["condition_id"]]
    for rest, command in zip(own, wanted, strict=True):
        assert sorted(shlex.split(f"{shared} {rest}")) == sorted(shlex.split(command))
    page = write_report(results).read_text()
    assert "<code>--set max_norms=inf</code>" in page
    assert "my space.py&#39; --set seeds=3 --results again</pre>" in page


def test_sentences_link_to_sections_that_are_there(tmp_path):
    page = views(SECTIONS, load(tuned_folder(tmp_path)))
    links = {link["target"] for each in page for answer in each["answers"] for link in answer["links"]}
    assert links <= {each["anchor"] for each in page}


def test_steps_that_examples_need_are_all_that_is_read(tmp_path, monkeypatch):
    results = load(tuned_folder(tmp_path))
    read = type(results).read
    asked = []

    def spy(self, table, columns=None, trials=None):
        asked.append((table, columns, len(list(trials))))
        return read(self, table, columns, trials)

    monkeypatch.setattr(type(results), "read", spy)
    examples.table(results)
    ((_, columns, count),) = [row for row in asked if row[0] == "steps"]
    assert count == 3
    assert set(columns) < set(STEP_SCHEMA.names)


def test_seeds_that_tuned_and_are_reported_are_a_warning(tmp_path):
    """As no run of the harness makes them."""
    space = Space(**TUNED, seeds=1, tuning_seeds=1)
    both = [a_result(make_trial(seed)) for seed in (0, FIRST_TUNING_SEED)]
    results = load(make_folder(tmp_path / "x", space, both))
    results.trials["seed"] = 0
    assert any(
        "Some seeds that chose learning rates" in said for said in coverage.warnings(coverage.table(results))
    )
    assert not any("none in common" in said for said in coverage.findings(coverage.table(results)))


def test_a_drop_is_drawn_from_its_start_to_its_recovery(tmp_path):
    found = examples.table(load(tuned_folder(tmp_path)))
    figure = examples.render(found)
    recovered = found.frame["outcome"].tolist().index("recovered")
    (band,) = figure.get_axes()[recovered].patches
    assert (band.get_x(), band.get_x() + band.get_width()) == (100, 110)


@pytest.mark.contract
def test_a_folder_without_histories_is_no_whole_result(tmp_path):
    folder = tuned_folder(tmp_path)
    for path in (folder / "steps").glob("*"):
        path.unlink()
    with pytest.raises(RecordsError, match=r"steps/\w+\.parquet is missing; .*trains just that again"):
        load(folder)


def test_a_commit_with_changed_files_cannot_be_checked_out(monkeypatch):
    assert methods.checkout(None, "abc") == ["git checkout abc"]
    assert (
        methods.checkout("abc", "abc")
        == methods.checkout(None, "abc-dirty")
        == methods.checkout("a", None)
        == []
    )


def test_several_folders_keep_their_own_provenance(tmp_path):
    """Two folders of one name, made by different code, read together because told so."""
    for place, commit in (("a", "one"), ("b", "two")):
        (tmp_path / place).mkdir()
        made = {"git_commit": commit, "argv": ["--results", place]}
        tuned_folder(tmp_path / place, provenance=made)
    folders = [tmp_path / place / "x" for place in ("a", "b")]
    results = load(*folders, mixed=True)
    methods_table = methods.table(results)
    found = methods_table.frame.set_index("what")
    assert found.loc["code, commit"].tolist() == ["one", "two"]
    assert found.columns.tolist() == list(map(str, folders))
    commands = methods_table.commands
    assert commands[:4] == [
        "git checkout one",
        "python -m harness.run --results a",
        "git checkout two",
        "python -m harness.run --results b",
    ]
    assert commands[-1].endswith(" --mixed")
    assert any("2 different versions of code" in alarm for alarm in alarms(results))


def test_a_condition_under_two_budgets_is_refused(tmp_path):
    for name, steps in (("a", 30), ("b", 60)):
        space = Space(**TUNED, seeds=1, learning_rate=(0.1,), max_steps=steps)
        make_folder(tmp_path / name, space, [a_result(make_trial(0, max_steps=steps))])
    with pytest.raises(LoadError, match=r"different budgets \(max_steps: 30 and 60\)"):
        load(tmp_path / "a", tmp_path / "b")


def test_a_trial_of_two_conditions_counts_for_both(tmp_path):
    """A rate that one folder fixed is what the other's tuning chose."""
    tuned = a_result(make_trial(0), watched_steps=10)
    fixed = with_rate(tuned)
    make_folder(tmp_path / "a", Space(**TUNED, seeds=1, max_steps=30, observe=20, eval_every=10), [tuned])
    space = Space(**TUNED, seeds=1, learning_rate=(0.1,), max_steps=30, observe=20, eval_every=10)
    make_folder(tmp_path / "b", space, [fixed])
    results = load(tmp_path / "a", tmp_path / "b")
    assert len(results.trials) == len(results.conditions) == 2
    assert len(results.read("evals")) == 1
