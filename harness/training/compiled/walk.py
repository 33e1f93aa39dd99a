"""How a model goes along time: from which state, by which step, and what its readout sees."""

from typing import Protocol

import torch
from torch import Tensor, nn

from harness.models.base import Recurrent, State, Stepwise
from harness.training.compiled.graph import NotTraceable

UNROLLED = (Stepwise.forward, Recurrent.forward)
"""Forward passes that are known to be the model's step along time, then its readout."""


class Walk(Protocol):
    """One step at a time. With `both_ways` it reads the input of its time and that of the mirrored time."""

    both_ways: bool
    read: int  # how many tensors of the state the readout sees, side by side

    def start(self, inputs_BTI: Tensor) -> State:
        """The state before the first step."""

    def step(self, x: Tensor, state: State) -> State:
        """The state after one more."""


class Ahead:
    """A `Stepwise` model as it is."""

    both_ways = False
    read = 1

    def __init__(self, model: Stepwise) -> None:
        self._model = model

    def start(self, inputs_BTI: Tensor) -> State:
        """See `Walk`."""
        return tuple(self._model.initial_state(inputs_BTI))

    def step(self, x: Tensor, state: State) -> State:
        """See `Walk`."""
        return tuple(self._model.step(x, state))


class BothWays:
    """A bidirectional layer: two cells that know nothing of each other, one from each end.

    The parts of the state alternate: those of the cell from the start come before their twins.
    """

    both_ways = True
    read = 2

    def __init__(self, model: Recurrent) -> None:
        self._model = model

    def start(self, inputs_BTI: Tensor) -> State:
        """See `Walk`."""
        one = self._model.initial_state(inputs_BTI)[: self._model.state_size]
        return tuple(part for part in one for _ in range(2))

    def step(self, x: Tensor, state: State) -> State:
        """See `Walk`."""
        there, back = self._model.cells
        first, mirrored = x.chunk(2, dim=-1)
        after = zip(
            self._model.cell(there, first, state[::2]),
            self._model.cell(back, mirrored, state[1::2]),
            strict=True,
        )
        return tuple(part for pair in after for part in pair)


def walk_of(model: nn.Module) -> Walk:
    """How this model goes; NotTraceable if its forward may be another than one that is known."""
    if not isinstance(model, Stepwise) or type(model).forward not in UNROLLED:
        raise NotTraceable("its forward is its own, not that of Stepwise")
    if not getattr(model, "bidirectional", False):
        return Ahead(model)
    own = (Recurrent._both_ways, Recurrent._along)
    if not isinstance(model, Recurrent) or (type(model)._both_ways, type(model)._along) != own:
        raise NotTraceable("it reads sequences both ways, and not as Recurrent does")
    if len(model.cells) > 2:
        raise NotTraceable("it reads sequences both ways in several layers")
    return BothWays(model)


def seen(walk: Walk, x_BTI: Tensor) -> Tensor:
    """What the first step reads."""
    return torch.cat([x_BTI[:, 0], x_BTI[:, -1]], dim=-1) if walk.both_ways else x_BTI[:, 0]
