"""The engine whose training step is C++, generated from the model's, task's, clip rule's and optimizer's own code.

Replicas go one after the other, each within the processor's cache. So no number depends on the pack.
"""

import ctypes
import functools
from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from harness.clip_rules import ClipRule
from harness.optimizers import Optimizer
from harness.training.compiled import build, net, update
from harness.training.compiled.trace import NotTraceable
from harness.training.replicas import Buffers, Replicas
from harness.training.step import Batch, Block, States

TOLERANCE = 1e-3
"""Largest difference between compiled and eager gradients on the first batch, relative to the largest entry."""

Pointer = ctypes.c_void_p


class Compiled:
    """See `Engine`. Raises NotTraceable or CannotBuild when it is made and cannot run this model."""

    name: ClassVar[str] = "compiled"

    def __init__(self, replicas: Replicas, optimizer: Optimizer, clip_rule: ClipRule) -> None:
        self._replicas, self._optimizer, self._clip_rule = replicas, optimizer, clip_rule
        self._net = net.trace(replicas.model, replicas.task)
        self._library = load(net.source(self._net))
        self._update, self._clips = find_update(clip_rule, optimizer)

    def init(self, weights_RP: Tensor, steps: int) -> States:
        """See `Engine`."""
        return self._optimizer.init(weights_RP), self._clip_rule.init(weights_RP, steps)

    def check(self, batches: Sequence[Batch], heldout: Batch) -> None:
        """See `Engine`. ValueError too if the compiled gradient is not the eager one."""
        inputs, targets = batches[0]
        self._replicas.check_outputs(inputs, targets)
        weights_1P, buffers = self._replicas.initial()
        one = (inputs[None], targets[None])
        loss, _, grads = self._gradients(weights_1P, buffers, *one)
        expected_loss, _, expected = self._replicas.gradients(weights_1P, buffers, *one)
        error = float((grads - expected).abs().max() / expected.abs().max().clamp(min=1e-30))
        if not (error < TOLERANCE and torch.allclose(loss, expected_loss, rtol=TOLERANCE)):
            raise ValueError(
                f"the compiled engine's gradient differs from the eager one by {error:.1e} of its largest entry; "
                f"use engine=eager"
            )

    def block(
        self,
        weights_RP: Tensor,
        states: States,
        buffers: Buffers,
        batches: Iterable[Batch],
        learning_rate_R1: Tensor,
        max_norm_R1: Tensor,
        measured: Collection[int],
    ) -> Block:
        """See `Engine`."""
        weights_RP = weights_RP.clone()
        optimizer, clip = (tuple(t.clone() for t in part) for part in states)
        scalars, updates = [], [weights_RP.new_empty(0, len(weights_RP), 2)]
        for k, (inputs_RBTI, targets_RB) in enumerate(batches):
            before_RP = weights_RP.clone() if k in measured else weights_RP
            loss_R, score_R, grads_RP = self._gradients(weights_RP, buffers, inputs_RBTI, targets_RB)
            norm_R1 = torch.linalg.vector_norm(grads_RP, dim=1, keepdim=True)
            if not self._clips:
                grads_RP, coefficient_R1, clip = self._clip_rule.clip(grads_RP, norm_R1, max_norm_R1, clip)
            if self._update is None:
                weights_RP, optimizer = self._optimizer.update(
                    weights_RP, grads_RP, optimizer, learning_rate_R1
                )
            else:
                found_R1 = torch.empty_like(norm_R1)
                own = (*clip, *optimizer) if self._clips else optimizer
                self._update.update(
                    len(weights_RP), ctypes.c_long(weights_RP.shape[1]),
                    *map(pointer, (weights_RP, grads_RP, norm_R1, max_norm_R1, learning_rate_R1, found_R1, *own)),
                )  # fmt: skip
                coefficient_R1 = found_R1 if self._clips else coefficient_R1
            scalars.append(torch.stack([loss_R, score_R, norm_R1[:, 0], coefficient_R1[:, 0]]))
            if k in measured:
                norms = [torch.linalg.vector_norm(x, dim=1) for x in (weights_RP - before_RP, before_RP)]
                updates.append(torch.stack(norms, dim=-1)[None])
        scalars_R4K = torch.stack(scalars, dim=-1).transpose(0, 1)
        return Block(weights_RP, (optimizer, clip), scalars_R4K, torch.cat(updates))

    def evaluate(
        self, weights_RP: Tensor, buffers: Buffers, inputs_NTI: Tensor, targets_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Engine`."""
        replicas, (size, steps) = len(weights_RP), inputs_NTI.shape[:2]
        frozen_RF = self._frozen(buffers, weights_RP)
        held = (weights_RP.contiguous(), frozen_RF, inputs_NTI.contiguous(), targets_N.float().contiguous())
        found = weights_RP.new_empty(replicas), weights_RP.new_empty(replicas)
        self._library.evaluate(replicas, size, steps, frozen_RF.shape[1], *map(pointer, (*held, *found)))
        return found

    def _gradients(
        self, weights_RP: Tensor, buffers: Buffers, inputs_RBTI: Tensor, targets_RB: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        replicas, batch, steps = inputs_RBTI.shape[:3]
        frozen_RF = self._frozen(buffers, weights_RP)
        held = (weights_RP.contiguous(), frozen_RF, inputs_RBTI.contiguous(), targets_RB.float().contiguous())
        found = weights_RP.new_empty(replicas), weights_RP.new_empty(replicas), torch.empty_like(weights_RP)
        self._library.gradients(replicas, batch, steps, frozen_RF.shape[1], *map(pointer, (*held, *found)))
        return found

    def _frozen(self, buffers: Buffers, weights_RP: Tensor) -> Tensor:
        """Weights that are not trained, (R, F)."""
        if not self._net.frozen:
            return weights_RP.new_empty(len(weights_RP), 0)
        return torch.cat([buffers[name].flatten(1) for name in self._net.frozen], dim=1)


def pointer(tensor: Tensor) -> Any:
    """Where a contiguous tensor lies; the caller keeps it."""
    assert tensor.is_contiguous(), "the kernels read whole rows"
    return Pointer(tensor.data_ptr())


@functools.cache
def load(source: str) -> ctypes.CDLL:
    """The library of a source, loaded once per process."""
    return build.library(source)


@functools.cache
def find_update(clip_rule: ClipRule, optimizer: Optimizer) -> tuple[ctypes.CDLL | None, bool]:
    """The compiled update, None if it stays in torch, and whether it clips too."""
    for rule, clips in ((clip_rule, True), (Unclipped(), False)):
        try:
            return load(update.source(update.trace_update(rule, optimizer))), clips
        except NotTraceable:
            continue
    return None, False


class Unclipped:
    """Leaves gradients as they are: what clips them has been done in torch."""

    uses_max_norm: ClassVar[bool] = False

    def init(self, weights_RP: Tensor, steps: int) -> tuple[Tensor, ...]:
        return ()

    def clip(self, grads_RP: Tensor, norm_R1: Tensor, max_norm_R1: Tensor, state: Any) -> Any:
        return grads_RP, torch.ones_like(norm_R1), ()
