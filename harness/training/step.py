"""The engine: what turns weights, states and batches into new ones. Nothing else updates a weight.

The equations stand in the files of the model, the optimizer and the clip rule. An engine runs them. Its name
is part of a results folder's definition, because engines may round differently.
Shape letters: R replicas, P parameters, S streams, B batch, T time, I input, K steps of a block,
U measured updates.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from harness.clip_rules import ClipRule
from harness.optimizers import Optimizer, State
from harness.training.replicas import Buffers, Replicas

States = tuple[State, State]
"""State of the optimizer and of the clip rule. A tensor keeps its shape (R, ...) from step to step."""

Batch = tuple[Tensor, Tensor]
"""Inputs and targets. In a block they are of several steps and streams: (K, S, B, ...) each."""


@dataclass(frozen=True)
class Block:
    """What came of K steps. Scalars are in the order of SCALARS; nothing has been copied to the host."""

    weights_RP: Tensor
    states: States
    scalars_R4K: Tensor
    updates_UR2: Tensor  # |dw| and |w| before, of the steps that were asked for


class Engine(Protocol):
    """Updates and evaluates the replicas of one model."""

    name: ClassVar[str]
    reads_digits: ClassVar[bool]  # may inputs be digits (K, S, B, T), which stand for one-hot rows?

    def init(self, weights_RP: Tensor, steps: int) -> States:
        """The states before the first step of a trial that takes `steps` at most."""

    def check(self, batches: Sequence[Batch], heldout: Batch) -> None:
        """Make sure that a replica's numbers do not depend on its pack. `batches` are of one replica.

        ValueError if the model's outputs are not what the task reads.
        """

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
        """One update per step of the batches; `stream_R` says which stream a replica reads.

        The norms of updates are taken at the indices `measured`, from 0.
        """

    def evaluate(
        self, weights_RP: Tensor, buffers: Buffers, inputs_NTI: Tensor, targets_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean loss and score of every replica on one held-out set: (R,) and (R,)."""


class Eager:
    """The engine that runs everywhere: torch.func.vmap for the replicas, autograd for the gradient."""

    name: ClassVar[str] = "eager"
    reads_digits: ClassVar[bool] = False

    def __init__(self, replicas: Replicas, optimizer: Optimizer, clip_rule: ClipRule) -> None:
        self._replicas = replicas
        self._optimizer = optimizer
        self._clip_rule = clip_rule

    def init(self, weights_RP: Tensor, steps: int) -> States:
        """See `Engine`."""
        return self._optimizer.init(weights_RP), self._clip_rule.init(weights_RP, steps)

    def check(self, batches: Sequence[Batch], heldout: Batch) -> None:
        """See `Engine`."""
        self._replicas.check_outputs(*batches[0])
        self._replicas.check_single(batches, heldout)

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
        """See `Engine`."""
        scalars, updates = [], [weights_RP.new_empty(0, len(weights_RP), 2)]
        for k, (inputs_SBTI, targets_SB) in enumerate(each_step(batches)):
            before_RP, batch = weights_RP, (inputs_SBTI[stream_R], targets_SB[stream_R])
            weights_RP, states, scalars_4R = self.step(
                before_RP, states, buffers, *batch, learning_rate_R1, max_norm_R1
            )
            scalars.append(scalars_4R)
            if k in measured:
                updates.append(update_norms(weights_RP, before_RP)[None])
        return Block(weights_RP, states, torch.stack(scalars, dim=-1).transpose(0, 1), torch.cat(updates))

    def step(
        self,
        weights_RP: Tensor,
        states: States,
        buffers: Buffers,
        inputs_RBTI: Tensor,
        targets_RB: Tensor,
        learning_rate_R1: Tensor,
        max_norm_R1: Tensor,
    ) -> tuple[Tensor, States, Tensor]:
        """One update: new weights, new states, and the scalars (4, R). Nothing is changed in place."""
        state, clip_state = states
        loss_R, score_R, grads_RP = self.gradients(weights_RP, buffers, inputs_RBTI, targets_RB)
        norm_R1 = torch.linalg.vector_norm(grads_RP, dim=1, keepdim=True)
        grads_RP, coefficient_R1, clip_state = self._clip_rule.clip(
            grads_RP, norm_R1, max_norm_R1, clip_state
        )
        weights_RP, state = self._optimizer.update(weights_RP, grads_RP, state, learning_rate_R1)
        scalars_4R = torch.stack([loss_R, score_R, norm_R1[:, 0], coefficient_R1[:, 0]])
        return weights_RP, (state, clip_state), scalars_4R

    def gradients(
        self, weights_RP: Tensor, buffers: Buffers, inputs_RBTI: Tensor, targets_RB: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Replicas.gradients`."""
        return self._replicas.gradients(weights_RP, buffers, inputs_RBTI, targets_RB)

    def evaluate(
        self, weights_RP: Tensor, buffers: Buffers, inputs_NTI: Tensor, targets_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Engine`."""
        return self._replicas.evaluate(weights_RP, buffers, inputs_NTI, targets_N)


def update_norms(weights_RP: Tensor, before_RP: Tensor) -> Tensor:
    """L2 norms of what an update changed, and of the weights before it: (R, 2)."""
    norms = [torch.linalg.vector_norm(x, dim=1) for x in (weights_RP - before_RP, before_RP)]
    return torch.stack(norms, dim=-1)


def each_step(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Inputs (S, B, ...) and targets (S, B, ...) of one step after the other."""
    for inputs_KSBTI, targets_KSB in batches:
        yield from zip(inputs_KSBTI, targets_KSB, strict=True)
