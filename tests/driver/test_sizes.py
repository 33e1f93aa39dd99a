import dataclasses
import itertools
import math
import tracemalloc

import pytest

from harness.condition import Condition
from harness.driver.counts import counts_of, one, shape_of, steps_of
from harness.driver.sizes import check_size
from harness.errors import UserError
from harness.models import models
from harness.planning import limits
from harness.planning.conditions import count_conditions
from harness.planning.fields import parse_settings
from harness.planning.load import built_in_spaces, load_space
from harness.planning.space import Space
from harness.tasks import tasks

pytestmark = pytest.mark.contract


def mostly_slow(names: list[str], *quick: str) -> list:
    """All of these, those that are not named as slow tests."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


SMALL = dict(models=("rnn", "lstm"), hidden_size=16, lengths=(4,), lr_trials=6)


def check(*settings: str, **more) -> None:
    """What is checked of the size before a run starts."""
    space = Space(name="test", summary="", **SMALL).override(parse_settings(settings))
    check_size(space, **dict(executor="serial", workers=None, address=None) | more)


REFUSED = {
    "lr_trials=1e9": "lr_trials=1000000000: .*16,000,000,016 trials, about .* core-years and .* GB",
    "lr_trials=1e6": "lr_trials=1000000: .* trials",
    "lr_trials=20000": "lr_trials=20000 is too many: .* at most 1,000",
    "seeds=1e6": "seeds=1000000: .* trials",
    "seeds=1e9": "seeds=1000000000 is too many",
    "tuning_seeds=1e6": "tuning_seeds=1000000: .* trials",
    "lr_batch=1e9 lr_trials=1e9": "lr_trials=1000000000",
    "layers=1e5": "GB of memory, for .* layers=100000",
    "models=transformer layers=1e9": "GB of memory, for .* layers=1000000000",
    "max_steps=1e18": "core-years if every trial runs for max_steps",
    "observe=1e18": "core-years if every trial runs for max_steps",
    "hidden_size=1e6": "GB of memory, for .* hidden_size=1000000",
    "hidden_size=1e9": "GB of memory, for .* hidden_size=1000000000",
    "batch_size=1e6": "GB of memory, for .* batch_size=1000000",
    "batch_size=1e9": "GB of memory, for .* batch_size=1000000000",
    "lengths=1e5": "GB of memory, for .* T=100000",
    "lengths=1e9": "GB of memory, for .* T=1000000000",
    "models=transformer lengths=1e5": "GB of memory, for .* transformer .*T=100000",
    "models=gru,lru,min_lstm lengths=1e6": "GB of memory",
    "tasks=recall lengths=20 vocabulary=1e9": "GB of memory, for .* vocabulary=1000000000",
    "tasks=recall lengths=12e6": "GB of memory",
    "tasks=sbm models=gcn lengths=2 nodes=1e6": "GB of memory, for .* nodes=1000000",
    "tasks=sbm models=gcn lengths=1e7": "GB of memory, for .* T=10000000",
    "tasks=graph_signal models=gcn_rnn nodes=1e5": "GB of memory, for .* nodes=100000",
    "tasks=copy lengths=1e8": "GB of memory",
    "tasks=adding lengths=1e8": "GB of memory",
    "tasks=parity lengths=1e8": "GB of memory",
}


@pytest.mark.parametrize("settings", REFUSED)
def test_what_is_too_large_is_refused_with_its_cost_and_nothing_is_allocated(settings, monkeypatch):
    monkeypatch.setattr("harness.driver.sizes.memory", lambda: 32e9)
    tracemalloc.start()
    with pytest.raises(UserError, match=REFUSED[settings]) as error:
        check(*settings.split())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "\n" not in str(error.value)
    assert peak < 100e6


UNASKED = [
    "eval_every=1e18", "pack_size=1e9", "lr_batch=1e9", "max_steps=1e5", "hidden_size=512", "lengths=200",
    "tasks=sbm models=gcn,gat lengths=8", "tasks=karate models=gcn lengths=4 batch_size=1",
]  # fmt: skip


@pytest.mark.parametrize("settings", UNASKED)
def test_what_costs_no_more_than_this_machine_has_goes_unasked(settings, monkeypatch):
    monkeypatch.setattr("harness.driver.sizes.memory", lambda: 32e9)
    check(*settings.split())


def test_yes_starts_what_is_beyond_this_machine_and_a_year():
    with pytest.raises(UserError, match=r"--yes .yes=True in Python"):
        check("max_steps=1e12")
    check("max_steps=1e12", yes=True)
    check("lengths=1e5", yes=True)


def test_more_workers_need_more_memory(monkeypatch):
    monkeypatch.setattr("harness.driver.sizes.memory", lambda: 4e9)
    check("lengths=200", executor="ray", workers=1)
    with pytest.raises(UserError, match="GB of memory"):
        check("lengths=200", executor="ray", workers=1_000)
    check("lengths=200", executor="ray", workers=1_000, address="auto")


@pytest.mark.slow
def test_built_in_spaces_go_unasked_at_both_scales(monkeypatch):
    monkeypatch.setattr("harness.driver.sizes.memory", lambda: 32e9)
    for name in built_in_spaces():
        space = load_space(name)
        for scaled in [space, *([space.at_scale("paper")] if space.paper else [])]:
            check_size(scaled, executor="serial", workers=None, address=None)


def test_conditions_are_counted_without_making_any():
    for name in built_in_spaces():
        space = load_space(name)
        assert count_conditions(space) == len(space.conditions())
    several = Space(
        name="test", summary="", tasks=("palindrome", "karate", "graph_signal"),
        models=("rnn", "gcn_rnn", "gcn"),
        lengths={"palindrome": (5, 6), "karate": (2,), "graph_signal": (3, 4, 5)}, batch_size=(1, 8),
        clip_rules=("norm", "zclip"), max_norms=(1.0, math.inf),
        options={"layers": (1, 2), "nodes": (40, 44)},
    )  # fmt: skip
    assert count_conditions(several) == len(several.conditions())


def test_a_product_of_many_axes_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr("harness.planning.space.Space.conditions", lambda _: pytest.fail("made"))
    many = tuple(range(5, 1_005))
    rates = tuple((k + 1) * 1e-5 for k in range(1_000))
    with pytest.raises(UserError, match="has 1,000 values: the space has 2,000,000,000 conditions"):
        Space(name="test", summary="", lengths=many, max_norms=many, learning_rate=rates)


def test_ten_thousand_fixed_rates_are_a_space():
    rates = tuple((k + 1) * 1e-6 for k in range(10_000))
    space = Space(name="test", summary="", models=("rnn",), lengths=(4,), learning_rate=rates)
    assert len(space.conditions()) == 10_000 <= limits.MOST_CONDITIONS


def some(model: str, **sizes) -> Condition:
    task = "sbm" if model in ("gcn", "gat") else "graph_signal" if model.startswith("gcn") else "palindrome"
    return Condition(
        task=task, model=model, optimizer="sgd", max_norm=1.0,
        **dict(length=5, hidden_size=8, batch_size=3) | sizes,
    )  # fmt: skip


@pytest.mark.parametrize("model", mostly_slow(models.names(), "lstm", "transformer", "gcn"))
def test_counts_of_large_sizes_are_those_counted_at_them(model):
    """A count over 14 time steps and a batch of 7 follows from counts at a few of each."""
    condition = some(model, length=14 if model not in ("gcn", "gat") else 6, batch_size=7)
    task = tasks.build(condition.task, {}, length=condition.length)
    followed = dataclasses.astuple(counts_of(condition, task))
    counted = dataclasses.astuple(one(shape_of(condition, task), steps_of(task), 7))
    assert followed == pytest.approx(counted, rel=0.02)


@pytest.mark.parametrize("model", mostly_slow(models.names(), "rnn", "gcn"))
def test_counts_grow_with_length_units_and_batch(model):
    def counted(**sizes):
        condition = some(model, **sizes)
        return counts_of(condition, tasks.build(condition.task, {}, length=condition.length))

    for size, values in dict(length=(3, 9, 40, 41), hidden_size=(4, 9), batch_size=(1, 3, 50)).items():
        found = [dataclasses.astuple(counted(**{size: value})) for value in values]
        for less, more in itertools.pairwise(found):
            assert all(a <= b for a, b in zip(less, more, strict=True)), (size, less, more)


def test_multiply_adds_of_an_rnn_are_those_computed_by_hand():
    """8 units read 10 inputs, 4 steps, a batch of 3; the first step's input needs no gradient."""
    condition = some("rnn")
    counts = counts_of(condition, tasks.build("palindrome", {}, length=5))
    assert counts.forward_multiply_adds == 3 * (4 * 8 * 18 + 8 * 10)
    assert counts.parameters == 8 * 18 + 8 + 10 * 8 + 10
