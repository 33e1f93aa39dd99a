"""What several tests share: short ways to name trials, train them, and make results folders by hand."""

import dataclasses
import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.load import Results, load
from harness import probes
from harness.condition import FIRST_TUNING_SEED, Condition, Outcome, Pack, Result, Trial
from harness.models import models
from harness.planning.fits import fits
from harness.planning.space import Space
from harness.probes import Curves, Levels
from harness.probes.events import COLUMNS as EVENT_COLUMNS
from harness.results.reader import read
from harness.results.schema import EVAL_SCHEMA, STEP_SCHEMA, TRIAL_COLUMNS
from harness.results.writer import Writer
from harness.run import main
from harness.tasks import Task, tasks
from harness.training.log import Log
from harness.training.loop import Training

# Names

SEQUENCE_MODELS = [name for name in models.names() if fits(name, "palindrome")]
"""Models that answer at the end of a sequence."""

CAUSAL_MODELS = [name for name in models.names() if fits(name, "parity")]
"""Models that can also answer at every step."""

TASK_OF = {name: next(task for task in tasks.names() if fits(name, task)) for name in models.names()}
"""A task that fits each model."""

LENGTHS = {"digits": 8, "recall": 16}
"""Of the tasks that a length of 10 does not fit."""

# Parameters


def mostly_contract(cases: Iterable[Any], *unit: Any) -> list[Any]:
    """The parameters of a test: `unit` runs with the unit tests, every other case is marked contract."""
    cases = list(cases)
    assert all(case in cases for case in unit)
    return [case if case in unit else contract(case) for case in cases]


def contract(case: Any) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.contract)


# Trials


def make_task(name: str, **options: Any) -> Task:
    """Any registered task at a length that fits."""
    return tasks.build(name, options, length=LENGTHS.get(name, 10))


def make_condition(**changes: Any) -> Condition:
    fields: dict[str, Any] = dict(
        task="palindrome",
        model="rnn",
        optimizer="sgd",
        length=5,
        max_norm=1.0,
        hidden_size=8,
        batch_size=16,
        options=(("encoding", "one_hot"), ("init", "xavier")),
    )
    return Condition(**fields | changes)


def make_trial(seed: int = 0, learning_rate: float = 0.1, **changes: Any) -> Trial:
    budget = {k: changes.pop(k) for k in ("max_steps", "observe", "eval_every") if k in changes}
    fields = dict(max_steps=30, observe=20, eval_every=10) | budget
    return Trial(condition=make_condition(**changes), learning_rate=learning_rate, seed=seed, **fields)


def make_trial_of(condition: Condition) -> Trial:
    return dataclasses.replace(make_trial(learning_rate=0.1), condition=condition)


def make_pack(seeds: int = 1, **changes: Any) -> Pack:
    return Pack(tuple(make_trial(seed, **changes) for seed in range(seeds)))


# Training


def trained(pack: Pack, device: str = "cpu", engine: str = "eager") -> list[Log]:
    """The logs of a pack that has been trained to its end, with its moments."""
    training = Training(pack, device, engine)
    while not training.finished:
        training.advance()
    training.results()
    return training.logs


def outcome_of(training: Generator[Any, None, Any]) -> Any:
    """What a training that says something now and then returns in the end."""
    while True:
        try:
            next(training)
        except StopIteration as end:
            return end.value


def end_weights(log: Log) -> torch.Tensor:
    """Flat (P,), at the last evaluation."""
    return log.snapshots["end"][1]


def same_numbers(one: Log, other: Log) -> bool:
    """Whether two trials have the same curves, evaluations and last evaluated weights, to the bit."""
    a, b = one.curves(), other.curves()
    return (
        torch.equal(end_weights(one), end_weights(other))
        and all(np.array_equal(x, b.scalars()[n], equal_nan=True) for n, x in a.scalars().items())
        and np.array_equal(a.update_norm, b.update_norm, equal_nan=True)
        and one.evals == other.evals
        and one.diverged_step == other.diverged_step
    )


