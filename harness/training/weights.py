"""Weights of a trained model with all that is needed to build it again."""

from typing import Any

import torch
from torch import Tensor, nn

from harness.capabilities import EveryStep, HasAccuracy, facts_of
from harness.condition import Checkpoint, Trial
from harness.models import models
from harness.tasks import Task
from harness.training.replicas import chunks


def take_checkpoint(
    model: nn.Module, task: Task, trial: Trial, step: int, loss: float, heldout: tuple[Tensor, Tensor]
) -> Checkpoint:
    """A model after `step` updates; `loss` is that on the trial's held-out set.

    A task may have `facts()`, what a checkpoint should say of it, and `accuracy`, as `loss`.
    """
    condition = trial.condition
    own = models.options(condition.model)
    return Checkpoint(
        tensors={name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()},
        metadata={
            "trial_id": trial.trial_id,
            "step": step,
            "model": condition.model,
            "options": {name: value for name, value in condition.options if name in own},
            "input_size": task.input_size,
            "hidden_size": condition.hidden_size,
            "output_size": task.output_size,
            "every_step": task.every_step,
            "task": condition.task,
            "length": condition.length,
            "heldout_split": trial.heldout_split,
            "heldout_loss": loss,
            "heldout_accuracy": accuracy(model, task, *heldout),
            **facts_of(task),
        },
    )


@torch.no_grad()
def accuracy(model: nn.Module, task: Any, inputs_BTI: Tensor, targets: Tensor) -> float | None:
    """Mean accuracy of a model on a held-out set; None if the task has no accuracy."""
    if not isinstance(task, HasAccuracy):
        return None
    accuracy_B = torch.cat([task.accuracy(model(x), wanted) for x, wanted in chunks(inputs_BTI, targets)])
    return float(accuracy_B.mean())


def rebuild(checkpoint: Checkpoint) -> nn.Module:
    """The model of a checkpoint, on the CPU. UserError if its class is not known here."""
    stored: dict[str, Any] = dict(checkpoint.metadata)
    sizes = {name: stored[name] for name in (*models.given, "length")}
    model = models.build(stored["model"], stored["options"], graph=None, **sizes)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in checkpoint.tensors.items()})
    if isinstance(model, EveryStep):
        model.every_step = stored["every_step"]
    return model
