"""A pack that meets a fault is tried by halves until the trial at fault is alone; the rest is recorded."""

import time

import pytest
import torch

from harness import FailedTrials, Listener, Space, run_space
from harness.executors import base
from harness.results import reader
from tests.commands import run_tiny

SPACE = Space(
    name="tiny", summary="", models=("rnn",), optimizers=("sgd",), lengths=(4,), max_norms=(1.0,),
    learning_rate=(0.1, 1.0), seeds=4, max_steps=10, observe=0, eval_every=10, pack_size=8, hidden_size=8,
    probes=(),
)  # fmt: skip
"""Two conditions: one pack of eight trials."""

AT_FAULT = (1.0, 2)
"""Learning rate and seed."""

NO_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
]


class Hears(Listener):
    def __init__(self):
        self.divided_into, self.done_with = [], []

    def divided(self, pack, failure):
        self.divided_into.append(len(pack.trials))

    def done(self, pack, outcome):
        self.done_with.append(len(pack.trials))


def run(results, *listeners, **how):
    return run_space(SPACE, results, executor="serial", engine="eager", listeners=listeners, **how)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"))


def faulty(patch, fault, at_fault):
    """Packs that are at fault do this instead of training."""
    real = base.blocks

    def blocks(pack, *how):
        if at_fault(pack):
            fault()
        return real(pack, *how)

    patch.setattr(base, "blocks", blocks)


def wrapped() -> Exception:
    """As the registry raises what a model's constructor did."""
    try:
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes")
    except RuntimeError as error:
        said = ValueError("model 'x' cannot be built")
        said.__cause__ = error
        return said


NO_MEMORY.append(wrapped())


def raising(error):
    def fault():
        raise error

    return fault


def has_the_one_at_fault(pack):
    return any((trial.learning_rate, trial.seed) == AT_FAULT for trial in pack.trials)


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: type(error).__name__)
def test_a_pack_too_large_for_the_memory_is_trained_in_smaller_ones_with_the_same_numbers(
    error, tmp_path, whole, monkeypatch
):
    hears = Hears()
    faulty(monkeypatch, raising(error), lambda pack: len(pack.trials) > 2)
    folder = run(tmp_path, hears)
    assert (hears.divided_into, hears.done_with) == ([8, 4, 4], [2, 2, 2, 2])
    assert reader.read(folder, "failures").empty
    packs = reader.read(folder, "trials")["pack_id"]
    assert packs.nunique() == 4
    both = [reader.read(each, "trials").drop(columns=["pack_id", "seconds"]) for each in (folder, whole)]
    one, other = (table.sort_values("trial_id", ignore_index=True) for table in both)
    assert one.equals(other)


def test_any_other_error_divides_nothing(tmp_path, monkeypatch):
    hears = Hears()
    faulty(monkeypatch, raising(RuntimeError("matrix is on fire")), lambda pack: True)
    with pytest.raises(FailedTrials, match="8 trials failed"):
        run(tmp_path, hears)
    assert hears.divided_into == []


def test_the_trial_at_fault_is_found_and_its_siblings_are_recorded_and_the_next_run_tries_it_alone(
    tmp_path, whole, monkeypatch
):
    with monkeypatch.context() as patch:
        faulty(patch, raising(MemoryError()), has_the_one_at_fault)
        with pytest.raises(FailedTrials, match="1 trials failed"):
            run(tmp_path)
    folder = tmp_path / "tiny"
    assert len(reader.read(folder, "trials")) == 7
    assert len(reader.read(folder, "failures")) == 1
    hears = Hears()
    run(tmp_path, hears)
    assert hears.done_with == [1]
    assert reader.read(folder, "failures").empty
    assert len(reader.read(folder, "trials")) == 8


def test_a_trial_that_hangs_is_ended_and_named_and_the_others_are_recorded(tmp_path, monkeypatch):
    faulty(monkeypatch, lambda: time.sleep(60), has_the_one_at_fault)
    monkeypatch.setattr("harness.driver.patience.LONGER_THAN_EXPECTED", 0)
    with pytest.raises(
        FailedTrials, match=r"1 trials failed.*it hangs: no block .* within 0.01 min \(hang_after\)"
    ):
        run(tmp_path, hang_after=0.01)
    assert len(reader.read(tmp_path / "tiny", "trials")) == 7


def test_the_command_line_names_what_it_divides_and_the_trial_that_failed(tmp_path, monkeypatch, capsys):
    faulty(monkeypatch, raising(MemoryError("full")), lambda pack: pack.trials[0].seed == 0)
    code = run_tiny(
        tmp_path, learning_rate="0.1", lr_trials=None, lr_batch=None, max_norms="1", seeds="2", max_steps="10"
    )
    assert code == 1
    said = capsys.readouterr().err
    name = "palindrome rnn sgd T=4 max_norm=1 lr=0.1"
    assert f"tried again in halves: 2 trials, the first {name}: MemoryError: full" in said
    assert f"failed: 1 trial, {name} learning_rate=0.1 seed=0: MemoryError: full" in said


def test_long_blocks_are_waited_for_longer_than_short_ones(tmp_path):
    from harness.driver.patience import Patience
    from harness.planning.plan import Plan

    space = vars(SPACE)
    short, long = (
        Plan(Space(**{**space, "eval_every": every, "max_steps": every}), {}).ask() for every in (10, 10**6)
    )
    patience = Patience(SPACE, 1)
    assert patience(short) == 60
    assert patience(long) > 60
