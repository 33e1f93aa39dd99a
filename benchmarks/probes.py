"""What measuring costs: per-step measures in percent of the training step, and the moments of a trial.

    python benchmarks/probes.py [--hidden 32] [--batch 32] [--pack 32]

Sizes are those of clipping_study on a laptop. The per-step cost is the update norms of every tenth step,
timed side by side with the same steps without them in alternating order, and everything that is read
off the curves of a trial of 1,600 steps when it is over. The moments (gradient flow, Lyapunov exponents,
spectrum) are taken three times in a report trial, after training; tuning trials have none.
"""

import argparse
import math
import statistics
import time
from dataclasses import replace

import numpy as np
import torch

import harness.training.loop
from harness.condition import Condition, Pack, Trial
from harness.probes import DEFAULT_PROBES, Curves, Levels, events, measure_curves, outcome, probe_moment
from harness.training.loop import Training, build_task
from harness.training.moments import probe_batch
from harness.training.replicas import Replicas, build_model, stack

ROUNDS = 12
MEASUREMENT_SECONDS = 1.0
"""How long one measurement of a pack's step lasts, at least: shorter ones scatter by more than the cost."""
TRIAL_STEPS = 1_600


class Measured:
    """A pack whose update norms are measured every so many steps, and its moments on demand."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        condition = pack.trials[0].condition
        task = build_task(condition)
        self.batch = probe_batch(task, condition.task, "cpu")
        models = [build_model(condition, task, trial.seed) for trial in pack.trials[:16]]
        self.replicas = Replicas(models[0], task)
        self.weights, self.buffers = stack(models)

    def seconds(self, update_every: int, steps: int) -> float:
        """Of one step of the whole pack, over so many steps, with update norms every so many."""
        harness.training.loop.UPDATE_EVERY = update_every
        trials = tuple(replace(t, max_steps=steps, observe=0, eval_every=steps) for t in self.pack.trials)
        training = Training(Pack(trials))
        training.advance()
        return float(training.logs[0].step_seconds[0][0]) * len(trials)

    def moment_seconds(self) -> float:
        """Of the default probes of one replica at one moment, 16 at a time as in training."""
        moment = self.replicas.moment(self.weights, self.buffers, self.batch)
        started = time.perf_counter()
        probe_moment(moment, DEFAULT_PROBES)
        return (time.perf_counter() - started) / len(moment.weights_RP)


def reading_seconds(trial: Trial) -> float:
    """Everything that is read off the curves of one trial, per step of the trial."""
    generator = np.random.default_rng(0)
    noise = generator.lognormal(0, 0.3, TRIAL_STEPS).astype(np.float32)
    curves = Curves(
        trial=trial,
        levels=Levels(solved_at=0.99, drop_at=0.9, recovered_at=0.98, baseline_loss=2.3),
        loss=noise,
        score=(1 - 0.05 * generator.random(TRIAL_STEPS)).astype(np.float32),
        grad_norm=noise,
        clip_coefficient=np.fmin(1, 1 / noise),
        update_step=np.arange(1, TRIAL_STEPS, 10),
        update_norm=noise[::10],
        weight_norm=noise[::10],
        eval_step=np.arange(0, TRIAL_STEPS + 1, 100),
        eval_loss=np.ones(17),
        eval_score=np.full(17, 0.995),
        solved_step=800,
        diverged_step=None,
    )
    started = time.perf_counter()
    measure_curves(curves), events(curves), outcome(curves)
    return (time.perf_counter() - started) / TRIAL_STEPS


def one_round(setup: Measured, number: int, steps: int) -> tuple[float, float, float, float]:
    """Seconds of a pack's step without and with update norms, of reading and of a moment.

    Which of the first two goes first changes from round to round.
    """
    first, second = (10**9, 10) if number % 2 else (10, 10**9)
    seconds = {every: setup.seconds(every, steps) for every in (first, second)}
    return seconds[10**9], seconds[10], reading_seconds(setup.pack.trials[0]), setup.moment_seconds()


def main() -> None:
    """Print a line per model and length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("hidden", "batch", "pack"):
        parser.add_argument(f"--{name}", type=int, default=32)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sizes = f"{arguments.hidden} units, batch {arguments.batch}, packs of {arguments.pack}"
    print(f"{sizes}, one thread; medians of {ROUNDS} rounds")
    print("model   T   us per step   update norms   read off curves   per-step cost   ms per moment")
    for model in ("rnn", "lstm"):
        for length in (5, 10, 20):
            setup = Measured(make_pack(model, length, arguments))
            size = len(setup.pack.trials)
            bare, *_ = one_round(setup, 0, 20)  # warm up
            steps = 10 * math.ceil(MEASUREMENT_SECONDS / bare / 10)
            rounds = [one_round(setup, number, steps) for number in range(ROUNDS)]
            step = statistics.median(bare for bare, *_ in rounds) / size
            norms = statistics.median(probed / bare - 1 for bare, probed, *_ in rounds)
            reading = statistics.median(read * size / bare for bare, _, read, _ in rounds)
            moment = 1e3 * statistics.median(seconds for *_, seconds in rounds)
            cost = f"{norms:14.1%} {reading:17.1%} {norms + reading:15.1%}"
            print(f"{model:<5} {length:3} {1e6 * step:13.0f} {cost}{moment:15.1f}")


def make_pack(model: str, length: int, arguments: argparse.Namespace) -> Pack:
    """Trials of one condition that differ in their seed."""
    condition = Condition(
        task="palindrome",
        model=model,
        optimizer="rmsprop",
        length=length,
        max_norm=1.0,
        hidden_size=arguments.hidden,
        batch_size=arguments.batch,
    )
    budget = dict(learning_rate=1e-3, max_steps=1000, observe=600, eval_every=100)
    return Pack(tuple(Trial(condition=condition, seed=s, **budget) for s in range(arguments.pack)))


if __name__ == "__main__":
    main()
