"""What one training step of a condition computes, counted without computing it: on shapes alone.

The model is built on torch's `meta` device, which has shapes and no numbers. So a model of any size is
counted before any memory is taken. Large sizes are counted at a few small ones: a count is at most a
quadratic function of the time steps. It is a linear one of the batch, of the layers, and of the length that a
model is built for.
"""

import functools
import inspect
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from harness import capabilities
from harness.condition import Condition
from harness.errors import UserError
from harness.graphs import Graph
from harness.identity import Value
from harness.models import models
from harness.tasks import HELDOUT_SIZE, Task

MOST_OPERATIONS = 20_000
"""Tensor operations after which counting stops: as many over a few time steps are a mistake."""

SHORT = (4, 8, 12)
"""Time steps at which a longer sequence is counted."""

FEW = (2, 4)
"""Sequences at which a larger batch is counted, and lengths at which a model of a larger one is built."""


@dataclass(frozen=True)
class Counts:
    """One step of one replica: its forward and backward pass, and the forward pass alone.

    `operations` are tensor operations, each with its overhead. `multiply_adds` are those of matrix products.
    `numbers` are written by all operations. `parameters` are trained.
    """

    operations: float
    multiply_adds: float
    numbers: float
    forward_operations: float
    forward_multiply_adds: float
    forward_numbers: float
    parameters: float


@dataclass(frozen=True)
class Shape:
    """What a count depends on."""

    model: str
    options: tuple[tuple[str, Value], ...]
    input_size: int
    hidden_size: int
    output_size: int
    every_step: bool
    nodes: int | None  # of the graph that the inputs live on
    fixed_graph: bool
    length: int | None  # of models that are built for one


class TooLarge(Exception):
    """A model of more than MOST_OPERATIONS operations."""


def counts_of(condition: Condition, task: Task) -> Counts:
    """The counts of a condition; UserError if they are beyond counting."""
    shape, steps = shape_of(condition, task), steps_of(task)
    try:
        every_batch = [over_layers(shape, steps, batch) for batch in FEW]
    except TooLarge:
        raise UserError(
            f"{condition} has a model of more than {MOST_OPERATIONS:,} tensor operations over a few time "
            f"steps ({dict(shape.options)}): it is beyond counting, and beyond training; lower its layers"
        ) from None
    return extrapolated(FEW, every_batch, condition.batch_size)


def over_layers(shape: Shape, steps: int, batch: int) -> Counts:
    """Counts of a few sequences, the model built of a few layers if its option `layers` asks for many."""
    options = dict(shape.options)
    layers = options.get("layers")
    if type(layers) is not int or layers <= FEW[-1]:
        return over_lengths(shape, steps, batch)
    few = [
        over_lengths(replace(shape, options=tuple({**options, "layers": n}.items())), steps, batch)
        for n in FEW
    ]
    return extrapolated(FEW, few, layers)


def over_lengths(shape: Shape, steps: int, batch: int) -> Counts:
    """Counts of a few sequences, the model built for a short length if it is built for a long one."""
    if shape.length is None or shape.length <= FEW[-1]:
        return over_steps(shape, steps, batch)
    built_for = [over_steps(replace(shape, length=length), steps, batch) for length in FEW]
    return extrapolated(FEW, built_for, shape.length)


def over_steps(shape: Shape, steps: int, batch: int) -> Counts:
    """Counts of a few sequences, over a few time steps if there are many; nodes are no steps."""
    if steps <= SHORT[-1] or (shape.nodes is not None and not shape.fixed_graph):
        return one(shape, steps, batch)
    return extrapolated(SHORT, [one(shape, t, batch) for t in SHORT], steps)


def steps_of(task: Task) -> int:
    """Time steps of a task's inputs: its length, but what it adds; the nodes of a graph that is no signal."""
    graph = None if "signal" in capabilities.inputs_given(task) else capabilities.graph_of(task)
    if graph is not None:
        return int(graph.nodes)
    if "signal" in capabilities.inputs_given(task) or task.length * task.input_size > 1_000_000:
        return task.length
    inputs, _ = task.draw(torch.Generator().manual_seed(0), 1)
    return int(inputs.shape[1])


def heldout_of(task: Task) -> float:
    """Sequences of a held-out set; a task that asks for nodes has as many nodes in all."""
    if capabilities.has_one_sequence(task):
        return 1
    return HELDOUT_SIZE / (steps_of(task) if capabilities.inputs_given(task) == ("graph",) else 1)


