import dataclasses

import pytest
from torch import nn

from harness import capabilities
from harness.errors import UserError
from harness.models import models
from harness.tasks import tasks
from harness.training.loop import build_task
from harness.training.replicas import build_model
from tests.trials import LENGTHS, TASK_OF, make_condition


class Plain(nn.Module):
    """A class of a user's own that declares nothing."""


def test_a_class_that_declares_nothing_has_the_defaults():
    model = Plain()
    assert capabilities.inputs_read(model) == ("sequence",)
    assert capabilities.is_vectorizable(model)
    assert not capabilities.is_bidirectional(model)
    assert not capabilities.has_steps(model)
    assert not capabilities.has_recurrent_weight(model)
    assert not capabilities.uses_max_norm(object())
    assert capabilities.inputs_given(object()) == ("sequence", "whole sequence")
    assert capabilities.facts_of(object()) == {}
    assert capabilities.graph_of(object()) is None
    assert capabilities.asked_by(Plain()) == "A class of a user's own that declares nothing."


def test_a_task_without_a_question_is_introduced_by_its_own_docstring_alone():
    """Neither by that of its base, nor by the line that a dataclass writes of itself."""
    assert capabilities.asked_by(type("Bare", (Plain,), {})()) == ""
    assert capabilities.asked_by(dataclasses.make_dataclass("Made", ["length"])(5)) == ""
    assert capabilities.asked_by(type("Own", (Plain,), {"asks": "Which?"})()) == "Which?"


def test_a_task_with_an_answer_at_every_step_gives_no_whole_sequence():
    assert capabilities.inputs_given(tasks.get("parity")) == ("sequence",)
    assert capabilities.inputs_given(tasks.get("palindrome")) == ("sequence", "whole sequence")


def test_a_bidirectional_model_has_no_steps():
    sizes = dict(input_size=3, hidden_size=2, output_size=2)
    assert capabilities.has_steps(models.get("rnn")(**sizes))
    assert not capabilities.has_steps(models.get("rnn")(**sizes, bidirectional=True))


def test_what_a_model_was_found_to_have_is_said():
    rnn = models.get("rnn")(input_size=3, hidden_size=2, output_size=2)
    assert capabilities.found_in(rnn) == [
        "one program for all replicas",
        "steps (gradient through time, Lyapunov exponents)",
        "recurrent weight (spectrum)",
    ]
    assert capabilities.found_in(Plain())[1:] == ["no steps", "no recurrent weight"]


class Misspelt(nn.Module):
    vectorisable = False


class MisspeltInside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bidirectionnal = True


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (Misspelt, "Misspelt has 'vectorisable'; did you mean 'vectorizable'?"),
        (MisspeltInside, "has 'bidirectionnal'; did you mean 'bidirectional'?"),
    ],
)
def test_a_misspelt_declaration_is_noticed(cls, said):
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        capabilities.check_spelling(cls())


@pytest.mark.parametrize("name", models.names())
def test_no_model_of_this_package_is_taken_for_misspelt(name):
    task = TASK_OF[name]
    condition = make_condition(model=name, task=task, length=LENGTHS.get(task, 10), options=())
    capabilities.check_spelling(build_model(condition, build_task(condition), 0))