class Frozen(models.get("rnn")):
    """A reservoir: the cell keeps its initial weights, the readout is trained."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size)
        self.layers[0].weight.requires_grad_(False)


# Curves, graphs and texts


def make_curves(
    score=None, evals=None, solved=None, diverged=None, norm=None, max_norm=1.0, max_steps=400, batch_size=128
) -> Curves:
    """By default of 500 steps without a fault: a score of 1 and a gradient norm of 1 at every step."""
    score = np.ones(500) if score is None else np.asarray(score, dtype=float)
    norm = np.ones(len(score)) if norm is None else np.asarray(norm, dtype=float)
    step, loss, accuracy = zip(*(evals or [(0, 2.0, 0.1), (len(score), 0.0, 1.0)]), strict=True)
    return Curves(
        trial=make_trial(max_norm=max_norm, max_steps=max_steps, batch_size=batch_size),
        levels=Levels(solved_at=0.99, drop_at=0.90, recovered_at=0.98, baseline_loss=2.0),
        loss=np.zeros(len(score)),
        score=score,
        grad_norm=norm,
        clip_coefficient=np.ones(len(score)) if math.isinf(max_norm) else np.fmin(1, max_norm / norm),
        update_step=np.arange(1, len(score) + 1, 10),
        update_norm=np.full(len(range(0, len(score), 10)), 0.1),
        weight_norm=np.full(len(range(0, len(score), 10)), 2.0),
        eval_step=np.array(step),
        eval_loss=np.array(loss),
        eval_score=np.array(accuracy),
        solved_step=solved,
        diverged_step=diverged,
    )


SOLVED_EVALS = [(0, 2.0, 0.1), (100, 0.0, 1.0), (500, 0.0, 1.0)]
"""Step, loss and score of evaluations: solved at step 100, and still at 500."""


def dropping(start: int, length: int, total: int = 500) -> np.ndarray:
    """A score of 1 that falls to .3 for so many steps."""
    score = np.ones(total)
    score[start - 1 : start - 1 + length] = 0.3
    return score


def some_graph(nodes: int = 12, seed: int = 0, links: float = 0.3) -> torch.Tensor:
    """A random adjacency matrix (N, N): symmetric, without loops."""
    generator = torch.Generator().manual_seed(seed)
    upper = (torch.rand(nodes, nodes, generator=generator) < links).double().triu(1)
    return upper + upper.T


def letters(size: int) -> str:
    """Characters that depend on the one before them: 'a' follows anything, the others follow 'a'."""
    draws = torch.randint(4, (size,), generator=torch.Generator().manual_seed(0)).tolist()
    return "".join("a" if i % 2 else "bcde"[draw] for i, draw in enumerate(draws))


# Results made by hand

SUMMARY_COLUMNS = TRIAL_COLUMNS.keys() - {
    *("trial_id", "condition_id", "pack_id", "phase", "space", "outcome"), *make_trial().fields()
}  # fmt: skip
"""Columns of the trials table that come from the summary of a result, besides its measures."""


def make_summary(**known: Any) -> dict[str, Any]:
    """A summary with every column that a result fills: None where no value is given."""
    return dict.fromkeys([*SUMMARY_COLUMNS, *probes.measure_columns()]) | known


def a_result(trial: Trial, outcome: Outcome = Outcome.STABLE, events=(), **summary) -> Result:
    """`events` are (start, depth, end, recovered, censored) of drops."""
    rows = [("drop", start, depth, 1 - depth, *rest) for start, depth, *rest in events]
    return Result(
        trial=trial,
        outcome=outcome,
        summary=make_summary(objective=0.3, steps=500, seconds=1.0, drops=len(rows)) | summary,
        steps={name: np.zeros(1) for name in STEP_SCHEMA.names[1:]},
        evals={name: np.zeros(1) for name in EVAL_SCHEMA.names[1:]},
        events={name: [row[i] for row in rows] for i, name in enumerate(EVENT_COLUMNS)},
    )


def with_rate(result: Result) -> Result:
    """The same with the learning rate as part of the condition, as in a space that fixes it."""
    condition = dataclasses.replace(result.trial.condition, learning_rate=result.trial.learning_rate)
    return dataclasses.replace(result, trial=dataclasses.replace(result.trial, condition=condition))


def make_folder(
    folder: Path, space: Space, results: list[Result], probe_columns=(), together: bool = False
) -> Path:
    """A results folder with a pack for every result, or `together` for each condition and phase."""
    conditions = list(dict.fromkeys(r.trial.condition for r in results))
    writer = Writer(
        folder, space.definition(), conditions, options=space.option_columns(),
        measures=probes.measure_columns(),
        provenance={}, probe_columns=probe_columns,
    )  # fmt: skip

    def key(result: Result) -> Any:
        return (result.trial.condition, result.trial.phase) if together else result.trial

    for _, group in itertools.groupby(results, key):
        pack = list(group)
        writer.write_pack(Pack(tuple(result.trial for result in pack)), pack)
    writer.close()
    return folder


TUNED = dict(name="x", summary="", models=("rnn",), optimizers=("sgd",), lengths=(5,), max_norms=(1.0,))
"""Fields of a space with one condition."""

S, R, U, D = Outcome.STABLE, Outcome.RECOVERED, Outcome.UNSOLVED, Outcome.DIVERGED

ENDS_BY_RATE = {
    1e-3: [(U, 2.2), (U, 2.0)],
    1e-2: [(S, 0.1), (U, 0.3)],
    1e-1: [(S, 0.0), (R, 0.2)],
    1.0: [(S, 0.1), (S, 0.3)],
    10.0: [(D, math.nan), (S, 0.4)],
}
"""Outcome and last loss of two tuning seeds at each learning rate of a grid."""


def grid_folder(tmp_path: Path, ends: dict[float, list[tuple[Outcome, float]]]) -> Path:
    """A condition whose grid of learning rates ended like this: outcome and last loss of each tuning seed."""
    space = Space(**TUNED, learning_rate={"low": 1e-3, "high": 10.0}, lr_trials=5, tuning_seeds=2, seeds=1)
    assert list(ends) == space.first_grid("sgd") == [1e-3, 1e-2, 1e-1, 1.0, 10.0]
    results = [
        a_result(make_trial(FIRST_TUNING_SEED + seed, rate), outcome, initial_loss=2.4, final_loss=loss)
        for rate, seeds in ends.items()
        for seed, (outcome, loss) in enumerate(seeds)
    ]
    off_grid = a_result(make_trial(FIRST_TUNING_SEED, 0.3), initial_loss=2.4, final_loss=0.0)
    return make_folder(tmp_path / "x", space, [*results, off_grid])


def drops_folder(tmp_path: Path) -> Path:
    """max_norm 1: 3 drops in 2,000 steps of 2 trials. No clipping: none in 1,000. SGD never solved."""
    space = Space(**TUNED | {"max_norms": (1.0, math.inf)}, learning_rate=(0.1,), seeds=2)
    fixed = dict(learning_rate=0.1)
    events = [
        [(100, 0.5, 110, True, False), (200, 0.3, 230, True, False)],
        [(490, 0.7, None, False, True)],
    ]
    clipped = [
        a_result(make_trial(s, **fixed), Outcome.RECOVERED, events[s], watched_steps=1_000, solved_step=50)
        for s in (0, 1)
    ]
    free = [
        a_result(make_trial(s, max_norm=math.inf, **fixed), watched_steps=500, solved_step=50) for s in (0, 1)
    ]
    return make_folder(tmp_path / "x", space, [with_rate(result) for result in [*clipped, *free]])


def made_grid(
    tmp_path: Path, ends: Callable[[Condition, int], Outcome], seeds: int = 6, **changes: Any
) -> Results:
    """Every condition of a space at fixed rates; `ends` gives the outcome of a condition and seed."""
    fields = dict(optimizers=("sgd",), lengths=(5, 9), max_norms=(1.0, math.inf), learning_rate=(0.1,))
    space = Space(name="x", summary="", seeds=seeds, **fields | changes)
    results = []
    for condition in space.conditions():
        for seed in range(seeds):
            own = dict(learning_rate=condition.learning_rate, seed=seed, max_steps=1_000)
            trial = dataclasses.replace(make_trial_of(condition), **own)
            outcome = ends(condition, seed)
            solved = outcome in (S, R)
            results.append(a_result(trial, outcome, solved_step=100 if solved else None, watched_steps=9))
    return load(make_folder(tmp_path / "x", space, results, together=True))


# Runs of the command line

TINY = {
    "models": "rnn",
    "optimizers": "sgd",
    "lengths": "4",
    "learning_rate": "1e-1:1e1",
    "lr_trials": "3",
    "lr_batch": "1",
    "lr_extend": "0",
    "max_steps": "100",
    "observe": "50",
    "pack_size": "2",
    "hidden_size": "8",
}
"""Two conditions of ten trials in all, a second of training: three packs that tune and two that report."""


def own_space(folder: Path, name: str, settings: dict[str, str]) -> str:
    """A file of a space like the built-in one with these settings, which then make no variant of it."""
    sets = [f"{field}={value}" for field, value in settings.items()]
    path = folder / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "import dataclasses\n"
        "from harness import load_space\n"
        "from harness.planning.fields import parse_settings\n"
        f"SPACE = dataclasses.replace(load_space({name!r}).override(parse_settings({sets!r})))\n"
    )
    return str(path)


TINY_SPACE = Path(__file__).parent / "tiny_space.py"
"""Space smoke with the settings of TINY: its results lie in the folder smoke."""


def tiny_arguments(results: Path, *more: str, **changes: str | None) -> list[str]:
    """Arguments of a tiny run; a setting of None is left out."""
    settings = {name: value for name, value in (TINY | changes).items() if value is not None}
    sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    executor = [] if "--executor" in more else ["--executor", "serial"]
    return ["--space", str(TINY_SPACE), "--results", str(results), *executor, *sets, *more]


def run_without_pictures(arguments: list[str]) -> int:
    """The exit code of a run in this process. Pictures take longer than a tiny training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.report.svg", lambda _figure: "<svg></svg>")
        return main(arguments)


