"""The engine whose step is C++, generated from the code of model, task, clip rule and optimizer.

Replicas go one after the other, each within the processor's cache. So no number depends on the pack.
"""

import ctypes
import functools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from harness.clip_rules import ClipRule
from harness.optimizers import Optimizer
from harness.training.compiled import build, net, source, update
from harness.training.compiled.functions import Functions, either, pointer
from harness.training.compiled.graph import NotTraceable
from harness.training.replicas import Buffers, Replicas
from harness.training.step import Batch, Block, Eager, States

TOLERANCE = 1e-3
"""Largest difference between the compiled and the eager gradient, relative to the largest entry."""

STEPS_AT_ONCE = 50
"""Most steps of one call."""

WORK_AT_ONCE = 1e10
"""Most multiply-adds of the forward passes of one call: a second, in which no signal is answered."""

Pointer = ctypes.c_void_p


class Compiled(Eager):
    """See `Engine`. Raises NotTraceable or CannotBuild when it is made and cannot run this model."""

    name: ClassVar[str] = "compiled"
    reads_digits: ClassVar[bool] = True

    def __init__(self, replicas: Replicas, optimizer: Optimizer, clip_rule: ClipRule) -> None:
        super().__init__(replicas, optimizer, clip_rule)
        self._net = net.trace(replicas.model, replicas.task)
        self._library = load(source.source(self._net) + '\n#include "block.hpp"\n')
        self._functions = Functions(self._net, self._library)
        self._update = find_update(clip_rule, optimizer)

    def check(self, batches: Sequence[Batch], heldout: Batch) -> None:  # noqa: ARG002
        """See `Engine`. ValueError too if the compiled gradient is not the eager one."""
        self._replicas.check_outputs(*batches[0])
        weights_1P, buffers = self._replicas.initial()
        one = tuple(x[None] for x in batches[0])
        loss, _, grads = self.gradients(weights_1P, buffers, *one)
        expected_loss, _, expected = self._replicas.gradients(weights_1P, buffers, *one)
        error = float((grads - expected).abs().max() / expected.abs().max().clamp(min=1e-30))
        if not (error < TOLERANCE and torch.allclose(loss, expected_loss, rtol=TOLERANCE)):
            raise ValueError(
                f"the compiled gradient differs from the eager one by {error:.1e} of its largest entry; "
                f"use engine=eager, and please report this"
            )

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
        """See `Engine`. What torch alone can update goes through torch, a step at a time."""
        if self._update is None:
            rates = (learning_rate_R1, max_norm_R1)
            return super().block(weights_RP, states, buffers, batches, stream_R, *rates, measured)
        weights_RP = weights_RP.clone()
        optimizer, clip = (tuple(t.clone(memory_format=torch.contiguous_format) for t in s) for s in states)
        frozen_RF = self._functions.frozen(buffers, weights_RP)
        rest = ([*clip, *optimizer], stream_R.int(), learning_rate_R1.contiguous(), max_norm_R1.contiguous())
        scalars, updates, done = [], [weights_RP.new_empty(0, len(weights_RP), 2)], 0
        for inputs_KSBTI, targets_KSB in together(batches, weights_RP.numel()):
            asked = torch.tensor([done + k in measured for k in range(len(inputs_KSBTI))], dtype=torch.uint8)
            found = self._steps(weights_RP, frozen_RF, inputs_KSBTI, targets_KSB, *rest, asked)
            scalars.append(found[0])
            updates.append(found[1])
            done += len(inputs_KSBTI)
        return Block(weights_RP, (optimizer, clip), torch.cat(scalars, dim=-1), torch.cat(updates))

    def _steps(
        self,
        weights_RP: Tensor,
        frozen_RF: Tensor,
        inputs_KSBTI: Tensor,
        targets_KSB: Tensor,
        states: Sequence[Tensor],
        stream_R: Tensor,
        learning_rate_R1: Tensor,
        max_norm_R1: Tensor,
        measured_K: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Change weights and states in place; the scalars (R, 4, K), and the norms of updates (U, R, 2)."""
        steps, streams, batch, length = inputs_KSBTI.shape[:4]
        replicas, each = len(weights_RP), targets_KSB[0, 0, 0].numel()
        scalars_R4K = weights_RP.new_empty(replicas, 4, steps)
        updates_UR2 = weights_RP.new_empty(int(measured_K.sum()), replicas, 2)
        data = (*either(inputs_KSBTI), targets_KSB, self._functions.constants, self._functions.table)
        held = (stream_R, weights_RP, frozen_RF, *data, learning_rate_R1, max_norm_R1)
        assert self._update is not None
        self._library.block(
            *(replicas, steps, streams, batch, length, frozen_RF.shape[1], each),
            *map(pointer, held),
            ctypes.cast(self._update.update, Pointer),
            (Pointer * len(states))(*map(Tensor.data_ptr, states)),
            *map(pointer, (measured_K, scalars_R4K, updates_UR2)),
        )
        return scalars_R4K, updates_UR2

    def evaluate(
        self, weights_RP: Tensor, buffers: Buffers, inputs_NTI: Tensor, targets_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Engine`."""
        return self._functions.evaluate(weights_RP, buffers, inputs_NTI, targets_N)

    def gradients(
        self, weights_RP: Tensor, buffers: Buffers, inputs_RBTI: Tensor, targets_RB: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Replicas.gradients`."""
        return self._functions.gradients(weights_RP, buffers, inputs_RBTI, targets_RB)


def together(batches: Iterable[Batch], weights: int) -> Iterator[Batch]:
    """Batches of as many steps as one call takes, for so many weights of all replicas; targets as float32."""
    held: list[Batch] = []
    for batch in batches:
        rows = batch[0].shape[2] * batch[0].shape[3]
        most = max(1, min(STEPS_AT_ONCE, int(WORK_AT_ONCE / (weights * rows))))
        for part in zip(*(torch.split(tensor, most) for tensor in batch), strict=True):
            if held and sum(len(inputs) for inputs, _ in [*held, part]) > most:
                yield joined(held)
                held = []
            held.append(part)
    if held:
        yield joined(held)


def joined(batches: Sequence[Batch]) -> Batch:
    """One batch of the steps of all."""
    inputs, targets = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return inputs.contiguous(), targets.float().contiguous()


@functools.cache
def load(source: str) -> ctypes.CDLL:
    """The library of a source, loaded once per process."""
    return build.library(source)


def find_update(clip_rule: ClipRule, optimizer: Optimizer) -> ctypes.CDLL | None:
    """The compiled update, or None if it stays in torch."""
    try:
        return load(update.source(update.trace_update(clip_rule, optimizer)))
    except NotTraceable:
        return None
