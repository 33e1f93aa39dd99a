"""What is measured of the weights themselves, at three moments of a trial: `init`, `solved` and `end`.

`end` is after the last update. For a trial that diverged, it is the last evaluation before. The probes work
in float64 on a fixed batch of sequences of their own, after training is over, so they cannot change it.
Shape letters: R replicas, B sequences, T time steps, S state numbers, P parameters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from harness.errors import one_line

PROBE_SIZE = 64
"""Sequences in the probe batch."""

MOMENTS = ("init", "solved", "end")


class Calling(nn.Module):
    """Lets `functional_call` swap the parameters of a model under any function of it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function` of the model and the arguments."""
        return function(self.model, *arguments)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Replicas at a moment, and what a probe may do with them. All tensors are float64."""

    model: nn.Module
    weights_RP: Tensor
    buffers: Mapping[str, Tensor]
    unflatten: Callable[[Tensor], Mapping[str, Tensor]]  # (P,) to named parameters
    vectorizable: bool
    inputs_BTI: Tensor
    targets_B: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]  # outputs, targets to the loss of each sequence

    def missing(self) -> Tensor:
        """A column for what these replicas do not have: NaN, (R,)."""
        return self.weights_RP.new_full((len(self.weights_RP),), torch.nan)

    def each(self, function: Callable[..., Any], *arguments_R: Any) -> Any:
        """`function(call, weights_P, *arguments)` of every replica, results stacked replicas first.

        `call(weights_P, f, *args)` is `f(model, *args)` with these weights. Arguments have a first
        dimension of replicas.
        """

        def one(weights_P: Tensor, buffers: Mapping[str, Tensor], *arguments: Any) -> Any:
            def call(weights_P: Tensor, f: Callable[..., Any], *args: Any) -> Any:
                tensors = {**self.unflatten(weights_P), **buffers}
                named = {f"model.{name}": tensor for name, tensor in tensors.items()}
                return functional_call(Calling(self.model), named, (f, *args), tie_weights=False)

            return function(call, weights_P, *arguments)

        everything = (self.weights_RP, self.buffers, *arguments_R)
        if self.vectorizable:
            return vmap(one)(*everything)
        mapped = torch.utils._pytree.tree_map
        rows = [one(*mapped(lambda x, r=r: x[r], everything)) for r in range(len(self.weights_RP))]
        return mapped(lambda *same: torch.stack(same), *rows)


@dataclass(frozen=True)
class Measured:
    """What a probe found: columns (R,) for the moments table, profiles (R, T, B) for the profiles table."""

    columns: Mapping[str, Tensor]
    profiles: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Probe:
    """A measure of a moment and the columns that it fills in the moments table: all floats.

    `applies` says whether the model has what the probe reads; where it has not, the columns are NaN.
    `rows_at_once` is how many replicas one call measures, at most: it bounds memory.
    """

    measure: Callable[[Moment], Measured]
    columns: tuple[str, ...]
    applies: Callable[[nn.Module], bool]
    rows_at_once: int = 16


PROBES: dict[str, Probe] = {}

DEFAULT_PROBES = ("gradient_flow", "lyapunov", "spectrum")
"""What a space measures if it does not say."""


def probe(
    *columns: str, applies: Callable[[nn.Module], bool], rows_at_once: int = Probe.rows_at_once
) -> Callable[[Callable[[Moment], Measured]], Callable[[Moment], Measured]]:
    """Decorator: a space may name this function under `probes`, and its columns are then filled."""

    def add(measure: Callable[[Moment], Measured]) -> Callable[[Moment], Measured]:
        PROBES[measure.__name__] = Probe(measure, columns, applies, rows_at_once)
        return measure

    return add


def probe_columns(names: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of these probes in the moments table."""
    return tuple(column for name in names for column in PROBES[name].columns)


def rollout(model: Any, inputs_BTI: Tensor, nudges: tuple[Tensor, ...] | None = None) -> Tensor:
    """The model's outputs, step by step; `nudges`, (T, B, ...) each, are added to its state after each."""
    state = model.initial_state(inputs_BTI)
    hidden = []
    for t, x_BI in enumerate(inputs_BTI.unbind(1)):
        state = model.step(x_BI, state)
        if nudges is not None:
            state = tuple(part + nudge[t] for part, nudge in zip(state, nudges, strict=True))
        hidden.append(state[0])
    outputs: Tensor = model.readout(torch.stack(hidden, dim=1) if model.every_step else hidden[-1])
    return outputs


def check_steps(moment: Moment) -> None:
    """Raise ValueError unless the model's forward is what its steps and readout do."""

    def both(call: Any, weights_P: Tensor) -> tuple[Tensor, Tensor]:
        forward = call(weights_P, lambda model: model(moment.inputs_BTI))
        return forward, call(weights_P, rollout, moment.inputs_BTI)

    forward, stepped = moment.each(both)
    finite = forward.isfinite() & stepped.isfinite()
    if not torch.allclose(forward[finite], stepped[finite], rtol=1e-5, atol=1e-8):
        raise ValueError("its forward gives other outputs than its initial_state, step and readout")


def probe_moment(moment: Moment, names: tuple[str, ...]) -> Measured:
    """Everything that these probes find. ValueError names the probe if the model does not go along."""
    columns: dict[str, Tensor] = {}
    profiles: dict[str, Tensor] = {}
    for name in names:
        found = PROBES[name]
        if not found.applies(moment.model):
            columns |= {column: moment.missing() for column in found.columns}
            continue
        try:
            measured = found.measure(moment)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"probe {name} cannot measure this model ({one_line(error)}); it must work in "
                f"float64 and be differentiable: mend it, or leave the probe out of `probes`"
            ) from error
        if measured.columns.keys() != set(found.columns):
            raise ValueError(f"probe {name} filled {set(measured.columns)}, registered {set(found.columns)}")
        columns |= measured.columns
        profiles |= measured.profiles
    return Measured(columns, profiles)