def run_tiny(results: Path, *more: str, **changes: str | None) -> int:
    """The exit code of a tiny run in this process, without pictures.

    Our own models are not tried out, which would start two processes.
    """
    with pytest.MonkeyPatch.context() as patch:
        if changes.get("models") in OURS:
            patch.setattr("harness.driver.preflight.try_out", lambda *_: [])
        return run_without_pictures(tiny_arguments(results, *more, **changes))


HELD = "tests.helpers:Held"


class Held(models.get("rnn")):
    """An RNN that cannot be built any more once HELD_AFTER packs are recorded in HELD_FOLDER.

    So a run is certainly in the middle of a pack when it is killed. Without these variables it is an RNN.
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__(input_size, hidden_size, output_size)
        folder, packs = os.environ.get("HELD_FOLDER"), os.environ.get("HELD_AFTER")
        if folder and len(list(Path(folder, "trials").glob("*.parquet"))) >= int(packs):
            Path(folder).with_suffix(".held").touch()
            time.sleep(SECONDS_TO_WAIT)
            raise TimeoutError("nothing ended the run that was held")


OURS = (HELD, "tests.executors.paced:Paced")
"""Models by import path that are known to be sound."""

UNTRIED = "import sys; from harness.driver import preflight; preflight.try_out = lambda *_: []; " + (
    "from harness.run import main; sys.exit(main(sys.argv[1:]))"
)
"""A program: `python -m harness.run` without the try-out, whose two processes take longer than a tiny run."""


def run_command(arguments: list[str], *ours: str) -> list[str]:
    """The command of a run in a process of its own; our own models, and these, are not tried out."""
    sound = any(f"models={models}" in arguments for models in (*OURS, *ours))
    return [sys.executable, *(["-c", UNTRIED] if sound else ["-m", "harness.run"]), *arguments]


SECONDS_TO_WAIT = 300


def wait_until_held(process: subprocess.Popen[str], results: Path) -> None:
    """Return when the process is in the middle of a pack and `hold_after` packs are recorded."""
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while not (results / "smoke.held").exists():
        assert process.poll() is None, f"it ended before: {process.communicate()}"
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.01)


@contextmanager
def started_tiny(
    results: Path, *more: str, hold_after: int | None = None, **changes: str | None
) -> Iterator[subprocess.Popen[str]]:
    """A tiny run in a process of its own, which listens to Ctrl-C also where these tests do not.

    With `hold_after` it trains `Held`, and no pack ends after so many. The process is killed at the end.
    """
    environment = dict(os.environ)
    if hold_after is not None:
        changes["models"] = HELD
        environment |= {"HELD_FOLDER": str(results / "smoke"), "HELD_AFTER": str(hold_after)}
    process = subprocess.Popen(
        run_command(tiny_arguments(results, *more, **changes)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """All tables in one order, without the columns that time changes."""
    found = {}
    for name in ("trials", "steps", "evals"):
        table = read(folder, name).drop(columns="seconds", errors="ignore")
        keys = ["trial_id"] if name == "trials" else ["trial_id", "step"]
        found[name] = table.sort_values(keys, ignore_index=True)
    return found


def assert_same_tables(one: Path, other: Path) -> None:
    a, b = tables(one), tables(other)
    for name in a:
        pd.testing.assert_frame_equal(a[name], b[name], check_exact=True)
