"""What a training step takes on a GPU, eagerly and captured: python -m benchmarks.gpu.

First the captured engine is compared with the eager one. Then both are timed in turns, and a table is
printed. Without a GPU it says so and exits with 2. It needs neither Ray nor Optuna.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from benchmarks.results import table, where
from harness.condition import Condition, Pack, Trial
from harness.training.captured import Captured, Repeated
from harness.training.loop import Training
from harness.training.replicas import stack
from harness.training.step import Eager

GOAL = 100_000
"""Replica-steps per second at 32 LSTMs of 32 units, batch 32, T = 20."""

GOAL_MS = 8.2
"""Milliseconds of a forward and a backward pass of 24 LSTMs of 32 units, batch 16, T = 1,024."""

PUBLISHED = "FlashRNN on an H100: 4.1 ms in bfloat16; plain PyTorch there: 496 ms"

TOLERANCE = 1e-3
"""Largest difference between losses of the engines over CHECKED_STEPS steps, relative to the loss."""

CHECKED_STEPS = 20

BLOCK = 100
"""Steps of a block, as between two evaluations."""

SECONDS = 2.0
"""Of a measurement, about."""


@dataclass(frozen=True)
class Work:
    """Replicas of a model with `hidden` units, on batches of palindromes of which it reads `steps` digits."""

    model: str
    hidden: int
    batch: int
    steps: int
    pack: int

    def trials(self) -> Pack:
        """A pack whose every replica has a seed, and so data, of its own."""
        condition = Condition(
            task="palindrome",
            model=self.model,
            optimizer="rmsprop",
            length=self.steps + 1,
            max_norm=1.0,
            hidden_size=self.hidden,
            batch_size=self.batch,
        )
        budget = dict(learning_rate=1e-3, max_steps=10**6, observe=0, eval_every=BLOCK)
        return Pack(tuple(Trial(condition=condition, seed=seed, **budget) for seed in range(self.pack)))

    def __str__(self) -> str:
        return f"{self.pack} {self.model} x {self.hidden}, batch {self.batch}, T={self.steps}"


TRAINED = (
    *(Work("lstm", 32, 32, 20, pack) for pack in (32, 128, 512)),
    *(Work("rnn", 32, 32, 20, pack) for pack in (32, 512)),
    Work("gru", 64, 64, 10, 128),
    Work("lstm", 128, 128, 10, 32),
)
"""Whole training steps, drawing and logging included."""

PASSES = Work("lstm", 32, 16, 1024, 24)
"""The shape of the published anchor: forward and backward pass alone."""


def main(argv: Sequence[str] | None = None) -> int:
    """Check, measure, print. Returns the exit code: 2 without a GPU, 1 if the engines differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(argv).rounds
    if not torch.cuda.is_available():
        print("no GPU here: torch sees none, and this measures the captured engine on one", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    warnings.filterwarnings("error", "engine: eager")  # what falls back to that is no measurement
    for model in ("rnn", "lstm", "gru"):
        if error := difference(Work(model, 32, 16, 20, 4), "cuda"):
            print(f"captured and eager differ: {error}", file=sys.stderr)
            return 1
    rows = [row_of_training(work, "cuda", rounds) for work in TRAINED]
    rows.append(row_of_passes(PASSES, "cuda", rounds))
    command = where("python -m benchmarks.gpu")
    print(f"{command} GPU: {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, float32.\n")
    print(
        table(["", "eager ms", "captured ms", "eager / captured", "replica-steps per second", "goal"], rows)
    )
    print(f"\n{PUBLISHED}. The last row has a readout and a loss beside the recurrence.")
    return 0


def difference(work: Work, device: str) -> str | None:
    """What differs between the engines over a few steps: losses, one line; None if nothing does."""
    eager, captured = (Training(work.trials(), device, name) for name in (Eager.name, Captured.name))
    for training in (eager, captured):
        block(training, CHECKED_STEPS)
    for one, other in zip(eager.logs, captured.logs, strict=True):
        a, b = (torch.from_numpy(log.curves().loss) for log in (one, other))
        worst = float(((a - b).abs() / a.abs().clamp(min=1e-6)).max())
        if not worst < TOLERANCE:
            return f"{work}: losses by {worst:.1e} of the loss"
    return None


def block(training: Training, steps: int) -> None:
    """That many updates of the pack, without an evaluation."""
    begin, training.step = training.step, training.step + steps
    training._train(begin)


def seconds_of(call: Callable[[], object], device: str) -> float:
    """Seconds of a call, until the device has done its work."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    begun = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - begun


def in_turns(calls: Sequence[Callable[[], object]], device: str, rounds: int) -> list[list[float]]:
    """Seconds of each call in every round, after one round that does not count."""
    taken = [[seconds_of(call, device) for call in calls] for _ in range(1 + rounds)]
    return [list(times) for times in zip(*taken[1:], strict=True)]


def row_of_training(work: Work, device: str, rounds: int) -> list[str]:
    """A row: milliseconds of a training step under both engines."""
    sides = [Training(work.trials(), device, name) for name in (Eager.name, Captured.name)]
    for side in sides:
        block(side, 10)  # records it
    once = [seconds_of(lambda side=side: block(side, 10), device) / 10 for side in sides]
    steps = [max(1, min(BLOCK, int(SECONDS / seconds))) for seconds in once]
    calls = [lambda s=side, n=number: block(s, n) for side, number in zip(sides, steps, strict=True)]
    taken = in_turns(calls, device, rounds)
    eager, captured = ([t / n for t in times] for times, n in zip(taken, steps, strict=True))
    per_second = work.pack / median(captured)
    goal = f"{GOAL:,}" if work == TRAINED[0] else ""
    return [f"{work}: training step", *said_of(eager, captured), f"{per_second:,.0f}", goal]


def row_of_passes(work: Work, device: str, rounds: int) -> list[str]:
    """A row: milliseconds of loss and gradient of every replica on one batch."""
    training = Training(work.trials(), device)
    models = [training._models[trial.seed] for trial in training.pack.trials]
    weights_RP, buffers = stack(models)
    inputs, targets = next(training._batches(1, [trial.seed for trial in training.pack.trials]))

    def passes(weights_RP: Tensor, inputs_RBTI: Tensor, targets_RB: Tensor) -> Sequence[Tensor]:
        return training._replicas.gradients(weights_RP, buffers, inputs_RBTI, targets_RB)

    given = (weights_RP, inputs[0], targets[0])
    repeated = Repeated(passes, given)
    eager, captured = in_turns([lambda: passes(*given), repeated.repeat], device, rounds)
    return [f"{work}: forward and backward", *said_of(eager, captured), "", f"{GOAL_MS} ms"]


def said_of(eager: Sequence[float], captured: Sequence[float]) -> list[str]:
    """Both medians in milliseconds, and the median of their ratios."""
    ratio = median(a / b for a, b in zip(eager, captured, strict=True))
    return [f"{1e3 * median(eager):.3g}", f"{1e3 * median(captured):.3g}", f"{ratio:.3g}"]


if __name__ == "__main__":
    sys.exit(main())
