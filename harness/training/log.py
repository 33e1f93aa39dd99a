"""What one trial has recorded so far, and the result that comes of it."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from harness.condition import Checkpoint, Result, Trial
from harness.probes import Curves, Levels, divergence, events, measure_curves, outcome
from harness.probes.base import Floats
from harness.training.moments import Rows, Snapshots
from harness.training.thinning import kept_steps

SCALARS = ("loss", "score", "grad_norm", "clip_coefficient")
"""What one step reports for every replica, in this order."""


@dataclass
class Log:
    """The record of one trial while it trains."""

    trial: Trial
    levels: Levels
    blocks: list[Floats] = field(default_factory=list)  # each (4, N): SCALARS of N steps
    updates: list[tuple[int, float, float]] = field(default_factory=list)  # step, |dw|, |w| before
    step_seconds: list[Floats] = field(default_factory=list)
    eval_seconds: float = 0.0
    evals: list[tuple[int, float, float]] = field(default_factory=list)  # step, loss, score
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

    @property
    def diverged(self) -> bool:
        """Whether the trial has ended by divergence."""
        return self.diverged_step is not None

    def add_block(
        self,
        after_step: int,
        scalars: Floats,
        updates: list[tuple[int, float, float]],
        seconds_per_step: float,
    ) -> None:
        """Store the scalars (4, N) of the steps after `after_step`, and the updates measured among them.

        Steps after a divergence are left out.
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
        """Store a held-out evaluation of these weights.

        The first at the solved level, by max_steps, solves the trial. The weights are kept for the moment
        that this is, unless the loss is not finite: that is a divergence.
        """
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
        """Outcome, summary and histories of the finished trial."""
        curves = self.curves()
        seconds = np.concatenate(self.step_seconds)
        return Result(
            trial=self.trial,
            outcome=outcome(curves),
            summary=self._summary(curves, float(seconds.sum() + self.eval_seconds)),
            steps=stored_steps(curves, seconds),
            evals={"step": curves.eval_step, "loss": curves.eval_loss, "score": curves.eval_score},
            events=events(curves),
            moments=self.moments,
            profiles=self.profiles,
            samples={name: [row[name] for row in self.samples] for name in next(iter(self.samples), ())},
            checkpoint=self.checkpoint,
        )

    def _summary(self, curves: Curves, seconds: float) -> dict[str, Any]:
        """One value per column of the trials table."""
        return {
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
            "seconds": seconds,
            **measure_curves(curves),
        }

    def state(self) -> Checkpoint:
        """All that was recorded, as arrays and JSON values: see `restore`."""
        tensors: dict[str, Any] = {
            "scalars": np.concatenate(self.blocks, axis=1) if self.blocks else np.zeros((4, 0), np.float32),
            "updates": np.array(self.updates, dtype=np.float64).reshape(-1, 3),
            "step_seconds": np.concatenate(self.step_seconds) if self.step_seconds else np.zeros(0),
            "evals": np.array(self.evals, dtype=np.float64).reshape(-1, 3),
            "clock": np.array([self.eval_seconds, self.control_score]),
        }
        tensors |= {f"snapshot.{name}": taken.cpu().numpy() for name, (_, taken) in self.snapshots.items()}
        metadata = {
            "solved_step": self.solved_step,
            "diverged_step": self.diverged_step,
            "diverged_reason": self.diverged_reason,
            "snapshots": {name: step for name, (step, _) in self.snapshots.items()},
            "samples": self.samples,
        }
        return Checkpoint(tensors, metadata)

    def restore(self, state: Checkpoint, tensor: Any) -> None:
        """Go back to what `state` gave; `tensor` turns an array into a tensor on the device."""
        arrays, known = state.tensors, state.metadata
        self.blocks = [arrays["scalars"]] if arrays["scalars"].size else []
        self.updates = [(int(step), moved, size) for step, moved, size in arrays["updates"].tolist()]
        self.step_seconds = [arrays["step_seconds"]] if arrays["step_seconds"].size else []
        self.evals = [(int(step), loss, score) for step, loss, score in arrays["evals"].tolist()]
        self.eval_seconds, self.control_score = arrays["clock"].tolist()
        self.solved_step, self.diverged_step = known["solved_step"], known["diverged_step"]
        self.diverged_reason, self.samples = known["diverged_reason"], list(known["samples"])
        self.snapshots = {
            name: (step, tensor(arrays[f"snapshot.{name}"])) for name, step in known["snapshots"].items()
        }


def stored_steps(curves: Curves, seconds: Floats) -> dict[str, Any]:
    """The columns of the steps table: the steps that thinning keeps, and every step with an update norm."""
    kept = np.union1d(kept_steps(curves.scalars()), curves.update_step - 1)
    steps: dict[str, Any] = {name: values[kept] for name, values in curves.scalars().items()}
    steps["step"] = kept + 1
    steps["learning_rate"] = np.full(len(kept), curves.trial.learning_rate)
    steps["seconds"] = seconds[kept]
    for name, measured in (("update_norm", curves.update_norm), ("weight_norm", curves.weight_norm)):
        sparse = np.full(len(seconds), np.nan)
        sparse[curves.update_step - 1] = measured
        steps[name] = sparse[kept]
    return steps
