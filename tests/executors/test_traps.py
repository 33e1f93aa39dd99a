"""What a user's class may raise, and what it may change of the process, while it is trained in process."""

import asyncio
import math
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import FailedTrials, Listener, Space, run_space
from harness.errors import LONGEST, LONGEST_TRACEBACK
from harness.executors import Failure, attempt
from harness.held import held
from harness.models.rnn import RNN
from harness.results import reader
from tests.commands import assert_same_tables
from tests.trials import contract, make_pack, mostly_contract, outcome_of

TRAPS = []
"""What the next model that is built does, once."""


class Trapped(RNN):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__(input_size, hidden_size, output_size)
        if TRAPS:
            TRAPS.pop()()


SPACE = Space(
    name="tiny", summary="", models=(Trapped,), optimizers=("sgd",), lengths=(4,), max_norms=(1.0,),
    learning_rate=(0.1, 1.0), seeds=2, max_steps=20, observe=0, eval_every=10, pack_size=2, hidden_size=8,
    probes=(),
)  # fmt: skip
"""Two conditions, four trials in two packs."""


class Sets(Listener):
    """Sets the trap when everything has been tried out."""

    def __init__(self, trap):
        self.trap = trap

    def started(self, start):
        TRAPS.append(self.trap)


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_tried_out():
    """Each trial of a class in a process apart takes seconds; what is tested comes after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.driver.preflight.try_out", lambda *_: [])
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run_space(SPACE, tmp_path_factory.mktemp("whole"), executor="serial")


@pytest.fixture
def _as_before():
    """Put back what a failing test may leave behind."""
    with held():
        yield


def raising(error):
    def trap():
        raise error

    return trap


class Own(BaseException):
    pass


class Unpicklable(Exception):
    def __init__(self):
        super().__init__("held")
        self.lock = threading.Lock()


class Mute(Exception):
    def __str__(self):
        raise self


def recursing():
    recursing()


def asserting():
    assert len(TRAPS) == 7


FAULTS = {
    "no text": raising(ValueError()),
    "several lines": raising(ValueError("a\nb\r\n\tc")),
    "a lone surrogate": raising(ValueError("\ud800")),
    "a text that raises": raising(Mute()),
    "megabytes": raising(ValueError("x" * 20_000_000)),
    "an exit": lambda: sys.exit("enough"),
    "an exit that says success": lambda: sys.exit(0),
    "an exit of a generator": raising(GeneratorExit()),
    "an interrupt that no signal was": raising(KeyboardInterrupt("mine")),
    "a cancelled task": raising(asyncio.CancelledError()),
    "a base exception": raising(Own("own")),
    "an assertion": asserting,
    "a recursion": recursing,
    "a group": raising(ExceptionGroup("two", [ValueError("a"), KeyError("b")])),
    "what cannot be pickled": raising(Unpicklable()),
    "a warning": raising(DeprecationWarning("old")),
    "a stop": raising(StopIteration()),
}
USUAL_FAULTS = ("no text", "a lone surrogate", "megabytes", "an exit", "an interrupt that no signal was")


@pytest.mark.parametrize("fault", mostly_contract(FAULTS, *USUAL_FAULTS))
def test_whatever_a_class_raises_is_a_failed_pack_and_the_run_goes_on(fault, tmp_path, whole):
    with pytest.raises(FailedTrials) as caught:
        run_space(SPACE, tmp_path, executor="serial", listeners=[Sets(FAULTS[fault])])
    said = str(caught.value)
    assert said.isprintable()
    assert "test_traps.py:" in said
    assert len(said) < 8 * LONGEST
    failures = reader.read(tmp_path / "tiny", "failures")
    assert len(failures) == 2 == len(reader.read(tmp_path / "tiny", "trials"))
    assert failures["error"].str.contains("test_traps.py:").all()
    assert failures["traceback"].notna().tolist() == [True, False], "once per pack"
    text = failures["traceback"][0]
    assert "Traceback (most recent call last)" in text
    assert len(text) <= 2 * LONGEST_TRACEBACK + 100
    run_space(SPACE, tmp_path, executor="serial")
    assert_same_tables(tmp_path / "tiny", whole)


def forked():
    """A child that does not end where it was made."""
    if os.fork() == 0:
        raise SystemExit
    os.wait()


def warn_as_error():
    warnings.simplefilter("error")


KEPT = {
    "the folder": lambda: os.chdir("/"),
    "output": lambda: sys.stdout.close(),
    "error output": lambda: sys.stderr.close(),
    "replaced output": lambda: setattr(sys, "stdout", None),
    "output used as a context": lambda: sys.stdout.__enter__().__exit__(None, None, None),
    "the descriptor of output": lambda: os.close(1),
    "a descriptor led elsewhere": lambda: os.dup2(0, 2),
    "Ctrl-C": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    "the batch system's end": lambda: signal.signal(signal.SIGTERM, lambda *_: os._exit(3)),
    "a timer": lambda: signal.setitimer(signal.ITIMER_REAL, 1000),
    "warnings": warn_as_error,
    "overflow": lambda: np.seterr(all="raise"),
    "recursion": lambda: sys.setrecursionlimit(5000),
    "the process": forked,
}


def process_state():
    """What a driver needs to be as it was."""
    return {
        "folder": Path.cwd(),
        "streams": (sys.stdout, sys.stderr),
        "open": [os.fstat(number)[:3] for number in (1, 2)],
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "warnings": list(warnings.filters),
        "overflow": np.geterr(),
        "recursion": sys.getrecursionlimit(),
        "torch": (
            torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(),
            torch.get_num_threads(), torch.get_float32_matmul_precision(),
            torch.are_deterministic_algorithms_enabled(), denormals_flushed(),
        ),
    }  # fmt: skip


def denormals_flushed():
    return not (torch.tensor(1e-40) * 1).item()


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("what", mostly_contract(KEPT, "the folder", "output", "Ctrl-C"))
def test_what_a_class_changes_of_the_process_is_put_back_and_no_number_changes(
    what, tmp_path, whole, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = process_state()
    folder = run_space(SPACE, "results", executor="serial", listeners=[Sets(KEPT[what])])
    assert not TRAPS
    assert process_state() == before
    assert not sys.stdout.closed
    assert not sys.stderr.closed
    assert_same_tables(tmp_path / folder, whole)


CHANGED = {
    "default_dtype": lambda: torch.set_default_dtype(torch.float64),
    "default_device": lambda: torch.set_default_device("meta"),
    "grad_enabled": lambda: torch.set_grad_enabled(False),
    "num_threads": lambda: torch.set_num_threads(2),
    "denormals": lambda: torch.set_flush_denormal(True),
    "matmul_precision": lambda: torch.set_float32_matmul_precision("medium"),
    "deterministic": lambda: torch.use_deterministic_algorithms(True),
}


def stepwise(train):
    """A training without blocks."""
    yield from ()
    return train()


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("what", [n if n != "deterministic" else contract(n) for n in CHANGED])
def test_a_pack_that_changes_what_numbers_depend_on_has_failed_and_the_next_does_not_inherit_it(
    what, monkeypatch
):
    before = process_state()
    monkeypatch.setattr("harness.executors.base.blocks", lambda *_: stepwise(CHANGED[what]))
    outcome = outcome_of(attempt(make_pack(), "cpu"))
    assert isinstance(outcome, Failure)
    assert what in outcome.reason
    assert process_state() == before


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("what", [n for n in CHANGED if n not in ("matmul_precision", "deterministic")])
def test_a_pack_does_not_inherit_what_its_caller_has_set(what, monkeypatch):
    with held():
        seen = process_state()["torch"]
    CHANGED[what]()
    monkeypatch.setattr(
        "harness.executors.base.blocks", lambda *_: stepwise(lambda: process_state()["torch"])
    )
    assert outcome_of(attempt(make_pack(), "cpu")) == seen


@pytest.mark.parametrize(
    ("number", "ends"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_what_a_signal_raises_ends_the_run_and_not_the_pack(number, ends, monkeypatch):
    def train(*_):
        signal.raise_signal(number)
        time.sleep(60)

    monkeypatch.setattr("harness.executors.base.blocks", train)
    with held(), pytest.raises(ends):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))
        outcome_of(attempt(make_pack(), "cpu"))


def test_divergence_is_still_a_result():
    (result,) = outcome_of(attempt(make_pack(learning_rate=1e6, max_steps=30), "cpu"))
    assert result.outcome in ("diverged", "unsolved")
    assert math.isfinite(result.summary["objective"])
