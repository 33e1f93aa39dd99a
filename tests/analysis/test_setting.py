"""The first lines of a page: the task, its levels in numbers, budget and seeds; and how large models are."""

import dataclasses

import pytest

from analysis.as_json import as_json
from analysis.report import write_report
from analysis.sections.verdict import SECTION as VERDICT
from analysis.sections.verdict.answers import answers
from analysis.sections.verdict.evidence import evidence
from analysis.setting import setting, span
from harness.condition import Outcome
from tests.folders import made_grid

ASKS = "Name the last digit of a palindrome."

SIZES = {"rnn": 100, "lstm": 410, "gru": 300}


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """A folder whose conditions have neither levels nor sizes."""
    return made_grid(tmp_path_factory.mktemp("grid"), lambda *_: Outcome.STABLE, models=("rnn", "lstm"))


def with_facts(results, sizes=SIZES):
    levels = dict(chance=0.1, solved_at=0.99, drop_at=0.9, asks=ASKS)
    frame = results.conditions
    return dataclasses.replace(
        results, conditions=frame.assign(**levels, parameters=frame["model"].map(sizes))
    )


def test_a_newcomer_is_told_the_task_its_levels_and_the_design(older):
    assert setting(with_facts(older)) == [
        f"Task palindrome. {ASKS} Chance is 0.1. Solved: an evaluation on held-out data has a score of 0.99 "
        "or more. Dropped: after that, the training score of some batches is below 0.9.",
        "A run has 1,000 steps to solve its task, with an evaluation every 100, and is then watched for 800 "
        "more. Batch size 32, hidden size 32. Seeds per condition: 6, fixed in advance.",
    ]


def test_an_older_folder_says_what_it_has(older, tmp_path):
    assert setting(older)[0] == "Task palindrome."
    page = write_report(older, tmp_path / "page.html").read_text()
    assert "Task palindrome." in page and ">parameters<" not in page
    assert as_json(older)["setting"] == setting(older)


def redefined(results, seeds: list[int], **changes):
    """The results with these changes of the definition, and records of it at these numbers of seeds."""
    definition = results.definitions[0] | changes
    records = [{"definition": definition | {"seeds": number}} for number in seeds]
    return dataclasses.replace(results, definitions=(definition,), sources=(records,))


def test_seeds_that_were_not_fixed_in_advance_are_said_to_be_added(older):
    rule = "until:width=0.3,batch=6,max=64"
    assert setting(redefined(older, [6], seeds_until=rule))[-1].endswith(
        f"Seeds per condition: 6 so far, added by a rule that looks at results ({rule})."
    )
    assert setting(redefined(older, [4, 6]))[-1].endswith(
        "Seeds per condition: 6; the folder had 4 before, and more were asked for."
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [((1000, 1000), "1,000"), ((32, 8, 64), "8 to 64"), ((0.125, 0.25), "0.12 to 0.25"), ((), "-")],
)
def test_what_several_settings_have_is_a_number_or_a_range(values, said):
    assert span(values) == said


def of_sizes(results) -> list[str]:
    return [each.words for each in answers(evidence(results)) if "parameters" in each.words]


def test_models_of_another_size_are_said_to_differ_in_it(older):
    results = with_facts(older)
    shown = VERDICT.readable(VERDICT.table(results)).set_index("model")
    assert shown["parameters"].to_dict() == {"rnn": "100", "lstm": "410"}
    assert of_sizes(results) == [
        "The LSTM has 4.1 times the parameters of the RNN (410 and 100): what differs between models may be "
        "their size."
    ]


def test_models_of_about_one_size_are_not(older):
    assert of_sizes(with_facts(older, {"rnn": 100, "lstm": 150})) == of_sizes(older) == []


def test_a_step_takes_its_share_of_the_seconds_of_all(older):
    older.trials.loc[:, "seconds"] = 2.0
    steps = older.trials["steps"].astype(float)
    found = VERDICT.table(dataclasses.replace(older)).frame.set_index("model")["seconds_per_step"]
    assert found["rnn"] == pytest.approx(2.0 / steps.mean())
