"""The one training loop: a pack of trials in, a result for each out.

Needs torch and numpy only: neither Ray nor Optuna. Shape letters: R replicas, P parameters,
B batch, T time, I input, N steps of a block.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.clip_rules import ClipRule, clip_rules
from harness.condition import Checkpoint, Condition, Pack, Result, Trial
from harness.optimizers import Optimizer, State, optimizers
from harness.probes import UPDATE_EVERY, Curves, Levels, divergence, events, measure, outcome
from harness.probes.base import Floats
from harness.tasks import Stream, Task, heldout_set, tasks
from harness.training.moments import Rows, Snapshots, take_moments
from harness.training.replicas import Buffers, Replicas, build_model, stack, with_weights
from harness.training.samples import take_samples
from harness.training.thinning import kept_steps
from harness.training.weights import take_checkpoint

SCALARS = ("loss", "score", "grad_norm", "clip_coefficient")
"""What one step reports for every replica."""

States = tuple[State, State]
"""State of the optimizer and of the clipping rule."""

CHECKED_BATCHES = 10
"""Batches on which a pack makes sure that its numbers will not depend on how many replicas are left."""

Step = Callable[[Tensor, States, Buffers, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, States, Tensor]]


def train(pack: Pack, device: str = "cpu") -> list[Result]:
    """Train every trial of the pack and say how each ended, in the order of the pack."""
    return [run.result() for run in run_pack(pack, device)]


def build_task(condition: Condition) -> Task:
    """The task of a condition; ValueError if a file is not what it was when the condition was made."""
    options = tasks.options(condition.task)
    for name, path in condition.files:
        if options[name].identity(path) != dict(condition.options)[name]:
            raise ValueError(f"{name}={path} has another content than when the run started")
    return tasks.build(condition.task, condition.arguments, length=condition.length)


def make_step(replicas: Replicas, optimizer: Optimizer, clip_rule: ClipRule) -> Step:
    """One update of all replicas as a pure function of weights, states and batch.

    The returned scalars are (4, R), in the order of SCALARS. Nothing is copied to the host.
    """

    def step(
        weights_RP: Tensor,
        states: States,
        buffers: Buffers,
        inputs_RBTI: Tensor,
        targets_RB: Tensor,
        learning_rate_R1: Tensor,
        max_norm_R1: Tensor,
    ) -> tuple[Tensor, States, Tensor]:
        state, clip_state = states
        loss_R, score_R, grads_RP = replicas.gradients(weights_RP, buffers, inputs_RBTI, targets_RB)
        norm_R1 = torch.linalg.vector_norm(grads_RP, dim=1, keepdim=True)
        grads_RP, coefficient_R1, clip_state = clip_rule.clip(grads_RP, norm_R1, max_norm_R1, clip_state)
        weights_RP, state = optimizer.update(weights_RP, grads_RP, state, learning_rate_R1)
        scalars_4R = torch.stack([loss_R, score_R, norm_R1[:, 0], coefficient_R1[:, 0]])
        return weights_RP, (state, clip_state), scalars_4R

    return step


@dataclass
class Run:
    """One trial while it trains, and what it has recorded so far."""

    trial: Trial
    levels: Levels
    weights: Tensor | None = None  # flat (P,), after the last block
    blocks: list[Floats] = field(default_factory=list)  # each (4, N)
    updates: list[tuple[int, float, float]] = field(default_factory=list)  # step, |dw|, |w| before
    step_seconds: list[Floats] = field(default_factory=list)
    eval_seconds: float = 0.0
    evals: list[tuple[int, float, float]] = field(default_factory=list)
    solved_step: int | None = None
    diverged_step: int | None = None
    diverged_reason: str | None = None
    control_score: float = float("nan")
    snapshots: Snapshots = field(default_factory=dict)
    moments: Rows = field(default_factory=dict)
    profiles: Rows = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    checkpoint: Checkpoint | None = None

    @property
    def stop_step(self) -> int:
        """The last step, as far as is known now."""
        if self.solved_step is None:
            return self.trial.max_steps
        return self.solved_step + self.trial.observe

    def add_block(
        self,
        after_step: int,
        scalars: Floats,
        updates: list[tuple[int, float, float]],
        seconds_per_step: float,
    ) -> None:
        """Store the scalars (4, N) of the steps after `after_step`, and the updates measured among them.

        Up to a divergence if there is one.
        """
        earlier = np.concatenate([block[0] for block in self.blocks[-200:]]) if self.blocks else np.zeros(0)
        found = divergence(scalars[0], scalars[2], earlier, self.evals[0][1], self.trial.max_steps)
        if found is not None:
            index, self.diverged_reason = found
            self.diverged_step = after_step + index + 1
            scalars = scalars[:, : index + 1]
        self.blocks.append(scalars)
        self.updates += [row for row in updates if row[0] <= after_step + scalars.shape[1]]
        self.step_seconds.append(np.full(scalars.shape[1], seconds_per_step))

    def add_eval(self, step: int, loss: float, score: float, weights: Tensor, seconds: float) -> None:
        """Store a held-out evaluation of these weights; the first at the solved level, by max_steps, solves
        the trial. Weights of moments are kept, unless the trial has diverged."""
        score = round(score, 6)  # 1980 of 2000 is .99, not the float below it
        self.evals.append((step, loss, score))
        self.eval_seconds += seconds
        if step > 0 and not math.isfinite(loss):
            self.diverged_step, self.diverged_reason = step, "heldout_loss_not_finite"
            return
        solves = score >= self.levels.solved_at and 0 < step <= self.trial.max_steps
        if self.solved_step is None and solves:
            self.solved_step = step
            self.snapshots["solved"] = (step, weights)
        self.snapshots.setdefault("init", (step, weights))
        self.snapshots["end"] = (step, weights)

    def curves(self) -> Curves:
        """The whole record as arrays."""
        loss, score, grad_norm, clip_coefficient = np.concatenate(self.blocks, axis=1)
        update_step, update_norm, weight_norm = (np.array(x) for x in zip(*self.updates, strict=True))
        eval_step, eval_loss, eval_score = (np.array(column) for column in zip(*self.evals, strict=True))
        return Curves(
            trial=self.trial,
            levels=self.levels,
            loss=loss,
            score=score,
            grad_norm=grad_norm,
            clip_coefficient=clip_coefficient,
            update_step=update_step,
            update_norm=update_norm,
            weight_norm=weight_norm,
            eval_step=eval_step,
            eval_loss=eval_loss,
            eval_score=eval_score,
            solved_step=self.solved_step,
            diverged_step=self.diverged_step,
        )

    def result(self) -> Result:
        """Outcome, summary and histories of the finished run."""
        curves = self.curves()
        seconds = np.concatenate(self.step_seconds)
        kept = np.union1d(
            kept_steps({name: getattr(curves, name) for name in SCALARS}), curves.update_step - 1
        )
        steps: dict[str, Any] = {name: getattr(curves, name)[kept] for name in SCALARS}
        steps["step"] = kept + 1
        steps["learning_rate"] = np.full(len(kept), self.trial.learning_rate)
        steps["seconds"] = seconds[kept]
        for name in ("update_norm", "weight_norm"):
            sparse = np.full(len(seconds), np.nan)
            sparse[curves.update_step - 1] = getattr(curves, name)
            steps[name] = sparse[kept]
        return Result(
            trial=self.trial,
            outcome=outcome(curves),
            summary={
                "steps": len(curves.loss),
                "solved_step": self.solved_step,
                "diverged_step": self.diverged_step,
                "diverged_reason": self.diverged_reason,
                "initial_loss": float(curves.eval_loss[0]),
                "final_loss": float(curves.eval_loss[-1]),
                "final_score": float(curves.eval_score[-1]),
                "best_score": float(np.fmax.reduce(curves.eval_score)),
                "control_score": self.control_score,
                "above_baseline": bool(curves.eval_loss[-1] > self.levels.baseline_loss),
                "seconds": float(seconds.sum() + self.eval_seconds),
                **measure(curves),
            },
            steps=steps,
            evals={"step": curves.eval_step, "loss": curves.eval_loss, "score": curves.eval_score},
            events=events(curves),
            moments=self.moments,
            profiles=self.profiles,
            samples={name: [row[name] for row in self.samples] for name in next(iter(self.samples), ())},
            checkpoint=self.checkpoint,
        )


@dataclass
class Population:
    """The runs that are still training, and the rows of the tensors that are theirs."""

    runs: list[Run]
    weights_RP: Tensor
    states: States
    buffers: Buffers

    def select(self, keep: list[bool]) -> "Population":
        """Only the runs whose flag is set, in their order."""
        if all(keep):
            return self
        index = torch.tensor(keep, device=self.weights_RP.device).nonzero()[:, 0]
        return Population(
            [run for run, kept in zip(self.runs, keep, strict=True) if kept],
            self.weights_RP[index],
            (
                tuple(tensor[index] for tensor in self.states[0]),
                tuple(tensor[index] for tensor in self.states[1]),
            ),
            {name: buffer[index] for name, buffer in self.buffers.items()},
        )


def run_pack(pack: Pack, device: str = "cpu") -> list[Run]:
    """Train the pack; the runs come back finished, in the order of the pack.

    Replicas that diverge or finish leave at the end of a block, so that the rest stay packed tightly.
    Nothing that happens to one changes the numbers of another.
    """
    first = pack.trials[0]
    task = build_task(first.condition)
    optimizer = optimizers.build(first.condition.optimizer, dict(first.condition.options))
    clip_rule = clip_rules.build(first.condition.clip_rule, dict(first.condition.options))
    seeds = sorted({trial.seed for trial in pack.trials})
    by_seed = {seed: build_model(first.condition, task, seed).to(device) for seed in seeds}
    replicas = Replicas(by_seed[seeds[0]], task)
    heldout = held_out(task, first.condition.task, first.heldout_split, device)
    control = held_out(task, first.condition.task, "control", device)
    assert heldout is not None, "only the control set may be missing"

    def stream(seed: int) -> Stream:
        return Stream(task, first.condition.task, first.condition.batch_size, seed, device)

    streams = {seed: stream(seed) for seed in seeds}
    checked = stream(seeds[0])
    first_batches = [checked.next() for _ in range(CHECKED_BATCHES)]
    replicas.check_outputs(*first_batches[0])
    replicas.check_single(first_batches, heldout)
    step_function = make_step(replicas, optimizer, clip_rule)

    weights_RP, buffers = stack([by_seed[trial.seed] for trial in pack.trials])
    levels = Levels(
        solved_at=task.solved_at,
        drop_at=task.drop_at,
        recovered_at=task.recovered_at,
        baseline_loss=task.baseline_loss,
    )
    runs = [Run(trial, levels) for trial in pack.trials]
    states = (optimizer.init(weights_RP), clip_rule.init(weights_RP))
    active = Population(runs, weights_RP, states, buffers)
    evaluate(replicas, active, heldout, step=0)
    sample_texts(active, by_seed, task, pack.sample_every, step=0)
    step = 0
    while active.runs:
        end = min((step // first.eval_every + 1) * first.eval_every, *(run.stop_step for run in active.runs))
        train_block(step_function, active, streams, step, end)
        step = end
        for run, weights in zip(active.runs, active.weights_RP, strict=True):
            run.weights = weights
        active = active.select([run.diverged_step is None for run in active.runs])
        due = [step % first.eval_every == 0 or step == run.stop_step for run in active.runs]
        evaluate(replicas, active.select(due), heldout, step)
        active = active.select([run.diverged_step is None for run in active.runs])
        sample_texts(active, by_seed, task, pack.sample_every, step)
        finished = [step >= run.stop_step for run in active.runs]
        if control is not None and any(finished):
            leaving = active.select(finished)
            _, score_R = replicas.evaluate(leaving.weights_RP, leaving.buffers, *control)
            for run, score in zip(leaving.runs, score_R.tolist(), strict=True):
                run.control_score = round(score, 6)
        active = active.select([not done for done in finished])
    if pack.checkpoints:
        for run in runs:
            run.checkpoint = checkpoint(run, by_seed[run.trial.seed], task, heldout)
    if pack.probes:
        taken = [(run.trial.seed, run.snapshots) for run in runs]
        found = take_moments(taken, replicas, by_seed, first.condition, pack.probes)
        for run, (run.moments, run.profiles) in zip(runs, found, strict=True):
            run.snapshots.clear()
    return runs


def train_block(
    step_function: Step, active: Population, streams: dict[int, Stream], begin: int, end: int
) -> None:
    """Updates begin + 1 to end, in place in `active`; one synchronisation with the device at the end."""
    device = active.weights_RP.device
    seeds = [run.trial.seed for run in active.runs]
    learning_rate_R1 = torch.tensor([[run.trial.learning_rate] for run in active.runs], device=device)
    norms = [run.trial.condition.max_norm for run in active.runs]
    max_norm_R1 = torch.tensor([[math.inf if norm is None else norm] for norm in norms], device=device)
    started = time.perf_counter()
    scalars, updates = [], []
    for done in range(begin, end):
        drawn = {seed: streams[seed].next() for seed in dict.fromkeys(seeds)}
        inputs, targets = (torch.stack(rows) for rows in zip(*(drawn[seed] for seed in seeds), strict=True))
        before_RP = active.weights_RP
        active.weights_RP, active.states, scalars_4R = step_function(
            before_RP, active.states, active.buffers, inputs, targets, learning_rate_R1, max_norm_R1
        )
        scalars.append(scalars_4R)
        if done % UPDATE_EVERY == 0:
            moved_RP = active.weights_RP - before_RP
            norms_2R = torch.stack([torch.linalg.vector_norm(x, dim=1) for x in (moved_RP, before_RP)])
            updates.append((done + 1, norms_2R))
    scalars_R4N = torch.stack(scalars, dim=-1).transpose(0, 1).cpu().numpy()
    measured = [(step, norms_2R.tolist()) for step, norms_2R in updates]
    seconds_per_step = (time.perf_counter() - started) / (end - begin) / len(active.runs)
    for r, (run, scalars_4N) in enumerate(zip(active.runs, scalars_R4N, strict=True)):
        rows = [(step, moved[r], size[r]) for step, (moved, size) in measured]
        run.add_block(begin, scalars_4N, rows, seconds_per_step)


def evaluate(replicas: Replicas, population: Population, heldout: tuple[Tensor, Tensor], step: int) -> None:
    """Evaluate these runs on the held-out set and let each store the result."""
    if not population.runs:
        return
    started = time.perf_counter()
    loss_R, score_R = replicas.evaluate(population.weights_RP, population.buffers, *heldout)
    losses, scores = loss_R.tolist(), score_R.tolist()
    seconds = (time.perf_counter() - started) / len(population.runs)
    rows = zip(population.runs, losses, scores, population.weights_RP, strict=True)
    for run, loss, score, weights in rows:
        run.add_eval(step, loss, score, weights.clone(), seconds)


def sample_texts(
    population: Population, models: dict[int, nn.Module], task: Task, every: int, step: int
) -> None:
    """Let these runs write, if it is time; `models` are by seed. On the CPU, one at a time."""
    if every == 0 or step % every:
        return
    for run, weights_P in zip(population.runs, population.weights_RP, strict=True):
        model = with_weights(models[run.trial.seed], weights_P).cpu()
        run.samples += take_samples(model, task, run.trial, step)


def checkpoint(run: Run, model: nn.Module, task: Task, heldout: tuple[Tensor, Tensor]) -> Checkpoint:
    """The weights of moment `end`: after the last update, or at the last evaluation before a divergence."""
    step, weights_P = run.snapshots["end"]
    loss = next(loss for at, loss, _ in reversed(run.evals) if at == step)
    return take_checkpoint(with_weights(model, weights_P), task, run.trial, step, loss, heldout)


def held_out(task: Task, name: str, split: str, device: str) -> tuple[Tensor, Tensor] | None:
    """A fixed held-out set of the task on the device: see `heldout_set`."""
    found = heldout_set(task, name, split)
    return None if found is None else (found[0].to(device), found[1].to(device))
