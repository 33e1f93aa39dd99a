"""What the driver takes for each trial when training takes nothing: python -m benchmarks.driver.

python -m benchmarks.driver                            1,000, 10,000 and 100,000 trials, in this process
python -m benchmarks.driver --trials 1000 --ray        with Ray's workers

Every trial of a tuned space is planned, scheduled and recorded; its curves are drawn from a generator that
is seeded by its trial_id. Then the same call is given again, on the finished folder. Each is a process of its
own. Milliseconds are of the driver's processor, without what stands in for training and without imports.
"""

import argparse
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import table, where
from harness import load_space, run_space
from harness.condition import Outcome, Pack, Result, Trial
from harness.executors import base
from harness.planning import plan
from harness.planning.space import Space
from harness.probes import measure_columns, probe_columns
from harness.results.schema import EVAL_SCHEMA, MOMENT_SCHEMA, STEP_SCHEMA, TRIAL_COLUMNS

TRIALS = (1_000, 10_000, 100_000)

STEPS, EVALS = 100, 5
"""Rows of a trial's histories."""

PER_LENGTH = 20
"""Conditions of a length: 2 models, 2 optimizers, 5 thresholds."""

SEEDS, RATES = 4, 6
"""Report seeds of a condition, and learning rates that each of them tries."""

SUMMARY = dict.fromkeys([*TRIAL_COLUMNS, *measure_columns()])
"""Columns of a trial, without a value."""

taken = 0.0
"""Processor seconds in what stands in for training."""


def space_of(trials: int) -> Space:
    """A tuned space of about so many trials."""
    plain = load_space("clipping_study")
    fields: dict[str, Any] = dict(
        name="driver",
        models=("rnn", "lstm"),
        optimizers=("sgd", "rmsprop"),
        max_norms=(0.1, 0.5, 1.0, 5.0, float("inf")),
        lr_trials=RATES,
        lr_batch=RATES,
        lr_extend=0,
        seeds=SEEDS,
        pack_size=32,
        max_steps=1_000,
    )
    per_length = PER_LENGTH * SEEDS * (RATES + 1)
    lengths = range(4, 4 + max(1, round(trials / per_length)))
    return Space(summary=plain.summary, lengths=tuple(lengths), **fields)


def no_training(pack: Pack, *_how: Any) -> Generator[Any, None, list[Result]]:
    """What stands in for training: no block, and a result for each trial, a function of its trial_id."""
    global taken
    begun = time.process_time()
    found = [a_result(trial, pack.probes) for trial in pack.trials]
    taken += time.process_time() - begun
    yield from ()
    return found


def a_result(trial: Trial, probes: tuple[str, ...]) -> Result:
    """Curves of a trial that nobody trained."""
    draws = np.random.default_rng(int(trial.trial_id, 16))
    known = SUMMARY.keys() - trial.fields().keys() - {"trial_id", "condition_id", "pack_id", "phase"}
    summary = dict.fromkeys(known - {"space", "outcome"})
    moments = 3 if probes else 0
    return Result(
        trial=trial,
        outcome=Outcome.STABLE,
        summary=summary | {"objective": float(draws.random()), "steps": STEPS, "seconds": 1.0},
        steps={name: draws.random(STEPS) for name in STEP_SCHEMA.names[1:]},
        evals={name: draws.random(EVALS) for name in EVAL_SCHEMA.names[1:]},
        moments={name: ["init", "solved", "end"][:moments] for name in MOMENT_SCHEMA.names[1:2]}
        | {name: draws.random(moments) for name in (*MOMENT_SCHEMA.names[2:], *probe_columns(probes))},
    )


class Untrained(Pack):
    """A pack that arrives on a worker which from then on trains nothing."""

    def __reduce__(self) -> tuple[Any, ...]:
        return arrived, (self.trials, self.probes, self.checkpoints, self.sample_every)


def arrived(*fields: Any) -> Pack:
    """The pack, on its worker."""
    base.blocks = no_training  # type: ignore[assignment]
    return Pack(*fields)


def one_run(trials: int, folder: Path, ray: bool) -> dict[str, float]:
    """Seconds, processor seconds and peak memory of one call of `run_space`, in this process."""
    space = space_of(trials)
    base.blocks = no_training  # type: ignore[assignment]
    if ray:
        plan.Pack = Untrained  # type: ignore[misc]
    how: dict[str, Any] = dict(executor="ray", workers=2) if ray else dict(executor="serial")
    gc.set_threshold(50_000)  # as the command line does
    begun, used = time.perf_counter(), time.process_time()
    run_space(space, folder, engine="eager", yes=True, **how)
    return {
        "trials": len(space.conditions()) * space.trials_per_condition,
        "seconds": time.perf_counter() - begun,
        "processor": time.process_time() - used - taken,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def in_a_process(trials: int, folder: Path, ray: bool) -> dict[str, float]:
    """`one_run` in a process of its own."""
    arguments = ["--one", str(trials), str(folder), *(["--ray"] if ray else [])]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.driver", *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def row(trials: int, ray: bool) -> list[str]:
    """Run, and run again, in a folder that is removed after."""
    with tempfile.TemporaryDirectory(prefix="driver-benchmark-") as scratch:
        folder = Path(scratch)
        first, again = (in_a_process(trials, folder, ray) for _ in range(2))
        files = [path for path in folder.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
    return [
        "Ray" if ray else "serial",
        f"{first['trials']:,}",
        f"{1e3 * first['processor'] / first['trials']:.2f}",
        f"{first['seconds']:.0f}",
        f"{first['megabytes']:.0f}",
        f"{len(files):,}",
        f"{size / 1e6:.0f}",
        f"{again['seconds']:.1f}",
        f"{again['processor']:.1f}",
        f"{again['megabytes']:.0f}",
    ]


HEAD = (
    *("executor", "trials", "ms per trial", "seconds", "MB", "files", "MB on disk"),
    *("again: seconds", "processor s", "MB"),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, action="append")
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("TRIALS", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one_run(int(given.one[0]), Path(given.one[1]), given.ray)))
        return
    print(where(f"python -m benchmarks.driver{' --ray' * given.ray}") + "\n")
    rows = [row(trials, given.ray) for trials in given.trials or TRIALS]
    print(table(HEAD, rows))


if __name__ == "__main__":
    main()
