"""What a report costs on big results: seconds and peak memory of `python -m analysis.report`.

    python benchmarks/report.py [--seeds 40] [--steps 1000]

Makes up a results folder (180 conditions; at 40 seeds 10,080 trials, with 1,000 kept steps each) and
reports on it in a fresh process, once per format. Nothing is trained: curves are noise, outcomes are drawn.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from harness import probes
from harness.condition import FIRST_TUNING_SEED, Condition, Outcome, Pack, Result, Trial
from harness.planning.space import Space
from harness.probes.moments import MOMENTS
from harness.results.schema import STEP_SCHEMA
from harness.results.writer import Writer

SPACE = Space(
    name="made_up",
    summary="",
    models=("rnn", "lstm"),
    optimizers=("rmsprop", "adam", "sgd"),
    lengths=(5, 10, 20, 30, 50),
    max_norms=(0.5, 1.0, 2.0, 5.0, 10.0, math.inf),
    seeds=40,
)

QUANTITIES = ("grad_state", "grad_h", "grad_c")


def made_up(trial: Trial, steps: int, generator: np.random.Generator) -> Result:
    """A trial that solves the less often the longer its sequences are, with noise for curves."""
    chance = 1 / (1 + (trial.condition.length / (20 if trial.condition.model == "rnn" else 40)) ** 3)
    solved = generator.random() < chance
    kinds = (Outcome.STABLE, Outcome.RECOVERED) if solved else (Outcome.UNSOLVED, Outcome.DIVERGED)
    outcome = kinds[int(generator.random() < 0.2)]
    drops = 2 if outcome == Outcome.RECOVERED else 0
    at = np.arange(1, steps + 1)
    curves = {name: generator.random(steps, dtype=np.float32) for name in STEP_SCHEMA.names[1:]}
    evals = at[:: max(1, steps // 20)]
    report = trial.phase == "report"
    moments = [moment for moment in MOMENTS if solved or moment != "solved"] if report else []
    profile = [(m, t, q) for m in moments for q in QUANTITIES for t in range(1, trial.condition.length)]
    names = probes.probe_columns(SPACE.probes)
    return Result(
        trial=trial,
        outcome=outcome,
        summary=dict.fromkeys(probes.measure_columns())
        | {
            "objective": generator.random(),
            "steps": steps,
            "solved_step": 100 * int(generator.integers(1, 10)) if solved else None,
            "diverged_step": steps if outcome == Outcome.DIVERGED else None,
            "diverged_reason": "loss_not_finite" if outcome == Outcome.DIVERGED else None,
            "initial_loss": 2.3,
            "final_loss": generator.random(),
            "final_score": generator.random(),
            "best_score": 1.0,
            "above_baseline": False,
            "control_score": generator.random(),
            "drops": drops,
            "watched_steps": 500 if solved else 0,
            "clipped_share": generator.random(),
            "clip_never_active": False,
            "clip_mostly_active": False,
            "mean_clip_coefficient": generator.random(),
            **{f"grad_norm_{q}": generator.random() for q in ("p50", "p90", "p99", "max")},
            "seconds": 1.0,
        },
        steps=curves | {"step": at},
        evals={"step": evals, "loss": generator.random(len(evals)), "score": generator.random(len(evals))},
        events={
            "kind": ["drop"] * drops,
            "start_step": [100, 300][:drops],
            "depth": [0.5] * drops,
            "extreme": [0.4] * drops,
            "end_step": [150, 320][:drops],
            "recovered": [True] * drops,
            "censored": [False] * drops,
        },
        moments={"moment": moments, "step": [0] * len(moments)}
        | {name: generator.random(len(moments)) for name in names if moments},
        profiles={
            "moment": [m for m, _, _ in profile],
            "step": [0] * len(profile),
            "t": [t for _, t, _ in profile],
            "quantity": [q for _, _, q in profile],
            "mean_norm": generator.random(len(profile)),
            "median_norm": generator.random(len(profile)),
        },
    )


def trials_of(condition: Condition, space: Space) -> list[list[Trial]]:
    """The tuning and the report trials of a condition, in packs."""
    budget = {"max_steps": space.max_steps, "observe": space.observe, "eval_every": space.eval_every}
    rates = [*space.first_grid(condition.optimizer), 0.0123, 0.0234, 0.0345]
    tune = [
        Trial(condition=condition, learning_rate=rate, seed=FIRST_TUNING_SEED + seed, **budget)
        for rate in rates[: space.lr_trials]
        for seed in range(space.tuning_seeds)
    ]
    report = [
        Trial(condition=condition, learning_rate=0.01, seed=seed, **budget)
        for seed in range(space.first_seeds)
    ]
    size = space.pack_size
    return [part[i : i + size] for part in (tune, report) for i in range(0, len(part), size)]


def make(folder: Path, space: Space, steps: int) -> int:
    """Write the made-up results; return how many trials they hold."""
    generator = np.random.default_rng(0)
    recorder = Writer(
        folder,
        space.definition(),
        space.conditions(),
        options=space.option_columns(),
        measures=probes.measure_columns(),
        provenance={},
        probe_columns=probes.probe_columns(space.probes),
    )
    count = 0
    for condition in space.conditions():
        for trials in trials_of(condition, space):
            results = [made_up(trial, steps, generator) for trial in trials]
            recorder.write_pack(Pack(tuple(trials)), results)
            count += len(trials)
    recorder.close()
    return count


def report(folder: Path, style: str) -> tuple[float, float, float]:
    """Seconds, peak resident memory (GiB) and size of the page (MB) of one report in a fresh process."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "analysis.report", str(folder), "--format", style], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"the report ended with status {status}")
    per_gib = 2**30 if sys.platform == "darwin" else 2**20  # ru_maxrss is in bytes there, in KiB elsewhere
    return seconds, usage.ru_maxrss / per_gib, (folder / f"report.{style}").stat().st_size / 1e6


def main() -> None:
    """Make, report, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=SPACE.first_seeds)
    parser.add_argument("--steps", type=int, default=1_000)
    arguments = parser.parse_args()
    space = SPACE.override({"seeds": arguments.seeds})
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / space.name
        count = make(folder, space, arguments.steps)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{count} trials with {arguments.steps} steps each, {size / 1e6:.0f} MB of Parquet")
        for style in ("html", "md", "json"):
            seconds, memory, page = report(folder, style)
            print(f"{style:<5} {seconds:5.1f} s, peak {memory:.2f} GiB, page of {page:.1f} MB")


if __name__ == "__main__":
    main()
