"""Every model with every task that it fits, and what is said where it does not."""

import math

import pytest

from harness.condition import Pack
from harness.errors import UserError
from harness.models import models
from harness.planning.fits import fits
from harness.planning.space import Space
from harness.probes import DEFAULT_PROBES
from harness.tasks import heldout_set, tasks
from harness.training.loop import build_task, train
from tests.trials import LENGTHS, make_trial, mostly_contract, same_numbers, trained

pytestmark = pytest.mark.usefixtures("few_heldout")

PAIRS = [(model, task) for model in models.names() for task in tasks.names() if fits(model, task)]


def trials_of(model: str, task: str, **changes):
    size = 1 if getattr(tasks.get(task), "full_batch", False) else 4
    fields = dict(length=LENGTHS.get(task, 10), hidden_size=5, batch_size=size, optimizer="adam", options=())
    budget = dict(max_steps=3, observe=0, eval_every=1)
    return tuple(
        make_trial(seed, 3e-3, model=model, task=task, **fields | budget | changes) for seed in range(3)
    )


@pytest.mark.parametrize(
    ("model", "task"),
    mostly_contract(PAIRS, ("lstm", "palindrome"), ("gcn", "sbm")),
)
def test_every_pair_has_the_same_numbers_in_a_pack_and_alone(model, task):
    trials = trials_of(model, task)
    for trial, run in zip(trials, trained(Pack(trials)), strict=True):
        assert [math.isfinite(loss) for _, loss, _ in run.evals] == [True] * 4
        assert same_numbers(trained(Pack((trial,)))[0], run)


@pytest.mark.parametrize(
    "task", mostly_contract([task for model, task in PAIRS if model == "lstm"], "palindrome", "text")
)
def test_the_gradient_through_time_of_every_task_is_measured(task):
    trial = trials_of("lstm", task)[0]
    (result,) = train(Pack((trial,), DEFAULT_PROBES))
    found = build_task(trial.condition)
    for column in ("grad_state_rate", "grad_c_rate", "lyapunov_1", "sigma_max"):
        assert all(map(math.isfinite, result.moments[column])), column
    steps = heldout_set(found, task, "probe", 64)[0].shape[1]
    assert max(result.profiles["t"]) == steps


class ReadsPictures(models.get("rnn")):
    """A model that reads no sequences."""

    reads = ("picture",)


class GivesPictures(tasks.get("parity")):
    """A task that gives none."""

    gives = ("picture",)


def space(model: str, task: str) -> Space:
    return Space(name="pairs", summary="", models=(model,), tasks=(task,))


def test_a_model_that_does_not_read_what_the_task_gives_is_refused_naming_what_fits():
    reads, gives = "tests.training.test_pairs:ReadsPictures", "tests.training.test_pairs:GivesPictures"
    with pytest.raises(
        UserError, match=r"ReadsPictures does not fit tasks=parity; models that do: .*lstm"
    ) as error:
        space(reads, "parity")
    assert "\n" not in str(error.value)
    with pytest.raises(
        UserError, match=r"models=rnn does not fit .* tasks that fit rnn: adding, copy, .*parity"
    ):
        space("rnn", gives)
    assert space(reads, gives).conditions()
    assert space("rnn", "parity").conditions()
