"""Whole runs that add seeds, lengths and learning rates by their own results."""

import pytest

from harness import Space, run_space
from harness.driver.listeners import Listener
from harness.planning.growth import check_growth
from harness.results import reader

TINY = dict(
    name="tiny", summary="", models=("rnn",), optimizers=("sgd",), max_norms=(1.0,), max_steps=40, observe=10,
    eval_every=10, hidden_size=8, batch_size=8, probes=(), pack_size=3,
)  # fmt: skip


LEARNS = dict(optimizers=("rmsprop",), max_steps=150, hidden_size=16, batch_size=32, eval_every=50)
"""Fields with which palindromes of four digits are learnt, and of twenty are not."""


class Totals(Listener):
    """What was known of the total at the start and what was added, stage by stage."""

    def __init__(self) -> None:
        self.stages: list[list[int]] = []
        self.may_grow: list[bool] = []

    def started(self, start):
        self.stages.append([start.total])
        self.may_grow.append(start.may_grow)

    def grew(self, more):
        self.stages[-1].append(sum(more.values()))


def run(results, listener=None, **changes):
    listeners = [listener] if listener else []
    return run_space(Space(**TINY | changes), results, executor="serial", engine="eager", listeners=listeners)


def trials_in(folder) -> set[str]:
    return set(reader.read(folder, "trials", ["trial_id"])["trial_id"])


@pytest.mark.contract
@pytest.mark.parametrize(
    "changes",
    [
        dict(lengths=(4, 20), learning_rate=(0.01,), seeds=1, bracket="until:ratio=2.5", **LEARNS),
        dict(lengths=(6,), learning_rate=(0.1,), seeds="until:width=.5,batch=2,max=8"),
        dict(lengths=(6,), learning_rate={"low": 1e-4, "high": 1e-3}, lr_trials=2, seeds=2, lr_extend=2),
    ],
    ids=["lengths", "seeds", "rates"],
)
def test_a_run_that_grows_goes_on_from_where_it_was_stopped_and_ends_alike(changes, tmp_path, monkeypatch):
    told = Totals()
    whole = run(tmp_path / "whole", told, **changes)
    recorded = trials_in(whole)
    *_, last = told.stages
    assert sum(last) == len(recorded)
    assert len(told.stages) > 1 or len(last) > 1, "something was added"
    assert told.may_grow[-1] == ("bracket" not in changes)

    class Stops(Listener):
        def done(self, pack, outcome):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", Stops(), **changes)
    again = run(tmp_path / "stopped", **changes)
    assert trials_in(again) == recorded
    check_growth(reader.read_definition(again), reader.read_definition(whole), again)
    monkeypatch.setattr("harness.driver.driver.run_serial", lambda *_: pytest.fail("trained again"))
    assert run(tmp_path / "stopped", **changes) == again
