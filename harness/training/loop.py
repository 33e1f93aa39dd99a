"""The one training loop: a pack of trials in, a result for each out.

Needs torch and numpy only: neither Ray nor Optuna. Shape letters: R replicas, P parameters, B batch, T time,
I input, K steps of a block, U measured updates.
"""

import math
import time
from collections.abc import Generator, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from harness.capabilities import draws_digits
from harness.clip_rules import clip_rules
from harness.condition import Checkpoint, Condition, Pack, Result
from harness.optimizers import optimizers
from harness.probes import UPDATE_EVERY, Levels
from harness.tasks import Stream, Task, heldout_set, tasks
from harness.training.active import Active
from harness.training.engines import make_engine
from harness.training.log import Log
from harness.training.moments import take_moments
from harness.training.replicas import Replicas, Rounding, build_model, stack, with_weights
from harness.training.samples import take_samples
from harness.training.step import Batch, Eager
from harness.training.weights import take_checkpoint

CHECKED_BATCHES = 10
"""Batches on which a pack makes sure that its numbers will not depend on how many replicas are left."""

CHECKED_SEED = 0
"""Whose batches and weights they are: so the answer does not depend on which pack came first."""

CHECKED: dict[tuple[Any, ...], Rounding] = {}
"""What was found, by shape: task, model, sizes and options, held-out split, device and engine."""


def train(pack: Pack, device: str = "cpu", engine: str = Eager.name) -> list[Result]:
    """Train every trial of the pack and say how each ended, in the order of the pack."""
    steps = blocks(pack, device, engine)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            results: list[Result] = end.value
            return results


def blocks(
    pack: Pack, device: str = "cpu", engine: str = Eager.name, begun: Checkpoint | None = None
) -> Generator["Training", None, list[Result]]:
    """Train as `train` does, from the state `begun` if it is one of this pack; the training after each block.

    Before the first block it is there once, as it begins.
    """
    training = begin(pack, device, engine, begun)
    yield training
    while not training.finished:
        training.advance()
        yield training
    return training.results()


def begin(pack: Pack, device: str, engine: str, begun: Checkpoint | None) -> "Training":
    """A training that goes on from `begun`; from the start where that is None or no state of this pack."""
    training = Training(pack, device, engine)
    if begun is None:
        return training
    try:
        training.restore(begun)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return Training(pack, device, engine)
    return training


