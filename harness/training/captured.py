"""The engine for GPUs: the eager step, recorded once as a CUDA graph, then launched as a whole.

An eager step launches each of its operations from Python. On small models a GPU waits for these launches most
of the time. A graph launches them all at once, on the memory that they had when they were recorded. So what
a step reads stands in tensors that stay where they are, and new values are copied into them.
The equations, and so the operations, are those of the eager engine.
"""

import itertools
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from harness.clip_rules import ClipRule, Norm
from harness.errors import one_line
from harness.optimizers import SGD, Optimizer
from harness.tasks import Task
from harness.training.replicas import Buffers, Replicas, stack
from harness.training.step import Batch, Block, Eager, States, each_step, update_norms

WARM_UP = 3
"""Times that a function runs before it is recorded: libraries set themselves up on their first calls."""

TOLERANCE = 1e-3
"""Largest relative difference between the numbers of the first replay and those of the function."""


class NotCapturable(Exception):
    """A function that cannot be recorded; the message says why."""


def cuda_graph(function: Callable[[], None]) -> Callable[[], None]:
    """What the function does on the GPU, as one launch. Raises NotCapturable if it waits for the GPU.

    The only place that calls CUDA. It may run the function several times.
    """
    if not torch.cuda.is_available():
        raise NotCapturable("there is no GPU here")
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            function()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            function()
    except RuntimeError as error:
        raise NotCapturable(one_line(error)) from None
    return graph.replay


