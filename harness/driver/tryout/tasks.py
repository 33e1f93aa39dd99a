"""Whether a task is a pure function: the same generator gives the same batch, whoever else draws."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness.condition import Condition
from harness.driver.tryout.chance import check_undrawn, states
from harness.driver.tryout.same import Impure, copied, same
from harness.driver.tryout.watch import Watch
from harness.tasks import Task, heldout_set
from harness.tasks.base import CHUNK_STEPS
from harness.training.loop import build_task

SPLITS = ("validation", "test", "probe", "control")

FROM_GENERATOR = "draw from the generator that `draw` is given"


def check_task(condition: Condition, watch: Watch) -> None:
    """Raise Impure if the batches, the held-out sets, the loss or the score are not repeatable."""
    who = f"task {condition.task}"
    with watch.doing(who, "its constructor"):
        task, again = _built(who, condition), _built(who, condition)
    with watch.doing(who, "draw"):
        batch = _check_draw(who, task, again, condition.batch_size * CHUNK_STEPS)
    with watch.doing(who, "draw_heldout", len(SPLITS)):
        _check_heldout(who, condition.task, task, again)
    size = condition.batch_size
    for name in ("loss", "score"):
        with watch.doing(who, f"its {name}"):
            _check_measure(who, name, task, batch[1][:size], batch[0].shape[1])


def _built(who: str, condition: Condition) -> Task:
    before = states()
    task = build_task(condition)
    check_undrawn(before, who, "its constructor", "each process builds it afresh, and must get the same data")
    return task


def _check_draw(who: str, task: Task, again: Task, size: int) -> tuple[Tensor, Tensor]:
    before = states()
    first = task.draw(_generator(1), size)
    check_undrawn(before, who, "its batch", FROM_GENERATOR)
    check_batch(who, first, size)
    if not same(first, again.draw(_generator(1), size)):
        raise Impure(f"{who}, built twice, gives two batches from the same generator; {FROM_GENERATOR}")
    task.draw(_generator(2), size)
    before = states()
    asked_again = task.draw(_generator(1), size)
    check_undrawn(before, who, "its batch", FROM_GENERATOR)
    if not same(first, asked_again):
        raise Impure(
            f"{who} gives another batch from the same generator when asked again: it keeps state between "
            f"calls, or draws from elsewhere; {FROM_GENERATOR}"
        )
    return first


def check_batch(who: str, batch: Any, size: int) -> None:
    """Raise Impure unless this is a batch of `size` sequences that can be trained on in float32."""
    if not (
        isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(x, Tensor) for x in batch)
    ):
        raise Impure(f"{who}: draw gives no pair of tensors; expected (inputs, targets)")
    for name, tensor in zip(("inputs", "targets"), batch, strict=True):
        if tensor.ndim == 0 or len(tensor) != size:
            raise Impure(f"{who}: draw gives {name} of shape {tuple(tensor.shape)} for {size} sequences")
        check_dtype(who, name, tensor)


def check_dtype(who: str, name: str, tensor: Tensor) -> None:
    """Raise Impure for numbers that are neither float32 nor whole."""
    if (tensor.is_floating_point() or tensor.is_complex()) and tensor.dtype != torch.float32:
        raise Impure(f"{who}: its {name} are {tensor.dtype}; training is in torch.float32")


def _check_heldout(who: str, name: str, task: Task, again: Task) -> None:
    before = states()
    for split in SPLITS:
        found = heldout_set(task, name, split)
        check_undrawn(before, who, f"the held-out set {split!r}", FROM_GENERATOR)
        if found is None:
            continue
        check_batch(f"{who}, held-out set {split!r}", found, len(found[0]))
        if not same(found, heldout_set(again, name, split)) or not same(
            found, heldout_set(task, name, split)
        ):
            raise Impure(f"{who} gives another held-out set {split!r} when asked again; {FROM_GENERATOR}")


def _check_measure(who: str, name: str, task: Task, targets: Tensor, steps: int) -> None:
    """Check `loss` or `score` on outputs that are random numbers."""
    measure: Callable[[Tensor, Tensor], Tensor] = getattr(task, name)
    shape = (len(targets), steps, task.output_size) if task.every_step else (len(targets), task.output_size)
    outputs = torch.randn(shape, generator=_generator(3))
    held = copied([outputs, targets])
    before = states()
    first = measure(outputs, targets)
    check_undrawn(before, who, f"its {name}", "it must depend on outputs and targets alone")
    for what, tensor, kept in zip(("outputs", "targets"), (outputs, targets), held, strict=True):
        if not same(tensor, kept):
            raise Impure(f"{who}: its {name} changes the {what} in place")
    if first.dtype != torch.float32:
        raise Impure(f"{who}: its {name} is {first.dtype}; training is in torch.float32")
    other = torch.randn(shape, generator=_generator(4))
    measure(other, targets)
    if not same(first, measure(outputs, targets)):
        raise Impure(
            f"{who}: its {name} differs from call to call: it keeps state between calls, or is random"
        )


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
