"""What a task is: it makes batches, and says what its numbers mean."""

from typing import Any, ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.identity import stream_seed
from harness.registry import Registry


class Task(Protocol):
    """A way to make sequences of one length, a loss, and a score (higher is better).

    The levels at which a score counts are part of the task, so that outcomes mean the same everywhere.
    A class attribute `gives` names the kinds of its inputs if they are no plain sequence: only models that
    read one of these fit (see `harness.planning.fits`); `full_batch` says that its only sequence is the data.
    A `graph` is passed on to models that take one. A task that also has `vocabulary` and `prompt`, as `text`,
    can be written and sampled.
    """

    every_step: ClassVar[bool]  # does the loss read an output at every time step, or the last only

    @property
    def solved_at(self) -> float:
        """Held-out score from which the task counts as solved."""

    @property
    def drop_at(self) -> float:
        """Training score below which a solved trial has dropped."""

    @property
    def recovered_at(self) -> float:
        """Mean training score of 10 batches from which a drop is over."""

    @property
    def length(self) -> int:
        """Time steps of a sequence, as the space's axis counts them."""

    @property
    def input_size(self) -> int:
        """Numbers that the model reads at each time step."""

    @property
    def output_size(self) -> int:
        """Numbers that the model answers."""

    @property
    def chance(self) -> float:
        """Score of the best predictor that ignores the input."""

    @property
    def baseline_loss(self) -> float:
        """Loss of that predictor; losses are capped here in the tuning objective."""

    def draw(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        """`size` sequences: inputs (size, time, input_size) and targets (size, ...)."""

    def draw_heldout(self, generator: torch.Generator, size: int, split: str) -> tuple[Tensor, Tensor] | None:
        """A held-out set: split is 'validation', 'test', 'probe' or 'control'.

        A task that generates its sequences draws `size` of them. A task with fixed data gives the data of the
        split. 'control' has sequences that close a shortcut which `draw` leaves open; None if there is none.
        """

    def loss(self, outputs: Tensor, targets: Tensor, /) -> Tensor:
        """The loss of each sequence, (batch,); their mean is what is trained and reported."""

    def score(self, outputs: Tensor, targets: Tensor, /) -> Tensor:
        """The score of each sequence, (batch,), higher is better; their mean is reported."""


class Generated:
    """For tasks that make every sequence afresh: held-out sets are drawn as batches are, without control."""

    def draw(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        """See `Task.draw`."""
        raise NotImplementedError

    def draw_heldout(self, generator: torch.Generator, size: int, split: str) -> tuple[Tensor, Tensor] | None:
        """See `Task.draw_heldout`."""
        return None if split == "control" else self.draw(generator, size)


NO_TARGET = -1
"""Class label of a time step at which nothing is asked."""


def step_losses(outputs_BTC: Tensor, targets_BT: Tensor) -> Tensor:
    """Cross-entropy in nats of the classes at every time step, (batch, time); 0 where there is no target."""
    return F.cross_entropy(outputs_BTC.transpose(1, 2), targets_BT, ignore_index=NO_TARGET, reduction="none")


tasks: Registry[Task] = Registry("task", given=("length",))

HELDOUT_SIZE = 2_000
"""Sequences in each held-out set: a binomial standard deviation of 0.2 % at an accuracy of 0.99."""

CHUNK_STEPS = 10
"""Training batches are drawn this many steps at a time. Part of the data's definition: do not tune."""


def heldout_set(task: Task, name: str, split: str, size: int = HELDOUT_SIZE) -> tuple[Tensor, Tensor] | None:
    """A fixed held-out set of a task: split is 'validation', 'test', 'control' or 'probe'.

    The same for every model, optimizer, clipping threshold and seed. None for the control of a task
    that has none. A task with fixed data may give fewer than `size`, or more.
    """
    generator = torch.Generator().manual_seed(stream_seed("heldout", name, task.length, split))
    return task.draw_heldout(generator, size, split)


class Stream:
    """The training batches of one seed, in order: a pure function of task, length, batch size and seed."""

    def __init__(
        self, task: Task, name: str, batch_size: int, seed: int, device: str, digits: bool = False
    ) -> None:
        """With `digits`, inputs are int32 (batch, time): see `harness.capabilities.DrawsDigits`."""
        self._draw: Any = task.draw_digits if digits else task.draw  # type: ignore[attr-defined]
        self._digits = digits
        self._batch_size = batch_size
        self._device = device
        self._generator = torch.Generator().manual_seed(stream_seed("data", name, task.length, seed))
        self._chunk_state = self._generator.get_state()  # before the present chunk was drawn
        self._step = 0
        self._inputs: Tensor
        self._targets: Tensor

    def next(self) -> tuple[Tensor, Tensor]:
        """The next batch: inputs (batch, time, input) and targets (batch, ...)."""
        inputs, targets = self.take(1)
        return inputs[0], targets[0]

    def take(self, most: int) -> tuple[Tensor, Tensor]:
        """The next batches, at most so many: inputs (steps, batch, ...) and targets (steps, batch, ...)."""
        index = self._step % CHUNK_STEPS
        if index == 0:
            self._chunk_state = self._generator.get_state()
            inputs, targets = self._draw(self._generator, CHUNK_STEPS * self._batch_size)
            inputs = inputs.int() if self._digits else inputs
            self._inputs = inputs.reshape(CHUNK_STEPS, -1, *inputs.shape[1:]).to(self._device)
            self._targets = targets.reshape(CHUNK_STEPS, -1, *targets.shape[1:]).to(self._device)
        end = min(index + most, CHUNK_STEPS)
        self._step += end - index
        return self._inputs[index:end], self._targets[index:end]

    def state(self) -> tuple[int, Tensor]:
        """How many batches were drawn, and the generator's state where drawing goes on: see `restore`."""
        at_start = self._step % CHUNK_STEPS == 0
        return self._step, self._generator.get_state() if at_start else self._chunk_state

    def restore(self, drawn: int, state: Tensor) -> None:
        """Go on with the batch that followed when `state` was taken."""
        self._generator.set_state(state)
        self._step = drawn - drawn % CHUNK_STEPS
        while self._step < drawn:
            self.next()
