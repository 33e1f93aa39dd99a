"""Weights of a trained model with all that is needed to build it again."""

from typing import Any

import torch
from torch import Tensor, nn

from harness.capabilities import EveryStep, HasAccuracy, facts_of
from harness.condition import Checkpoint, Trial
from harness.errors import RecordsError, UserError, one_line
from harness.models import models
from harness.results.header import shown
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


def rebuild(checkpoint: Checkpoint, trusted: str | None = None) -> nn.Module:
    """The model of a checkpoint, on the CPU.

    A checkpoint is data: what it names is imported only if it is built in, or the import path `trusted`.
    Raises UserError for another model, RecordsError if the fields or tensors are not those of the model.
    """
    stored: dict[str, Any] = dict(checkpoint.metadata)
    where, name = f"checkpoints/{stored['trial_id']}.safetensors", stored["model"]
    if ":" in name and name != trusted:
        raise UserError(f"{where} is of {name}, whose code would run: if you trust it, say --model {name}")
    sizes = {size: stored[size] for size in (*models.given, "length")}
    options = checked_options(name, stored["options"], where)
    check_plausible(checkpoint, {**sizes, **options}, where)
    try:
        if ":" not in name:
            with torch.device("meta"):  # takes no memory, whatever the sizes
                check_tensors(models.build(name, options, graph=None, **sizes), checkpoint, where)
        model = models.build(name, options, graph=None, **sizes)
    except RecordsError:
        raise
    except (UserError, RuntimeError, MemoryError) as error:
        raise RecordsError(f"{where}: its model cannot be built: {one_line(error)}") from None
    check_tensors(model, checkpoint, where)
    model.load_state_dict({key: torch.from_numpy(array) for key, array in checkpoint.tensors.items()})
    if isinstance(model, EveryStep):
        model.every_step = stored["every_step"]
    return model


def checked_options(model: str, options: dict[str, Any], where: str) -> dict[str, Any]:
    """The options of a checkpoint; RecordsError for one that the model has not, or not of this type."""
    known = models.options(model)
    for name, value in options.items():
        if name not in known:
            raise RecordsError(f"{where}: its options name {shown(name)}, which {model} lacks")
        if type(value) is not known[name].type or value not in (known[name].choices or (value,)):
            raise RecordsError(
                f"{where}: its options have {name}={shown(value)}, which {model} does not allow"
            )
    return options


def check_plausible(checkpoint: Checkpoint, numbers: dict[str, Any], where: str) -> None:
    """Raise RecordsError for a size that would build more than the file holds."""
    held = sum(array.size for array in checkpoint.tensors.values())
    for name, value in numbers.items():
        if name != "length" and type(value) is int and value > held:
            raise RecordsError(f"{where}: its {name} is {value}, but its tensors hold {held} numbers in all")


def check_tensors(model: nn.Module, checkpoint: Checkpoint, where: str) -> None:
    """Raise RecordsError unless the tensors are finite, with the names, shapes and types of the model's."""
    wanted = model.state_dict()
    for name in sorted(wanted.keys() ^ checkpoint.tensors.keys()):
        has = "has no" if name in wanted else "has a"
        raise RecordsError(f"{where} {has} tensor {shown(name)}, unlike {checkpoint.metadata['model']}")
    for name, array in sorted(checkpoint.tensors.items()):
        tensor = torch.from_numpy(array)
        for what, found, expected in (
            ("shape", tuple(tensor.shape), tuple(wanted[name].shape)),
            ("type", tensor.dtype, wanted[name].dtype),
            ("values", bool(tensor.isfinite().all()), True),
        ):
            if found != expected:
                said = "that are not finite" if what == "values" else f"{found}; expected {expected}"
                raise RecordsError(f"{where}: tensor {name} has {what} {said}")