class Training:
    """A pack while it trains.

    Replicas that diverge or finish leave at the end of a block, so that the rest stay packed tightly. Nothing
    that happens to one changes the numbers of another.
    """

    def __init__(self, pack: Pack, device: str = "cpu", engine: str = Eager.name) -> None:
        """Build everything, evaluate the initial weights, and take no step yet.

        Raises UserError or ValueError if the model does not fit its task, or cannot be trained.
        """
        first = pack.trials[0]
        self.pack, self.device, self.step = pack, device, 0
        self.task = build_task(first.condition)
        seeds = sorted({trial.seed for trial in pack.trials})
        self._models = {seed: build_model(first.condition, self.task, seed).to(device) for seed in seeds}
        self._replicas = Replicas(self._model_of(CHECKED_SEED), self.task)
        self.engine = make_engine(
            engine,
            self._replicas,
            optimizers.build(first.condition.optimizer, dict(first.condition.options)),
            clip_rules.build(first.condition.clip_rule, dict(first.condition.options)),
        )
        heldout = self._fixed_set(first.heldout_split)
        assert heldout is not None, "only the control set may be missing"
        self._heldout, self._control = heldout, self._fixed_set("control")
        self._check()
        digits = self.engine.reads_digits and draws_digits(self.task)
        self._streams = {seed: self._stream(seed, digits) for seed in seeds}
        self.logs = [Log(trial, levels_of(self.task)) for trial in pack.trials]
        weights_RP, buffers = stack([self._models[trial.seed] for trial in pack.trials])
        states = self.engine.init(weights_RP, first.max_steps + first.observe)
        self._active = Active(list(self.logs), weights_RP, states, buffers)
        self._evaluate([True] * len(self.logs))
        self._sample()

    @property
    def finished(self) -> bool:
        """Whether every trial has ended."""
        return not self._active.logs

    def advance(self) -> None:
        """One block: updates up to the next evaluation or the end of a trial, then the evaluation."""
        begin, every = self.step, self.pack.trials[0].eval_every
        next_eval = (begin // every + 1) * every
        self.step = min(next_eval, *(log.stop_step for log in self._active.logs))
        self._train(begin)
        self._keep([not log.diverged for log in self._active.logs])
        self._evaluate([self.step in (next_eval, log.stop_step) for log in self._active.logs])
        self._keep([not log.diverged for log in self._active.logs])
        self._sample()
        done = [self.step >= log.stop_step for log in self._active.logs]
        self._score_control(done)
        self._keep([not over for over in done])

    def results(self) -> list[Result]:
        """What came of every trial, in the order of the pack, with the weights and moments it asks for."""
        if not self.finished:
            raise ValueError(f"{len(self._active.logs)} trials are still training at step {self.step}")
        if self.pack.checkpoints:
            for log in self.logs:
                log.checkpoint = self._checkpoint(log)
        if self.pack.probes:
            taken = [(log.trial.seed, log.snapshots) for log in self.logs]
            condition = self.pack.trials[0].condition
            found = take_moments(taken, self._replicas, self._models, condition, self.pack.probes)
            for log, (moments, profiles) in zip(self.logs, found, strict=True):
                log.moments, log.profiles = moments, profiles
        return [log.result() for log in self.logs]

    def state(self) -> Checkpoint:
        """Everything that the next step depends on and all that is recorded: arrays and JSON values."""
        active = self._active
        tensors: dict[str, Any] = {"weights": active.weights_RP.cpu().numpy()}
        for name, state in zip(("optimizer", "clip_rule"), active.states, strict=True):
            tensors |= {f"{name}.{i}": tensor.cpu().numpy() for i, tensor in enumerate(state)}
        drawn = {}
        for seed, stream in self._streams.items():
            drawn[str(seed)], generator = stream.state()
            tensors[f"stream.{seed}"] = generator.numpy()
        logs = [log.state() for log in self.logs]
        for number, log in enumerate(logs):
            tensors |= {f"log.{number}.{name}": array for name, array in log.tensors.items()}
        metadata = {
            "pack_id": self.pack.pack_id,
            "engine": self.engine.name,
            "step": self.step,
            "drawn": drawn,
            "active": [self.logs.index(log) for log in active.logs],
            "logs": [dict(log.metadata) for log in logs],
        }
        return Checkpoint(tensors, metadata)

    def restore(self, state: Checkpoint) -> None:
        """Go on from what `state` gave: the steps that follow are the same to the bit.

        Raises ValueError if the state is of another pack or engine.
        """
        known, arrays = state.metadata, state.tensors
        for name, own in (("pack_id", self.pack.pack_id), ("engine", self.engine.name)):
            if known[name] != own:
                raise ValueError(f"this state is of {name} {known[name]!r}, not of {own!r}")
        self.step = known["step"]
        for seed, stream in self._streams.items():
            stream.restore(known["drawn"][str(seed)], torch.from_numpy(arrays[f"stream.{seed}"]))
        for number, (log, metadata) in enumerate(zip(self.logs, known["logs"], strict=True)):
            log.restore(Checkpoint(_below(f"log.{number}.", arrays), metadata), self._tensor)
        logs = [self.logs[number] for number in known["active"]]
        _, buffers = stack([self._models[log.trial.seed] for log in logs or self.logs])
        parts = [_below(part, arrays) for part in ("optimizer.", "clip_rule.")]
        optimizer, clip_rule = (tuple(self._tensor(part[str(i)]) for i in range(len(part))) for part in parts)
        self._active = Active(logs, self._tensor(arrays["weights"]), (optimizer, clip_rule), buffers)

    def _train(self, begin: int) -> None:
        """The updates begin + 1 to `step`; one synchronisation with the device, at the end."""
        active, steps = self._active, self.step - begin
        streams = list(dict.fromkeys(log.trial.seed for log in active.logs))
        rates = [[log.trial.learning_rate] for log in active.logs]
        norms = [log.trial.condition.max_norm for log in active.logs]
        measured = [k for k in range(steps) if (begin + k) % UPDATE_EVERY == 0]
        started = time.perf_counter()
        block = self.engine.block(
            active.weights_RP,
            active.states,
            active.buffers,
            self._batches(steps, streams),
            torch.tensor([streams.index(log.trial.seed) for log in active.logs], device=self.device),
            torch.tensor(rates, device=self.device),
            torch.tensor([[math.inf if norm is None else norm] for norm in norms], device=self.device),
            measured,
        )
        active.weights_RP, active.states = block.weights_RP, block.states
        scalars_R4K = block.scalars_R4K.cpu().numpy()
        updates_UR2 = block.updates_UR2.tolist()
        seconds_per_step = (time.perf_counter() - started) / steps / len(active.logs)
        for r, log in enumerate(active.logs):
            rows = [(begin + k + 1, *norms[r]) for k, norms in zip(measured, updates_UR2, strict=True)]
            log.add_block(begin, scalars_R4K[r], rows, seconds_per_step)

    def _batches(self, steps: int, seeds: list[int]) -> Iterator[Batch]:
        """The next batches of the streams of these seeds: (K, S, B, ...) each."""
        while steps:
            inputs, targets = zip(*(self._streams[seed].take(steps) for seed in seeds), strict=True)
            steps -= len(inputs[0])
            stacked = torch.stack(inputs, dim=1), torch.stack(targets, dim=1)
            yield stacked[0].to(self.device), stacked[1].to(self.device)

    def _evaluate(self, due: list[bool]) -> None:
        """Evaluate the trials whose flag is set on the held-out set, and let each store the result."""
        if not any(due):
            return
        active = self._active.select(due)
        started = time.perf_counter()
        loss_R, score_R = self.engine.evaluate(active.weights_RP, active.buffers, *self._heldout)
        losses, scores = loss_R.tolist(), score_R.tolist()
        seconds = (time.perf_counter() - started) / len(active.logs)
        for log, loss, score, weights_P in zip(active.logs, losses, scores, active.weights_RP, strict=True):
            log.add_eval(self.step, loss, score, weights_P.clone(), seconds)

    def _score_control(self, due: list[bool]) -> None:
        """Score the trials whose flag is set on the control set, if the task has one."""
        if self._control is None or not any(due):
            return
        leaving = self._active.select(due)
        _, score_R = self.engine.evaluate(leaving.weights_RP, leaving.buffers, *self._control)
        for log, score in zip(leaving.logs, score_R.tolist(), strict=True):
            log.control_score = round(score, 6)

    def _sample(self) -> None:
        """Let the trials that are training write, if it is time: on the CPU, one at a time."""
        every = self.pack.sample_every
        if every == 0 or self.step % every:
            return
        for log, weights_P in zip(self._active.logs, self._active.weights_RP, strict=True):
            model = with_weights(self._models[log.trial.seed], weights_P).cpu()
            log.samples += take_samples(model, self.task, log.trial, self.step)

    def _keep(self, keep: list[bool]) -> None:
        self._active = self._active.select(keep)

    def _checkpoint(self, log: Log) -> Checkpoint:
        """The weights of moment `end`; of a trial that diverged, at its last evaluation before."""
        step, weights_P = log.snapshots["end"]
        loss = next(loss for at, loss, _ in reversed(log.evals) if at == step)
        model = with_weights(self._models[log.trial.seed], weights_P)
        return take_checkpoint(model, self.task, log.trial, step, loss, self._heldout)

    def _check(self) -> None:
        """Let the engine check itself on real batches, once per process for all packs of one shape."""
        first = self.pack.trials[0]
        classes = type(self._replicas.model), type(self.task)  # a class that was edited is another one
        how = first.heldout_split, self.device, self.engine.name
        shape = (first.condition.siblings_key(), *classes, *how)
        if shape not in CHECKED:
            stream = self._stream(CHECKED_SEED)
            drawn = [stream.next() for _ in range(CHECKED_BATCHES)]
            batches = [(inputs.to(self.device), targets.to(self.device)) for inputs, targets in drawn]
            self.engine.check(batches, self._heldout)
            CHECKED[shape] = self._replicas.rounding
        self._replicas.rounding = CHECKED[shape]

    def _model_of(self, seed: int) -> nn.Module:
        if seed in self._models:
            return self._models[seed]
        return build_model(self.pack.trials[0].condition, self.task, seed).to(self.device)

    def _fixed_set(self, split: str) -> Batch | None:
        """A fixed set of the task, on the device: see `heldout_set`."""
        found = heldout_set(self.task, self.pack.trials[0].condition.task, split)
        return None if found is None else (found[0].to(self.device), found[1].to(self.device))

    def _stream(self, seed: int, digits: bool = False) -> Stream:
        condition = self.pack.trials[0].condition
        return Stream(self.task, condition.task, condition.batch_size, seed, "cpu", digits)

    def _tensor(self, array: Any) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def build_task(condition: Condition) -> Task:
    """The task of a condition; ValueError if a file is not what it was when the condition was made."""
    options = tasks.options(condition.task)
    for name, path in condition.files:
        if options[name].identity(path) != dict(condition.options)[name]:
            raise ValueError(f"{name}={path} has another content than when the run started")
    return tasks.build(condition.task, condition.arguments, length=condition.length)


def levels_of(task: Task) -> Levels:
    """The levels at which a task's scores and losses count."""
    return Levels(
        solved_at=task.solved_at,
        drop_at=task.drop_at,
        recovered_at=task.recovered_at,
        baseline_loss=task.baseline_loss,
    )


def _below(prefix: str, arrays: Any) -> dict[str, Any]:
    """The arrays whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
