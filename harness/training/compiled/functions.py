"""The compiled functions of a net, called on tensors."""

import ctypes
from typing import Any

import torch
from torch import Tensor

from harness.training.compiled.net import Net
from harness.training.replicas import Buffers


class Functions:
    """Gradients and evaluations of replicas. Everything is on the CPU, in the library's floating-point type.

    Inputs are (R, B, T, I) of that type, or digits (R, B, T) of int32, which stand for one-hot rows.
    """

    def __init__(self, net: Net, library: ctypes.CDLL, dtype: torch.dtype = torch.float32) -> None:
        self._net, self._library, self._dtype = net, library, dtype
        self.constants, self.table = net.constants().to(dtype), net.table()

    def gradients(
        self, weights_RP: Tensor, buffers: Buffers, inputs_RBTI: Tensor, targets_RB: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss (R,), score (R,) and gradient (R, P) of every replica on its own batch."""
        found = (
            weights_RP.new_empty(len(weights_RP)),
            weights_RP.new_empty(len(weights_RP)),
            torch.empty_like(weights_RP),
        )
        self._call(
            self._library.gradients,
            inputs_RBTI.shape[1:3],
            weights_RP,
            buffers,
            inputs_RBTI,
            targets_RB,
            found,
        )
        return found

    def evaluate(
        self, weights_RP: Tensor, buffers: Buffers, inputs_NTI: Tensor, targets_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean loss (R,) and score (R,) of every replica on one held-out set."""
        found = weights_RP.new_empty(len(weights_RP)), weights_RP.new_empty(len(weights_RP))
        self._call(
            self._library.evaluate, inputs_NTI.shape[:2], weights_RP, buffers, inputs_NTI, targets_N, found
        )
        return found

    def _call(
        self,
        function: Any,
        sizes: Any,
        weights_RP: Tensor,
        buffers: Buffers,
        inputs: Tensor,
        targets: Tensor,
        found: Any,
    ) -> None:
        rows, steps = sizes
        if self._net.every_step and steps != self._net.coefficients.shape[2]:
            raise ValueError(
                f"sequences have {steps} steps; the net was traced for {self._net.coefficients.shape[2]}"
            )
        frozen_RF = self.frozen(buffers, weights_RP)
        inputs, targets = inputs.contiguous(), targets.to(self._dtype).contiguous()
        weights_RP = weights_RP.contiguous()
        rows_or_digits = either(inputs)
        held = (weights_RP, frozen_RF, *rows_or_digits, targets, self.constants, self.table, *found)
        for tensor in (weights_RP, frozen_RF, rows_or_digits[0]):
            if tensor is not None and tensor.dtype != self._dtype:
                raise ValueError(f"tensors are {tensor.dtype}; the functions were built for {self._dtype}")
        function(len(weights_RP), int(rows), int(steps), *(pointer(tensor) for tensor in held))

    def frozen(self, buffers: Buffers, weights_RP: Tensor) -> Tensor:
        """Weights that are not trained, (R, F)."""
        if not self._net.frozen:
            return weights_RP.new_empty(len(weights_RP), 0)
        return torch.cat([buffers[name].flatten(1) for name in self._net.frozen], dim=1)


def either(inputs: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Inputs as the functions take them: rows and no digits, or no rows and digits."""
    return (None, inputs) if inputs.dtype == torch.int32 else (inputs, None)


def pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    """Where a contiguous tensor lies, or null; the caller keeps it."""
    assert tensor is None or tensor.is_contiguous(), "the kernels read whole rows"
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())
