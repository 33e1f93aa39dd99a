"""A further field of a condition changes nothing at its single value, and is an axis where it varies."""

import dataclasses

import pytest

from analysis import conditions
from analysis.as_json import as_json
from analysis.conditions import condition_keys, conditions_table
from analysis.contrasts import contrasts
from analysis.report import write_report
from analysis.sections import methods
from analysis.table import panel_keys
from harness.condition import Outcome
from tests.folders import made_grid

S, U = Outcome.STABLE, Outcome.UNSOLVED


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Two sizes; the smaller solves nothing. Conditions may have a field named schedule."""
    monkeypatch.setattr(conditions, "FIELDS", (*conditions.FIELDS, "schedule"))
    return made_grid(
        tmp_path,
        lambda condition, _: S if condition.hidden_size == 8 else U,
        models=("rnn",),
        hidden_size=(4, 8),
    )


def scheduled(results, schedules: dict[int, str], **changes):
    """The results with a schedule by the size of each condition."""
    frame = results.conditions
    schedule = frame["hidden_size"].map(schedules)
    return dataclasses.replace(results, conditions=frame.assign(schedule=schedule, **changes))


@pytest.mark.contract
def test_a_further_field_at_its_single_value_changes_no_page(tmp_path, results):
    same = scheduled(results, {4: "constant", 8: "constant"})
    assert as_json(same) == as_json(results)
    pages = [write_report(r, tmp_path / name).read_text() for name, r in (("a", results), ("b", same))]
    assert pages[0] == pages[1]


@pytest.mark.contract
def test_a_further_field_that_varies_is_an_axis(tmp_path, results):
    varying = scheduled(results, {4: "constant", 8: "cosine"}, hidden_size=4)
    assert condition_keys(varying)[-2:] == ["schedule", "learning_rate"]
    assert panel_keys(conditions_table(varying)) == ["model", "optimizer", "schedule"]
    row = contrasts(varying).set_index("factor").loc["schedule"]
    assert (row["level"], row["other"], row["solved_difference"]) == ("constant", "cosine", -1.0)
    assert "rnn, sgd, schedule cosine" in write_report(varying, tmp_path / "page.html").read_text()


def test_a_field_that_an_older_folder_lacks_does_not_vary(results):
    older = scheduled(results, {8: "constant"})
    assert "schedule" not in condition_keys(older)


def test_methods_show_a_further_axis_under_its_own_name(results):
    (definition,) = results.definitions
    assert methods.facts(definition | {"schedules": ["constant", "cosine"]}, {})["schedules"] == (
        "constant, cosine"
    )
    assert "schedules" not in methods.facts(definition | {"schedules": ["constant"]}, {})


def test_lengths_given_by_task_are_worded_with_their_tasks():
    assert methods.worded({"palindrome": [5, 10], "adding": [50]}) == "palindrome 5, 10; adding 50"
    assert methods.worded({"palindrome": [5, 10]}) == "5, 10"
    assert methods.worded({"low": 0.001, "high": 1.0}) == "low 0.001, high 1"