class Repeated:
    """A function of tensors that is recorded once, and then repeated on other values of the same shapes.

    The first `carried` tensors that it gives are what it reads next time in the place of its first arguments.
    `found` are the others: a repetition overwrites them.
    """

    def __init__(
        self, function: Callable[..., Sequence[Tensor]], given: Sequence[Tensor], carried: int = 0
    ) -> None:
        """Record `function(*given)`. Raises NotCapturable if that cannot be, or gives other numbers."""
        self._function, self._carried = function, carried
        self.held = [tensor.clone() for tensor in given]
        self.found: list[Tensor] = []
        self.repeat = cuda_graph(self._run)
        self.load(given)
        self.repeat()
        for own, expected in zip(self.found, function(*given)[carried:], strict=True):
            if not torch.allclose(own, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
                raise NotCapturable("its second call gives other numbers than its first")

    def fits(self, given: Sequence[Tensor]) -> bool:
        """Whether these tensors have the shapes and types of those that were recorded."""
        return [(t.shape, t.dtype) for t in given] == [(t.shape, t.dtype) for t in self.held]

    def load(self, given: Sequence[Tensor]) -> None:
        """Let the next repetition read these in the place of the last arguments, as many as there are."""
        for held, tensor in zip(self.held[-len(given) :], given, strict=True):
            held.copy_(tensor)

    def _run(self) -> None:
        given = self._function(*self.held)
        after = [tensor.clone() for tensor in given[: self._carried]]  # one may be another one's memory
        for held, tensor in zip(self.held, after, strict=False):
            if (held.shape, held.dtype) != (tensor.shape, tensor.dtype):
                raise NotCapturable("its state changes shape or type from step to step")
            held.copy_(tensor)
        self.found = list(given[self._carried :])


class Captured(Eager):
    """See `Engine`. What cannot be recorded runs as in the eager engine, and a warning says why."""

    name: ClassVar[str] = "captured"
    reads_digits: ClassVar[bool] = True

    def __init__(self, replicas: Replicas, optimizer: Optimizer, clip_rule: ClipRule) -> None:
        super().__init__(replicas, optimizer, clip_rule)
        self.why_eager: str | None = None
        self._step: Repeated | None = None
        self._evaluation: Repeated | None = None
        self._evaluated: tuple[int, int] | None = None  # where the last held-out set lies, and replicas

    def gradients(
        self, weights_RP: Tensor, buffers: Buffers, inputs_RBTI: Tensor, targets_RB: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Replicas.gradients`; digits become rows on the device."""
        rows_RBTI = as_rows(inputs_RBTI, self._replicas.task.input_size)
        return super().gradients(weights_RP, buffers, rows_RBTI, targets_RB)

    def block(
        self,
        weights_RP: Tensor,
        states: States,
        buffers: Buffers,
        batches: Iterable[Batch],
        stream_R: Tensor,
        learning_rate_R1: Tensor,
        max_norm_R1: Tensor,
        measured: Collection[int],
    ) -> Block:
        """See `Engine`. The device is waited for only where the next batches are copied to it."""
        steps = each_step(batches)
        first = next(steps)
        steps = itertools.chain([first], steps)
        rest = (stream_R, learning_rate_R1, max_norm_R1)
        carried = [weights_RP, *itertools.chain(*states)]
        given = [*carried, *buffers.values(), *rest, *first]
        if self._step is None or not self._step.fits(given):
            self._step = None  # its memory is free before the next is taken
            self._step = self._recorded(self._flat_step(states, buffers), given, len(carried))
        if self._step is None:
            again = ((inputs[None], targets[None]) for inputs, targets in steps)
            return super().block(weights_RP, states, buffers, again, *rest, measured)
        self._step.load(given)
        scalars, updates = [], [weights_RP.new_empty(0, len(weights_RP), 2)]
        for k, batch in enumerate(steps):
            self._step.load(batch)
            self._step.repeat()
            scalars_4R, norms_R2 = self._step.found
            scalars.append(scalars_4R.clone())
            updates += [norms_R2.clone()[None]] if k in measured else []
        weights_RP, *after = (tensor.clone() for tensor in self._step.held[: len(carried)])
        states = tuple(after[: len(states[0])]), tuple(after[len(states[0]) :])
        return Block(weights_RP, states, torch.stack(scalars, dim=-1).transpose(0, 1), torch.cat(updates))

    def evaluate(
        self, weights_RP: Tensor, buffers: Buffers, inputs_NTI: Tensor, targets_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Engine`. Recorded when a set is asked for again, for the same number of replicas."""
        asked, given = (inputs_NTI.data_ptr(), len(weights_RP)), [weights_RP, *buffers.values()]
        if asked != self._evaluated:
            self._evaluated, self._evaluation = asked, None
            return super().evaluate(weights_RP, buffers, inputs_NTI, targets_N)

        def evaluation(weights_RP: Tensor, *frozen: Tensor) -> Sequence[Tensor]:
            named = dict(zip(buffers, frozen, strict=True))
            return super(Captured, self).evaluate(weights_RP, named, inputs_NTI, targets_N)

        self._evaluation = self._evaluation or self._recorded(evaluation, given)
        if self._evaluation is None:
            return super().evaluate(weights_RP, buffers, inputs_NTI, targets_N)
        self._evaluation.load(given)
        self._evaluation.repeat()
        loss_R, score_R = self._evaluation.found
        return loss_R.clone(), score_R.clone()

    def _flat_step(self, states: States, buffers: Buffers) -> Callable[..., Sequence[Tensor]]:
        """A step as a function of tensors: weights, states, buffers, what each replica has, and a batch."""
        names, ends = list(buffers), list(itertools.accumulate([1, *map(len, states), len(buffers)]))

        def step(*given: Tensor) -> Sequence[Tensor]:
            before_RP, *parts = given[0], *(given[a:b] for a, b in itertools.pairwise(ends))
            optimizer, clip_rule, frozen = parts
            stream_R, learning_rate_R1, max_norm_R1, inputs_SBTI, targets_SB = given[ends[-1] :]
            weights_RP, states, scalars_4R = self.step(
                before_RP,
                (optimizer, clip_rule),
                dict(zip(names, frozen, strict=True)),
                inputs_SBTI[stream_R],
                targets_SB[stream_R],
                learning_rate_R1,
                max_norm_R1,
            )
            return weights_RP, *states[0], *states[1], scalars_4R, update_norms(weights_RP, before_RP)

        return step

    def _recorded(
        self, function: Callable[..., Sequence[Tensor]], given: Sequence[Tensor], carried: int = 0
    ) -> Repeated | None:
        """The function, recorded; None from the first one on that cannot be, after a warning."""
        if self.why_eager is not None:
            return None
        try:
            return Repeated(function, given, carried)
        except NotCapturable as reason:
            self.why_eager = str(reason)
        warnings.warn(f"engine: eager, since this cannot be captured: {self.why_eager}", stacklevel=2)
        return None


def as_rows(inputs: Tensor, size: int) -> Tensor:
    """Inputs as the model reads them: digits (int32) as one-hot rows of this size, others as they are."""
    if inputs.dtype != torch.int32:
        return inputs
    return (inputs[..., None] == torch.arange(size, device=inputs.device)).float()


def why_not_captured(model: nn.Module, task: Task) -> str | None:
    """Why a step of the model cannot be recorded where its weights lie, or None if it can."""
    engine = Captured(Replicas(model, task), SGD(), Norm())
    weights_1P, buffers = stack([model])
    device = weights_1P.device
    inputs_BTI, targets_B = task.draw(torch.Generator().manual_seed(0), 1)
    batches = [(inputs_BTI[None, None].to(device), targets_B[None, None].to(device))]
    own, one_11 = torch.zeros(1, dtype=torch.int64, device=device), torch.ones(1, 1, device=device)
    states = engine.init(weights_1P, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        engine.block(weights_1P, states, buffers, batches, own, 1e-3 * one_11, one_11, ())
    return engine.why_eager