def shape_of(condition: Condition, task: Task) -> Shape:
    """What the count of a condition depends on; numbers that are no whole ones do not enter a shape."""
    signal = "signal" in capabilities.inputs_given(task)
    graph = None if signal else capabilities.graph_of(task)
    known = models.options(condition.model)
    own = tuple((n, v) for n, v in condition.options if n in known and not isinstance(v, float))
    return Shape(
        model=condition.model,
        options=own,
        input_size=task.input_size,
        hidden_size=condition.hidden_size,
        output_size=task.output_size,
        every_step=capabilities.answers_every_step(task),
        nodes=task.input_size if signal else None if graph is None else graph.nodes,
        fixed_graph=signal or (graph is not None and graph.adjacency_NN is not None),
        length=task.length if "length" in inspect.signature(models.get(condition.model)).parameters else None,
    )


@functools.lru_cache(maxsize=4_096)
def one(shape: Shape, steps: int, batch: int) -> Counts:
    """Counts at a few time steps and sequences; estimated where the model cannot do without numbers.

    A class of the user's own is estimated too: it runs nowhere before it was tried in a process of its own.
    """
    if ":" in shape.model:
        return estimated(shape, steps, batch)
    try:
        with Counter() as counter, torch.device("meta"):
            model = built(shape)
            return counted(counter, model, torch.empty(batch, steps, shape.input_size))
    except TooLarge:
        raise
    except Exception:  # noqa: BLE001 - a model may need numbers, a size be beyond a tensor
        return estimated(shape, steps, batch)


def built(shape: Shape) -> nn.Module:
    """The model, on the device of the context."""
    graph = None
    if shape.nodes is not None:
        graph = Graph(shape.nodes, torch.empty(shape.nodes, shape.nodes) if shape.fixed_graph else None)
    model = models.build(
        shape.model,
        dict(shape.options),
        input_size=shape.input_size,
        hidden_size=shape.hidden_size,
        output_size=shape.output_size,
        length=shape.length or 1,
        graph=graph,
    )
    if isinstance(model, capabilities.EveryStep):
        model.every_step = shape.every_step
    return model


def counted(counter: "Counter", model: nn.Module, inputs_BTI: torch.Tensor) -> Counts:
    """Counts of a forward and a backward pass."""
    weights = [p for p in model.parameters() if p.requires_grad]
    counter.start()
    loss = torch.log_softmax(model(inputs_BTI), dim=-1).sum()
    forward = (counter.operations, counter.multiply_adds, counter.numbers)
    torch.autograd.grad(loss, weights, allow_unused=True)
    parameters = sum(p.numel() for p in weights)
    return Counts(counter.operations, counter.multiply_adds, counter.numbers, *forward, parameters)


def estimated(shape: Shape, steps: int, batch: int) -> Counts:
    """Counts of an LSTM of these sizes, by arithmetic."""
    size, layers = shape.hidden_size, int(dict(shape.options).get("layers", 1))
    parameters = 4 * size * (shape.input_size + size * (2 * layers - 1)) + size * shape.output_size
    products, numbers = batch * steps * parameters, 20 * batch * steps * size * layers
    operations = 20 * steps * layers
    return Counts(3 * operations, 3 * products, 3 * numbers, operations, products, numbers, parameters)


def extrapolated(places: Sequence[int], found: Sequence[Counts], place: int) -> Counts:
    """The polynomial through these counts, at another place; at least the least of them."""
    columns = zip(*map(astuple, found), strict=True)
    return Counts(*(max(min(column), lagrange(places, column, place)) for column in columns))


def lagrange(places: Sequence[int], values: Sequence[float], place: int) -> float:
    """The value at `place` of the polynomial through these values, by Newton's differences."""
    table, total, term = list(values), 0.0, 1.0
    for k in range(len(places)):
        total += table[0] * term
        term *= place - places[k]
        table = [(b - a) / (places[i + k + 1] - places[i]) for i, (a, b) in enumerate(pairwise(table))]
    return total


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts every tensor operation below it; views write no numbers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.all = 0
        self.start()

    def start(self) -> None:
        """Count from here."""
        self.operations = self.multiply_adds = self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.all += 1
        self.operations += 1
        if self.all > MOST_OPERATIONS:
            raise TooLarge
        if func._overloadpacket in flop_registry:
            flops = flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
            self.multiply_adds += flops // 2
        if not any(returned.alias_info for returned in func._schema.returns):
            written = out if isinstance(out, tuple | list) else (out,)
            self.numbers += sum(x.numel() for x in written if isinstance(x, torch.Tensor))
        return out
