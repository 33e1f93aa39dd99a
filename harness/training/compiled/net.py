"""One model on one task, traced: its step, its readout with the task's loss, and what these need as data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from harness.models.base import State, Stepwise
from harness.tasks import Task
from harness.training.compiled.graph import Graph, NotTraceable, Ref, extract
from harness.training.compiled.loss import Reader, Sum, check_steps
from harness.training.compiled.program import Program
from harness.training.compiled.space import Space, Weights
from harness.training.compiled.symbols import COLUMN_BITS, ROWS, Vectors
from harness.training.compiled.trace import Tracer
from harness.training.compiled.walk import Walk, seen, walk_of
from harness.training.replicas import trainable

Positions = dict[str, tuple[Tensor, Weights]]
"""By name of a weight, an example and its position."""


@dataclass
class Net:
    """The traced step of a model, and its readout with the task's loss and score.

    The head computes K numbers of one step. Loss and score are their sums over U steps, times `coefficients`
    (2, K, U), plus `offsets` (2,). U is the number of time steps, or 1 where only the last step is read.
    """

    cell: Program
    head: Program
    space: Space
    input_size: int
    every_step: bool
    frozen: list[str]  # names of weights and buffers that are not trained, in order
    target_size: int  # numbers per sequence, or per step
    target_by_step: bool
    coefficients: Tensor
    offsets: Tensor
    start: int | None  # where the table has the positions of the initial state; None if that is 0
    both_ways: bool  # a step reads its input and that of the mirrored time

    def constants(self) -> Tensor:
        """The numbers that compiled functions need: coefficients, offsets, constants among the weights."""
        extra = torch.zeros(self.space.extra, dtype=torch.float64)
        first = self.space.trained + self.space.frozen
        for at, values in self.space.constants:
            extra[at - first : at - first + len(values)] = values
        return torch.cat([self.coefficients.flatten(), self.offsets, extra])

    def table(self) -> Tensor:
        """Positions of the weights that derived ones are computed of."""
        return torch.tensor(self.space.table, dtype=torch.int32)


def trace(model: nn.Module, task: Task) -> Net:
    """Trace a model's step and its readout; NotTraceable says what stands in the way."""
    walk = walk_of(model)
    assert isinstance(model, Stepwise), "walk_of refuses others"
    positions, space, frozen = _positions(model)
    inputs, targets = task.draw(torch.Generator().manual_seed(0), ROWS)
    if inputs.dim() != 3:
        raise NotTraceable("its inputs are no sequence of vectors")
    state, start = _trace_start(model, walk, positions, space, inputs)
    cell = _trace_step(model, walk, positions, space, seen(walk, inputs), state)
    head = _Head(model, task, space, inputs.shape[1] if task.every_step else 0, targets)
    program, sums = head.trace(positions, sum(part.shape[1] for part in state[: walk.read]))
    coefficients = [
        [s.terms.get(ref, torch.zeros(max(1, head.steps), dtype=torch.float64)) for ref in head.refs]
        for s in sums
    ]
    return Net(
        cell=cell,
        head=program,
        space=space,
        input_size=inputs.shape[2],
        every_step=task.every_step,
        frozen=frozen,
        target_size=head.target_size,
        target_by_step=head.target_by_step,
        coefficients=torch.stack([torch.stack(row) for row in coefficients]),
        offsets=torch.tensor([s.offset for s in sums], dtype=torch.float64),
        start=start,
        both_ways=walk.both_ways,
    )


def _positions(model: nn.Module) -> tuple[Positions, Space, list[str]]:
    """Where every weight and buffer lies: trained ones first."""
    parameters = trainable(model)
    rest = {n: p for n, p in model.named_parameters() if n not in parameters} | dict(model.named_buffers())
    found, at = {}, 0
    for name, tensor in [*parameters.items(), *rest.items()]:
        if name not in parameters and not tensor.is_floating_point():
            raise NotTraceable(f"its buffer {name} is {tensor.dtype}")
        found[name] = (tensor.detach(), Weights(at + torch.arange(tensor.numel()).view(tensor.shape)))
        at += tensor.numel()
    trained = sum(p.numel() for p in parameters.values())
    return found, Space(trained, at - trained), list(rest)


def _call(module: nn.Module, names: Sequence[str], values: Sequence[Tensor]) -> Any:
    """A module around a model, with these weights, of the values after them."""
    weights = {f"model.{name}": value for name, value in zip(names, values, strict=False)}
    return functional_call(module, weights, tuple(values[len(names) :]))


