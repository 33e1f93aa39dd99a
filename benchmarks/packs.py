"""What training in packs gains: time per trial and step, side by side with one plain torch loop per trial.

    python benchmarks/packs.py [--task palindrome] [--model lstm] [--length 10] [--hidden 32] [--batch 32]

Both sides run on one thread and draw the same data. The plain loop is what a user would write: the
model as an nn.Module, torch.optim and clip_grad_norm_. The rounds alternate, so that a machine that slows
down slows both; quote the ratio.
"""

import argparse
import statistics
import time

import torch

from harness.condition import Condition, Pack, Trial
from harness.tasks import Stream
from harness.training.loop import Training, build_task
from harness.training.replicas import build_model

ROUNDS = 7
STEPS = 20


def plain_loop(trial: Trial) -> float:
    """Seconds per step of one trial in a plain torch loop."""
    task = build_task(trial.condition)
    model = build_model(trial.condition, task, 0)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=trial.learning_rate)
    stream = Stream(task, trial.condition.task, trial.condition.batch_size, 0, "cpu")
    started = time.perf_counter()
    for _ in range(STEPS):
        inputs, targets = stream.next()
        optimizer.zero_grad()
        task.loss(model(inputs), targets).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), trial.condition.max_norm)
        optimizer.step()
    return (time.perf_counter() - started) / STEPS


def packed(pack: Pack) -> float:
    """Seconds per trial and step of a pack; its evaluations are not counted."""
    training = Training(pack)
    training.advance()
    return float(training.logs[0].step_seconds[0][0])


def main() -> None:
    """Print a line per pack size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", default="palindrome")
    parser.add_argument("--model", default="lstm")
    for name, default in (("length", 10), ("hidden", 32), ("batch", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    condition = Condition(
        task=arguments.task,
        model=arguments.model,
        optimizer="rmsprop",
        length=arguments.length,
        max_norm=1.0,
        hidden_size=arguments.hidden,
        batch_size=arguments.batch,
    )
    print(f"{condition}, hidden {arguments.hidden}, batch {arguments.batch}, one thread")
    print("pack   ms per trial and step   plain loop / pack, median (min to max)")
    for size in (1, 2, 8, 32, 64):
        trials = tuple(
            Trial(
                condition=condition, learning_rate=1e-3, seed=s, max_steps=STEPS, observe=0, eval_every=STEPS
            )
            for s in range(size)
        )
        plain_loop(trials[0]), packed(Pack(trials))  # warm up
        rounds = [(plain_loop(trials[0]), packed(Pack(trials))) for _ in range(ROUNDS)]
        ratios = [plain / ours for plain, ours in rounds]
        ours = 1e3 * statistics.median(ours for _, ours in rounds)
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{size:4}   {ours:21.3f}   {statistics.median(ratios):.2f} {spread}")


if __name__ == "__main__":
    main()