def _trace_start(
    model: Stepwise, walk: Walk, positions: Positions, space: Space, inputs: Tensor
) -> tuple[State, int | None]:
    """An example of the initial state, and where the table says of which weights it is."""
    tracer = Tracer(Graph(), space)
    leaf = tracer.graph.leaf("x", 0, inputs[0].numel())
    arguments: dict[str, Any] = {f"w.{name}": pair for name, pair in positions.items()}
    arguments["inputs"] = (inputs, Vectors(tracer.vectors(leaf).columns.view(inputs.shape)))
    part, names = _Part(model, walk.start), list(positions)
    examples: list[Tensor] = []

    def begun(*values: Tensor) -> State:
        state: State = _call(part, names, values)
        examples.extend(tensor.detach() for tensor in state)
        return state

    found = tracer.run(begun, arguments)
    if any(tensor.dim() != 2 or len(tensor) != ROWS for tensor in examples):
        raise NotTraceable("its state is not one vector per sequence")
    if not any(isinstance(s, Weights) for s in found) and not any(bool(e.any()) for e in examples):
        return tuple(examples), None
    at = len(space.table)
    for symbol, example in zip(found, examples, strict=True):
        if isinstance(symbol, Vectors) and bool((symbol.columns >> COLUMN_BITS).any()):
            raise NotTraceable("its initial state depends on the inputs")
        known = symbol.positions if isinstance(symbol, Weights) else space.constant(example).positions
        if not torch.equal(known, known[:1].expand_as(known)):
            raise NotTraceable("its initial state is not the same for all sequences")
        space.table += known[0].tolist()
    return tuple(examples), at


def _trace_step(
    model: Stepwise, walk: Walk, positions: Positions, space: Space, x: Tensor, state: Sequence[Tensor]
) -> Program:
    tracer = Tracer(Graph(), space)
    leaf_x = tracer.graph.leaf("x", 0, x.shape[1])
    leaves = [tracer.graph.leaf("state", i, part.shape[1]) for i, part in enumerate(state)]
    arguments: dict[str, Any] = {f"w.{name}": pair for name, pair in positions.items()}
    arguments["x"] = (torch.randn_like(x), tracer.vectors(leaf_x))
    for i, (part, leaf) in enumerate(zip(state, leaves, strict=True)):
        arguments[f"s.{i}"] = (torch.randn_like(part), tracer.vectors(leaf))
    names = list(positions)
    step = _Part(model, lambda x, *state: walk.step(x, state))
    outputs = tracer.run(lambda *values: _call(step, names, values), arguments)
    shapes = [tuple(tracer.columns(o).shape) for o in outputs]
    if shapes != [(ROWS, leaf.width) for leaf in leaves]:
        raise NotTraceable("its step changes the shape of the state")
    found = [tracer.refs(o) for o in outputs]
    flat = [ref for refs in found for ref in refs]
    graph, moved = extract(tracer.graph, [leaf_x, *leaves, *flat])
    rest = iter(moved[1 + len(leaves) :])
    return Program(
        "cell",
        graph,
        states=moved[1 : 1 + len(leaves)],
        outputs=[[next(rest) for _ in refs] for refs in found],
        scalars=[],
        fixed=space.fixed,
        x=moved[0],
    )


class _Head:
    """The readout with the task's loss and score: of one step, or of every step."""

    def __init__(self, model: Stepwise, task: Task, space: Space, steps: int, targets: Tensor) -> None:
        self.model, self.task, self.space, self.steps, self.targets = model, task, space, steps, targets
        self.target_by_step = bool(steps) and targets.dim() > 1 and targets.shape[1] == steps
        self.target_size = targets[0, 0].numel() if self.target_by_step else targets[0].numel()
        self.refs: list[Ref] = []

    def trace(self, positions: Positions, width: int) -> tuple[Program, list[Sum]]:
        """The program of one step, and the loss and the score as sums of its numbers, `refs`."""
        tracer = Tracer(Graph(), self.space)
        leaf = tracer.graph.leaf("state", 0, width)
        leaf_target = tracer.graph.leaf("target", 0, self.target_size)
        seen = tracer.vectors(leaf_target, self.steps if self.target_by_step else 0)
        steps = (self.steps,) if self.steps else ()
        arguments: dict[str, Any] = {f"w.{name}": pair for name, pair in positions.items()}
        arguments["h"] = (torch.randn(ROWS, *steps, width), tracer.vectors(leaf, self.steps))
        arguments["target"] = (self.targets, Vectors(seen.columns.reshape(self.targets.shape)))
        part = _Part(self.model, self._scored)
        names = list(positions)
        found = tracer.run(lambda *values: _call(part, names, values), arguments)
        reader = Reader(tracer, self.steps)
        sums = [reader.read(value) for value in found]
        losses = list(sums[0].terms)
        self.refs = [*losses, *(ref for ref in sums[1].terms if ref not in losses)]
        check_steps(tracer.graph, self.refs)
        graph, moved = extract(tracer.graph, [leaf, leaf_target, *self.refs])
        program = Program(
            "head",
            graph,
            states=[moved[0]],
            outputs=[],
            scalars=moved[2:],
            fixed=self.space.fixed,
            losses=len(losses),
            target=moved[1],
        )
        return program, sums

    def _scored(self, h: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.model.readout(h)
        return self.task.loss(outputs, targets), self.task.score(outputs, targets)


class _Part(nn.Module):
    """Calls a function of a model, with the model's weights replaced."""

    def __init__(self, model: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.model = model
        self._function = function

    def forward(self, *args: Tensor) -> Any:
        return self._function(*args)
